"""Anytime: a score that refines call by call and stops as soon as an item is plainly normal or plainly not."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from detectors.denoiser import DenoisingMethod
from detectors.errors import AnomalyError
from detectors.escalation import Standing
from detectors.method import Space
from detectors.scaling import normal_scale


class Anytime(DenoisingMethod):
    """One-step residuals, a noise level at a call (`multi_start`), with an answer after 1, 2, 4, ... calls.

    After each stage an item's map is the mean of the levels so far, each in deviations from held-out normals, and put
    on one scale for all stages; an item whose p-value there lies outside `band` keeps that answer, the others go on
    until `budget` calls. By default only plain normals stop early: anomalies are few, and worth their map. `refine`
    gives the stages one by one, for those who want the first answer at once.
    Settings: times (levels in the order of asking), budget (calls at most; None: all times), band (p-values that are
    unclear: from, to) and those of a denoiser.
    Calls a sample: 1 to `budget`, by how clear it is; `spent` is the mean since the fit.
    Measured on one table (Ionosphere, a third anomalous, seed 0, calls counted): AUROC .971 with 4.7 calls of 8;
    `multi_start` .979 with 5, so nothing was gained there.
    Choose it where most samples are plainly normal and time is short.
    """

    name = "anytime"
    defaults = {"times": (300, 700, 500, 100, 850, 200, 400, 600), "budget": None, "band": (0.0, 0.3)}

    mean: Tensor  # by level, shaped like the residuals
    std: Tensor
    usual: Tensor  # () mean calls of held-out normals

    def __init__(self, space: Space, **settings: Any) -> None:
        super().__init__(space, **settings)
        low, high = self.settings["band"]
        if not 0 <= low < high <= 1:
            raise AnomalyError(f"band={self.settings['band']} must be two rising p-values between 0 and 1.")
        budget = self.settings["budget"]
        if budget is not None and not 1 <= budget <= len(self.settings["times"]):
            raise AnomalyError(f"budget={budget} must lie between 1 and the {len(self.settings['times'])} times.")
        self.times = [int(t) for t in self.settings["times"]][:budget]
        ends = [2**k for k in range(len(self.times).bit_length()) if 2**k < len(self.times)]
        self.ends = [*ends, len(self.times)]  # calls after which there is an answer
        self.standings = nn.ModuleList(Standing() for _ in self.ends)
        self.seen = self.made = 0

    @property
    def calls(self) -> int:
        usual = float(self.usual) if "usual" in self._buffers else len(self.times)
        return self.denoiser.calls * math.ceil(usual)

    @property
    def spent(self) -> float:
        """Mean calls of the items scored so far."""
        return self.denoiser.calls * self.made / max(1, self.seen)

    def _residual(self, x: Tensor, level: int) -> Tensor:
        squares = (x - self.denoiser.one_step(x, self.times[level])) ** 2
        return squares.sum(1, keepdim=True) if x.ndim == 4 else squares

    def calibrate(self, x: Tensor) -> None:
        levels = [self._residual(x, level) for level in range(len(self.times))]
        scales = [normal_scale(level, self.space) for level in levels]
        self.learn(mean=torch.stack([m for m, _ in scales]), std=torch.stack([s for _, s in scales]))
        z = (torch.stack(levels) - self.mean[:, None]) / self.std[:, None]
        for end, standing in zip(self.ends, self.standings, strict=True):
            standing.learn_from(z[:end].mean(0))  # type: ignore[operator]
        self.seen = self.made = 0
        self.maps(x)
        self.learn(usual=torch.tensor(self.made / max(1, self.seen)))
        self.seen = self.made = 0

    def refine(self, x: Tensor) -> Iterator[tuple[int, Tensor, Tensor]]:
        """(calls so far, maps, which items are still unclear (n,) bool), stage by stage; maps are new tensors."""
        total: Tensor | None = None
        maps = torch.empty(0)
        active = torch.arange(len(x), device=x.device)
        done = 0
        for end, standing in zip(self.ends, self.standings, strict=True):
            assert isinstance(standing, Standing)
            for level in range(done, end):
                z = (self._residual(x[active], level) - self.mean[level]) / self.std[level]
                total = z if total is None else total + z
            self.made += len(active) * (end - done)
            done = end
            assert total is not None
            scaled = standing.scaled(total / end)
            if len(maps):
                maps = maps.clone()
                maps[active] = scaled
            else:
                maps = scaled
            unclear = standing.unclear(scaled, self.settings["band"])
            still = torch.zeros(len(x), dtype=torch.bool, device=x.device)
            still[active[unclear]] = True
            yield end, maps, still
            active, total = active[unclear], total[unclear]
            if not len(active):
                return

    def maps(self, x: Tensor) -> Tensor:
        self.seen += len(x)
        *_, (_, maps, _) = self.refine(x)
        return maps
