"""Detection keeps everything that is asked for later, goes past bad files, and learns from labels."""

import json

import numpy as np
import pandas as pd
import pytest
from fakes import FakeCalibration, FakeDetector
from PIL import Image
from shop import make_sources_once, open_shop, picture

from assistant import keeping, pipeline
from assistant.config import Config, load_config
from assistant.keeping import load_stretch
from assistant.pipeline import Workspace, fit_model, run_detection
from assistant.store import Store
from detectors.errors import AnomalyError


@pytest.fixture
def shop(tmp_path, monkeypatch):
    return open_shop(tmp_path, monkeypatch)


# --- detection --------------------------------------------------------------------------------------------------------


def test_an_image_run_keeps_samples_findings_and_pictures(shop):
    run = shop.store.run("R1")
    assert (run.modality, run.n_samples, run.n_flagged) == ("image", 10, 2)
    assert [(s.name, s.flagged, s.finding) for s in shop.store.samples("R1", flagged=True)] == [
        ("part_003.png", True, "F1"),
        ("part_007.png", True, "F2"),
    ]
    folder = shop.store.finding("F1").folder
    assert np.array_equal(np.asarray(Image.open(folder / "input.png")), picture((4, 6)))
    assert np.load(folder / "map.npy").shape == (24, 32)


def test_a_batch_goes_past_bad_files_and_lists_them(shop):
    assert [name for name, _ in shop.store.run("R1").skipped] == ["broken.png", "small.png"]


def test_the_most_anomalous_findings_are_drawn_at_once_the_others_when_asked_for(shop):
    assert (shop.store.finding("F1").folder / "counterfactual.png").is_file()
    assert not (shop.store.finding("F2").folder / "counterfactual.png").is_file()


def test_an_event_keeps_its_surroundings(shop):
    finding = shop.store.finding("F3")
    stretch = load_stretch(finding.folder)
    assert finding.time == "2024-03-02T01:00:00"
    assert (stretch.start, stretch.event, len(stretch.observed)) == (28, (60, 64), 68)
    assert np.allclose(stretch.observed[stretch.rows, 0], 9.0)
    assert str(stretch.times[0]).startswith("2024-03-02T00:28")
    assert stretch.expected is not None
    assert np.allclose(stretch.expected[~np.isclose(stretch.observed, stretch.expected)], 1.0, atol=0.2)
    assert len(shop.series("R2")) == 120
    assert len(shop.series_scores("R2")[0]) == 120


def test_a_row_keeps_its_values_and_its_map(shop):
    told = json.loads((shop.store.finding("F5").folder / "row.json").read_text())
    assert told["values"]["amount"] == 50.0
    assert set(told["map"]) == {"amount", "fee"}


def test_columns_are_kept_in_the_model_s_order(shop, tmp_path):
    frame = shop.series("R2")[["disk", "cpu"]]
    monkey = FakeDetector("series", shop.series("R2"))
    stretch = pipeline.SCORERS["series"].__globals__["_stretch"]
    batch = pipeline.Batch([], np.zeros(120), np.ones(120), 0.01)
    detection = monkey.detect(shop.series("R2"))[0]
    kept = stretch(monkey.info(), detection, frame, batch)
    assert kept.channels == ("cpu", "disk")
    assert kept.observed[kept.rows, 0].max() == pytest.approx(9.0)


def test_nothing_flagged_is_an_answer(shop, tmp_path):
    frame = pd.DataFrame({"amount": np.full(30, 10.0) + np.arange(30) % 3 / 10, "fee": 2.3 + np.arange(30) % 2 / 10})
    frame.to_csv(tmp_path / "quiet.csv", index=False)
    run = run_detection(shop, tmp_path / "quiet.csv", "/models/table")
    assert (run.n_flagged, shop.store.count_findings(run.id)) == (0, 0)
    assert len(shop.store.samples(run.id)) == 30


def test_the_false_discovery_rate_sets_the_level(shop):
    run = run_detection(shop, make_sources_once()["image"], "/models/image", fdr=0.05)
    assert run.fdr == 0.05
    assert run.n_flagged == 2
    assert run.alpha == pytest.approx(shop.store.findings(run.id)[0].p_value)
    none = run_detection(shop, make_sources_once()["image"], "/models/image", fdr=0.001)
    assert (none.n_flagged, none.alpha) == (0, pytest.approx(0.0001))


def test_findings_come_back_across_chunks_of_images(shop, monkeypatch):
    monkeypatch.setattr("assistant.scoring.CHUNK", 4)
    run = run_detection(shop, make_sources_once()["image"], "/models/image")
    assert [f.sample for f in shop.store.findings(run.id, order="index")] == ["part_003.png", "part_007.png"]
    assert [f.index for f in shop.store.findings(run.id, order="index")] == [3, 7]


def test_a_source_without_one_usable_image_keeps_nothing(shop, tmp_path):
    (tmp_path / "small").mkdir()
    for i in range(2):
        Image.fromarray(picture()[:9, :9]).save(tmp_path / "small" / f"{i}.png")
    with pytest.raises(AnomalyError, match="None of the 2 images can be scored"):
        run_detection(shop, tmp_path / "small", "/models/image")
    assert len(shop.store.runs()) == 3
    assert not list(shop.store.root.glob("staging/*"))


def test_an_interrupted_detection_keeps_nothing(shop, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(FakeDetector, "assess", stop)
    with pytest.raises(KeyboardInterrupt):
        run_detection(shop, make_sources_once()["table"], "/models/table")
    assert len(shop.store.runs()) == 3


@pytest.mark.parametrize("level", [{"alpha": 0.0}, {"alpha": 1.5}, {"fdr": -1.0}])
def test_levels_outside_zero_and_one_are_refused(shop, level):
    with pytest.raises(AnomalyError, match="must lie between 0 and 1"):
        run_detection(shop, make_sources_once()["table"], "/models/table", **level)


def test_a_missing_model_says_how_to_make_one(tmp_path, monkeypatch):
    workspace = Workspace(Store.open(tmp_path / "store"))
    with pytest.raises(AnomalyError, match=r"There is no model folder.*anomaly fit SOURCE --out"):
        run_detection(workspace, "x", tmp_path / "nowhere")


# --- fit --------------------------------------------------------------------------------------------------------------


def test_a_model_is_not_written_over_by_accident(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "detector.json").write_text("{}")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "diary.txt").write_text("dear")
    (tmp_path / "file").write_text("x")
    source = make_sources_once()["table"]
    with pytest.raises(AnomalyError, match="already holds a model; use --force"):
        fit_model(source, tmp_path / "model")
    with pytest.raises(AnomalyError, match="holds other things than a model"):
        fit_model(source, tmp_path / "other", force=True)
    with pytest.raises(AnomalyError, match="is a file"):
        fit_model(source, tmp_path / "file")


def test_a_fitted_model_detects_and_answers(tmp_path, tiny_table):
    model, workspace = tmp_path / "model", Workspace(Store.open(tmp_path / "store"), Config(pictures=1, device="cpu"))
    info = fit_model(tiny_table.normal, model, "table", settings={"train_steps": 60, "seed": 3})
    assert (info["modality"], info["seed"]) == ("table", 3)
    assert not model.with_name("model.partial").exists()
    run = run_detection(workspace, tiny_table.test, model, alpha=0.02)
    found = {finding.index for finding in workspace.store.findings(run.id)}
    assert len(found & set(tiny_table.anomalous)) >= 8
    worst = workspace.store.findings(run.id, limit=1)[0]
    specimen = workspace.specimen(worst)
    assert specimen.judge(specimen.samples()).score == pytest.approx(worst.score, rel=1e-3)
    assert specimen.judge(specimen.repaired(specimen.without("amount"))).p_value > worst.p_value


# --- settings ---------------------------------------------------------------------------------------------------------


def test_flags_beat_the_environment_which_beats_the_file(tmp_path, monkeypatch):
    (tmp_path / "anomaly.toml").write_text('llm = "openai:a"\nport = 1000\nalpha = 0.05\n')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ANOMALY_LLM", "openai:b")
    monkeypatch.setenv("ANOMALY_PORT", "2000")
    config = load_config(port=3000, llm=None)
    assert (config.llm, config.port, config.alpha, config.host) == ("openai:b", 3000, 0.05, "127.0.0.1")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("colour = 'red'", "'colour' in .* is unknown; known: store"),
        ("port = 'many'", "must be a whole number"),
        ("max_steps = 2.5", "must be a whole number"),
        ("alpha = 7", "must lie between 0 and 1"),
        ("api_key = 'x'", "is a secret and does not belong in"),
        ("= x", "cannot be read"),
    ],
)
def test_a_bad_setting_is_said_with_its_place(tmp_path, text, message):
    (tmp_path / "settings.toml").write_text(text)
    with pytest.raises(AnomalyError, match=message):
        load_config(tmp_path / "settings.toml")


def test_a_named_settings_file_must_be_there(tmp_path):
    with pytest.raises(AnomalyError, match="There is no configuration file"):
        load_config(tmp_path / "none.toml")


def test_the_key_is_read_from_the_environment_and_never_shown(monkeypatch):
    monkeypatch.setenv("ANOMALY_API_KEY", "very-secret")
    config = load_config()
    assert config.api_key == "very-secret"
    assert "very-secret" not in repr(config)


# --- files ------------------------------------------------------------------------------------------------------------


def test_a_lost_file_is_said_plainly(shop):
    (shop.store.finding("F4").folder / "window.npz").unlink()
    with pytest.raises(AnomalyError, match=r"The store lost .*window\.npz or it is damaged"):
        shop.specimen("F4")


def test_values_become_plain_json():
    value = {"a": np.float32(0.5), "b": np.nan, "c": pd.NaT, "d": np.array([1, 2]), "e": pd.Timestamp("2024-01-01")}
    assert keeping.plain(value) == {"a": 0.5, "b": None, "c": None, "d": [1, 2], "e": "2024-01-01 00:00:00"}


def test_the_fake_detector_calibrates_like_the_real_one():
    from detectors.calibration import Calibration

    scores = np.linspace(0, 3, 499)
    inside = np.array([0.1, 1.5, 2.9])
    assert np.allclose(FakeCalibration(scores).p_value(inside), Calibration(scores).p_value(inside))
