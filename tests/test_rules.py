"""Rules ignore what they say until their day, openly, and never what people confirmed."""

from datetime import UTC, datetime

import pytest
from shop import make_sources_once, open_shop

from assistant.pipeline import run_detection
from assistant.store import rules
from assistant.store.database import StoreError
from assistant.store.rules import expiry

TODAY = datetime(2026, 11, 24, 15, 0, tzinfo=UTC)  # a Tuesday


@pytest.fixture
def store(tmp_path, monkeypatch):
    return open_shop(tmp_path, monkeypatch).store


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("2026-12-31", "2026-12-31T23:59:59+00:00"),
        ("Friday", "2026-11-27T23:59:59+00:00"),
        ("until next tuesday", "2026-12-01T23:59:59+00:00"),
        ("3 weeks", "2026-12-15T23:59:59+00:00"),
        ("tomorrow", "2026-11-25T23:59:59+00:00"),
        ("the end of the month", "2026-11-30T23:59:59+00:00"),
        ("end of the year", "2026-12-31T23:59:59+00:00"),
        ("31 December", "2026-12-31T23:59:59+00:00"),
        ("March 3rd", "2027-03-03T23:59:59+00:00"),
        ("1 feb 2028", "2028-02-01T23:59:59+00:00"),
        ("2026-11-24T18:00:00+02:00", "2026-11-24T16:00:00+00:00"),
    ],
)
def test_days_are_understood(text, found):
    assert expiry(text, TODAY) == found


def test_findings_are_marked_and_found_but_kept(store):
    rule = store.add_rule("lamp", "2099-01-01", position="upper left", source="parts")
    assert store.finding("F1").ignored == rule.id == "rule 1"
    assert [one.id for one in store.findings("R1", ignored=False)] == []
    assert [one.ignored for one in store.findings("R1")] == ["rule 1", "rule 1"]
    assert store.count_ignored() == {"rule 1": 2}
    assert store.count_ignored("R2") == {}
    assert store.finding("F1").state == "new"


def test_every_condition_must_hold(store):
    assert store.add_rule("x", "2099-01-01", part="cpu", source="payments") is not None
    assert store.count_ignored() == {}


def test_new_findings_are_covered_as_they_come(tmp_path, monkeypatch):
    shop = open_shop(tmp_path, monkeypatch)
    shop.store.add_rule("refunds", "2099-01-01", part="fee")
    run = run_detection(shop, make_sources_once()["table"], "/models/table")
    assert shop.store.count_ignored(run.id) == {"rule 1": 1}


def test_what_people_confirmed_is_never_ignored(store):
    store.add_rule("refunds", "2099-01-01", part="fee")
    store.label("F6", "anomaly")
    assert store.finding("F6").ignored is None
    assert store.count_findings("R3", ignored=False) == 2
    assert store.count_ignored() == {}


def test_an_expired_rule_stops_at_once_and_is_noted_once(store, monkeypatch):
    store.add_rule("refunds", "2099-01-01", part="fee")
    for module in (rules, __import__("assistant.store.queries", fromlist=["now"])):
        monkeypatch.setattr(module, "now", lambda: "2100-01-01T00:00:00+00:00")
    assert store.finding("F6").ignored is None
    assert store.rules() == []
    assert [rule.id for rule in store.rules(all_=True)] == ["rule 1"]
    assert [rule.id for rule in store.note_expired()] == ["rule 1"]
    assert store.note_expired() == []
    assert store.changes(action="rule expired")[0].subject == "rule 1"


def test_two_rules_over_one_finding_both_count(store):
    store.add_rule("a", "2099-01-01", part="fee")
    store.add_rule("b", "2099-01-01", source="payments")
    assert store.finding("F6").ignored == "rule 1"
    store.remove_rule("rule 1")
    assert store.finding("F6").ignored == "rule 2"
    with pytest.raises(StoreError, match="was removed before"):
        store.remove_rule("1")
