"""Trend: slow drift is taken out of a window before a denoiser looks at it, so that drift is not evidence."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from detectors.denoiser import DenoisingMethod
from detectors.errors import AnomalyError
from detectors.method import Space
from detectors.scaling import normal_scale
from detectors.training import Run


class Trend(DenoisingMethod):
    """D3R (Wang et al., NeurIPS 2023): decomposition into trend and stable part, one-shot reconstruction at one level.

    In a window x = trend + stable; D3R's forward process a x + s eps + (1 - a) trend is the diffusion of the stable
    part with the trend left outside, and so it is computed here. A channel's trend is its best polynomial of degree
    `degree` over the window (D3R learns it; a projection makes the method exactly blind to such drift, where D3R trains
    with random trends). No noise is drawn.
    Map: ((stable - x0_t) ^ 2 - mu) / s, mu and s by channel from held-out normals; t = `time`.
    Settings: degree (0: a level, 1: a straight line), time (of 1000). Calls a sample: 1 (0 in closed form).
    Choose it where levels wander after the fit. Its price: a level that jumps and stays is seen at the jump only.
    Measured in closed form (mean VUS-PR): NAB .295, SKAB .598; `multi_start` in closed form has .336 and .873.
    """

    name = "trend"
    modalities = ("series",)
    defaults = {"degree": 1, "time": 500}

    mean: Tensor  # (channel, 1)
    std: Tensor

    def __init__(self, space: Space, **settings: Any) -> None:
        super().__init__(space, **settings)
        degree, window = self.settings["degree"], space.shape[1]
        if not 0 <= degree < window // 2:
            raise AnomalyError(f"degree={degree} must lie between 0 and {window // 2 - 1} for a window of {window}.")
        self.basis = torch.linalg.qr(_powers(window, degree)).Q  # (window, degree + 1), orthonormal

    @property
    def denoiser_key(self) -> str:
        """Its denoiser knows stable parts only: no method that looks at whole windows may share it."""
        return f"trend={self.settings['degree']},{super().denoiser_key}"

    def trend(self, x: Tensor, keep: Tensor | None = None) -> Tensor:
        """The drift in windows x (n, channel, window), told from the stamps `keep` (bool, the shape of x) alone."""
        basis = self.basis.to(x)
        if keep is None:
            return x @ basis @ basis.T
        weight = keep.to(x)
        normal = torch.einsum("ncw,wi,wj->ncij", weight, basis, basis)
        normal = normal + 1e-4 * torch.eye(basis.shape[1], device=x.device)  # a channel that is hidden as a whole: zero
        right = torch.einsum("ncw,wi->nci", weight * x, basis)
        return torch.linalg.solve(normal, right[..., None])[..., 0] @ basis.T

    def fit(self, x: Tensor, run: Run) -> None:
        super().fit(x - self.trend(x), run)

    def distances(self, x: Tensor) -> Tensor:
        """What one-shot reconstruction leaves of the stable part, squared: (n, channel, window)."""
        stable = x - self.trend(x)
        return (stable - self.denoiser.one_step(stable, int(self.settings["time"]))) ** 2

    def calibrate(self, x: Tensor) -> None:
        mean, std = normal_scale(self.distances(x), self.space)
        self.learn(mean=mean, std=std)

    def maps(self, x: Tensor) -> Tensor:
        return (self.distances(x) - self.mean) / self.std

    def normal(self, x: Tensor, where: Tensor, seed: int = 0) -> Tensor:
        """The stable part regenerated in the hole, on the trend of what surrounds it."""
        trend = self.trend(x, ~where.expand_as(x))
        stable = self.denoiser.inpaint(x - trend, where, seed)
        return torch.where(where, trend + stable, x)


def _powers(window: int, degree: int) -> Tensor:
    """1, time, time^2, ... over the window: (window, degree + 1) float64."""
    time = torch.linspace(-1, 1, window, dtype=torch.float64)
    return torch.stack([time**power for power in range(degree + 1)], 1)
