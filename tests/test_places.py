"""Places that a person draws: a box in a picture, rows of an event; measured and repaired, or refused in a sentence."""

from __future__ import annotations

import pytest
from shop import open_shop

from assistant import tools


@pytest.fixture
def shop(tmp_path, monkeypatch):
    return open_shop(tmp_path, monkeypatch)


@pytest.fixture
def names(shop):
    """One finding of each run by modality: part_003 (a square at 4, 6, 8 x 5 px), cpu in rows 60 to 63, row 5."""
    found = {}
    for run, sample in (("R1", "part_003"), ("R2", "60"), ("R3", "row 5")):
        found[run] = next(f.id for f in shop.store.findings(run) if sample in f.sample)
    return found


def facts(evidence, subject):
    return {fact.field: fact.value for fact in evidence.facts if fact.subject == subject}


def test_a_box_around_the_defect_holds_the_score(shop, names):
    name = names["R1"]
    told = facts(tools.call(shop, "look_at_place", finding=name, box=[3, 5, 13, 12]), f"{name}/box")
    assert told["share"] == pytest.approx(100.0)
    assert (told["left"], told["top"], told["width"], told["height"]) == (3, 5, 10, 7)
    assert told["touches"] == "region 1"
    assert told["odd_share"] == pytest.approx(100 * 40 / 70)


def test_a_box_beside_the_defect_holds_nothing(shop, names):
    name = names["R1"]
    told = facts(tools.call(shop, "look_at_place", finding=name, box=[20, 14, 30, 22]), f"{name}/box")
    assert told["share"] == 0.0
    assert told["touches"] == "no named place"


def test_repairing_the_box_of_the_defect_returns_it_to_normal_and_another_does_not(shop, names):
    name = names["R1"]
    right = tools.call(shop, "what_if_repaired", finding=name, box=[3, 5, 13, 12])
    wrong = tools.call(shop, "what_if_repaired", finding=name, box=[20, 14, 30, 22])
    assert facts(right, name)["returns_to_normal"] is True
    assert facts(wrong, name)["returns_to_normal"] is False
    assert shop.store.path(right.pictures[0]).is_file()


def test_rows_of_an_event_are_measured_and_repaired(shop, names):
    name = names["R2"]
    told = tools.call(shop, "look_at_place", finding=name, rows=[60, 63])
    assert facts(told, f"{name}/rows")["flagged_stamps"] == 4
    assert facts(told, f"{name}/rows")["start_time"] == "2024-03-02 01:00"
    assert facts(told, f"{name}/channel cpu")["observed"] == pytest.approx(9.0, abs=0.2)
    quiet = facts(tools.call(shop, "look_at_place", finding=name, rows=[50, 55]), f"{name}/rows")
    assert quiet["flagged_stamps"] == 0
    repaired = tools.call(shop, "what_if_repaired", finding=name, rows=[60, 63], part="cpu")
    assert facts(repaired, name)["returns_to_normal"] is True
    half = tools.call(shop, "what_if_repaired", finding=name, rows=[60, 61])
    assert facts(half, name)["returns_to_normal"] is False


@pytest.mark.parametrize(
    ("run", "asked", "told"),
    [
        ("R1", {"box": [50, 50, 60, 60]}, "holds no pixel"),
        ("R1", {"box": [9, 5, 3, 12]}, "left must be less"),
        ("R1", {"box": [1, 2, 3]}, "four numbers"),
        ("R1", {"rows": [1, 2]}, "no event of a series"),
        ("R1", {}, "Say one place"),
        ("R2", {"box": [1, 2, 3, 4]}, "no picture"),
        ("R2", {"rows": [5000, 5001]}, "not among them"),
        ("R2", {"rows": [63, 60]}, "no such pair"),
        ("R3", {"rows": [1, 2]}, "no event of a series"),
    ],
)
def test_a_place_that_is_none_is_refused_in_one_sentence(shop, names, run, asked, told):
    evidence = tools.call(shop, "look_at_place", finding=names[run], **asked)
    assert evidence.status == "error"
    assert told in evidence.note


def test_a_box_beyond_the_edge_is_cut(shop, names):
    name = names["R1"]
    told = facts(tools.call(shop, "look_at_place", finding=name, box=[-5, -5, 100, 100]), f"{name}/box")
    assert (told["left"], told["top"], told["width"], told["height"]) == (0, 0, 32, 24)


@pytest.mark.parametrize(("run", "asked"), [("R3", {"box": [0, 0, 2, 2]}), ("R1", {"rows": [1, 2]})])
def test_what_has_no_such_place_cannot_be_repaired_there(shop, names, run, asked):
    evidence = tools.call(shop, "what_if_repaired", finding=names[run], **asked)
    assert evidence.status == "error"
    assert names[run] in evidence.note


# --- asked in words -----------------------------------------------------------------------------------------------


def asked(shop, question, focus=None):
    from assistant.agent import Assistant

    return Assistant(shop, llm="narrator").ask(question, focus=focus)


def test_the_narrator_answers_about_a_drawn_box(shop, names):
    answer = asked(shop, f"What is in the box [3, 5, 13, 12] of {names['R1']}?")
    assert [step.tool for step in answer.steps] == ["look_at_place"]
    assert "100%" in answer.text
    assert "region 1" in answer.text
    assert not answer.removed


def test_the_narrator_repairs_drawn_rows(shop, names):
    answer = asked(shop, f"Repair rows [60, 63] of {names['R2']}, please")
    assert [step.tool for step in answer.steps] == ["what_if_repaired"]
    assert "above alpha" in answer.text
    assert not answer.removed


def test_the_narrator_answers_about_quiet_rows_of_what_is_open(shop, names):
    answer = asked(shop, "What is in rows [50, 55]?", focus=names["R2"])
    assert "0 are flagged" in answer.text
    assert not answer.removed
