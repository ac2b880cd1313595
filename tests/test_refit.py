"""A refit takes the labels in, keeps the old model, and says what it was made of."""

import pandas as pd
import pytest

from assistant.config import Config
from assistant.feedback.refit import _event, _joiner, refit
from assistant.pipeline import Workspace, fit_model, run_detection
from assistant.store import Store
from detectors.errors import AnomalyError

FAST = {"method": "diffusion_time", "settings": {"seed": 3}}


@pytest.fixture
def workspace(tmp_path):
    return Workspace(Store.open(tmp_path / "store"), Config(pictures=0, device="cpu"))


def test_labelled_rows_join_the_normals(workspace, tiny_table, tmp_path):
    normals = tmp_path / "orders.csv"
    tiny_table.normal.to_csv(normals, index=False)
    info = fit_model(normals, tmp_path / "model", "table", **FAST)
    assert info["fit_source"] == str(normals)
    run = run_detection(workspace, tiny_table.test, tmp_path / "model", alpha=0.05)
    wrong, right = [one.id for one in workspace.store.findings(run.id)][:2]
    workspace.store.label(wrong, "normal")
    workspace.store.label(right, "anomaly")
    made = refit(workspace, tmp_path / "model-2", test=False, why="a new supplier")
    assert (made.normals, made.anomalies) == ([wrong], [])
    assert made.info["n_samples"] == info["n_samples"] + 1
    assert made.info["model_hash"] != info["model_hash"]
    tiny_table.normal.iloc[:300].to_csv(normals, index=False)
    assert "not those of the first fit" in refit(workspace, tmp_path / "model-3", test=False).notes[-1]
    assert made.notes == [f"Method {run.method} learns nothing from known anomalies; the confirmed ones take no part."]
    assert (tmp_path / "model" / "detector.json").is_file()
    logged = workspace.store.changes(action="refitted")[-1]
    assert (logged.why, logged.after["normals"], logged.before["model_hash"]) == (
        "a new supplier", [wrong], info["model_hash"])  # fmt: skip


def test_confirmed_findings_are_shown_to_a_method_that_learns_from_them(workspace, tiny_table, tmp_path):
    normals = tmp_path / "orders.csv"
    tiny_table.normal.iloc[:120].to_csv(normals, index=False)
    slow = {"train_steps": 20, "seed": 3}
    fit_model(normals, tmp_path / "model", "table", "counterfactual_guidance", slow)
    run = run_detection(workspace, tiny_table.test, tmp_path / "model", alpha=0.3)
    right = workspace.store.findings(run.id)[0].id
    workspace.store.label(right, "anomaly")
    made = refit(workspace, tmp_path / "model-2", test=False)
    assert (made.normals, made.anomalies) == ([], [right])
    assert made.info["model_hash"] != run.info["model_hash"]


def test_a_refit_says_what_is_in_the_way(workspace, tiny_table, tmp_path):
    fit_model(tiny_table.normal, tmp_path / "model", "table", **FAST)
    run_detection(workspace, tiny_table.test, tmp_path / "model")
    with pytest.raises(AnomalyError, match="does not say what it was fitted on; name it with --source"):
        refit(workspace, tmp_path / "model-2")
    with pytest.raises(AnomalyError, match="is the model itself"):
        refit(workspace, tmp_path / "model")


def test_events_and_pictures_join_as_their_own_pieces(tmp_path, monkeypatch):
    from shop import open_shop

    shop = open_shop(tmp_path, monkeypatch)
    event = _event(shop, shop.store.finding("F3"))
    assert list(event.columns) == ["cpu", "disk"]
    assert (event["cpu"] > 8).sum() == 4
    assert event.index[0] == pd.Timestamp("2024-03-02T00:52")
    joined = _joiner("series", [event])(pd.DataFrame({"cpu": [1.0], "disk": [2.0]}))
    assert [len(piece) for piece in joined] == [1, 20]
    assert _joiner("image", [tmp_path / "b.png"])([tmp_path / "a.png"]) == [tmp_path / "a.png", tmp_path / "b.png"]
