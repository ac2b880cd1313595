"""The evaluation suites: worlds are what their seeds say, truth is where it is said, and a smoke run goes through."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from assistant.evals import CASES, planted_images, planted_series, planted_tables, run_suites
from assistant.evals.generated import in_mask, load_worlds
from assistant.evals.table import Job, Line, counted, shown, summed
from assistant.kinds import load_kinds
from detectors.errors import AnomalyError


def test_there_are_three_hundred_cases_and_a_third_is_held_out() -> None:
    open_, held = (sum(sum(spec["plants"].values()) for spec in load_worlds(CASES, held)) for held in (False, True))
    assert open_ + held >= 300
    assert held >= 0.3 * (open_ + held)
    assert not {s["seed"] for s in load_worlds(CASES)} & {s["seed"] for s in load_worlds(CASES, held_out=True)}


def test_every_planted_kind_is_a_known_kind() -> None:
    known = {(kind.modality, kind.name) for kind in load_kinds().all}
    for held in (False, True):
        for spec in load_worlds(CASES, held):
            assert {(spec["modality"], kind) for kind in spec["plants"]} <= known


def test_a_series_world_changes_only_what_it_planted() -> None:
    kinds = dict.fromkeys(planted_series.FAULTS, 1)
    one, two = (planted_series.make_world("line", 3, kinds) for _ in range(2))
    clean = planted_series._line(1003, len(one.test)).round(4)
    assert one.test.equals(two.test)
    changed = (one.test.to_numpy() != clean.to_numpy()).copy()
    for plant in one.plants:
        assert changed[plant.index : plant.end, list(one.test).index(plant.place)].any()
        changed[plant.index : plant.end, list(one.test).index(plant.place)] = False
    assert not changed.any()


def test_a_table_world_breaks_one_cell_a_row() -> None:
    world = planted_tables.make_world("ovens", 3, dict.fromkeys(planted_tables._CHANGE, 2), rows=200)
    clean = planted_tables._ovens(1003, len(world.test), 90001)
    differs = (world.test.fillna("") != clean.fillna("")).to_numpy()
    assert differs.sum() == len(world.plants) == 12
    assert all(differs[plant.index, list(clean).index(plant.place)] for plant in world.plants)


def test_a_picture_world_masks_what_it_drew() -> None:
    kinds = dict.fromkeys((*planted_images._ON_PICTURE, "missing part", "misplaced"), 1)
    world = planted_images.make_world("panels", 3, kinds, normals=2)
    for plant in world.plants:
        assert plant.mask is not None
        assert 20 < plant.mask.sum() < 0.1 * plant.mask.size
    assert len(world.test) == len(world.plants) + len(world.plants) // 3


def test_the_peak_may_lie_a_little_beside_the_mask() -> None:
    mask = np.zeros((20, 20), bool)
    mask[5:8, 5:8] = True
    assert in_mask((6, 6), mask)
    assert in_mask((6, 10), mask)
    assert not in_mask((6, 14), mask)
    assert not in_mask((0, 0), np.zeros((4, 4), bool))


def test_lines_are_counted_and_summed() -> None:
    lines = [counted("a", "right", [(True, ""), (False, "F1")]), counted("b", "right", [(True, "")])]
    assert [line.value for line in lines] == [0.5, 1.0]
    assert summed(lines)[0].value == pytest.approx(2 / 3)
    assert "F1" in shown("t", [*lines, Line("a", "mean", 0.25)], misses=3)


def test_an_unknown_suite_and_missing_cases_are_said(tmp_path: Path) -> None:
    with pytest.raises(AnomalyError, match="no suite 'dreams'"):
        run_suites(["dreams"], Job(CASES))
    with pytest.raises(AnomalyError, match="no cases"):
        run_suites([], Job(tmp_path / "none"))
    with pytest.raises(AnomalyError, match="--data"):
        run_suites(["real"], Job(CASES))


def test_a_smoke_run_finds_names_tests_and_answers() -> None:
    found = run_suites(["generated"], Job(CASES, quick=True))["generated"]
    shares = {line["measure"]: line["value"] for line in found["lines"] if line["group"] == "all"}
    assert shares["planted anomalies flagged"] >= 0.75
    assert shares["place right (pointing game)"] == 1
    assert shares["kind right"] >= 0.7
    assert shares["repairing an equal random place: normal again"] <= 0.3
    for needs in ("kind", "part", "time", "p", "trust"):
        assert shares[f"answers, {needs}"] == 1, needs
