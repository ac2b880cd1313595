"""Multi-start: one-step reconstructions from several noise levels, each judged by how normals fare at that level."""

from __future__ import annotations

import torch
from torch import Tensor

from detectors.denoiser import DenoisingMethod
from detectors.maps import residual
from detectors.scaling import normal_scale


class MultiStart(DenoisingMethod):
    """Multi-start z-ensemble (Graham et al., MICCAI 2023) in noise-free one-step form (Tebbe & Tayyub, CVPRW 2024).

    For each t the input is scaled to the level t without adding noise and denoised in one call; the map is the mean
    over t of (d_t - mu_t) / s_t with d_t = (x - x0_t)^2 and mu_t, s_t from held-out normals. Deterministic.
    Settings: times (steps of 1000). Calls a sample: len(times).
    Choose it as the first learned method: one call a level, the best single localisation measured.
    """

    name = "multi_start"
    defaults = {"times": (100, 300, 500, 700, 850)}

    mean: Tensor  # by level, shaped like the distances
    std: Tensor

    @property
    def calls(self) -> int:
        return self.denoiser.calls * len(self.settings["times"])

    def distances(self, x: Tensor) -> Tensor:
        """(x - x0_t)^2 by level: (level, n, channel or 1, *position); pictures' channels are summed."""
        return torch.stack([residual(x, self.denoiser.one_step(x, int(t))) for t in self.settings["times"]])

    def calibrate(self, x: Tensor) -> None:
        scales = [normal_scale(d, self.space) for d in self.distances(x)]
        self.learn(mean=torch.stack([m for m, _ in scales]), std=torch.stack([s for _, s in scales]))

    def maps(self, x: Tensor) -> Tensor:
        z = (self.distances(x) - self.mean[:, None]) / self.std[:, None]
        return z.mean(0)
