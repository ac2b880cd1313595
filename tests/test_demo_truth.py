"""What the detectors find in the built-in case against what was planted. The whole case takes a minute of computing,
so it is checked on request alone: ANOMALY_WHOLE_DEMO=1."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import Any

import pytest

from assistant.demo import machine, opening, prepare_demo
from assistant.pipeline import Workspace
from assistant.records import Finding
from detectors import make_detector

WHOLE = pytest.mark.skipif(not os.environ.get("ANOMALY_WHOLE_DEMO"), reason="set ANOMALY_WHOLE_DEMO=1 for the minute")


def overlap(first: Sequence[int], second: Sequence[int]) -> float:
    """Intersection over union of two boxes (left, top, right, bottom)."""
    width = max(0, min(first[2], second[2]) - max(first[0], second[0]))
    height = max(0, min(first[3], second[3]) - max(first[1], second[1]))
    both = width * height
    areas = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (first, second))
    return both / (areas - both)


def test_every_fault_of_the_pump_is_found_with_its_channel_and_nothing_else() -> None:
    task = next(task for task in opening.TASKS if task.modality == "series")
    normal = machine.simulate(0, "2024-03-04", 5).round(3)
    test = machine.plant(machine.simulate(1, "2024-03-11", 2), 0)
    found = make_detector("series", device="cpu", **task.settings).fit(normal).detect(test, alpha=task.alpha)
    assert len(found) == len(machine.FAULTS)
    for fault, detection in zip(machine.FAULTS, found, strict=True):
        region = detection.regions[0]
        assert region.start is not None
        assert region.end is not None
        assert region.start < fault.end
        assert region.end > fault.start
        assert region.channels[0] == fault.channel


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("whole") / "anomaly-demo"
    workspace = prepare_demo(folder)
    return workspace, json.loads((folder / "case" / "truth" / "truth.json").read_text())


def findings(workspace: Workspace, modality: str) -> dict[str, Finding]:
    run = next(run for run in workspace.store.runs() if run.modality == modality)
    return {finding.sample: finding for finding in workspace.store.findings(run.id, limit=1000)}


@WHOLE
def test_every_defect_of_the_parts_is_found_in_its_place(whole: tuple[Workspace, dict[str, Any]]) -> None:
    found = findings(whole[0], "image")
    bad = {part["sample"]: part["defects"] for part in whole[1]["parts"] if part["defects"]}
    assert set(found) == set(bad)
    for sample, defects in bad.items():
        for defect in defects:
            assert max(overlap(region["box"], defect["box"]) for region in found[sample].regions) > 0.4


@WHOLE
def test_every_mistake_in_the_orders_is_found_with_its_feature(whole: tuple[Workspace, dict[str, Any]]) -> None:
    found = findings(whole[0], "table")
    for mistake in whole[1]["orders"]:
        assert found[mistake["sample"]].parts[0]["name"] in mistake["features"]
    assert len(found) <= len(whole[1]["orders"]) + 6  # alpha lets one in a hundred good rows through


@WHOLE
def test_every_fault_of_the_pump_is_found_in_the_store(whole: tuple[Workspace, dict[str, Any]]) -> None:
    found = findings(whole[0], "series").values()
    for fault in whole[1]["pump"]:
        hits = [f for f in found for r in f.regions if r["start"] < fault["end"] and r["end"] > fault["start"]]
        assert [f.parts[0]["name"] for f in hits] == [fault["channel"]]
