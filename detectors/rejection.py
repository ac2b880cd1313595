"""Leaves the oddest of contaminated normals out: before the fit by a Gaussian, before calibration by the fitted method.

Knows encoded items (n, channel, *position); not samples or files.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from detectors.denoiser import GaussianDenoiser, denoiser_settings, make_denoiser
from detectors.method import Method, Space
from detectors.selftest import item_scores
from detectors.training import Run

LEVEL = 500  # of 1000 steps: how much noise the Gaussian takes a change for


def without_oddest(
    space: Space, reference: Tensor, batches: Iterable[Tensor], rows: list[int], share: float
) -> list[int]:
    """`rows`, whose items come as `batches`, without the share that a Gaussian fitted on `reference` finds oddest
    (TabADM's rejection, Zamberg et al. 2023, with a closed-form judge)."""
    judge = make_denoiser(space, {**denoiser_settings(space.modality), "denoiser": "gaussian"})
    assert isinstance(judge, GaussianDenoiser)
    judge.fit(reference, Run())
    odd = torch.cat([(x - judge.one_step(x, LEVEL)).square().flatten(1).mean(1) for x in batches])
    keep = odd.argsort()[: max(1, round(len(rows) * (1 - share)))]
    return [rows[i] for i in sorted(keep.tolist())]


def least_odd(method: Method, x: Tensor, rows: list[int], share: float, batch: int = 64) -> list[int]:
    """`rows`, whose items are x (n, channel, *position), without the share that the fitted method finds oddest: the
    Gaussian of the fit may have missed them, and a few of them among the held-out normals hide all others."""
    method.calibrate(x)
    keep = item_scores(method, x.split(batch)).argsort()[: max(1, round(len(rows) * (1 - share)))]
    return [rows[i] for i in sorted(keep.tolist())]
