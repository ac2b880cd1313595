"""The built-in case: whole, the same every time, true to its own rules, and told truthfully."""

from __future__ import annotations

import hashlib
import json
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from assistant.demo import case, machine, make_case, open_demo, opening, orders, prepare_demo
from assistant.demo.parts import SIZE, Defect, draw_part
from detectors.data import read_source
from detectors.errors import AnomalyError


@pytest.fixture(scope="module")
def small_case(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real test sets with few normals."""
    patch = pytest.MonkeyPatch()
    patch.setattr(case, "N_PARTS", 4)
    patch.setattr(case, "N_ORDERS", 200)
    patch.setattr(case, "DAYS", 1)
    folder = make_case(tmp_path_factory.mktemp("demo") / "case")
    patch.undo()
    return folder


@pytest.fixture(scope="module")
def truth(small_case: Path) -> dict[str, Any]:
    return json.loads((small_case / "truth" / "truth.json").read_text())


# ---------------------------------------------------------------- files


def test_every_set_of_the_case_is_read_without_a_word_of_help(small_case: Path) -> None:
    kinds = {"parts/normal": "image", "parts/test": "image", "pump/test.csv": "series", "orders/test.csv": "table"}
    for path, modality in kinds.items():
        source = read_source(small_case / path)
        assert (source.modality, source.skipped) == (modality, [])


def test_an_interrupted_start_leaves_nothing_half_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(case, "N_PARTS", 2)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        make_case(tmp_path / "case", progress=interrupt)
    assert not (tmp_path / "case").exists()
    monkeypatch.setattr(case, "TEST_PARTS", ((),))
    make_case(tmp_path / "case")
    assert (tmp_path / "case" / "truth" / "truth.json").exists()
    assert [path.name for path in tmp_path.iterdir()] == ["case"]


def test_a_case_that_is_there_is_left_as_it_is(small_case: Path) -> None:
    before = (small_case / "orders" / "test.csv").stat().st_mtime_ns
    make_case(small_case, seed=5)
    assert (small_case / "orders" / "test.csv").stat().st_mtime_ns == before


# ---------------------------------------------------------------- parts


def test_the_same_seed_draws_the_same_part() -> None:
    first, second = (hashlib.sha256(draw_part([0, 7])[0].tobytes()).hexdigest() for _ in range(2))
    assert first == second
    assert not np.array_equal(draw_part([0, 7])[0], draw_part([0, 8])[0])


@pytest.mark.parametrize(
    "defect",
    [
        Defect("scratch", (47, -8), 52, angle=1.9),
        Defect("stain", (42, 26), 15, tone="rust"),
        Defect("stain", (-42, -22), 13, tone="oil"),
        Defect("missing hole", which=1),
        Defect("broken corner", which=0, size=25),
    ],
)
def test_a_defect_changes_the_picture_where_its_mask_says(defect: Defect) -> None:
    good, _ = draw_part([0, 0])
    bad, masks = draw_part([0, 0], [defect])
    change = np.abs(good.astype(float) - bad).mean(2)
    inside, outside = change[masks[0]].mean(), change[~masks[0]].mean()
    assert inside > 9
    # the noise differs from picture to picture once a defect draws random numbers, so some change is everywhere
    assert inside > 2 * outside


def test_boxes_hold_the_masks(small_case: Path, truth: dict[str, Any]) -> None:
    defects = [defect for part in truth["parts"] for defect in part["defects"]]
    assert {defect["kind"] for defect in defects} == {"scratch", "stain", "missing hole", "broken corner"}
    for defect in defects:
        mask = np.asarray(Image.open(small_case / defect["mask"]))
        left, top, right, bottom = defect["box"]
        assert mask.shape == (SIZE, SIZE)
        assert mask.sum() == mask[top:bottom, left:right].sum() == defect["area"] > 40


def test_file_names_do_not_tell_the_defects(small_case: Path) -> None:
    names = [path.name for path in (small_case / "parts" / "test").iterdir()]
    assert not any(word in name for name in names for word in ("scratch", "stain", "hole", "corner", "good"))


# ---------------------------------------------------------------- the pump


def test_a_normal_run_obeys_its_physics() -> None:
    run = machine.simulate(3, "2024-01-01", 2)
    power = run["flow_l_min"] * run["pressure_bar"] / 600
    current = 4.2 + 5.4 * run["speed_rpm"] / 1500 + 3.6 * power
    assert (run["motor_current_a"] - current).abs().max() < 0.6
    night, day = run.between_time("00:00", "05:00"), run.between_time("10:00", "11:30")
    assert day["flow_l_min"].mean() > 1.3 * night["flow_l_min"].mean()


def test_each_fault_changes_its_channel_alone(truth: dict[str, Any]) -> None:
    normal = machine.simulate(1, "2024-03-11", 2)
    faulty = machine.plant(normal, 0)
    changed = (normal.round(3) != faulty).to_numpy()
    planted = np.zeros_like(changed)
    for fault in truth["pump"]:
        planted[fault["start"] : fault["end"], list(faulty).index(fault["channel"])] = True
        assert str(faulty.index[fault["start"]].isoformat()) == fault["start_time"]
    assert not (changed & ~planted).any()
    assert changed.sum() > 0.95 * planted.sum()


# ---------------------------------------------------------------- the orders


def test_normal_orders_add_up() -> None:
    frame = orders.make_orders(0, 400).dropna()
    assert np.allclose(frame["amount"], frame["quantity"] * frame["unit_price"], atol=0.02)
    assert np.allclose(frame["vat"], frame["amount"] * frame["country"].map(orders.VAT), atol=0.02)
    assert np.allclose(frame["total"], frame["amount"] + frame["vat"] + frame["shipping"], atol=0.02)


def test_each_mistake_is_one_cell_of_one_order(small_case: Path, truth: dict[str, Any]) -> None:
    clean = orders.make_orders(0, case.N_TEST_ORDERS, first=20001)
    broken = pd.read_csv(small_case / "orders" / "test.csv")
    differs = (clean.fillna("") != broken.fillna("")).to_numpy()
    assert differs.sum() == len(truth["orders"]) == len(orders.MISTAKES)
    for mistake in truth["orders"]:
        assert broken.loc[mistake["row"], "order_id"] == mistake["sample"]
        assert differs[mistake["row"], list(broken).index(mistake["features"][0])]


# ---------------------------------------------------------------- opening


@pytest.fixture(scope="module")
def quick() -> Iterator[None]:
    """A small case and hardly trained models, so that preparing takes seconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(case, "N_PARTS", 24)
        patch.setattr(case, "N_ORDERS", 300)
        patch.setattr(case, "DAYS", 1)
        patch.setattr(case, "TEST_PARTS", case.TEST_PARTS[:6])
        short = {"train_steps": 5, "width": 32, "depth": 1}
        small = {"series": short, "table": short, "image": {**short, "size": 48}}
        patch.setattr(opening, "TASKS", [replace(task, settings=small[task.modality]) for task in opening.TASKS])
        yield


@pytest.fixture(scope="module")
def prepared(quick: None, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[tuple[float, str]]]:
    """A first start that was interrupted while the second model was fitted, and then gone through with."""
    folder, told = tmp_path_factory.mktemp("home") / "anomaly-demo", []

    def interrupt(done: float, text: str) -> None:
        if "orders" in text:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        prepare_demo(folder, interrupt)
    assert (folder / "models" / "pump" / "detector.json").is_file()
    assert not (folder / "models" / "orders" / "detector.json").exists()
    (folder / "models" / "pump" / "detector.json").touch()
    before = (folder / "models" / "pump" / "detector.json").stat().st_mtime_ns
    prepare_demo(folder, lambda done, text: told.append((done, text)))
    assert (folder / "models" / "pump" / "detector.json").stat().st_mtime_ns == before
    return folder, told


def test_a_first_start_that_was_interrupted_goes_on_and_ends_with_findings(
    prepared: tuple[Path, list[tuple[float, str]]],
) -> None:
    folder, told = prepared
    workspace = prepare_demo(folder)
    runs = workspace.store.runs()
    assert sorted(run.modality for run in runs) == ["image", "series", "table"]
    assert workspace.store.run(None).modality == "image"  # what a question without a run is about
    fractions = [done for done, _ in told]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0


def test_the_second_start_makes_nothing_again(
    prepared: tuple[Path, list[tuple[float, str]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("make_case", "fit_model", "run_detection"):
        monkeypatch.setattr(opening, name, None)
    assert len(prepare_demo(prepared[0]).store.runs()) == 3


def test_the_truth_is_out_of_the_detectors_sight(prepared: tuple[Path, list[tuple[float, str]]]) -> None:
    runs = prepare_demo(prepared[0]).store.runs()
    assert not any("truth" in run.source for run in runs)


def test_a_folder_with_other_things_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("work of years")
    with pytest.raises(AnomalyError, match="holds other things"):
        prepare_demo(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_a_port_in_use_is_said_before_anything_is_made(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(AnomalyError, match="cannot be served"):
            open_demo(tmp_path / "demo", port=taken.getsockname()[1])
    assert not (tmp_path / "demo").exists()
