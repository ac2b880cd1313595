"""Leaves the oddest of contaminated normals out before anything is learned from them.

Knows encoded items (n, channel, *position) and one Gaussian; not the method that will be fitted.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor

from detectors.denoiser import GaussianDenoiser, denoiser_settings, make_denoiser
from detectors.method import Space
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
