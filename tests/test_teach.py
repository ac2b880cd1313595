"""The Feedback tab shows what labels would change before anything moves, and every button on it does what it says."""

import re
from types import SimpleNamespace

import gradio as gr
import pytest
from shop import open_shop

from assistant.chat.session import Session
from assistant.chat.teach import Teaching
from assistant.chat.teach_view import precision_panel
from assistant.feedback.precision import Period


@pytest.fixture
def shop(tmp_path, monkeypatch):
    return open_shop(tmp_path, monkeypatch)


@pytest.fixture
def press(shop, monkeypatch):
    """Press a button as the reader `ann` or `bob`: the tab's HTML."""
    monkeypatch.setattr(gr, "Info", lambda *_, **__: None)
    teaching = Teaching(shop)

    def pressed(do, value="", reader="ann", **fields):
        session = Session(run="R3", thread=reader)
        return teaching.acted(session, "week", SimpleNamespace(_data={"do": do, "value": value, **fields}))[0]

    return pressed


def test_a_quiet_store_says_so(shop):
    html = Teaching(shop).shown(Session(run="R3"), "week")
    assert "Every label on this run&#39;s model" in html or "Every label on this run's model" in html
    assert "None of 6 alarms has been labelled" in html
    assert "Nothing has been changed yet." in html
    assert Teaching(shop).shown(None, "day")


def test_what_would_change_is_shown_applied_and_taken_back(shop, press):
    shop.store.label("F6", "normal")
    before = shop.store.finding("F6").p_value
    html = Teaching(shop).shown(Session(run="R3"), "week")
    assert "With 1 false alarm counting as normal" in html
    assert re.search(r"<td><a href=\"#F6\">F6</a></td><td>0.002</td><td>0.00\d+</td>", html)
    assert shop.store.finding("F6").p_value == before
    assert "recalibrated C1" in press("apply")
    assert shop.store.finding("F6").p_value > before
    press("undo")
    assert shop.store.finding("F6").p_value == before


def test_a_reader_undoes_only_what_they_did(shop, press):
    shop.store.label("F6", "normal")
    press("apply", reader="ann")
    with pytest.raises(gr.Error, match="You have changed nothing here"):
        press("undo", reader="bob")
    logged = shop.store.changes()[0]
    assert (logged.via, len(logged.session)) == ("page", 10)
    assert "ann" not in logged.session


def test_rules_are_made_and_removed(shop, press):
    html = press("ignore", part="fee", reason="<b>refunds</b>", until="2099-01-01")
    assert "anything in fee" in html
    assert "&lt;b&gt;refunds" in html
    assert "<b>refunds" not in html
    assert shop.store.count_ignored() == {"rule 1": 1}
    assert "No rule is in force" in press("remove", "rule 1")
    with pytest.raises(gr.Error, match="is no day"):
        press("ignore", part="fee", reason="x", until="soon")


def test_the_span_is_chosen(press):
    assert 'data-value="week" aria-pressed="true"' in press("by", "week")
    assert 'data-value="day" aria-pressed="true"' in press("by", "day")


def test_a_chart_has_a_point_with_its_interval_for_each_labelled_period():
    weeks = [Period(f"week of 2026-11-{d:02d}", f"2026-11-{d:02d}", "", 10, hits, 2) for d, hits in ((2, 2), (9, 6))]
    html = str(precision_panel([*weeks, Period("all", "", "", 20, 8, 4)]))
    assert html.count("<circle") == html.count('class="sure"') == 2
    assert "6 of 8 labelled alarms confirmed, 75 % (41 to 93 %)" in html
    assert "No alarm has been raised yet." in str(precision_panel([]))


def test_the_queue_leaves_ignored_findings_out_and_offers_them_by_name(shop):
    from assistant.chat.queue import UNFILTERED, Queue

    queue = Queue(shop.store, lambda finding: "")
    assert sorted(queue.page("R3", UNFILTERED, 0, None)[1]) == ["F5", "F6"]
    assert "ignored by a rule" not in queue.filters("R3", UNFILTERED)
    shop.store.add_rule("refunds", "2099-01-01", part="fee")
    assert queue.page("R3", UNFILTERED, 0, None)[1] == ["F5"]
    assert queue.page("R3", {**UNFILTERED, "state": "ignored"}, 0, None)[1] == ["F6"]
    assert "ignored by a rule (1)" in queue.filters("R3", UNFILTERED)
