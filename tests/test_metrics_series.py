"""Series metrics: VUS-PR against a plain reading of its definition, hit rates, interpretations."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from detectors.errors import AnomalyError
from detectors.metrics_series import auc_pr, hit_rate, mean_hit_rate, parse_interpretation, vus_pr


def plain_vus_pr(labels: np.ndarray, scores: np.ndarray, sliding_window: int, thresholds: int = 250) -> float:
    """The definition, threshold by threshold and buffer by buffer."""
    edges = np.flatnonzero(np.diff(np.r_[0, labels, 0]))
    spans = list(zip(edges[::2], edges[1::2] - 1, strict=True))  # both ends inside
    cuts = -np.sort(-scores)[np.linspace(0, len(scores) - 1, thresholds).astype(int)]
    areas = []
    for buffer in range(2 * sliding_window + 1):
        soft, half = labels.astype(float), buffer // 2
        for s, e in spans:
            for i in range(e + 1, min(e + half + 1, len(labels))):
                soft[i] += np.sqrt(1 - (i - e) / buffer)
            for i in range(max(s - half, 0), s):
                soft[i] += np.sqrt(1 - (s - i) / buffer)
        soft = np.minimum(soft, 1)
        grown, begin = [], max(spans[0][0] - half, 0)
        for (_, e), (s, _) in pairwise(spans):
            if e + half < s - half:
                grown.append((begin, e + half))
                begin = s - half
        grown.append((begin, min(spans[-1][1] + half, len(labels) - 1)))
        area, last = 0.0, 0.0
        for cut in cuts:
            hit = scores >= cut
            found = (soft * hit).sum()
            marked = np.where(labels > 0, 1.0, soft * hit).sum()
            existence = np.mean([hit[s : e + 1].any() for s, e in grown])
            recall = min(found / ((labels.sum() + marked) / 2), 1) * existence
            area += (recall - last) * found / hit.sum()
            last = recall
        areas.append(area)
    return float(np.mean(areas))


@pytest.mark.parametrize("ties", [False, True])
def test_vus_pr_equals_its_definition(ties: bool) -> None:
    rng = np.random.default_rng(3)
    labels = np.zeros(300, int)
    for start, end in ((0, 4), (60, 90), (95, 96), (200, 230), (296, 300)):
        labels[start:end] = 1
    scores = rng.random(300) + 0.4 * labels
    scores = scores.round(1) if ties else scores
    assert vus_pr(labels, scores, 12) == pytest.approx(plain_vus_pr(labels, scores, 12), abs=1e-12)


def test_a_near_miss_costs_less_than_a_miss() -> None:
    labels = np.zeros(400, int)
    labels[200:220] = 1
    near, far = np.zeros(400), np.zeros(400)
    near[222:232], far[300:310] = 1, 1
    assert vus_pr(labels, near, 20) > vus_pr(labels, far, 20)
    assert auc_pr(labels, near) == pytest.approx(auc_pr(labels, far))


def test_labels_without_an_event_are_refused() -> None:
    with pytest.raises(AnomalyError, match="no anomalous stamp"):
        vus_pr(np.zeros(50), np.arange(50))


def test_labels_and_scores_of_two_lengths_are_refused() -> None:
    with pytest.raises(AnomalyError, match="one length"):
        auc_pr(np.ones(5), np.ones(6))


def test_hit_rate_looks_at_as_many_channels_as_are_guilty_or_half_more() -> None:
    ranked = [4, 0, 2, 1, 3]
    assert hit_rate(ranked, (4, 2), 100) == 0.5
    assert hit_rate(ranked, (4, 2), 150) == 1.0


def test_mean_hit_rate_ranks_channels_inside_each_event() -> None:
    channel_map = np.zeros((20, 3))
    channel_map[5:10, 1] = 1
    channel_map[12:15, 2] = 1
    assert mean_hit_rate(channel_map, [(5, 10, (1,)), (12, 15, (0,))]) == 0.5


def test_interpretations_count_channels_from_one_and_intervals_from_zero() -> None:
    assert parse_interpretation("7-9:1,3\n12-12:2") == [(7, 9, (0, 2)), (12, 13, (1,))]
