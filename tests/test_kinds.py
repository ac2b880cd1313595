"""Kinds of anomaly: judged from descriptors by rules and prototypes that are data; unclear where nothing fits."""

from __future__ import annotations

from pathlib import Path

import pytest

from assistant.kinds import UNCLEAR, Bound, Kinds, leading_numbers, load_kinds, prototype, read_kinds
from detectors.errors import AnomalyError

SPIKE = {"duration": 2, "peak_departure": 6.0}


def test_a_spike_is_named_and_the_same_numbers_lasting_long_are_not() -> None:
    kinds = load_kinds()
    assert kinds.judge("series", SPIKE).kind == "spike"
    assert kinds.judge("series", {**SPIKE, "duration": 60}).kind != "spike"


def test_nothing_measured_is_unclear() -> None:
    judged = load_kinds().judge("series", {})
    assert (judged.kind, judged.confidence) == (UNCLEAR, 0.0)


def test_two_kinds_that_fit_alike_are_less_sure_than_one() -> None:
    kinds = load_kinds()
    alone = kinds.judge("table", {"missing": 100.0})
    both = kinds.judge("table", {"missing": 100.0, "beyond_range": 80.0, "decimal_misfit": 0.4})
    assert alone.kind == "missing value"
    assert both.confidence < 0.6 < alone.confidence


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("list the scratches", "scratch"),
        ("is it a level shift?", "level shift"),
        ("show all dropouts", "dropout"),
        ("any missing parts?", "missing part"),
        ("what was flagged?", None),
    ],
)
def test_kinds_are_found_in_questions_by_their_words(text: str, kind: str | None) -> None:
    assert load_kinds().called(text) == kind


def test_a_bound_is_half_true_at_its_edge() -> None:
    assert Bound(least=4, soft=1).fit(4) == pytest.approx(0.5)
    assert Bound(least=4, soft=1).fit(6) > 0.95
    assert Bound(most=4, soft=1).fit(6) < 0.05
    assert Bound(least=4).fit(None) == Bound(least=4).fit(float("nan")) == 0.0


def test_a_kind_made_from_findings_is_found_again_and_not_elsewhere(tmp_path: Path) -> None:
    examples = [{"duration": 40, "rise": 5.0, "tied": "a"}, {"duration": 44, "rise": 5.5, "tied": "b"}]
    (tmp_path / "own.yaml").write_text(prototype("slow heave", "series", examples, "It heaves."))
    kinds = load_kinds(tmp_path)
    assert kinds.judge("series", {"duration": 42, "rise": 5.2}).kind == "slow heave"
    assert kinds.judge("series", {"duration": 2, "rise": 400.0}).kind != "slow heave"
    assert kinds.judge("series", SPIKE).kind == "spike"


def test_an_own_kind_of_a_known_name_takes_its_place(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("- {name: spike, modality: series, conditions: {duration: {least: 100}}}")
    assert load_kinds(tmp_path).judge("series", {**SPIKE, "duration": 200}).kind == "spike"


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("{a: 1}", "not a list"),
        ("- {name: x}", "name and modality"),
        ("- {name: x, modality: image, conditions: {a: {lowest: 3}}}", "kind 1"),
        ("- {name: x, modality: image, conditions: {a: {least: 3, soft: 0}}}", "soft"),
        ("- [", "cannot be read"),
    ],
)
def test_a_broken_file_of_kinds_is_named(tmp_path: Path, text: str, wrong: str) -> None:
    (tmp_path / "bad.yaml").write_text(text)
    with pytest.raises(AnomalyError, match=wrong):
        read_kinds(tmp_path / "bad.yaml")


def test_a_missing_folder_of_kinds_is_said(tmp_path: Path) -> None:
    with pytest.raises(AnomalyError, match="no folder of kinds"):
        load_kinds(tmp_path / "none")


def test_every_built_in_kind_can_be_read_by_people_and_judged() -> None:
    for kind in load_kinds().all:
        assert kind.description, kind.name
        assert kind.groups or kind.prototypes, kind.name
    assert isinstance(load_kinds(), Kinds)


def test_the_first_part_measured_leads() -> None:
    rows = [{"part": p, "name": n, "value": v} for p, n, v in (("a", "x", 1), ("a", "y", 2), ("b", "x", 3))]
    assert leading_numbers(rows) == {"x": 1, "y": 2}
    assert leading_numbers([]) == {}
