"""Densities of vectors that can be written down: Gaussian mixture, kernels, independent columns; and ranks as a view.

Each learns from x (n, d) and gives, for new x, the negative log-density above the likeliest place, evidence by
dimension (n, d), and the expected values of unknown dimensions given the known ones. Knows no methods.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from detectors.neighbours import Cells

GRID = 512  # points of a column's density
CHUNK = 512  # rows at once: what many components make of them stays in the cache
STARTS = 2  # mixtures that are averaged
LEAST_APART = 1e-2  # standard deviations; nearer rows are copies
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
    axes: Tensor  # (k, d, d) eigenvectors of each covariance, as columns
    weights: Tensor  # (level, k, d) inverse variances along them under each noise
    peaks: Tensor  # (level, k) log-density of each component at its own mean, weight included

    def __init__(self, noise: Sequence[float]) -> None:
        super().__init__()
        self.noise = tuple(float(v) for v in noise)

    def fit(self, x: Tensor, components: int, seed: int) -> None:
        rows = x.double().numpy()
        most = max(1, min(components, len(rows) // 20))
        counts = sorted({1, max(1, most // 4), most})
        order = np.random.default_rng(seed).permutation(len(rows))[:4000]
        held, rest = x[order[: len(order) // 5]], rows[order[len(order) // 5 :]]
        if len(counts) > 1:
            counts = [max(counts, key=lambda count: self._likely([_em(rest, count, seed)], held))]
        self._take([_em(rows, counts[0], seed + start) for start in range(STARTS if counts[0] > 1 else 1)])

    def _take(self, models: Sequence[Any]) -> None:
        """Keep fitted mixtures as one."""
        covariances = torch.from_numpy(np.concatenate([m.covariances_ for m in models]))
        values, axes = torch.linalg.eigh(covariances)
        wide = values.clamp_min(0)[None] + torch.tensor(self.noise, dtype=torch.float64)[:, None, None]
        shares = torch.from_numpy(np.log(np.concatenate([m.weights_ for m in models]) + 1e-12))
        means = torch.from_numpy(np.concatenate([m.means_ for m in models]))
        self.learn(means=means, axes=axes, weights=1 / wide, peaks=shares - 0.5 * wide.log().sum(2))

    def _likely(self, models: Sequence[Any], held: Tensor) -> float:
        """Mean log-density of `held` at the sharpest level."""
        self._take(models)
        return float(torch.logsumexp(self._logs(held.float())[0][0], 1).double().mean())

    def _logs(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Weighted log-densities (level, n, k), and x along each component's axes (n, k, d)."""
        count, size = self.means.shape
        axes = self.axes.transpose(0, 1).reshape(size, -1)  # (d, k * axis): one product serves all components
        along = torch.addmm(-torch.bmm(self.means[:, None], self.axes).view(1, -1), x, axes).view(-1, count, size)
        distance = torch.einsum("nkd,lkd->lnk", along.square(), self.weights)
        return self.peaks[:, None] - 0.5 * distance, along

    def score(self, x: Tensor) -> tuple[Tensor, Tensor]:
        scaled = self.axes * self.weights[0][:, None]  # (k, d, axis)
        diagonal = (scaled * self.axes).sum(2)  # (k, d) of the precisions
        turned = scaled / diagonal.sqrt()[:, :, None]
        parts = [self._judged(part, turned) for part in x.split(CHUNK)]
        return torch.cat([total for total, _ in parts]), torch.cat([evidence for _, evidence in parts])

    def _judged(self, x: Tensor, turned: Tensor) -> tuple[Tensor, Tensor]:
        """Score (n,), and evidence (n, d) under the likeliest component at the sharpest level: the residual of a value
        given the others, in conditional deviations, squared."""
        logs, along = self._logs(x)
        total = (torch.logsumexp(self.peaks, 1)[:, None] - torch.logsumexp(logs, 2)).clamp_min(0).mean(0)
        own = logs[0].argmax(1)
        offset = along[torch.arange(len(x), device=x.device), own]
        return total, torch.bmm(turned[own], offset[:, :, None])[:, :, 0].square()

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
        precisions = (self.axes * self.weights[0][:, None]) @ self.axes.transpose(1, 2)
        inner = precisions[:, gap][:, :, gap]  # precision of the gap given the rest
        cross = precisions[:, gap][:, :, ~gap]
        offset = x[None, :, ~gap] - self.means[:, None, ~gap]  # (k, n, rest)
        step = torch.linalg.solve(inner, cross)  # (k, gap, rest)
        means = self.means[:, None, gap] - offset @ step.transpose(1, 2)
        rest = precisions[:, ~gap][:, :, ~gap] - cross.transpose(1, 2) @ step  # marginal precision of the rest
        logs = self.peaks[0][:, None] - 0.5 * torch.logdet(inner)[:, None] - 0.5 * ((offset @ rest) * offset).sum(2)
        return torch.einsum("kn,kng->ng", logs.softmax(0), means)


def _em(rows: np.ndarray, count: int, seed: int) -> Any:
    """A fitted sklearn mixture; stopping before convergence costs nothing here, so its warning is not passed on."""
    from sklearn.mixture import GaussianMixture

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return GaussianMixture(count, reg_covar=1e-2, max_iter=50, tol=5e-3, random_state=seed).fit(rows)


class Kernel(Learned):
    """A Gaussian around every remembered row; a row meets those of its cell (`Cells`)."""

    width: Tensor  # () deviation of the kernel
    top: Tensor  # () log-density, up to a constant, where normals are densest
    precision: Tensor  # (d, d) of the memory as one Gaussian: which value is odd given the others
    mean: Tensor  # (d,)

    def __init__(self, noise: float) -> None:
        super().__init__()
        self.noise = float(noise)
        self.cells = Cells()

    @property
    def memory(self) -> Tensor:
        """(m, d) remembered rows."""
        return self.cells.points

    def fit(self, x: Tensor, components: int, seed: int) -> None:
        probe = x[:: max(1, len(x) // 1000)]
        nearest = torch.cdist(probe, x).topk(min(6, len(x)), largest=False).values[:, -1]  # the first is the row itself
        apart = nearest[nearest > LEAST_APART]  # rows that are copies of others tell no width
        width = self.noise * (apart.median() if len(apart) else torch.ones(()))
        covariance = torch.cov(x.T.double()).reshape(x.shape[1], -1)
        ridge = 0.05 * torch.eye(x.shape[1], dtype=torch.float64)
        self.learn(width=width, mean=x.mean(0), precision=torch.linalg.inv(0.95 * covariance + ridge))
        self.cells.fit(x)
        self.learn(top=self._log_density(probe).max())

    def add(self, x: Tensor) -> None:
        self.cells.fit(torch.cat([self.memory, x.to(self.memory)]))

    def _log_density(self, x: Tensor) -> Tensor:
        """(n,) up to a constant. Distances are taken from the cell's centre, where float32 is exact enough."""
        out = x.new_empty(len(x))
        for rows, centre, points in self.cells.meet(x):
            query, near = (x[rows] - centre) / self.width, (points - centre) / self.width
            logs = torch.addmm(-0.5 * near.square().sum(1), query, near.T)
            out[rows] = torch.logsumexp(logs, 1) - 0.5 * query.square().sum(1)
        return out

    def score(self, x: Tensor) -> tuple[Tensor, Tensor]:
        pull = (x - self.mean) @ self.precision
        return (self.top - self._log_density(x)).clamp_min(0), pull**2 / self.precision.diagonal()

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
