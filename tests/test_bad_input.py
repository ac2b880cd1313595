"""Bad input, from reading to detecting: one clear sentence each, nothing lost, a batch goes on past one bad file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from detectors import load_detector, make_detector
from detectors.data import read_source
from detectors.detector import Detector
from detectors.errors import AnomalyError

FAST: dict[str, dict[str, Any]] = {  # the closed-form denoiser: a fit is a matter of moments
    "image": {"size": 48, "denoiser": "gaussian"},
    "series": {"window": 32, "denoiser": "gaussian"},
    "table": {"denoiser": "gaussian"},
}
_fitted: dict[str, Detector] = {}


@pytest.fixture
def fitted(request: pytest.FixtureRequest, modality: str) -> tuple[Detector, Any]:
    """(detector, tiny set) of one modality, fitted once."""
    data = request.getfixturevalue({"image": "tiny_images", "series": "tiny_series", "table": "tiny_table"}[modality])
    if modality not in _fitted:
        _fitted[modality] = make_detector(modality, "multi_start", device="cpu", **FAST[modality]).fit(data.normal)
    return _fitted[modality], data


def sentence(call: Any, *arguments: Any, **options: Any) -> str:
    """The AnomalyError that a call raises, checked to be one plain sentence or two."""
    with pytest.raises(AnomalyError) as caught:
        call(*arguments, **options)
    text = str(caught.value)
    assert "\n" not in text
    assert text.endswith(".")
    assert "Traceback" not in text
    return text


image = pytest.mark.parametrize("modality", ["image"])
series = pytest.mark.parametrize("modality", ["series"])
table = pytest.mark.parametrize("modality", ["table"])
each = pytest.mark.parametrize("modality", ["image", "series", "table"])


def save(folder: Path, name: str, array: np.ndarray) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(folder / name)
    return folder / name


# ---------------------------------------------------------------- pictures


def test_a_folder_without_images_says_what_was_found_instead(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "clip.mp4").write_bytes(b"0")
    text = sentence(read_source, tmp_path, "image")
    assert "holds no images" in text
    assert "1 x .txt" in text
    assert "1 x .mp4" in text


def test_an_empty_folder_and_a_missing_path_are_told_apart(tmp_path: Path) -> None:
    assert "it is empty" in sentence(read_source, tmp_path)
    assert "no file or folder" in sentence(read_source, tmp_path / "nowhere")


@image
def test_one_unreadable_file_does_not_stop_a_batch(fitted: tuple[Detector, Any], tmp_path: Path) -> None:
    detector, data = fitted
    save(tmp_path, "good.png", np.asarray(Image.open(data.test[0])))
    (tmp_path / "broken.png").write_bytes(data.test[1].read_bytes()[:200])
    source = read_source(tmp_path)
    assert [name for name, _ in source.skipped] == ["broken.png"]
    assert len(detector.decision_function(source.samples)) == 1


@image
def test_a_mask_is_no_picture(fitted: tuple[Detector, Any], tmp_path: Path) -> None:
    mask = np.zeros((48, 48), np.uint8)
    mask[9:20, 9:20] = 255
    path = save(tmp_path, "odd.png", mask)
    assert "mask" in sentence(fitted[0].decision_function, [path])
    assert "looks like a mask" in sentence(read_source, save(tmp_path, "odd_mask.png", mask))


@image
def test_one_image_is_too_few_to_learn_from(tiny_images: Any, modality: str) -> None:
    detector = make_detector(modality, "multi_start", device="cpu", **FAST[modality])
    assert "too few" in sentence(detector.fit, tiny_images.normal[:1])


@image
def test_one_image_is_enough_to_judge(fitted: tuple[Detector, Any]) -> None:
    detector, data = fitted
    assert detector.decision_function(data.test[:1]).shape == (1,)


@image
def test_another_size_is_brought_to_the_fitted_one_and_maps_come_back_in_its_own(fitted: tuple[Detector, Any]) -> None:
    detector, data = fitted
    large = np.asarray(Image.open(data.test[0]).resize((96, 96)))
    assert detector.anomaly_map([large])[0].shape == (96, 96)


@image
def test_grey_pictures_are_judged_by_a_detector_of_colour_ones(fitted: tuple[Detector, Any]) -> None:
    detector, data = fitted
    grey = np.asarray(Image.open(data.test[0]).convert("L"))
    assert np.isfinite(detector.decision_function([grey])).all()


@image
def test_a_picture_that_is_gone_is_named(fitted: tuple[Detector, Any], tmp_path: Path) -> None:
    assert "gone.png" in sentence(fitted[0].decision_function, [tmp_path / "gone.png"])


# ---------------------------------------------------------------- numbers that are none


@series
def test_missing_and_infinite_readings_do_not_spread(fitted: tuple[Detector, Any]) -> None:
    detector, data = fitted
    holed = data.test.copy()
    holed.iloc[50:55, 0] = np.nan
    holed.iloc[60, 1] = np.inf
    plain, scores = detector.decision_function(data.test), detector.decision_function(holed)
    assert np.isfinite(scores).all()
    assert np.allclose(plain[250:], scores[250:], atol=1e-3)


@series
def test_a_series_without_one_value_is_refused(fitted: tuple[Detector, Any]) -> None:
    detector, data = fitted
    text = sentence(detector.decision_function, data.test * np.nan)
    assert "no finite value" in text


@table
def test_missing_cells_are_no_evidence_and_infinite_ones_are(fitted: tuple[Detector, Any]) -> None:
    detector, data = fitted
    row = data.test.iloc[[0]].astype({"quantity": float})
    missing, infinite = row.assign(price=np.nan), row.assign(amount=np.inf)
    assert detector.p_value(missing)[0] > 0.01
    assert detector.decision_function(infinite)[0] > detector.decision_function(row)[0]


@each
def test_constant_channels_and_columns_do_not_stop_a_fit(modality: str, request: pytest.FixtureRequest) -> None:
    if modality == "image":
        rng = np.random.default_rng(0)
        normal: Any = [np.dstack([rng.integers(90, 99, (32, 32)), np.full((32, 32), 7), np.full((32, 32), 7)])
                       .astype(np.uint8) for _ in range(20)]  # fmt: skip
    else:
        normal = request.getfixturevalue(f"tiny_{modality}").normal.assign(site=1.0)
    detector = make_detector(modality, "multi_start", device="cpu", **FAST[modality]).fit(normal)
    assert np.isfinite(detector.decision_function(normal)).all()


@series
def test_a_constant_channel_that_moves_is_found(tiny_series: Any, modality: str) -> None:
    normal, test = tiny_series.normal.assign(valve=0.0), tiny_series.test.assign(valve=0.0)
    test.iloc[100:110, 3] = 1.0
    detector = make_detector(modality, "multi_start", device="cpu", **FAST[modality]).fit(normal)
    found = [d for d in detector.detect(test) if d.regions[0].start < 110 and d.regions[0].end > 100]
    assert "valve" in found[0].regions[0].channels


@table
def test_an_unseen_category_is_evidence_not_an_error(fitted: tuple[Detector, Any]) -> None:
    detector, data = fitted
    row = data.test.iloc[[0]]
    strange = row.assign(country=pd.Categorical(["XK"]))
    assert detector.p_value(strange)[0] < detector.p_value(row)[0]
    assert detector.p_value(strange)[0] <= 0.01


# ---------------------------------------------------------------- shapes and sizes


@table
def test_an_empty_table_is_refused_when_read_and_when_judged(fitted: tuple[Detector, Any], tmp_path: Path) -> None:
    (tmp_path / "empty.csv").write_text("")
    (tmp_path / "header.csv").write_text("a,b,c\n")
    assert "0 bytes" in sentence(read_source, tmp_path / "empty.csv")
    assert "no rows below its header" in sentence(read_source, tmp_path / "header.csv")
    assert "no rows" in sentence(fitted[0].decision_function, fitted[1].test.iloc[:0])


@table
def test_ten_rows_are_too_few_to_learn_from_and_enough_to_judge(fitted: tuple[Detector, Any]) -> None:
    detector, data = fitted
    fresh = make_detector("table", "multi_start", device="cpu", **FAST["table"])
    assert "10 normal" in sentence(fresh.fit, data.normal.iloc[:10])
    assert len(detector.decision_function(data.test.iloc[:10])) == 10


@series
def test_ten_stamps_are_too_few_to_learn_from(tiny_series: Any, modality: str) -> None:
    detector = make_detector(modality, "multi_start", device="cpu", **FAST[modality])
    sentence(detector.fit, tiny_series.normal.iloc[:10])


@pytest.mark.parametrize("modality", ["series", "table"])
def test_other_channels_than_at_the_fit_are_named(fitted: tuple[Detector, Any], modality: str) -> None:
    detector, data = fitted
    lost, renamed = data.test.columns[1], data.test.rename(columns={data.test.columns[1]: "other"})
    assert str(lost) in sentence(detector.decision_function, data.test.drop(columns=[lost]))
    assert "other" in sentence(detector.decision_function, renamed)


@each
def test_nothing_can_be_judged_before_a_fit(modality: str, request: pytest.FixtureRequest) -> None:
    data = request.getfixturevalue({"image": "tiny_images", "series": "tiny_series", "table": "tiny_table"}[modality])
    assert "not fitted" in sentence(make_detector(modality, "multi_start").decision_function, data.test)


@each
def test_settings_and_levels_are_checked(fitted: tuple[Detector, Any], modality: str) -> None:
    detector, data = fitted
    assert "alpha" in sentence(detector.detect, data.test, alpha=0)
    assert "fdr" in sentence(detector.detect, data.test, fdr=1.5)
    assert "unknown" in sentence(make_detector, modality, "no_such_method")
    assert "no_such_setting" in sentence(make_detector, modality, "multi_start", no_such_setting=1)
    assert "member" in sentence(detector.decision_function, data.test, member="nobody")


def test_an_unknown_modality_lists_the_known_ones() -> None:
    assert "table" in sentence(make_detector, "smell")
    assert "table" in sentence(read_source, ".", "smell")


# ---------------------------------------------------------------- model folders


@pytest.fixture
def model(tmp_path: Path, tiny_table: Any) -> Path:
    if "table" not in _fitted:
        _fitted["table"] = make_detector("table", "multi_start", device="cpu", **FAST["table"]).fit(tiny_table.normal)
    _fitted["table"].save(tmp_path / "model")
    return tmp_path / "model"


def test_a_model_of_another_version_is_refused(model: Path) -> None:
    head = json.loads((model / "detector.json").read_text())
    (model / "detector.json").write_text(json.dumps({**head, "format": 99}))
    assert "format 99" in sentence(load_detector, model)


@pytest.mark.parametrize("name", ["detector.json", "weights.safetensors"])
def test_a_model_that_was_cut_short_is_refused(model: Path, name: str) -> None:
    whole = (model / name).read_bytes()
    (model / name).write_bytes(whole[: len(whole) // 2])
    assert "cut short" in sentence(load_detector, model)
    (model / name).unlink()
    assert "Fit it again" in sentence(load_detector, model) or name == "detector.json"


def test_a_folder_that_is_no_model_says_so(tmp_path: Path) -> None:
    assert "not a model folder" in sentence(load_detector, tmp_path)


def test_a_model_is_never_written_over_other_files(model: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("work of years")
    assert "other files" in sentence(load_detector(model).save, tmp_path / "mine")
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "work of years"
