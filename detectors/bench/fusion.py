"""Late fusion: what simple methods make of several parts. Each part is scored by itself, the scores are averaged.

Knows arrays by part, one row a step, NaN where a part is missing; fits on normal rows only.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping

import numpy as np

Parts = Mapping[str, np.ndarray]  # (step, feature) by part
LOCAL = 15  # steps of a step's own past
TOP = 3  # features that count in z-top
NEIGHBOURS = 5


def _scale(train: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Median and robust deviation (interquartile range / 1.35, else the standard deviation, else 1) by feature."""
    middle = np.nanmedian(train, 0)
    low, high = np.nanpercentile(train, [25, 75], axis=0)
    spread = (high - low) / 1.35
    spread = np.where(spread > 1e-9, spread, np.nanstd(train, 0))
    return middle, np.where(spread > 1e-9, spread, 1.0)


def robust_z(train: np.ndarray, test: np.ndarray) -> np.ndarray:
    """|z| (step, feature), at most 20."""
    middle, spread = _scale(train)
    return np.minimum(np.abs((test - middle) / spread), 20.0)


def local_z(test: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """|value - median of the LOCAL steps before| in deviations of the normals, at most 20."""
    out = np.zeros_like(test)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # a feature that is missing throughout
        for step in range(1, len(test)):
            out[step] = np.abs(test[step] - np.nanmedian(test[max(0, step - LOCAL) : step], axis=0)) / spread
    return np.minimum(out, 20.0)


def fused(scores: list[np.ndarray], normal: list[np.ndarray]) -> np.ndarray:
    """Mean over parts of each part's score, standardised by its normals; parts that are missing do not count."""
    z = [(s - np.nanmean(n)) / max(float(np.nanstd(n)), 1e-9) for s, n in zip(scores, normal, strict=True)]
    stacked = np.stack(z)
    seen = np.isfinite(stacked)
    return np.where(seen, stacked, 0.0).sum(0) / np.maximum(seen.sum(0), 1)


def _by_part(train: Parts, test: Parts, score: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> np.ndarray:
    parts = [part for part in test if np.isfinite(test[part]).any()]
    return fused([score(train[p], test[p]) for p in parts], [score(train[p], train[p]) for p in parts])


def z_fusion(train: Parts, test: Parts) -> np.ndarray:
    """Mean |z| of a part's features."""
    return _by_part(train, test, lambda a, b: _quiet_mean(robust_z(a, b)))


def z_top_fusion(train: Parts, test: Parts) -> np.ndarray:
    """Mean of a part's TOP highest |z|."""
    return _by_part(train, test, lambda a, b: _quiet_mean(np.sort(robust_z(a, b), axis=1)[:, -TOP:]))


def knn_fusion(train: Parts, test: Parts) -> np.ndarray:
    """Distance to the NEIGHBOURS-th nearest normal of each part, by standardised features."""
    return _by_part(train, test, _knn)


def local_z_fusion(train: Parts, test: Parts) -> np.ndarray:
    """Mean departure from the median of the steps before, in deviations of the normals."""
    return _by_part(train, test, lambda a, b: _quiet_mean(local_z(b, _scale(a)[1])))


def _knn(train: np.ndarray, test: np.ndarray) -> np.ndarray:
    from sklearn.neighbors import NearestNeighbors

    middle, spread = _scale(train)
    whole = np.isfinite(train).all(1), np.isfinite(test).all(1)
    a, b = ((x[ok] - middle) / spread for x, ok in zip((train, test), whole, strict=True))
    model = NearestNeighbors(n_neighbors=min(NEIGHBOURS + 1, len(a))).fit(np.clip(a, -20, 20))
    out = np.full(len(test), np.nan)
    own = test is train  # a row is not its own neighbour
    out[whole[1]] = model.kneighbors(np.clip(b, -20, 20))[0][:, NEIGHBOURS if own else NEIGHBOURS - 1]
    return out


def _quiet_mean(values: np.ndarray) -> np.ndarray:
    """Mean over features, NaN where a row has none."""
    seen = np.isfinite(values)
    total = np.where(seen, values, 0.0).sum(1)
    return np.where(seen.any(1), total / np.maximum(seen.sum(1), 1), np.nan)


BASELINES: dict[str, Callable[[Parts, Parts], np.ndarray]] = {
    "z-fusion": z_fusion,
    "knn-fusion": knn_fusion,
    "z-top-fusion": z_top_fusion,
    "local-z-fusion": local_z_fusion,
}
