"""Densities of vectors that can be written down: Gaussian mixture, kernels, independent columns; and ranks as a view.

Each learns from x (n, d) and gives, for new x, the negative log-density above the likeliest place, evidence by
dimension (n, d), and the expected values of unknown dimensions given the known ones. Knows no methods.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

GRID = 512  # points of a column's density
STARTS = 2  # mixtures that are averaged
KNOTS = 256  # points of a column's curve from values to normal scores


class Learned(nn.Module):
    """Keeps learned arrays as buffers, so that they are saved."""

    def learn(self, **arrays: Tensor) -> None:
        for name, value in arrays.items():
            self._buffers[name] = value.detach().float().contiguous()


class Mixture(Learned):
    """Gaussian components by expectation maximisation; their covariances are widened by each of the noise variances.

    Score: the mean over noise levels (no level suits all anomalies). How many components: 1, a quarter of or all of
    those allowed, whichever makes held-out normals likeliest. Fits from two starts are averaged: one alone is a matter
    of luck where rows are few.
    """

    means: Tensor  # (k, d)
    precisions: Tensor  # (level, k, d, d)
    peaks: Tensor  # (level, k) log-density of each component at its own mean, weight included

    def __init__(self, noise: Sequence[float]) -> None:
        super().__init__()
        self.noise = tuple(float(v) for v in noise)

    def fit(self, x: Tensor, components: int, seed: int) -> None:
        rows = x.double().numpy()
        most = max(1, min(components, len(rows) // 20))
        counts = sorted({1, max(1, most // 4), most})
        order = np.random.default_rng(seed).permutation(len(rows))[:4000]
        held, rest = rows[order[: len(order) // 5]], rows[order[len(order) // 5 :]]
        if len(counts) > 1:
            likely = [self._score_at(*self._widened(_em(rest, count, seed), 0), held) for count in counts]
            counts = [counts[int(np.argmax(likely))]]
        models = [_em(rows, counts[0], seed + start) for start in range(STARTS if counts[0] > 1 else 1)]
        wide = [[self._widened(model, level) for model in models] for level in range(len(self.noise))]
        means, precisions, peaks = ([torch.cat([m[part] for m in ms]) for ms in wide] for part in range(3))
        self.learn(means=means[0], precisions=torch.stack(precisions), peaks=torch.stack(peaks))

    def _widened(self, model: Any, level: int) -> tuple[Tensor, Tensor, Tensor]:
        """(means, precisions, peaks) of the fitted components under one noise level."""
        size = model.means_.shape[1]
        wide = torch.from_numpy(model.covariances_) + self.noise[level] * torch.eye(size, dtype=torch.float64)
        peaks = torch.from_numpy(np.log(model.weights_ + 1e-12)) - 0.5 * torch.logdet(wide)
        return torch.from_numpy(model.means_), torch.linalg.inv(wide), peaks

    @staticmethod
    def _score_at(means: Tensor, precisions: Tensor, peaks: Tensor, held: np.ndarray) -> float:
        return float(torch.logsumexp(_logs(torch.from_numpy(held), means, precisions, peaks)[1], 0).mean())

    def score(self, x: Tensor) -> tuple[Tensor, Tensor]:
        total, evidence = x.new_zeros(len(x)), torch.zeros_like(x)
        for level, (precisions, peaks) in enumerate(zip(self.precisions, self.peaks, strict=True)):
            pull, logs = _logs(x, self.means, precisions, peaks)
            total = total + (torch.logsumexp(peaks, 0) - torch.logsumexp(logs, 0)).clamp_min(0)
            if level == 0:  # the sharpest level: the residual of a value given the others, in conditional deviations
                diagonal = precisions.diagonal(dim1=1, dim2=2)
                evidence = torch.einsum("kn,knd->nd", logs.softmax(0), pull**2 / diagonal[:, None])
        return total / len(self.noise), evidence

    def expected(self, x: Tensor, hole: Tensor) -> Tensor:
        """The conditional mean under the mixture, one solve for each pattern of holes."""
        out = x.clone()
        patterns, member = torch.unique(hole, dim=0, return_inverse=True)
        for number, gap in enumerate(patterns):
            if not gap.any():
                continue
            rows = (member == number).nonzero().ravel()
            out[rows[:, None], gap.nonzero().ravel()] = self._conditional(x[rows], gap)
        return out

    def _conditional(self, x: Tensor, gap: Tensor) -> Tensor:
        """Means of the dimensions `gap` (d,) given the others: (n, gaps)."""
        precisions, peaks = self.precisions[0], self.peaks[0]
        inner = precisions[:, gap][:, :, gap]  # precision of the gap given the rest
        cross = precisions[:, gap][:, :, ~gap]
        offset = x[None, :, ~gap] - self.means[:, None, ~gap]  # (k, n, rest)
        step = torch.linalg.solve(inner, cross)  # (k, gap, rest)
        means = self.means[:, None, gap] - offset @ step.transpose(1, 2)
        rest = precisions[:, ~gap][:, :, ~gap] - cross.transpose(1, 2) @ step  # marginal precision of the rest
        logs = peaks[:, None] - 0.5 * torch.logdet(inner)[:, None] - 0.5 * ((offset @ rest) * offset).sum(2)
        return torch.einsum("kn,kng->ng", logs.softmax(0), means)


def _logs(x: Tensor, means: Tensor, precisions: Tensor, peaks: Tensor) -> tuple[Tensor, Tensor]:
    """P_k (x - mu_k): (k, n, d), and the weighted log-densities (k, n)."""
    offset = x[None] - means[:, None]
    pull = offset @ precisions
    return pull, peaks[:, None] - 0.5 * (pull * offset).sum(2)


def _em(rows: np.ndarray, count: int, seed: int) -> Any:
    """A fitted sklearn mixture; stopping before convergence costs nothing here, so its warning is not passed on."""
    from sklearn.mixture import GaussianMixture

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return GaussianMixture(count, reg_covar=1e-2, max_iter=50, tol=5e-3, random_state=seed).fit(rows)


class Kernel(Learned):
    """A Gaussian around every remembered row; only the nearest ones count."""

    memory: Tensor  # (m, d)
    width: Tensor  # () deviation of the kernel
    precision: Tensor  # (d, d) of the memory as one Gaussian: which value is odd given the others
    mean: Tensor  # (d,)
    neighbours = 50

    def __init__(self, noise: float) -> None:
        super().__init__()
        self.noise = float(noise)

    def fit(self, x: Tensor, components: int, seed: int) -> None:
        probe = x[:: max(1, len(x) // 1000)]
        nearest = torch.cdist(probe, x).topk(min(6, len(x)), largest=False).values[:, -1]  # the first is the row itself
        covariance = torch.cov(x.T.double()).reshape(x.shape[1], -1)
        ridge = 0.05 * torch.eye(x.shape[1], dtype=torch.float64)
        self.learn(memory=x, width=self.noise * nearest.median() + 1e-3, mean=x.mean(0))
        self.learn(precision=torch.linalg.inv(0.95 * covariance + ridge))

    def add(self, x: Tensor) -> None:
        self.learn(memory=torch.cat([self.memory, x]))

    def score(self, x: Tensor) -> tuple[Tensor, Tensor]:
        k = min(self.neighbours, len(self.memory))
        distance = torch.cdist(x, self.memory).topk(k, largest=False).values
        score = math.log(k) - torch.logsumexp(-0.5 * (distance / self.width) ** 2, 1)
        pull = (x - self.mean) @ self.precision
        return score.clamp_min(0), pull**2 / self.precision.diagonal()

    def expected(self, x: Tensor, hole: Tensor) -> Tensor:
        """The posterior mean over the remembered rows that are near in the known dimensions."""
        out = x.clone()
        for row in hole.any(1).nonzero().ravel().tolist():
            kept = ~hole[row]
            distance = ((self.memory[:, kept] - x[row, kept]) ** 2).sum(1)
            near, index = distance.topk(min(20, len(distance)), largest=False)
            weight = (-0.5 * (near - near[0]) / self.width**2).softmax(0)
            out[row, ~kept] = weight @ self.memory[index][:, ~kept]
        return out


class Columns(Learned):
    """A density of its own for each dimension: kernels on a grid, with a tail that falls slowly outside it."""

    low: Tensor  # (d,) first point of each grid
    step: Tensor  # (d,)
    table: Tensor  # (d, grid) negative log-density above the column's likeliest value
    spread: Tensor  # (d,)

    def fit(self, x: Tensor, components: int, seed: int) -> None:
        curves = [_curve(column) for column in x.double().numpy().T]
        low, step, spread = (torch.tensor([c[i] for c in curves]) for i in range(3))
        self.learn(low=low, step=step, spread=spread, table=torch.from_numpy(np.stack([c[3] for c in curves])))

    def score(self, x: Tensor) -> tuple[Tensor, Tensor]:
        place = (x - self.low) / self.step
        inside = place.clamp(0, GRID - 1 - 1e-3)
        left = inside.floor().long()
        rest = inside - left
        table = self.table.T  # (grid, d)
        nll = (1 - rest) * table.gather(0, left) + rest * table.gather(0, left + 1)
        far = (place - inside).abs() * self.step / self.spread
        nll = nll + 2 * torch.log1p(far)
        return nll.sum(1), nll

    def expected(self, x: Tensor, hole: Tensor) -> Tensor:
        likeliest = self.low + self.step * self.table.argmin(1)
        return torch.where(hole, likeliest, x)


def _curve(column: np.ndarray) -> tuple[float, float, float, np.ndarray]:
    """(low, step, spread, negative log-density on the grid) of one column."""
    deviation = float(column.std()) if float(column.std()) > 1e-6 else 1.0  # a constant has no scale of its own
    middle = float(np.subtract(*np.percentile(column, [75, 25]))) / 1.34 or deviation
    width = max(1.06 * min(deviation, middle) * len(column) ** -0.2, 1e-2 * deviation)
    low, high = float(column.min()) - 4 * width, float(column.max()) + 4 * width
    step = (high - low) / (GRID - 1)
    counts = np.bincount(np.round((column - low) / step).astype(int), minlength=GRID).astype(float)
    reach = np.arange(1 - GRID, GRID) * step
    kernel = np.exp(-0.5 * (reach / max(width, step)) ** 2) + 1e-3 / (1 + (reach / deviation) ** 2)
    density = np.convolve(counts, kernel)[GRID - 1 : 2 * GRID - 1]
    return low, step, deviation, np.log(density.max()) - np.log(density + 1e-9 * density.max())


class RankView(Learned):
    """Values as normal scores of their mid-ranks among the normals, growing on beyond them."""

    values: Tensor  # (d, knots) ascending
    scores: Tensor  # (d, knots)
    spread: Tensor  # (d,)

    def fit(self, x: Tensor) -> None:
        curves = [_ranks(column) for column in x.double().numpy().T]
        self.learn(
            values=torch.from_numpy(np.stack([c[0] for c in curves])),
            scores=torch.from_numpy(np.stack([c[1] for c in curves])),
            spread=torch.where(x.std(0) > 1e-6, x.std(0).clamp_min(1e-2), torch.ones(())),
        )

    def forward(self, x: Tensor) -> Tensor:
        inside = torch.maximum(torch.minimum(x, self.values[:, -1]), self.values[:, 0])
        return _along(inside, self.values, self.scores) + (x - inside) / self.spread

    def back(self, z: Tensor) -> Tensor:
        inside = torch.maximum(torch.minimum(z, self.scores[:, -1]), self.scores[:, 0])
        return _along(inside, self.scores, self.values) + (z - inside) * self.spread


def _ranks(column: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Knots of one column, padded by its last one so that all columns have the same number."""
    from scipy.special import ndtri

    values, counts = np.unique(column, return_counts=True)
    scores = ndtri((np.cumsum(counts) - counts / 2 + 0.5) / (len(column) + 1))
    keep = np.unique(np.linspace(0, len(values) - 1, KNOTS).round().astype(int))
    fill = KNOTS - len(keep)
    return np.pad(values[keep], (0, fill), mode="edge"), np.pad(scores[keep], (0, fill), mode="edge")


def _along(x: Tensor, grid: Tensor, out: Tensor) -> Tensor:
    """Linear interpolation by column: x (n, d), grid and out (d, knots)."""
    columns = x.T.contiguous()  # (d, n)
    right = torch.searchsorted(grid, columns).clamp(1, grid.shape[1] - 1)
    x0, x1 = grid.gather(1, right - 1), grid.gather(1, right)
    y0, y1 = out.gather(1, right - 1), out.gather(1, right)
    part = ((columns - x0) / (x1 - x0).clamp_min(1e-12)).clamp(0, 1)
    return (y0 + part * (y1 - y0)).T
