"""Graded synthetic anomalies made by the diffusion model itself, and a discriminator that learns to see them."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from detectors.errors import AnomalyError
from detectors.method import Space
from detectors.segmentation import SegmentingMethod
from detectors.synthetic import blend, plant
from detectors.training import Run


class Synthetic(SegmentingMethod):
    """RealNet (Zhang et al., CVPR 2024), whose strength-controlled diffusion makes its own training anomalies.

    The reverse chain is sampled with its variance times 1 + s: s = 0 gives normals, larger s ever odder ones. Such
    content is laid over random places of normals at opacities of 0.5 to 1, and a discriminator that sees an item and
    its one-step reconstruction learns where. Map: -log P(normal) at each place.
    Here the chain has `chain_steps` steps in place of 1000, so s is larger than the paper's 0.1 to 0.2, and a share of
    the defects (`planted`) is of the kinds of `detectors.synthetic`, since generated ones alone are all of one sort.
    Settings: strength (lowest and highest s), bank (items made), chain_steps, planted, level (step of the
    reconstruction), and those of a denoiser. Calls a sample: 1, and 1 of the discriminator.
    """

    name = "synthetic"
    defaults = {"strength": (0.2, 2.0), "bank": 64, "chain_steps": 20, "planted": 0.5, "level": 500}

    bank: Tensor  # (m, channel, *position) generated, from nearly normal to odd

    def __init__(self, space: Space, **settings: Any) -> None:
        super().__init__(space, **settings)
        if not 0 <= self.settings["planted"] <= 1:
            raise AnomalyError(f"planted={self.settings['planted']} must lie between 0 and 1.")

    @property
    def calls(self) -> int:
        return self.denoiser.calls + 1

    def restored(self, x: Tensor, noise: Tensor) -> Tensor:
        return self.denoiser.one_step(x, self.settings["level"])

    def prepare(self, x: Tensor, run: Run) -> None:
        low, high = self.settings["strength"]
        strength = torch.linspace(low, high, self.settings["bank"], device=run.device)
        self.bank = self.generated(strength, run.generator)

    def defects(self, x: Tensor, donors: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        half = max(1, len(x) // 2)
        odd, where, _ = plant(x[:half], generator, donors=donors, groups=self.space.groups)
        pick = torch.randint(len(self.bank), (half,), generator=generator).to(x.device)
        made = blend(x[:half], self.bank[pick], generator, self.space.groups)
        by_hand = (torch.rand(half, generator=generator) < self.settings["planted"]).to(x.device)
        by_hand = by_hand.view(-1, *(1,) * (x.ndim - 1))
        nowhere = torch.zeros((len(x) - half, *where.shape[1:]), dtype=torch.bool, device=x.device)
        odd, where = torch.where(by_hand, odd, made.x), torch.where(by_hand, where, made.where)
        return torch.cat([odd, x[half:]]), torch.cat([where, nowhere])

    def generated(self, strength: Tensor, generator: torch.Generator) -> Tensor:
        """Samples of the reverse chain with its variance times 1 + strength (m,): (m, channel, *position)."""
        diffusion = self.denoiser.diffusion
        times = torch.linspace(diffusion.steps - 1, 0, self.settings["chain_steps"] + 1).round().long()
        shape = (len(strength), *self.space.shape)
        extra = (1 + strength).view(-1, *(1,) * len(self.space.shape))
        x_t = torch.randn(shape, generator=generator).to(strength.device)
        for now, after in pairwise(times):
            t = now.expand(len(strength)).to(strength.device)
            x0 = self.denoiser.x0(x_t, t)
            (alpha, sigma), (alpha_s, sigma_s) = (
                (diffusion.alpha[k], diffusion.sigma[k]) for k in (int(now), int(after))
            )
            kept = alpha / alpha_s
            added = (sigma**2 - (kept * sigma_s) ** 2).clamp_min(0)  # variance that the step from `after` adds
            mean = kept * sigma_s**2 / sigma**2 * x_t + alpha_s * added / sigma**2 * x0  # Ho et al. 2020, eq. 7
            noise = torch.randn(shape, generator=generator).to(strength.device)
            x_t = mean + (extra * added * sigma_s**2 / sigma**2).sqrt() * noise
        return x_t.clone()
