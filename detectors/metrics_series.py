"""How good a series score is: VUS-PR, AUC-PR, HitRate@100 and @150. Knows scores and labels, not models.

VUS-PR follows Paparrizos et al. 2022 ("Volume under the surface") as TSB-AD (Liu & Paparrizos 2024) computes it:
range-AUC-PR over the buffer sizes 0 .. 2 * sliding window, 250 thresholds.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from detectors.errors import AnomalyError
from detectors.localization_series import runs


def vus_pr(labels: np.ndarray, scores: np.ndarray, sliding_window: int = 100, thresholds: int = 250) -> float:
    """Volume under the precision-recall surface.

    labels: (time,) of 0/1, scores: (time,) higher = more anomalous. Raises AnomalyError without any anomalous stamp.
    """
    labels, scores = _checked(labels, scores)
    spans = runs(labels)
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    cut = ranked[np.linspace(0, len(scores) - 1, thresholds).astype(int)]  # (threshold,)
    predicted = np.searchsorted(-ranked, -cut, side="right")  # stamps with score >= cut
    inside = labels > 0
    positives = float(inside.sum())
    volume = 0.0
    for buffer in range(2 * sliding_window + 1):
        soft = _buffered(inside, spans, buffer)
        found = np.cumsum(soft[order])[predicted - 1]  # (threshold,) soft true positives
        found_outside = np.cumsum(np.where(inside, 0.0, soft)[order])[predicted - 1]
        heights = np.array([scores[start:end].max() for start, end in _merged(spans, buffer, len(scores))])
        existence = (heights[None, :] >= cut[:, None]).mean(1)
        recall = np.minimum(found / (positives + found_outside / 2), 1.0) * existence
        volume += float(np.diff(recall, prepend=0.0) @ (found / predicted))
    return volume / (2 * sliding_window + 1)


def auc_pr(labels: np.ndarray, scores: np.ndarray) -> float:
    """Average precision of the stamps."""
    from sklearn.metrics import average_precision_score

    return float(average_precision_score(*_checked(labels, scores)))


def hit_rate(ranked: Sequence[int], guilty: Sequence[int], percent: int = 150) -> float:
    """Share of the guilty channels among the first len(guilty) * percent / 100 of a ranking (Su et al. 2019)."""
    top = set(list(ranked)[: int(len(guilty) * percent / 100)])
    return len(top & set(guilty)) / len(guilty)


def mean_hit_rate(
    channel_map: np.ndarray, events: Sequence[tuple[int, int, tuple[int, ...]]], percent: int = 150
) -> float:
    """Mean hit rate over labelled events, channels ranked by their mean map value in the event.

    channel_map: (time, channel); events: (first stamp, one past the last, guilty channels counted from 0).
    """
    rates = [
        hit_rate(np.argsort(-channel_map[start:end].mean(0), kind="stable").tolist(), guilty, percent)
        for start, end, guilty in events
    ]
    return float(np.mean(rates))


def parse_interpretation(text: str) -> list[tuple[int, int, tuple[int, ...]]]:
    """Lines "start-end:dim,dim" (dims from 1, as in SMD and ASD) as (start, one past the end, channels from 0)."""
    events = []
    for line in text.split():
        span, _, dims = line.partition(":")
        start, end = (int(v) for v in span.split("-"))
        events.append((start, max(end, start + 1), tuple(int(d) - 1 for d in dims.split(",") if d)))
    return events


def _buffered(inside: np.ndarray, spans: list[tuple[int, int]], buffer: int) -> np.ndarray:
    """Labels with slopes sqrt(1 - distance / buffer) up to buffer / 2 away from each span, capped at 1."""
    soft = inside.astype(float)
    for start, end in spans:
        after = np.arange(end, min(end + buffer // 2, len(soft)))
        soft[after] += np.sqrt(1 - (after - end + 1) / max(buffer, 1))
        before = np.arange(max(start - buffer // 2, 0), start)
        soft[before] += np.sqrt(1 - (start - before) / max(buffer, 1))
    return np.minimum(soft, 1.0)


def _merged(spans: list[tuple[int, int]], buffer: int, length: int) -> list[tuple[int, int]]:
    """Spans grown by buffer / 2 on both sides; those that touch are one."""
    half, merged = buffer // 2, []
    begin = max(spans[0][0] - half, 0)
    for (_, end), (start, _) in pairwise(spans):
        if end - 1 + half < start - half:
            merged.append((begin, end + half))
            begin = start - half
    merged.append((begin, min(spans[-1][1] + half, length)))
    return merged


def _checked(labels: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    labels, scores = np.asarray(labels).astype(int), np.asarray(scores, float)
    if labels.shape != scores.shape or labels.ndim != 1:
        raise AnomalyError(f"Labels {labels.shape} and scores {scores.shape} must be two (time,) arrays of one length.")
    if not labels.any():
        raise AnomalyError("The labels hold no anomalous stamp; a precision-recall figure needs at least one.")
    return labels, scores
