"""From scores to p-values: conformal ranks among held-out normals, a fitted tail beyond them, false-discovery control.

Knows numbers, not samples or models. The threshold is never part of a fit: any alpha may be asked afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy.optimize import brentq

MIN_TAIL = 20  # normals needed before a tail is fitted
MIN_TAIL_BLOCKS = 3  # of them independent, where neighbours are correlated (a short series still needs some answer)


class Calibration:
    """p-values from the scores of normals kept out of the fit.

    Inside the range of the calibration scores p = (1 + #{c >= s}) / (m + 1) (Vovk et al. 2005), m counted in blocks of
    `block` correlated scores (time stamps of one block are one observation, not many). Above the largest score that
    formula stays at 1 / (m + 1), too coarse for small sets and for false-discovery control; there a generalised Pareto
    tail (Pickands 1975; probability-weighted moments, shape bounded to [0, 0.5]) goes on from that value;
    `extrapolated` says for which scores this was so.
    """

    def __init__(self, scores: np.ndarray, block: float = 1.0) -> None:
        finite = np.asarray(scores, np.float64).ravel()
        self.scores = np.sort(finite[np.isfinite(finite)])
        self.block = max(1.0, float(block))
        self.shape, self.scale, self.start = self._fit_tail()

    @property
    def count(self) -> float:
        """Effective number of independent calibration scores."""
        return max(1.0, len(self.scores) / self.block)

    @property
    def limit(self) -> str:
        """What so few normals mean for p-values, in a sentence; "" where a tail goes on beyond the largest score."""
        if np.isfinite(self.start):
            return ""
        least = 1 / (self.count + 1)
        return (
            f"Only {self.count:.0f} independent normal scores were held out: no p-value can fall below {least:.3f}, so "
            f"nothing is flagged at a smaller alpha; give at least {5 * MIN_TAIL} normals for a fitted tail."
        )

    def _fit_tail(self) -> tuple[float, float, float]:
        n = len(self.scores)
        if n < MIN_TAIL or self.count < MIN_TAIL_BLOCKS:
            return 0.0, 0.0, float("inf")
        k = int(max(10, n * 0.1))
        start = float(self.scores[n - k - 1])
        excess = self.scores[n - k :] - start
        mean = float(excess.mean())
        if mean <= 0:
            return 0.0, 0.0, float("inf")
        weights = 1 - (np.arange(1, k + 1) - 0.35) / k
        moment = float((weights * excess).mean())
        shape = float(np.clip(2 - mean / (mean - 2 * moment), 0.0, 0.5)) if mean > 2 * moment else 0.0
        return shape, max(mean * (1 - shape), 1e-12), start

    def _log_survival(self, scores: np.ndarray) -> np.ndarray:
        z = np.maximum(scores - self.start, 0) / self.scale
        return -z if self.shape < 1e-6 else -np.log1p(self.shape * z) / self.shape

    def p_value(self, scores: np.ndarray) -> np.ndarray:
        """(n,) p-values; NaN scores (nothing to judge) give 1."""
        scores = np.asarray(scores, np.float64)
        above = len(self.scores) - np.searchsorted(self.scores, scores, side="left")
        p = np.minimum(1.0, (1 + above / self.block) / (self.count + 1))
        beyond = self.extrapolated(scores)
        if beyond.any():
            rest = self._log_survival(scores[beyond]) - self._log_survival(self.scores[-1:])
            p[beyond] = np.maximum(np.exp(rest) / (self.count + 1), 1e-12)
        return np.where(np.isnan(scores), 1.0, p)

    def extrapolated(self, scores: np.ndarray) -> np.ndarray:
        """Which scores lie above every calibration score and so take their p-value from the fitted tail."""
        if not np.isfinite(self.start) or not len(self.scores):
            return np.zeros(np.shape(scores), bool)
        return np.asarray(scores) > self.scores[-1]

    def threshold(self, alpha: float) -> float:
        """The score at which the p-value reaches alpha; infinite where the calibration set is too small for that."""
        if not len(self.scores):
            return float("inf")
        grid = self.p_value(self.scores)
        inside = np.nonzero(grid <= alpha)[0]
        if len(inside):  # p steps just above the normal before
            return float(np.nextafter(self.scores[inside[0] - 1], np.inf)) if inside[0] else float(self.scores[0])
        top = float(self.scores[-1])
        if not np.isfinite(self.start):
            return float("inf")

        def gap(score: float) -> float:
            return float(np.log(self.p_value(np.array([score]))[0]) - np.log(alpha))

        step = self.scale
        while gap(top + step) > 0:
            step *= 2
            if step > 1e12 * self.scale:
                return float("inf")
        return (
            float(brentq(gap, top, top + step))
            if gap(np.nextafter(top, np.inf)) > 0
            else float(np.nextafter(top, np.inf))
        )

    def with_scores(self, extra: np.ndarray) -> Calibration:
        """The calibration after people called samples with these scores normal."""
        return Calibration(np.concatenate([self.scores, np.asarray(extra, np.float64).ravel()]), self.block)

    def state(self) -> dict[str, np.ndarray]:
        """Arrays to save."""
        return {"scores": self.scores, "block": np.array([self.block])}

    @classmethod
    def from_state(cls, state: Mapping[str, np.ndarray]) -> Calibration:
        """The inverse of `state`."""
        return cls(np.asarray(state["scores"]), float(np.asarray(state["block"])[0]))


def benjamini_hochberg(p_values: np.ndarray, fdr: float) -> np.ndarray:
    """Which of (n,) p-values to reject so that at most `fdr` of the rejections are false on average (1995)."""
    p = np.asarray(p_values, np.float64)
    order = np.argsort(p)
    passing = np.nonzero(p[order] <= fdr * np.arange(1, len(p) + 1) / max(1, len(p)))[0]
    flags = np.zeros(len(p), bool)
    if len(passing):
        flags[order[: passing[-1] + 1]] = True
    return flags
