"""p-values for samples that lack parts: held-out normals are scored again as if they lacked the same parts.

Knows encoded normals, which parts they have, and scores; not parts' forms or methods. A score without a part is brought
to the scale of the complete ones (same median and upper spread among normals), so that both can be compared; its
p-value is the rank among normals that lack the same parts.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor

from detectors.calibration import Calibration

FEWEST = 10  # normals that have all the parts of a pattern, for it to be judged


@dataclass(frozen=True)
class Reserve:
    """Normals kept out of the fit."""

    x: Tensor  # (m, channel) encoded
    present: np.ndarray  # (m, part) bool
    order: np.ndarray  # (m,) recording and step as one growing number; neighbours differ by 1

    def having(self, pattern: np.ndarray) -> np.ndarray:
        """Numbers of the normals that have at least the parts of a pattern (part,) bool."""
        return np.flatnonzero((self.present | ~pattern).all(1))


@dataclass(frozen=True)
class Gauge:
    """How scores of samples with one pattern of parts are read."""

    calibration: Calibration  # of aligned scores
    shift: float = 0.0
    factor: float = 1.0

    def aligned(self, scores: np.ndarray) -> np.ndarray:
        """Scores on the scale of samples that lack nothing."""
        return self.shift + self.factor * scores

    @classmethod
    def between(cls, scores: np.ndarray, complete: Calibration, block: float) -> Gauge:
        """From normals' scores with parts masked, and the calibration of complete ones."""
        own, whole = _middle(scores), _middle(complete.scores)
        factor = (whole[1] - whole[0]) / max(own[1] - own[0], 1e-9)
        shift = whole[0] - factor * own[0]
        return cls(Calibration(shift + factor * scores, block, complete.added), shift, factor)


def _middle(scores: np.ndarray) -> tuple[float, float]:
    """Median and ninth decile."""
    finite = scores[np.isfinite(scores)]
    return (float(np.quantile(finite, 0.5)), float(np.quantile(finite, 0.9))) if len(finite) else (0.0, 1.0)
