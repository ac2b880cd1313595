"""Densities of noised normals in closed form: how unlikely is a row once a known amount of noise is added to normals?

Three exact posteriors of a diffusion process, from no to full dependence between columns. Knows vectors of rows only.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from detectors.densities import Columns, Kernel, Mixture, RankView
from detectors.errors import AnomalyError
from detectors.method import Method, Space
from detectors.relations import Relations
from detectors.scaling import share_of
from detectors.training import Run

FORMS = {"mixture": Mixture, "kernel": Kernel, "columns": Columns, "relations": Relations}
VIEWS = ("plain", "rank")
MAX_FIT = 10_000  # rows that a mixture is fitted on; its memory of them is only its components


class SmoothedDensity(Method):
    """-log p(x) of the variance-exploding process at one noise level, where the exact x0 posterior is known.

    form "mixture": normals as Gaussian components (the posterior of Gaussian-mixture data; one component is PPCA).
    "kernel": normals as themselves (the posterior of empirical data, Karras et al. 2022, eq. 57; its limit without
    noise is DTE-NP's nearest neighbour), noise as a share of the usual distance to the fifth neighbour.
    "columns": each column on its own (independent columns; finds what no relation hides, the family of HBOS and ECOD).
    "relations": exact linear relations alone (the limit of one Gaussian without noise; rows that keep them score 0).
    view "rank" takes normal scores of ranks in place of values: blind to skew and heavy tails.
    Score: the negative log-density above that of the likeliest place (>= 0); with `worst`, of the oddest column alone:
    one lone outlier among many columns is lost in a sum. Map: "columns": by column; else the score shared out by the
    squared residuals of each value given the others, in their conditional deviations.
    Settings: form, view, noise (variances; kernel: share), components (at most), memory, worst. Calls a sample: 0.
    Choose "mixture" or "kernel" for many rows a second without training; "columns" for numbers out of their range.
    """

    name = "smoothed_density"
    modalities = ("table", "multimodal")
    defaults = {"form": "mixture", "view": "plain", "noise": None, "components": 20, "memory": 20_000, "worst": False}

    def __init__(self, space: Space, **settings: object) -> None:
        super().__init__(space, **settings)
        if self.settings["form"] not in FORMS:
            raise AnomalyError(f"form={self.settings['form']!r} is unknown; known: {', '.join(FORMS)}.")
        if self.settings["view"] not in VIEWS:
            raise AnomalyError(f"view={self.settings['view']!r} is unknown; known: {', '.join(VIEWS)}.")

    @property
    def calls(self) -> int:
        return 0

    @property
    def silent(self) -> bool:
        model = self._modules.get("model")
        return isinstance(model, Relations) and model.count == 0

    def build(self) -> None:
        if "model" in self._modules:
            return
        self.view = RankView() if self.settings["view"] == "rank" else None
        form, noise = self.settings["form"], self.settings["noise"]
        if form == "mixture":
            levels = (0.1, 1.0) if noise is None else np.atleast_1d(noise).tolist()
            self.model: Mixture | Kernel | Columns | Relations = Mixture(levels)
        elif form == "kernel":
            self.model = Kernel(0.5 if noise is None else noise)
        else:
            self.model = Columns() if form == "columns" else Relations()

    def fit(self, x: Tensor, run: Run) -> None:
        self.build()
        x = x.float()
        run.progress(0.0, f"closed-form density ({self.settings['form']})")
        if self.view is not None:
            self.view.fit(x)
            x = self.view(x)
        limit = self.settings["memory"] if self.settings["form"] == "kernel" else MAX_FIT
        if len(x) > limit:
            x = x[torch.randperm(len(x), generator=run.generator)[:limit].sort().values]
        seed = int(torch.randint(2**31 - 1, (1,), generator=run.generator))
        self.model.fit(x, components=self.settings["components"], seed=seed)
        run.progress(1.0, f"closed-form density ({self.settings['form']})")

    def absorb(self, x: Tensor) -> None:
        if isinstance(self.model, Kernel):
            room = max(0, self.settings["memory"] - len(self.model.memory))
            self.model.add(self._seen(x)[:room])

    def _seen(self, x: Tensor) -> Tensor:
        return x if self.view is None else self.view(x)

    def maps(self, x: Tensor) -> Tensor:
        score, evidence = self.model.score(self._seen(x.float()))
        if self.settings["worst"]:
            score = evidence.amax(1)
        return share_of(score, evidence + 1e-12)

    def normal(self, x: Tensor, where: Tensor, seed: int = 0) -> Tensor:
        """`where` as its mean given the rest of the row: no sampling, the same for every seed."""
        hole = where.expand_as(x)
        filled = self.model.expected(self._seen(x.float()), hole)
        return torch.where(hole, filled if self.view is None else self.view.back(filled), x)
