"""Descriptors: what differs between observed and expected, on made-up channels, pictures and cells."""

from __future__ import annotations

import numpy as np
import pytest

from detectors.descriptors.images import describe_place
from detectors.descriptors.series import describe_channel, onsets
from detectors.descriptors.tables import describe_number


def channels(length: int = 600) -> np.ndarray:
    rng = np.random.default_rng(0)
    t = np.arange(length)
    first = np.sin(2 * np.pi * t / 30) + 0.02 * rng.standard_normal(length)
    return np.stack([first, 2 * first + 0.02 * rng.standard_normal(length)], 1)


def described(change, rows: tuple[int, int] = (300, 380)) -> dict:
    expected = channels()
    observed = expected.copy()
    observed[rows[0] : rows[1], 0] = change(observed[rows[0] : rows[1], 0])
    told = describe_channel(observed, expected, (rows[0] - 10, rows[1] + 10), 0, scale=0.7)
    return {name: value for name, (value, _) in told.items()}


def test_a_level_shift_is_a_constant_over_its_own_length() -> None:
    told = described(lambda x: x + 3)
    assert told["level_difference"] == pytest.approx(3, abs=0.1)
    assert told["level_fit"] > 95
    assert told["slope_to_level"] < 0.1
    assert told["duration"] == pytest.approx(80, abs=6)


def test_a_ramp_rises() -> None:
    told = described(lambda x: x + np.linspace(0, 4, len(x)))
    assert told["slope_gain"] == pytest.approx(2.9, abs=0.4)  # its faint beginning does not count
    assert told["level_and_trend"] > 95


def test_standing_still_is_measured_with_its_jump() -> None:
    stuck, dropped = described(lambda x: np.full(len(x), x[0])), described(lambda x: np.full(len(x), -9.0))
    assert stuck["still_stamps"] == pytest.approx(80, abs=1)
    assert stuck["still_jump"] < 1.5 < 5 < dropped["still_jump"]


def test_noise_is_rough() -> None:
    rng = np.random.default_rng(1)
    assert described(lambda x: x + rng.standard_normal(len(x)))["roughness_ratio"] > 4


def test_another_rhythm_changes_the_period() -> None:
    told = described(lambda x: np.sin(2 * np.pi * np.arange(len(x)) / 15))
    assert told["usual_period"] == pytest.approx(30, rel=0.1)
    assert told["period_change"] == pytest.approx(2, rel=0.1)


def test_a_broken_tie_shows_in_the_correlation() -> None:
    told = described(lambda x: np.sin(2 * np.pi * np.arange(len(x)) / 47 + 1))
    assert told["tied_channel"] == 1
    assert told["usual_correlation"] > 0.95
    assert told["correlation_change"] > 0.4


def test_missing_values_are_counted_and_harm_nothing() -> None:
    told = described(lambda x: np.full(len(x), np.nan))
    assert told["missing_share"] == pytest.approx(80.0, abs=1)
    assert all(value is None or isinstance(value, int | str) or np.isfinite(value) for value in told.values())


def test_onsets_are_the_first_stamps_above_the_level() -> None:
    level = np.zeros((20, 3))
    level[5:, 0], level[9:, 1] = 3.0, 2.0
    assert onsets(level).tolist() == [5, 9, -1]


# --- pictures -------------------------------------------------------------------------------------------------------


def surface() -> np.ndarray:
    rng = np.random.default_rng(2)
    return np.clip(120 + 4 * rng.standard_normal((80, 80, 1)) + np.zeros(3), 0, 255).astype(np.uint8)


def place(change) -> dict:
    before = surface()
    after = change(before.astype(float).copy())
    mask = np.zeros((80, 80), bool)
    mask[20:60, 20:60] = True
    told = describe_place(np.clip(after, 0, 255).astype(np.uint8), before, mask)
    return {name: value for name, (value, _) in told.items()}


def test_a_line_is_slender_and_has_a_direction() -> None:
    def line(x: np.ndarray) -> np.ndarray:
        x[40:42, 22:58] = 230
        return x

    told = place(line)
    assert told["slenderness"] > 6
    assert min(told["orientation"], 180 - told["orientation"]) < 6
    assert told["length"] == pytest.approx(40, abs=8)


def test_a_tint_changes_the_colour_and_not_the_brightness() -> None:
    def tint(x: np.ndarray) -> np.ndarray:
        x[30:50, 30:50] += np.array([40.0, -20.0, -2.0])
        return x

    told = place(tint)
    assert told["colour_difference"] > 20
    assert told["brightness_size"] < 3


def test_something_that_moved_is_found_again() -> None:
    spot = np.zeros((80, 80, 1))
    spot[34:42, 30:38] = -90
    before = surface().astype(float)
    observed, expected = before + np.roll(spot, 10, 1), before + spot
    mask = np.zeros((80, 80), bool)
    mask[25:52, 22:58] = True
    told = describe_place(np.clip(observed, 0, 255).astype(np.uint8), np.clip(expected, 0, 255).astype(np.uint8), mask)
    assert told["moved_by"][0] == pytest.approx(10, abs=1.5)
    assert told["moved_match"][0] > 0.8


def test_a_missing_thing_loses_edges() -> None:
    expected = surface()
    expected[30:46, 30:46] = 20
    mask = np.zeros((80, 80), bool)
    mask[24:52, 24:52] = True
    told = describe_place(surface(), expected, mask)
    assert told["edges_lost"][0] > 90
    assert told["observed_stands_out"][0] < 8 < 60 < told["expected_stands_out"][0]


# --- tables ---------------------------------------------------------------------------------------------------------


def test_a_slipped_point_is_a_decimal_power() -> None:
    told = {name: value for name, (value, _) in describe_number(430.0, 42.0, (1.0, 900.0), 8.0).items()}
    assert told["decimal_power"] == 1
    assert told["decimal_misfit"] < 0.02
    assert told["beyond_range"] == 0
    assert describe_number(None, 42.0, (1.0, 900.0), 8.0).keys() == {"seen_low", "seen_high", "given_departure"}
