"""How good the alarms were, told with how sure the labels make it, over time."""

import json
from datetime import date

import pytest
from PIL import Image
from sqlalchemy import update

from assistant import cli
from assistant.feedback.precision import draw, precision, sentence, spoken, wilson
from assistant.feedback.suggestions import suggestions
from assistant.pipeline import Workspace
from assistant.records import NewFinding, Run
from assistant.store import Store
from assistant.store.schema import FindingRow
from assistant.tools import call
from detectors.errors import AnomalyError

DAYS = ["2026-11-10"] * 6 + ["2026-11-12"] * 4 + ["2026-11-24"] * 30


@pytest.fixture
def store(tmp_path):
    """Forty alarms on three days: of the first ten, eight confirmed and one dismissed; of the rest, none labelled."""
    store = Store.open(tmp_path / "store")
    parts = [{"name": "cpu", "share": 1.0, "observed": 1.0, "expected": 0.0}]
    found = [NewFinding(f"row {i}", i, 5.0, 0.001, parts=parts, kind="spike") for i in range(len(DAYS))]
    run = Run("", "", "x", "series", "/models/x", "fake", 0.01, None, 1000, len(found), {"model_hash": "h"})
    store.add_run(run, [], found)
    with store.database.write() as session:
        session.execute(
            update(FindingRow), [{"id": i + 1, "created": f"{day}T09:00:00+00:00"} for i, day in enumerate(DAYS)]
        )
    for number in range(1, 9):
        store.label(f"F{number}", "anomaly")
    store.label("F9", "normal")
    return store


@pytest.mark.parametrize(
    ("hits", "count", "low", "high"),
    [(0, 10, 0.0, 0.2775), (8, 10, 0.4902, 0.9433), (10, 10, 0.7225, 1.0), (50, 100, 0.4038, 0.5962)],
)
def test_intervals_are_those_of_the_tables(hits, count, low, high):
    assert wilson(hits, count) == (pytest.approx(low, abs=1e-4), pytest.approx(high, abs=1e-4))


def test_nothing_counted_says_nothing():
    assert wilson(0, 0) == (0.0, 1.0)


def test_weeks_and_days_add_up(store):
    first, second, total = precision(store)
    assert (first.name, first.findings, first.confirmed, first.false_alarms) == ("week of 2026-11-09", 10, 8, 1)
    assert (second.start, second.end, second.labelled, second.precision) == ("2026-11-23", "2026-11-29", 0, None)
    assert (total.name, total.findings, total.labelled) == ("all", 40, 9)
    days = precision(store, by="day", until="2026-11-12")
    assert [(one.name, one.confirmed) for one in days] == [("2026-11-10", 6), ("2026-11-12", 2), ("all", 8)]
    assert precision(store, since="2027-01-01") == []
    assert precision(store, run="R1")[-1] == total


def test_the_sentence_tells_how_little_it_rests_on(store):
    told = precision(store)
    assert sentence(told[-1]).startswith("8 of 9 labelled alarms were confirmed, 89 % (95 % interval 57 to 98 %);")
    assert sentence(told[-1]).endswith("9 of 40 alarms are labelled.")
    assert sentence(told[1]) == "None of 30 alarms has been labelled, so their precision is not known."


def test_undone_labels_count_no_more(store):
    from assistant import feedback

    feedback.undo(Workspace(store), finding="F9")
    assert precision(store)[-1].false_alarms == 0


def test_it_is_drawn(store, tmp_path):
    store.label("F20", "normal")
    picture = Image.open(draw(precision(store), tmp_path / "new" / "p.png"))
    assert picture.size[0] > 500
    with pytest.raises(AnomalyError, match=r"\.png, \.svg, \.pdf, not as \.gif"):
        draw(precision(store), tmp_path / "p.gif")
    with pytest.raises(AnomalyError, match="nothing to draw"):
        draw(precision(store, since="2026-11-24")[:0], tmp_path / "p.png")


def test_unknown_spans_and_days_are_said(store):
    with pytest.raises(AnomalyError, match="by day or week, not by 'year'"):
        precision(store, by="year")
    with pytest.raises(AnomalyError, match="'soon' is no day"):
        precision(store, since="soon")


@pytest.mark.parametrize(
    ("words", "span"),
    [
        ("last week", ("2026-11-16", "2026-11-22")),
        ("This week", ("2026-11-23", "2026-11-24")),
        ("yesterday", ("2026-11-23", "2026-11-23")),
        ("last month", ("2026-10-01", "2026-10-31")),
        ("the last 10 days", ("2026-11-15", "2026-11-24")),
    ],
)
def test_times_are_understood_as_people_say_them(words, span):
    assert spoken(words, date(2026, 11, 24)) == span
    with pytest.raises(AnomalyError, match="is no time; say today"):
        spoken("once upon a time")


def test_the_command_tells_and_draws(store, tmp_path, capsys):
    where = ["--store", str(store.root)]
    assert cli.run(["precision", "--by", "week", "--figure", str(tmp_path / "p.svg"), *where]) == 0
    out = capsys.readouterr().out
    assert "week of 2026-11-09" in out
    assert "57 to 98 %" in out
    assert (tmp_path / "p.svg").read_text().startswith("<?xml")
    assert cli.run(["precision", "--json", *where]) == 0
    assert json.loads(capsys.readouterr().out)["periods"][-1]["precision"] == pytest.approx(8 / 9)


def test_the_chat_gets_facts(store):
    evidence = call(Workspace(store), "alarm_precision")
    facts = {f"{fact.subject}.{fact.field}": fact.value for fact in evidence.facts}
    assert facts["all alarms.precision"] == pytest.approx(100 * 8 / 9)
    assert facts["week of 2026-11-09.confirmed"] == 8
    assert "week of 2026-11-23.precision" not in facts
    assert call(Workspace(store), "alarm_precision", since="2030-01-01").status == "no_data"


# --- suggestions ------------------------------------------------------------------------------------------------------


def test_few_labels_suggest_recalibrating_only(store):
    (one,) = suggestions(store)
    assert (one.what, one.count, one.findings) == ("recalibrate", 1, ["F9"])


def test_enough_labels_suggest_a_refit_and_a_rule(store):
    for number in range(11, 31):
        store.label(f"F{number}", "normal")
    by_name = {one.what: one for one in suggestions(store)}
    assert by_name["refit"].count == 21
    assert by_name["refit"].command == "anomaly refit --run R1 --with-labels --out /models/x-2"
    assert by_name["ignore"].command == "anomaly ignore --kind 'spike' --part 'cpu' --reason WHY --until DAY"
    told = call(Workspace(store), "overview").facts
    assert {f.subject for f in told if f.field == "needed"} == {f"R1/suggestion {name}" for name in by_name}
    evidence = call(Workspace(store), "suggest_next")
    assert {f.subject: f.value for f in evidence.facts if f.field == "labels"}["R1/suggestion refit"] == 21


def test_confirmed_findings_alike_and_unnamed_suggest_a_kind(tmp_path):
    import numpy as np

    store = Store.open(tmp_path / "store")
    vectors = [np.array([1, 0.01 * i, 0], np.float32) for i in range(6)] + [np.array([0, 0, 1], np.float32)]
    found = [NewFinding(f"p{i}", i, 5.0, 0.001, kind="unclear", signature=v.tobytes()) for i, v in enumerate(vectors)]
    run = Run("", "", "x", "image", "/models/x", "fake", 0.01, None, 10, 7, {"model_hash": "h"})
    store.add_run(run, [], found)
    for number in range(1, 8):
        store.label(f"F{number}", "anomaly")
    (one,) = suggestions(store)
    assert (one.what, one.findings) == ("kind", ["F1", "F2", "F3", "F4", "F5", "F6"])
    store.label("F1", "normal")
    store.label("F2", "normal")
    assert [one.what for one in suggestions(store)] == ["recalibrate"]
