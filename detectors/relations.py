"""Exact relations between columns: directions in which normal rows do not vary, such as total - net - tax = 0.

A density smoothed by noise forgives a break of such a relation that is small beside the columns themselves; here it is
told in units of what little the normals leave open. Knows rows (n, d), not samples or p-values.
"""

from __future__ import annotations

import torch
from torch import Tensor

from detectors.densities import Learned

EXACT = 1e-4  # share of the mean variance below which a direction of normals counts as a relation
CONSTANT = 1e-6  # deviation below which a column does not move
ENOUGH = 20  # rows a column from which a relation can be told from chance
ROUNDING = 1e-4  # variance that rounding leaves in a relation, in units of the columns' variance


class Relations(Learned):
    """Squared residuals along the minor principal components, those of next to no variance (after Jolliffe 2002, 10.1).

    Score: their sum in units of the normals' variance there; 0 where the normals hold no exact relation.
    """

    mean: Tensor  # (d,)
    axes: Tensor  # (d, r) directions of the r relations, over their deviations

    @property
    def count(self) -> int:
        """How many relations were found; -1 before the fit."""
        return self.axes.shape[1] if "axes" in self._buffers else -1

    def fit(self, x: Tensor, components: int, seed: int) -> None:
        rows = x.double()
        moving = (rows.std(0) > CONSTANT).nonzero().ravel()  # a constant is in no relation
        mean, axes = rows.mean(0), rows.new_zeros(rows.shape[1], 0)
        if len(rows) >= ENOUGH * len(moving) > ENOUGH:
            values, found = torch.linalg.eigh(torch.cov(rows[:, moving].T))
            exact = values < EXACT * values.mean()
            axes = rows.new_zeros(rows.shape[1], int(exact.sum()))
            axes[moving] = found[:, exact] / (values[exact].clamp_min(0) + ROUNDING).sqrt()
        self.learn(mean=mean, axes=axes)

    def score(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(n,) and (n, d): the squared pull of each column towards what the others leave for it."""
        along = (x - self.mean) @ self.axes
        reach = self.axes.square().sum(1)  # 0 for a column in no relation
        bound = reach > ROUNDING * reach.max().clamp_min(1)
        pull = (along @ self.axes.T).square() / reach.clamp_min(1e-12)
        return along.square().sum(1), torch.where(bound, pull, 0.0)

    def expected(self, x: Tensor, hole: Tensor) -> Tensor:
        """`hole` as what the relations ask for, given the rest; at its mean where they ask for nothing."""
        out = torch.where(hole, self.mean, x)
        for row in hole.any(1).nonzero().ravel().tolist():
            gap = hole[row]
            left = (x[row, ~gap] - self.mean[~gap]) @ self.axes[~gap]
            out[row, gap] -= torch.linalg.pinv(self.axes[gap].T) @ left
        return out
