"""Has the process moved on since the fit? A batch's scores against those of the normals kept out of the fit.

Knows scores, not samples or models. A share of true anomalies is no drift: the bulk of the batch is compared.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from detectors.calibration import Calibration

ANOMALIES = 0.2  # share of a batch that may be anomalous without counting as drift
LEAST = 0.1  # statistic below which a difference, however sure, is not worth an alarm
ALPHA = 0.01
MIN_COUNT = 8  # independent scores without which nothing can be said


@dataclass(frozen=True)
class DriftState:
    """What the alarm says of one batch."""

    statistic: float  # 0..1: the largest gap between the two distributions that anomalies do not explain
    p_value: float  # of so large a gap where nothing has drifted; an upper bound
    drifting: bool
    direction: str  # "higher" | "lower" scores than the held-out normals', or "none"
    count: float  # independent scores in the batch

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return asdict(self)


def drift_of(scores: np.ndarray, calibration: Calibration, alpha: float = ALPHA) -> DriftState:
    """One-sided Smirnov tests of (n,) scores against the calibration's, the upper one under Huber's contamination.

    Where nothing drifts, a batch with a share e of anomalies has F_batch >= (1 - e) F_normal everywhere. So scores have
    risen where sup((1 - e) F_normal - F_batch) > 0 and fallen where sup(F_batch - F_normal) > 0; each gap D has
    p <= exp(-2 N D^2), N = n m / (n + m) in independent observations (Massart 1990; two samples: Wei & Dudley 2012,
    up to a constant near 1). The smaller p is doubled. Correlated scores count in the calibration's blocks.
    """
    own = np.sort(scores[np.isfinite(scores)])
    known = calibration.scores
    count = len(own) / calibration.block
    if count < MIN_COUNT or calibration.count < MIN_COUNT:
        return DriftState(0.0, 1.0, False, "none", float(count))
    grid = np.concatenate([own, known])
    batch = np.searchsorted(own, grid, side="right") / len(own)
    normal = np.searchsorted(known, grid, side="right") / len(known)
    gaps = {"higher": float(((1 - ANOMALIES) * normal - batch).max()), "lower": float((batch - normal).max())}
    direction = max(gaps, key=lambda side: gaps[side])
    gap = max(0.0, gaps[direction])
    independent = count * calibration.count / (count + calibration.count)
    p_value = float(min(1.0, 2 * np.exp(-2 * independent * gap**2)))
    drifting = p_value <= alpha and gap >= LEAST
    return DriftState(round(gap, 4), p_value, drifting, direction if drifting else "none", float(count))
