"""Every normal judged by a fit without it: what lets a method learn from all normals and calibrate with all of them.

Cross-conformal calibration (Vovk 2015; the CV+ of Barber et al. 2021 with the final fit in place of the folds' at
detection). A fold's fit has seen fewer normals than the final one, so its scores are a little high and p-values a
little too large, never the other way round. Knows methods and tensors, not samples or p-values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from detectors.method import Method
from detectors.training import Run


@dataclass
class OutOfFold:
    """Evidence of normals by fits that did not see them, and the folds they were in."""

    evidence: Tensor  # (n, part, *position)
    parts: list[Tensor]  # numbers of each fold's items
    last: Method  # the fit that did not see the last fold

    def unseen(self, method: Method) -> Iterator[tuple[Tensor, Tensor]]:
        """Each fold's numbers and evidence, with the scale that `method` learns from the other folds in force."""
        for own in self.parts:
            others = torch.cat([part for part in self.parts if part is not own])
            method.see(self.evidence[others])
            yield own, self.evidence[own]


def out_of_fold(make: Callable[[], Method], x: Tensor, folds: int, run: Run, batch: int) -> OutOfFold:
    """Fit on all but one of `folds` parts of x (n, channel, *position) and see what is left, part by part."""
    order = torch.randperm(len(x), generator=run.generator)
    folds = min(folds, len(x))
    parts = [order[number::folds].sort().values for number in range(folds)]
    seen: dict[int, Tensor] = {}
    for number, part in enumerate(parts):
        rest = torch.ones(len(x), dtype=torch.bool)
        rest[part] = False
        method = make()
        method.fit(x[rest], Run(run.generator, run.device, contamination=run.contamination))
        found = torch.cat([method.evidence(items.to(run.device)) for items in x[part].split(batch)])
        seen |= dict(zip(part.tolist(), found, strict=True))
        run.progress((number + 1) / folds, "judging normals by fits without them")
    return OutOfFold(torch.stack([seen[row] for row in range(len(x))]), parts, method)
