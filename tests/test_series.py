"""The series modality: what it takes, what it finds and explains, and what it says about unusable samples."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from detectors import AnomalyError, load_detector, make_detector
from detectors.detector import Detector
from detectors.levels import standing_level
from detectors.localization_series import channel_shares, guilty_channels, merged_runs, tightened
from detectors.registry import modality_class


@pytest.fixture(scope="module")
def fitted(tiny_series) -> Detector:
    return make_detector("series").fit(tiny_series.normal)


def torn(tiny_series) -> np.ndarray:
    mask = np.zeros(len(tiny_series.test), bool)
    mask[list(tiny_series.anomalous)] = True
    return mask


def test_every_stamp_gets_a_score_and_the_torn_ones_the_highest(fitted, tiny_series) -> None:
    scores, torn_rows = fitted.decision_function(tiny_series.test), torn(tiny_series)
    assert scores.shape == (len(tiny_series.test),)
    assert scores[torn_rows].min() > np.quantile(scores[~torn_rows], 0.9)


def test_the_event_names_its_interval_times_and_guilty_channel(fitted, tiny_series) -> None:
    events = fitted.detect(tiny_series.test, alpha=0.01)
    assert len(events) == 1
    event, region = events[0], events[0].regions[0]
    assert region.start <= 210
    assert region.end >= 220
    assert region.end - region.start < 90
    assert region.start_time == tiny_series.test.index[region.start].isoformat()
    assert region.channels[0] == event.parts[0].name == "current_a"
    assert event.map.shape == (region.end - region.start, 3)


def test_parts_say_what_was_seen_and_what_was_expected(fitted, tiny_series) -> None:
    part = fitted.detect(tiny_series.test, alpha=0.01)[0].parts[0]
    assert part.observed == pytest.approx(31, abs=2)
    assert part.expected == pytest.approx(20, abs=4)  # 0.4 x speed lies between 16 and 24


def test_normal_series_raise_no_alarm(fitted, tiny_series) -> None:
    assert fitted.detect(tiny_series.test.iloc[:150], alpha=0.01) == []


def test_the_counterfactual_lowers_the_score_and_leaves_the_rest_alone(fitted, tiny_series) -> None:
    where = np.zeros(tiny_series.test.shape, bool)
    where[list(tiny_series.anomalous), 1] = True
    repaired = fitted.counterfactual(tiny_series.test, where)
    assert isinstance(repaired, pd.DataFrame)
    assert repaired.index.equals(tiny_series.test.index)
    assert (repaired.to_numpy()[~where] == tiny_series.test.to_numpy()[~where]).all()
    before, after = (fitted.decision_function(s)[torn(tiny_series)].mean() for s in (tiny_series.test, repaired))
    assert after < before / 3
    error = np.abs(repaired["current_a"] - 0.4 * tiny_series.test["speed_rpm"])[torn(tiny_series)]
    assert error.mean() < 1.5


def test_the_counterfactual_of_its_own_places_lowers_the_score(fitted, tiny_series) -> None:
    before, after = (
        fitted.decision_function(s)[torn(tiny_series)].mean()
        for s in (tiny_series.test, fitted.counterfactual(tiny_series.test))
    )
    assert after < before / 2


def test_missing_values_are_not_flagged_for_being_missing(fitted, tiny_series) -> None:
    holed = tiny_series.test.iloc[:150].copy()
    holed.iloc[60:66, 0] = np.nan
    holed.iloc[90, 2] = np.inf
    holed.iloc[100:104] = np.nan
    assert np.isnan(fitted.decision_function(holed)[100:104]).all()
    assert (fitted.p_value(holed)[100:104] == 1).all()
    assert (fitted.anomaly_map(holed)[60:66, 0] == 0).all()
    assert fitted.detect(holed, alpha=0.01) == []


def test_arrays_and_lists_come_back_as_they_came(tiny_series) -> None:
    normal = tiny_series.normal.to_numpy()
    detector = make_detector("series", members="gaussian").fit([normal[:400], normal[400:]])
    pieces = [tiny_series.test.to_numpy()[:150], tiny_series.test.to_numpy()[150:]]
    assert detector.decision_function(pieces).shape == (400,)
    assert [m.shape for m in detector.anomaly_map(pieces)] == [(150, 3), (250, 3)]
    repaired = detector.counterfactual(pieces)
    assert isinstance(repaired, list)
    assert (repaired[0].dtype, repaired[0].shape) == (pieces[0].dtype, pieces[0].shape)


def test_one_channel_may_be_a_plain_row_of_numbers() -> None:
    rng = np.random.default_rng(0)
    wave = np.sin(np.arange(900) / 5) + 0.05 * rng.standard_normal(900)
    detector = make_detector("series").fit(wave[:600])
    wave[750:760] += 1.5
    scores = detector.decision_function(wave[600:])
    assert 140 <= scores.argmax() < 170
    assert detector.counterfactual(wave[600:]).shape == (300,)


def test_a_channel_that_was_constant_is_noticed_when_it_moves(tiny_series) -> None:
    normal = tiny_series.normal.assign(door=0.0)
    test = tiny_series.test.iloc[:150].assign(door=0.0)
    test.iloc[70:80, 3] = 1.0
    events = make_detector("series").fit(normal).detect(test, alpha=0.01)
    assert [e.regions[0].channels[0] for e in events] == ["door"]


def test_a_saved_detector_scores_the_same(fitted, tiny_series, tmp_path) -> None:
    fitted.save(tmp_path / "model")
    again = load_detector(tmp_path / "model")
    assert np.array_equal(again.decision_function(tiny_series.test), fitted.decision_function(tiny_series.test))


def test_columns_in_another_order_are_put_right(fitted, tiny_series) -> None:
    turned = tiny_series.test[["temperature_c", "speed_rpm", "current_a"]]
    assert np.array_equal(fitted.decision_function(turned), fitted.decision_function(tiny_series.test))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda f: f.drop(columns="current_a"), "lacks 'current_a'"),
        (lambda f: f.assign(oil=1.0), "also has 'oil'"),
        (lambda f: f.assign(current_a="high"), "not numeric: 'current_a'"),
        (lambda f: f.iloc[:10], "has 10 rows"),
        (lambda f: f.iloc[::-1], "backwards at row 1"),
        (lambda f: f.iloc[:0], "empty"),
        (lambda f: f * np.nan, "no finite value"),
        (lambda f: f.to_numpy()[:, :2], "2 channels, but 3 were fitted"),
        (lambda f: np.zeros((5, 5, 5)), "give \\(time, channel\\)"),
    ],
)
def test_unusable_series_are_refused_in_one_sentence(fitted, tiny_series, spoil, said) -> None:
    with pytest.raises(AnomalyError, match=said):
        fitted.decision_function(spoil(tiny_series.test))


def test_a_series_too_short_to_fit_says_how_much_is_needed(tiny_series) -> None:
    with pytest.raises(AnomalyError, match="at least 40"):
        make_detector("series").fit(tiny_series.normal.iloc[:20])


def test_a_mask_of_another_shape_is_refused(fitted, tiny_series) -> None:
    with pytest.raises(AnomalyError, match="must be \\(time, channel\\)"):
        fitted.counterfactual(tiny_series.test, np.zeros((4, 3), bool))


def test_windows_do_not_look_across_a_long_silence(fitted, tiny_series) -> None:
    late = tiny_series.test.iloc[:150].copy()
    late.index = late.index[:75].append(late.index[75:] + pd.Timedelta(days=30))
    items = fitted.modality.open(late)
    starts = items.data.starts
    assert not ((starts < 75) & (starts + items.data.window > 75)).any()


def test_held_out_blocks_share_no_stamp_with_the_fit(tiny_series) -> None:
    import torch

    modality = make_detector("series").modality
    items = modality.open(tiny_series.normal)
    fit_rows, held_rows = modality.split(items, torch.Generator().manual_seed(0))
    seen = {s + k for s in items.data.starts[fit_rows] for k in range(items.data.window)}
    held = {s + k for s in items.data.starts[held_rows] for k in range(items.data.window)}
    assert held
    assert not seen & held


def test_runs_join_across_small_gaps_but_not_across_pieces() -> None:
    flags = np.zeros(20, bool)
    flags[[2, 3, 6, 9, 10]] = True
    assert merged_runs(flags, 3, [(0, 20)]) == [(2, 11)]
    assert merged_runs(flags, 3, [(0, 8), (8, 20)]) == [(2, 7), (9, 11)]


def test_guilty_channels_are_ranked_and_few() -> None:
    event_map = np.tile([0.1, 5.0, 3.0, -2.0], (6, 1))
    assert guilty_channels(event_map) == [1, 2]
    assert channel_shares(event_map).sum() == pytest.approx(1)


def test_a_run_is_tightened_to_what_stands_out_and_bridges_a_lull() -> None:
    slope = np.linspace(0.0, 1.0, 12)
    assert tightened(np.r_[slope, [6.0, 6.0, 0.5, 6.0, 7.0], slope[::-1]]) == (12, 17)
    assert tightened(np.ones(5)) == (0, 5)


def test_evidence_that_stands_is_a_level_and_an_event_is_not() -> None:
    maps = np.zeros((4000, 3), np.float32)
    maps[1500:, 0] = 5.0  # drift: it stays
    maps[2000:2900, 1] = 9.0  # an event shorter than the horizon
    maps[:, 2] = -0.3  # below what is usual: nothing to take off
    level = standing_level(maps, ((0, 4000),), 1000)
    assert level[2000:, 0].min() == 5.0
    assert not level[:900].any()
    assert not level[:, 1:].any()
    assert not standing_level(maps[:400] + 1, ((0, 400),), 1000).any()  # too short to tell drift from an event


def test_of_a_long_event_both_ends_stay() -> None:
    maps = np.zeros((6000, 1), np.float32)
    maps[2000:4000] = 5.0
    level = standing_level(maps, ((0, 6000),), 1000)[:, 0]
    assert not level[:2480].any()
    assert not level[3520:].any()
    assert level[2600:3400].all()


def test_what_many_channels_share_scores_above_the_same_evidence_in_one() -> None:
    modality = modality_class("series")()
    modality.window = 16
    alone, together = np.zeros((400, 9), np.float32), np.zeros((400, 9), np.float32)
    alone[200:220, 0], together[200:220] = 9.0, 1.0
    lone, shared = (modality.score(maps) for maps in (alone, together))
    assert 0.5 * shared[210] < lone[210] < shared[210]
    assert lone[:100].max() == shared[:100].max() == 0


def test_a_level_that_moved_for_good_raises_no_standing_alarm_and_hides_no_fault() -> None:
    rng = np.random.default_rng(0)
    x = np.sin(np.arange(6000)[:, None] / np.array([7.0, 11.0])) + 0.1 * rng.standard_normal((6000, 2))
    new = x[3000:].copy()
    new[:, 0] += 1.0
    new[2000:2020, 1] += 2.0
    flagged = {}
    for horizon in (0, 64):
        detector = make_detector("series", members="gaussian", window=16, horizon=horizon).fit(x[:3000])
        flagged[horizon] = detector.p_value(new) <= 0.01
    usual = np.r_[200:1900, 2150:2800]
    assert flagged[0][usual].mean() > 0.8
    assert flagged[64][usual].mean() < 0.05
    assert flagged[64][2000:2020].all()
