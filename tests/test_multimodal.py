"""Multimodal samples: parts that are missing, relations between parts, clocks, folders, bad input."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from sklearn.metrics import roc_auc_score

from assistant.keeping.parts import numbers
from detectors import AnomalyError, load_detector, make_detector
from detectors.data import read_source
from detectors.readers.multimodal import align


@pytest.fixture(scope="module")
def press(tiny_multimodal):
    """(detector, tiny set): the exact mixture, which costs nothing."""
    settings = {"components": 8, "window": 4, "device": "cpu"}
    return make_detector("multimodal", "smoothed_density", **settings).fit(tiny_multimodal.normal), tiny_multimodal


def without(samples, *parts):
    return {name: own for name, own in samples.items() if name not in parts}


def test_a_part_may_be_absent_and_the_rest_is_judged(press):
    detector, data = press
    torn = np.zeros(160, bool)
    torn[50:62] = True
    for left_out in (("camera",), ("log",), ("camera", "log")):
        scores = detector.decision_function(without(data.test, *left_out))
        assert roc_auc_score(torn[:90], scores[:90]) > 0.9


def test_p_values_are_calibrated_for_the_parts_that_are_there(press, tiny_multimodal):
    from conftest import tiny_press

    detector, _ = press
    normal = tiny_press(np.random.default_rng(11), 400)
    for left_out in ((), ("camera",), ("sensors",), ("sensors", "log")):
        p = detector.p_value(without(normal, *left_out))
        assert (p <= 0.1).mean() < 0.3, left_out


def test_a_stretch_of_nan_is_the_same_as_an_absent_part(press):
    detector, data = press
    gone = {**data.test, "sensors": data.test["sensors"] * np.nan}
    absent = detector.decision_function(without(data.test, "sensors"))
    assert np.allclose(detector.decision_function(gone), absent, atol=1e-4)


def test_a_missing_picture_carries_no_evidence(press):
    detector, data = press
    pictures = list(data.test["camera"])
    pictures[5] = None
    samples = {**data.test, "camera": pictures}
    assert np.isfinite(detector.decision_function(samples)[5])
    assert np.asarray(detector.anomaly_map(samples)["camera"][5]).max() == 0


def test_the_part_that_does_not_fit_the_others_gets_the_share(press):
    detector, data = press
    found = detector.detect(data.test, alpha=0.05)
    torn = next(d for d in found if 50 <= d.index <= 62 or d.index <= 50 < d.index + len(d.map))
    unfit = next(d for d in found if d.index <= 102 < d.index + len(d.map))
    assert torn.regions[0].name == "sensors"
    assert torn.regions[0].channels[0] == "current_a"
    assert unfit.regions[0].name == "camera"


def test_a_saved_detector_judges_missing_parts_alike(press, tmp_path):
    detector, data = press
    detector.save(tmp_path / "m")
    again = load_detector(tmp_path / "m", device="cpu")
    some = without(data.test, "log")
    assert np.array_equal(again.p_value(some), detector.p_value(some))


def test_several_recordings_give_one_dict_each(press):
    detector, data = press
    halves = [{n: s[a:b] for n, s in data.test.items()} for a, b in ((0, 80), (80, 160))]
    assert len(detector.decision_function(halves)) == 160
    maps = detector.anomaly_map(halves)
    assert [len(one["sensors"]) for one in maps] == [80, 80]
    assert [len(one["camera"]) for one in detector.counterfactual(halves)] == [80, 80]


def test_clips_are_parts_too():
    rng = np.random.default_rng(0)
    still = np.full((120, 24, 32), 90, np.uint8)
    for step in range(120):
        left = int(12 + 8 * np.sin(step / 6))
        still[step, 8:16, left : left + 6] = 200
    speed = np.abs(np.gradient(12 + 8 * np.sin(np.arange(120) / 6)))[:, None] + 0.01 * rng.standard_normal((120, 1))
    parts = {"film": still, "speed": speed}
    settings = {"window": 4, "device": "cpu"}
    detector = make_detector("multimodal", "multi_start", denoiser="gaussian", **settings).fit(parts)
    maps = detector.anomaly_map(parts)
    assert maps["film"].shape == still.shape
    assert maps["speed"].shape == speed.shape


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda s: {**s, "sensors": s["sensors"].iloc[:-3]}, "different lengths"),
        (lambda s: {**s, "radar": s["sensors"]}, "radar"),
        (lambda s: {}, "no part"),
        (lambda s: [s["sensors"]], "dict"),
        (lambda s: {"sensors": s["sensors"] * np.nan}, "missing"),
        (lambda s: {**s, "sensors": s["sensors"].rename(columns={"force_kn": "force"})}, "force"),
    ],
)
def test_bad_input_is_told_in_a_sentence(press, change, word):
    detector, data = press
    with pytest.raises(AnomalyError, match=word):
        detector.decision_function(change(data.test))


def test_an_unknown_kind_of_part_is_told():
    with pytest.raises(AnomalyError, match="sound"):
        make_detector("multimodal", parts={"mic": "sound"})


def test_faster_channels_are_averaged_onto_the_slowest_clock():
    fast = pd.DataFrame({"a": np.arange(40.0)}, index=pd.date_range("2024-01-01", periods=40, freq="250ms"))
    slow = pd.DataFrame({"b": np.arange(10.0)}, index=pd.date_range("2024-01-01", periods=10, freq="s"))
    parts, note = align({"fast": fast, "slow": slow}, {"fast": "series", "slow": "series"}, {})
    assert len(parts["fast"]) == len(parts["slow"]) == 10
    assert list(parts["fast"].columns) == ["a", "a range"]
    assert "slow" in note
    with pytest.raises(AnomalyError, match="rate"):
        align({"fast": fast.reset_index(drop=True), "slow": slow}, {"fast": "table", "slow": "series"}, {})


def test_a_folder_of_parts_is_read(tmp_path, tiny_multimodal):
    test = tiny_multimodal.test
    (tmp_path / "camera").mkdir()
    for number, picture in enumerate(test["camera"][:20]):
        Image.fromarray(picture).save(tmp_path / "camera" / f"{number}.png")
    test["sensors"].iloc[:20].to_csv(tmp_path / "sensors.csv")
    (tmp_path / "parts.json").write_text(json.dumps({"camera": {"modality": "image", "rate": 1}}))
    source = read_source(str(tmp_path))
    assert source.modality == "multimodal"
    assert source.samples.kinds == {"camera": "image", "sensors": "series"}
    (tmp_path / "parts.json").write_text(json.dumps({"radar": {}}))
    with pytest.raises(AnomalyError, match="radar"):
        read_source(str(tmp_path))


def test_frames_are_no_channels_beside_the_numbers_of_other_parts():
    rows = 3
    parts = {"camera": np.zeros((rows, 4, 5)), "wrist": pd.DataFrame({"acc": [1.0, 2.0, 3.0], "note": list("abc")})}
    columns, names = numbers(parts, rows)
    assert names == [("wrist", "acc")]
    assert columns.tolist() == [[1.0], [2.0], [3.0]]
