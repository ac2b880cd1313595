"""From flagged stamps to events: intervals with guilty channels ranked. Knows (time, channel) maps, not models."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def runs(mask: np.ndarray) -> list[tuple[int, int]]:
    """Half-open intervals where a (time,) mask is true."""
    edges = np.flatnonzero(np.diff(np.r_[0, (np.asarray(mask) > 0).astype(np.int8), 0]))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def merged_runs(flags: np.ndarray, gap: int, pieces: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Runs of flagged stamps, those at most `gap` apart joined; never across the border of two pieces."""
    joined: list[tuple[int, int]] = []
    for first, last in pieces:
        begun = len(joined)
        for start, end in runs(flags[first:last]):
            start, end = start + first, end + first
            if len(joined) > begun and start - joined[-1][1] <= gap:
                joined[-1] = (joined[-1][0], end)
            else:
                joined.append((start, end))
    return joined


def tightened(row: np.ndarray, contrast: float = 0.3) -> tuple[int, int]:
    """The half-open stretch of a flagged run that stands out from the rest of it.

    row: (time,) root of the run's evidence; a window feels a fault around it, so the run is wider than the fault. The
    stretch has the largest sum of row - contrast x (what is high in the run): it bridges short lulls and leaves slopes.
    """
    gain = np.cumsum(row - contrast * np.quantile(row, 0.95))
    before = np.minimum.accumulate(np.r_[0.0, gain[:-1]])
    end = int(np.argmax(gain - before)) + 1
    start = int(np.argmin(np.r_[0.0, gain[: end - 1]]))
    return start, end


def channel_shares(event_map: np.ndarray) -> np.ndarray:
    """(channel,) share of each channel in an event's positive evidence (time, channel); sums to 1 or is all 0."""
    evidence = np.maximum(np.nan_to_num(event_map), 0).sum(0)
    total = evidence.sum()
    return evidence / total if total > 0 else evidence


def guilty_channels(event_map: np.ndarray, cover: float = 0.9, least: float = 0.15) -> list[int]:
    """Channels of an event, most guilty first: the fewest that carry `cover` of the evidence, without those that carry
    less than `least` of what the guiltiest does. At least one where there is any evidence."""
    shares = channel_shares(event_map)
    order = np.argsort(-shares, kind="stable")
    if shares[order[0]] <= 0:
        return []
    enough = int(np.searchsorted(np.cumsum(shares[order]), cover)) + 1
    return [int(c) for c in order[:enough] if shares[c] >= least * shares[order[0]]]


def odd_cells(maps: np.ndarray, reach: int) -> np.ndarray:
    """(time, channel) bool: the cells to be replaced by what is expected.

    Cells above the map level (1.0), and, in rows that are raised as a whole, cells that take part; gaps up to `reach`
    stamps inside a channel are closed and a margin of `reach` / 2 is added, since a window feels a fault around it.
    """
    maps = np.nan_to_num(maps)
    raised = maps.mean(1, keepdims=True) > 0.35
    mask = (maps > 1.0) | (raised & (maps > 0.35))
    margin = max(1, reach // 2)
    for channel in np.flatnonzero(mask.any(0)):
        for start, end in merged_runs(mask[:, channel], reach, [(0, len(mask))]):
            mask[max(0, start - margin) : end + margin, channel] = True
    return mask
