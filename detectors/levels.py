"""What the scores of a series are made of: moving means, and the level at which evidence stands (drift).

Knows maps and scores of stamps, NaN where nothing was seen; not windows, methods or p-values.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

EVERY = 8  # a standing level moves slowly: every eighth stamp tells it
LEAST_SEEN = 0.5  # share of the horizon that must have been seen before a level is told


def moving_mean(row: np.ndarray, seen: np.ndarray, width: int) -> np.ndarray:
    """Centred mean of the seen values of row (time,) within `width` stamps."""
    before, after = width // 2, width - width // 2
    sums, counts = (np.concatenate([[0.0], np.cumsum(v)]) for v in (np.where(seen, row, 0.0), seen.astype(float)))
    at = np.arange(len(row))
    low, high = np.maximum(at - before, 0), np.minimum(at + after, len(row))
    return (sums[high] - sums[low]) / np.maximum(counts[high] - counts[low], 1.0)


def standing_level(maps: np.ndarray, pieces: Sequence[tuple[int, int]], horizon: int) -> np.ndarray:
    """The evidence (time, channel) that a channel carries most of the time both before and after a stamp: the smaller
    of its medians over the `horizon` stamps before and after it, where positive; at the ends of a piece that of the
    one side; 0 in pieces shorter than the horizon.

    What stands this long is a change of what is normal (drift). An event shorter than the horizon loses nothing; of a
    longer one half a horizon stays at either end.
    """
    import pandas as pd

    level = np.zeros_like(maps)
    width = max(3, horizon // EVERY)
    for start, end in pieces:
        if end - start < horizon:
            continue
        thin = pd.DataFrame(maps[start:end:EVERY])
        before, after = (_median(side, width) for side in (thin, thin[::-1]))
        after = after[::-1]
        stands = np.asarray(np.minimum(before.fillna(after), after.fillna(before)))
        level[start:end] = np.repeat(np.maximum(np.nan_to_num(stands), 0.0), EVERY, axis=0)[: end - start]
    return level


def _median(thin: pd.DataFrame, width: int) -> pd.DataFrame:
    """Of each channel over the last `width` rows; NaN where less than LEAST_SEEN of them was seen."""
    return thin.rolling(width, min_periods=max(2, int(LEAST_SEEN * width))).median()
