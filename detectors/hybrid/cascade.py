"""Cascade: a cheap density first, the costly reconstruction only for samples that are not clear from it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from detectors.denoiser import DenoisingMethod
from detectors.errors import AnomalyError
from detectors.escalation import Standing
from detectors.method import Method, Space
from detectors.registry import methods
from detectors.training import Run

FORWARDED = (
    "width",
    "depth",
    "train_steps",
    "batch_size",
)  # settings of a learned denoiser, for the stages that have one


class Cascade(Method):
    """Reconstruction on top of density (after Tebbe & Tayyub, CVPRW 2024, and the edge-cloud split of ProDiffAD 2024).

    The cheap stage judges every item. Where its p-value among held-out normals lies in `band`, the costly stage is
    asked as well and the item's map is the mean of both, each in deviations from held-out normals; elsewhere the cheap
    map stands. Windows of a series and pictures escalate one by one. The cheap stage is the member "cheap": alone it is
    what an edge device would run, with p-values of its own; `escalated` is the share of items sent on since the fit.
    Settings: cheap, costly (names of methods), cheap_settings, costly_settings, band (p-values that are unclear: from,
    to), and width, depth, train_steps, batch_size of a learned denoiser.
    Calls a sample: those of the cheap stage plus those of the costly one times the share escalated.
    Measured on 5 small ADBench tables (seed 0, calls counted), mean AUROC: .936 with 4.2 calls; `multi_start` .931 with
    5, 5-NN .922. On one of them (Ionosphere) .979 with 3.2 calls, `partial` alone .960 with 12.
    Choose it where a chain is wanted but most samples are plainly normal.
    """

    name = "cascade"
    defaults = {
        "cheap": "diffusion_time", "costly": "partial", "cheap_settings": {}, "costly_settings": {},
        "band": (0.002, 0.2), **dict.fromkeys(FORWARDED),
    }  # fmt: skip
    defaults_for = {
        "image": {"cheap": "likelihood", "costly_settings": {"denoiser": "corrected"}},
        "series": {"cheap": "multi_start", "cheap_settings": {"denoiser": "gaussian", "shrinkage": 0.001}},
        "table": {"cheap": "smoothed_density"},
    }

    share: Tensor  # () of held-out normals that escalate

    def __init__(self, space: Space, **settings: Any) -> None:
        super().__init__(space, **settings)
        low, high = self.settings["band"]
        if not 0 <= low < high <= 1:
            raise AnomalyError(f"band={self.settings['band']} must be two rising p-values between 0 and 1.")
        self.cheap, self.costly = self._make("cheap"), self._make("costly")
        self.cheap_standing, self.costly_standing = Standing(), Standing()
        self.seen = self.sent_on = 0

    def _make(self, stage: str) -> Method:
        name = self.settings[stage]
        cls = methods().get(name)
        if cls is None or name == self.name or self.space.modality not in cls.modalities:
            raise AnomalyError(f"{stage}={name!r} is no method for {self.space.modality} that a cascade can hold.")
        learned = issubclass(cls, DenoisingMethod)
        passed = {k: self.settings[k] for k in FORWARDED if learned and self.settings[k] is not None}
        return cls(self.space, **{**passed, **self.settings[f"{stage}_settings"]})

    @property
    def members(self) -> Mapping[str, Method]:
        return {"cheap": self.cheap, "costly": self.costly}

    @property
    def calls(self) -> int:
        share = float(self.share) if "share" in self._buffers else 1.0
        return math.ceil(self.cheap.calls + share * self.costly.calls)

    @property
    def escalated(self) -> float:
        """Share of the items scored so far that the costly stage was asked about."""
        return self.sent_on / max(1, self.seen)

    def build(self) -> None:
        for part in self.members.values():
            part.build()

    def fit(self, x: Tensor, run: Run) -> None:
        self.cheap.fit(x, run.part(0.0, 0.3, "cheap"))
        self.costly.fit(x, run.part(0.3, 1.0, "costly"))

    def calibrate(self, x: Tensor) -> None:
        for part, standing in ((self.cheap, self.cheap_standing), (self.costly, self.costly_standing)):
            part.calibrate(x)
            standing.learn_from(part.maps(x))
        unclear = self.cheap_standing.unclear(self.cheap_standing.scaled(self.cheap.maps(x)), self.settings["band"])
        self.learn(share=unclear.float().mean())
        self.seen = self.sent_on = 0

    def absorb(self, x: Tensor) -> None:
        for part in self.members.values():
            part.absorb(x)

    def maps(self, x: Tensor) -> Tensor:
        maps = self.cheap_standing.scaled(self.cheap.maps(x))
        unclear = self.cheap_standing.unclear(maps, self.settings["band"])
        self.seen, self.sent_on = self.seen + len(x), self.sent_on + int(unclear.sum())
        if not unclear.any():
            return maps
        closer = self.costly_standing.scaled(self.costly.maps(x[unclear]))
        maps = maps.clone()
        maps[unclear] = (maps[unclear] + closer) / 2
        return maps

    def normal(self, x: Tensor, where: Tensor, seed: int = 0) -> Tensor:
        """From the costly stage: it has a chain."""
        return self.costly.normal(x, where, seed)
