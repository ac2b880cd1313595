"""How likely a cell is for what moves, wherever it is: an exact mixture over the cells of all places together."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from detectors.densities import Mixture
from detectors.errors import AnomalyError
from detectors.method import Method, Space
from detectors.training import Run

POINTS = 12_000  # cells that the mixture is fitted on


class CellMixture(Method):
    """-log p of a cell under Gaussian-mixture normals widened by noise: the exact marginal of a variance-exploding
    diffusion of that data (Karras et al. 2022), whose posterior mean would be the exact denoiser.

    Cells of all places are pooled, each with its row as one more number: what a walker may do it may do anywhere, but
    what is far away is small.
    Map: the root of the negative log-density above the likeliest place, averaged over the noise levels: far out it
    grows as a distance does, so that one wild cell does not outshout a whole figure.
    Settings: groups (of the space), components (at most), noise (variances, in the spread of normal cells: much noise
    leaves one hill, so that slow and still are as normal as usual and only what is far beyond them is odd), row (weight
    of the row), busy (share of the cells fitted on taken where most is going on). Calls a sample: 0.
    Choose it for clips of a still camera in which few things move and any of them may be anywhere.
    """

    name = "cell_mixture"
    modalities = ("video",)
    defaults = {"groups": ("motion",), "components": 8, "noise": (4.0, 16.0), "row": 0.0, "busy": 0.0}

    center: Tensor  # (d,)
    spread: Tensor  # (d,)
    still: Tensor  # (channel, h, w) the usual item: most cells of most items

    def __init__(self, space: Space, **settings: Any) -> None:
        super().__init__(space, **settings)
        known = [name for name, _ in space.groups]
        wanted = self.settings["groups"]
        self.chosen = wanted.split(",") if isinstance(wanted, str) else list(wanted)
        for name in self.chosen:
            if name not in known:
                raise AnomalyError(f"groups={name!r} is unknown; this space has: {', '.join(known)}.")

    @property
    def calls(self) -> int:
        return 0

    def build(self) -> None:
        if "model" not in self._modules:
            self.model = Mixture(self.settings["noise"])

    def _points(self, x: Tensor) -> Tensor:
        """Cells (n * h * w, d): the numbers of the chosen groups, and the row from -1 (top) to 1."""
        n, _, height, width = x.shape
        rows = torch.linspace(-1, 1, height, device=x.device).view(1, 1, -1, 1).expand(n, 1, height, width)
        parts = [x[:, self.space.channels(name)] for name in self.chosen]
        cells = torch.cat([*parts, self.settings["row"] * rows], 1)
        return cells.permute(0, 2, 3, 1).reshape(-1, cells.shape[1])

    def fit(self, x: Tensor, run: Run) -> None:
        self.build()
        run.progress(0.0, "cells of all places")
        self.learn(still=x.median(0).values)
        points = self._points(x.float())
        busy = points[:, :-1].square().sum(1)
        chance = torch.rand(len(points), generator=run.generator).to(busy)
        lively = busy.argsort(descending=True)[: max(POINTS, len(busy) // 10)]
        lively = lively[chance[lively].argsort()[: int(self.settings["busy"] * POINTS)]]
        others = chance.argsort()[: POINTS - len(lively)]
        chosen = points[torch.cat([lively, others]).sort().values]
        self.learn(center=chosen.mean(0), spread=chosen.std(0).clamp_min(1e-3))
        seed = int(torch.randint(2**31 - 1, (1,), generator=run.generator))
        self.model.fit(((chosen - self.center) / self.spread).cpu(), self.settings["components"], seed)
        self.model.to(x.device)
        run.progress(1.0, "cells of all places")

    def maps(self, x: Tensor) -> Tensor:
        n, _, height, width = x.shape
        score, _ = self.model.score((self._points(x.float()) - self.center) / self.spread)
        return score.sqrt().view(n, 1, height, width)

    def normal(self, x: Tensor, where: Tensor, seed: int = 0) -> Tensor:
        """`where` as it usually is there: the still scene."""
        return torch.where(where, self.still.expand_as(x), x)
