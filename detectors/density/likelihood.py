"""Diffusion likelihood: the denoising error, summed over signal-to-noise ratios, is a negative log-likelihood."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from detectors.denoiser import CorrectedDenoiser, DenoisingMethod, GaussianDenoiser
from detectors.errors import AnomalyError
from detectors.method import Space
from detectors.training import Run


class Likelihood(DenoisingMethod):
    """I-MMSE likelihood (Guo et al. 2005; Kong et al., ICLR 2023; the weights of Kingma et al. 2021) without noise.

    -log p(x) is, up to a constant, half the integral over the signal-to-noise ratio s of E|x - x0(x_s, s)|^2. Here x is
    scaled to each level without adding noise and denoised in one call; the integral runs from 0 to `snr`. For the
    Gaussian denoiser it has a closed form, (x - mu)^T (C + I / snr)^-1 (x - mu): PaDiM's distance is the diffusion
    likelihood of Gaussian cells. Map: the root of the integral at each cell; deterministic. It is not set against how
    normals fare at a place: the covariance has done that.
    Settings: snr (where the integral ends: larger looks at finer, rarer directions; None: 25 times the normals a
    dimension, 10 to 100, since few normals say little about fine directions), levels (of a learned denoiser),
    exact (of denoiser "corrected" use the Gaussian alone, in closed form).
    Calls a sample: 0 (Gaussian) or `levels`. Choose it for pictures of parts that always lie alike, and for clips
    of a camera that stands still.
    """

    end: Tensor  # the signal-to-noise ratio that the integral ends at

    name = "likelihood"
    modalities = ("image", "video")
    defaults = {"denoiser": "gaussian", "shrinkage": 0.001, "snr": None, "levels": 3, "exact": False}

    def __init__(self, space: Space, **settings: Any) -> None:
        super().__init__(space, **settings)
        snr = self.settings["snr"]
        if (snr is not None and not snr > 0) or self.settings["levels"] < 2:
            raise AnomalyError("likelihood needs snr > 0 (or None) and at least 2 levels.")

    def fit(self, x: Tensor, run: Run) -> None:
        super().fit(x, run)
        points = len(x) if self.space.aligned else x.numel() // x.shape[1]
        known = min(max(25 * points / x.shape[1], 10.0), 100.0)
        self.learn(end=torch.tensor(float(self.settings["snr"] or known)))
        self._seen = len(x)

    def absorb(self, x: Tensor) -> None:
        """The Gaussian takes the held-out normals in, where there were enough before that scores hardly move."""
        own = self.own if "own" in self._modules else None
        gaussian = own.gaussian if isinstance(own, CorrectedDenoiser) else own
        enough = not self.space.aligned or self._seen >= self.space.shape[0]
        if isinstance(gaussian, GaussianDenoiser) and enough:
            gaussian.absorb(x, self._seen)

    @property
    def closed_form(self) -> GaussianDenoiser | None:
        """The Gaussian whose integral is taken in closed form, if one is."""
        denoiser = self.denoiser
        if isinstance(denoiser, CorrectedDenoiser) and self.settings["exact"]:
            denoiser = denoiser.gaussian
        return denoiser if isinstance(denoiser, GaussianDenoiser) else None

    @property
    def calls(self) -> int:
        return 0 if self.closed_form else self.denoiser.calls * self.settings["levels"]

    def maps(self, x: Tensor) -> Tensor:
        gaussian = self.closed_form
        if gaussian is not None:
            return gaussian.distance(x, float(self.end)).sqrt()
        denoiser = self.denoiser
        total = torch.zeros_like(x[:, :1])
        for t, weight in self._levels():
            total += weight * (x - denoiser.one_step(x, t)).square().sum(1, keepdim=True)
        return total.sqrt()

    def _levels(self) -> list[tuple[int, float]]:
        """Times with the width of signal-to-noise ratio that each stands for (trapezoids), noisiest first."""
        diffusion = self.denoiser.diffusion
        ratios = (diffusion.alpha / diffusion.sigma.clamp_min(1e-6)) ** 2  # falls with t
        wanted = torch.logspace(-1.5, 0, self.settings["levels"]) * float(self.end)
        times = [int((ratios - w).abs().argmin()) for w in wanted]
        edges = torch.cat([torch.zeros(1), (wanted[1:] + wanted[:-1]) / 2, wanted[-1:]])
        return list(zip(times, (edges[1:] - edges[:-1]).tolist(), strict=True))
