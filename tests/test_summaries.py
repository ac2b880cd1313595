"""Summaries of incidents: verified when the assistant writes them, marked where a person's edit is not held."""

from __future__ import annotations

import json

import pytest
from scripted import Scripted
from shop import open_shop

from assistant import incidents, summaries
from assistant.report import write_report
from assistant.report.check import check_report
from assistant.store import casebook
from assistant.summaries import Summary
from detectors.errors import AnomalyError


@pytest.fixture
def shop(tmp_path, monkeypatch):
    return open_shop(tmp_path, monkeypatch)


@pytest.fixture
def incident(shop):
    return incidents.open_incident(shop.store, [finding.id for finding in shop.store.findings("R1")]).id


def written(shop, incident) -> Summary:
    *_, last = summaries.write(shop, incident, "narrator", "a-thread")
    return last


def wrong(shop, summary) -> list[str]:
    return [said.text for said in summaries.checked(shop.store, summary) if said.reasons]


def test_the_assistants_summary_holds_and_is_kept(shop, incident):
    summary = written(shop, incident)
    assert incident in summary.text
    assert summary.evidence
    assert (summary.by, summary.author) == ("assistant", "narrator")
    assert wrong(shop, summary) == []
    assert summaries.load(shop.store, incident) == summary
    assert "anomaly report" not in summary.text


def test_a_persons_edit_is_kept_and_its_unheld_numbers_are_marked(shop, incident):
    summary = written(shop, incident)
    edited = summaries.edit(shop.store, incident, f"{summary.text}\n\nThe belt ran at 42 rpm. Please check it.", "Ada")
    assert (edited.by, edited.author) == ("person", "Ada")
    logged = shop.store.changes(action="incident edited")[0]
    assert (logged.subject, logged.who, logged.before["summary"][:20]) == (incident, "Ada", summary.text[:20])
    assert wrong(shop, edited) == ["The belt ran at 42 rpm."]
    said = next(one for one in summaries.checked(shop.store, edited) if one.reasons)
    assert '<mark class="unverified"' in summaries.marked(said)
    assert ">42</mark>" in summaries.marked(said)
    assert summaries.plain(said) == "The belt ran at 42 (unverified) rpm."


def test_a_changed_figure_is_marked_though_it_cites_evidence(shop, incident):
    summary = written(shop, incident)
    count = len(shop.store.incident(incident).findings)
    changed = summary.text.replace(f"{count} findings", "77 findings", 1)
    assert changed != summary.text
    assert any("77" in text for text in wrong(shop, summaries.edit(shop.store, incident, changed, "Ada")))


def test_the_same_text_again_stays_the_assistants(shop, incident):
    summary = written(shop, incident)
    assert summaries.edit(shop.store, incident, f"  {summary.text}\r\n", "Ada") == summary


def test_made_up_marks_are_no_evidence(shop, incident):
    edited = summaries.edit(shop.store, incident, "F1 has a p-value of 0.0001 [E999].", "Ada")
    assert wrong(shop, edited) == ["F1 has a p-value of 0.0001."]


def test_markup_in_an_edit_stays_text(shop, incident):
    edited = summaries.edit(shop.store, incident, "<img src=x onerror=alert(1)> 5 mm wide.", "Ada")
    assert "<img" not in "".join(summaries.marked(one) for one in summaries.checked(shop.store, edited))


def test_what_is_too_long_is_refused(shop, incident):
    with pytest.raises(AnomalyError, match="20,000"):
        summaries.edit(shop.store, incident, "x" * 20_001, "Ada")


def test_a_language_model_writes_only_what_holds(shop, incident, monkeypatch):
    model = Scripted(script=["It was 99 % certain, caused by a worn tool."])
    monkeypatch.setattr("assistant.agent.get_model", lambda spec, config=None: model)
    *_, summary = summaries.write(shop, incident, "openai:x", "t")
    assert "99" not in summary.text


def test_the_report_tells_the_summary_and_who_wrote_it(shop, incident, tmp_path):
    summary = written(shop, incident)
    summaries.edit(shop.store, incident, f"{summary.text} The belt ran at 42 rpm.", "Ada")
    for form in ("html", "md", "json"):
        out = write_report(shop, tmp_path / f"report.{form}", incident=incident)
        text = out.read_text()
        assert "42 (unverified) rpm" in text.replace("\\", "")
        assert "Edited by a person (Ada)" in text.replace("\\", "")
        assert check_report(shop, out).holds
    kept = json.loads((tmp_path / "report.json").read_text())
    assert set(summary.evidence) <= {one["id"] for one in kept["evidence"]}


def test_an_incident_is_retitled_released_and_dissolved(shop, incident):
    assert casebook.retitle(shop.store, incident, "  Two   scratches ").title == "Two scratches"
    first, *rest = shop.store.incident(incident).findings
    assert casebook.release(shop.store, incident, [first]).findings == rest
    assert (shop.store.finding(first).state, shop.store.finding(first).incident) == ("new", None)
    with pytest.raises(AnomalyError, match=f"{first} is not in"):
        casebook.release(shop.store, incident, [first])
    casebook.dissolve(shop.store, incident)
    assert shop.store.incident(incident).findings == []
    with pytest.raises(AnomalyError, match="holds no findings"):
        written(shop, incident)
    with pytest.raises(AnomalyError, match="needs a title"):
        casebook.retitle(shop.store, incident, " ")
    assert [change.action for change in shop.store.changes()][:3] == ["incident edited"] * 3


def test_a_confirmed_finding_stays_confirmed_when_it_is_released(shop, incident):
    first = shop.store.incident(incident).findings[0]
    shop.store.label(first, "anomaly")
    casebook.release(shop.store, incident, [first])
    assert shop.store.finding(first).state == "confirmed"
