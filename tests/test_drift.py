"""The drift alarm: quiet on normals and on batches with anomalies, awake where the bulk has moved."""

import numpy as np
import pytest

from detectors.calibration import Calibration
from detectors.drift import drift_of

RNG = np.random.default_rng
KNOWN = Calibration(RNG(0).normal(size=400))


def test_normals_seldom_raise_the_alarm():
    alarms = [
        drift_of(RNG(s).normal(size=n), Calibration(RNG(s + 1000).normal(size=300))).drifting
        for s in range(100)
        for n in (40, 400)
    ]
    assert np.mean(alarms) <= 0.01


def test_a_share_of_anomalies_is_no_drift():
    batch = np.concatenate([RNG(1).normal(size=850), RNG(2).normal(6, 1, size=150)])
    state = drift_of(batch, KNOWN)
    assert not state.drifting
    assert state.direction == "none"


@pytest.mark.parametrize(("shift", "direction"), [(1.5, "higher"), (-0.8, "lower"), (20.0, "higher")])
def test_a_shift_of_all_scores_is_told_with_its_direction(shift, direction):
    state = drift_of(RNG(3).normal(shift, 1, size=200), KNOWN)
    assert state.drifting
    assert state.direction == direction
    assert state.p_value < 0.001
    assert 0.1 < state.statistic <= 1


def test_correlated_scores_are_weaker_evidence():
    shifted = RNG(4).normal(1.2, 1, size=200)
    lone, blocks = drift_of(shifted, KNOWN), drift_of(shifted, Calibration(KNOWN.scores, block=10))
    assert blocks.p_value > lone.p_value
    assert blocks.count == pytest.approx(20)


def test_a_handful_of_scores_says_nothing():
    state = drift_of(np.full(4, 50.0), KNOWN)
    assert not state.drifting
    assert state.p_value == 1.0
    assert not drift_of(np.full(100, np.nan), KNOWN).drifting
