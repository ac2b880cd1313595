"""Groups that are proposed as incidents: by time, place and looks, never over two kinds; incidents over modalities."""

from __future__ import annotations

import numpy as np
import pytest

from assistant import incidents
from assistant.records import NewFinding, Run
from assistant.store import Store

UP, DOWN = np.array([1.0, 0.1], "<f4").tobytes(), np.array([-1.0, 0.1], "<f4").tobytes()


@pytest.fixture
def store(tmp_path):
    return Store.open(tmp_path)


def run(modality: str) -> Run:
    return Run("", "", f"/data/{modality}", modality, f"/models/{modality}", "default", 0.01, None, 100, 0, {}, [])


def image(index: int, place: str, kind: str, looks: bytes) -> NewFinding:
    region = {"name": "region 1", "position": place, "share": 1.0, "peak": 2.0, "box": [0, 0, 4, 4]}
    return NewFinding(f"part_{index}.png", index, 1.0, 0.001, regions=[region], kind=kind, signature=looks)


def event(start: int, channel: str) -> NewFinding:
    region = {"name": "interval 1", "start": start, "end": start + 10, "share": 1.0, "position": ""}
    part = {"name": channel, "share": 1.0, "observed": 1.0, "expected": 0.0}
    name = f"{start}..{start + 10}"
    return NewFinding(name, start, 1.0, 0.001, regions=[region], parts=[part], kind="spike", signature=UP)


def grouped(store: Store, modality: str, *findings: NewFinding) -> list[list[str]]:
    made = store.add_run(run(modality), [], findings)
    return [group.members for group in incidents.together(store, made.id)]


def test_a_group_holds_one_place_one_look_and_never_two_kinds(store):
    found = grouped(
        store, "image", image(0, "upper left", "stain", UP), image(1, "upper left", "unclear", UP),
        image(2, "upper left", "scratch", UP), image(3, "upper left", "stain", DOWN), image(4, "centre", "stain", UP),
    )  # fmt: skip
    assert found[0] == ["F1", "F2"]
    assert sorted(found[1:]) == [["F3"], ["F4"], ["F5"]]


def test_findings_without_looks_are_told_together_by_kind_and_place(store):
    found = grouped(store, "image", *(image(i, "centre", kind, b"") for i, kind in enumerate(["stain", "stain", ""])))
    assert found == [["F1", "F2"], ["F3"]]


def test_events_belong_together_only_in_time(store):
    assert grouped(store, "series", event(0, "cpu"), event(30, "cpu"), event(500, "cpu"), event(505, "disk")) == [
        ["F1", "F2"],
        ["F3"],
        ["F4"],
    ]


def test_an_incident_over_two_modalities_says_how_many_of_each(store):
    grouped(store, "image", image(0, "centre", "stain", UP), image(1, "centre", "stain", UP))
    grouped(store, "series", event(0, "cpu"))
    made = incidents.open_incident(store, ["F3", "F1", "F2"])
    assert made.title == "3 findings: 2 in images, 1 in series"
    assert store.modalities(incident=made.id) == {"image": 2, "series": 1}
