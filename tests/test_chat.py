"""The page without a browser: what its handlers read, say and refuse. tests/test_browser.py clicks through it."""

from __future__ import annotations

import re
import socket
from dataclasses import replace

import gradio as gr
import pytest
from reader import EVIDENCE, EVIL, event, opened
from shop import open_shop

from assistant import chat
from assistant.chat import talk as chat_talk
from assistant.chat import view as chat_view
from assistant.chat.page import Page
from detectors.errors import AnomalyError


@pytest.fixture
def shop(tmp_path, monkeypatch):
    return open_shop(tmp_path, monkeypatch)


@pytest.fixture
def page(shop):
    return Page(shop, "narrator")


# --- opening and picking ------------------------------------------------------------------------------------------


def test_the_page_opens_with_the_latest_run_and_its_most_unusual_finding(page):
    session = opened(page)
    assert session.run == "R3"
    assert session.focus == page.workspace.store.findings("R3", limit=1)[0].id


def test_an_address_can_name_a_finding(page):
    name = page.workspace.store.findings("R1")[1].id
    session = opened(page, finding=name)
    assert (session.run, session.focus) == ("R1", name)


def test_an_unknown_finding_in_the_address_is_said_in_one_sentence(page):
    with pytest.raises(gr.Error, match="There is no finding F999"):
        opened(page, finding="F999")


def test_an_empty_store_says_what_to_do(tmp_path):
    from assistant.pipeline import Workspace
    from assistant.store import Store

    page = Page(Workspace(Store.open(tmp_path / "empty")), "narrator")
    loaded = page.load(None, None)
    assert loaded[0].focus is None
    assert "Data tab" in loaded[4]


def test_picking_a_card_opens_its_finding(page):
    session = opened(page, run="R1")
    name = page.workspace.store.findings("R1")[1].id
    _, _, head, stage, *_ = page.picked(session, event(finding=name))
    assert session.focus == name
    assert name in head
    assert 'class="heat"' in stage


@pytest.mark.parametrize(("run", "shown"), [("R1", "grey observed"), ("R2", "Channels"), ("R3", "Features")])
def test_every_kind_has_its_own_centre(page, run, shown):
    *_, plot, parts = page._hand(opened(page, run=run))
    assert shown in parts
    assert (plot.visible is True) == (run == "R2")


def test_search_and_state_narrow_the_queue(page):
    session = opened(page, run="R1")
    queue = page.filtered(session, event(run="R1", search="part_007", state="", order="p_value"))[2]
    assert queue.count("data-finding") == 1
    queue = page.filtered(session, event(run="R1", search="", state="confirmed", order="p_value"))[2]
    assert "No finding matches" in queue


def test_a_label_changes_the_state_at_once(page):
    session = opened(page, run="R1")
    _, queue, head = page.labelled(session, event(label="normal"))
    assert page.workspace.store.finding(session.focus).state == "false alarm"
    assert "false alarm" in queue
    assert "false alarm" in head


def test_the_queue_is_paged_in_the_store(page, monkeypatch):
    monkeypatch.setattr("assistant.chat.queue.PAGE", 1)
    session = opened(page, run="R1")
    queue = page.picked(session, event(page=99))[1]
    assert queue.count("data-finding") == 1
    assert session.page == 1  # the last one there is


def test_evidence_opens_its_panel_and_its_finding(page):
    session = opened(page, run="R1")
    other = page.workspace.store.findings("R1")[1].id
    evidence = page.desk.explain(other)
    _, panel, *_ = page.cited(session, event(id=evidence.id))
    assert f'aria-label="Evidence {evidence.id}"' in panel
    assert session.focus == other


def test_an_overtaken_pick_is_dropped(page):
    session = opened(page, run="R1")
    first, second = (f.id for f in page.workspace.store.findings("R1"))
    page.picked(session, event(finding=second, pick=2.0))
    assert page.picked(session, event(finding=first, pick=1.0))[0] == gr.skip()
    assert session.focus == second


# --- names are data -----------------------------------------------------------------------------------------------


def test_names_from_data_stay_text_everywhere(page, monkeypatch):
    store = page.workspace.store
    known, listed = store.finding, store.findings
    monkeypatch.setattr(store, "finding", lambda name: replace(known(name), sample=EVIL, note=EVIL))
    monkeypatch.setattr(store, "findings", lambda *a, **k: [replace(f, sample=EVIL) for f in listed(*a, **k)])
    session = opened(page, run="R1")
    hand = page._hand(session)
    shown = page._queue(session)[0] + hand[0] + hand[1] + hand[3]
    panel = chat_view.evidence_panel(replace(EVIDENCE, note=EVIL, arguments={"search": EVIL}), [])
    assert "<img src=x" not in shown + panel
    assert "&lt;img src=x" in shown
    assert "&lt;img src=x" in panel


def test_a_question_is_shown_as_it_was_typed():
    assert "<img" not in chat_talk.asked(EVIL)["content"]


# --- serving ------------------------------------------------------------------------------------------------------


def test_a_port_in_use_is_one_sentence(shop):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        with pytest.raises(AnomalyError, match="choose another --port"):
            chat.serve(shop, port=taken.getsockname()[1])


@pytest.mark.parametrize(
    ("host", "alone"), [("127.0.0.1", True), ("localhost", True), ("::1", True), ("0.0.0.0", False)]
)
def test_only_loopback_reaches_this_machine_alone(host, alone):
    assert chat.is_loopback(host) is alone


def test_nothing_is_served_from_the_disk_and_nothing_is_sent_out():
    served = chat.options()
    assert served["allowed_paths"] == []
    assert served["enable_monitoring"] is False
    assert served["share"] is False
    assert "http" not in re.sub(r"xmlns='http://www\.w3\.org/2000/svg'", "", served["css"])


def test_no_handler_is_offered_to_other_programs(shop):
    blocks = chat.build(shop)
    assert blocks.analytics_enabled is False
    assert {function.api_visibility for function in blocks.fns.values()} == {"private"}


# --- the queue's filters, undo, drawn places ----------------------------------------------------------------------


def test_kind_incident_and_all_runs_narrow_and_widen_the_queue(page):
    store = page.workspace.store
    session = opened(page, run="R1")
    one = store.findings("R1")[0]
    store.add_incident("night", [one.id])
    queue = page.filtered(session, event(run="R1", incident="I1"))[2]
    assert queue.count("data-finding") == 1
    queue = page.filtered(session, event(run="all", order="time-"))[2]
    assert queue.count("data-finding") == store.count_findings()
    assert 'class="of">R2' in queue
    kind = next(iter(store.kinds()), None)
    if kind:
        queue = page.filtered(session, event(run="all", kind=kind))[2]
        assert queue.count("data-finding") == store.kinds()[kind]


def test_another_run_brings_its_own_kinds_into_the_filters(page):
    session = opened(page, run="R1")
    filters = page.filtered(session, event(run="R2", kind="gone"))[1]
    assert 'value="R2" selected' in filters
    assert session.filter["kind"] == ""


def test_an_unknown_order_is_said_in_one_sentence(page):
    with pytest.raises(gr.Error, match="is unknown; known: p_value"):
        page.filtered(opened(page, run="R1"), event(run="R1", order="size"))


def test_a_label_is_of_the_finding_that_the_reader_saw(page):
    session = opened(page, run="R1")
    other = page.workspace.store.findings("R1")[1].id
    _, _, head = page.labelled(session, event(label="anomaly", finding=other))
    assert page.workspace.store.finding(other).state == "confirmed"
    assert page.workspace.store.finding(session.focus).state == "new"
    assert head == gr.skip()


def test_a_label_can_be_taken_back(page):
    session = opened(page, run="R1")
    page.labelled(session, event(label="anomaly", finding=session.focus))
    _, queue, head = page.labelled(session, event(label="undo", finding=session.focus))
    assert page.workspace.store.finding(session.focus).label is None
    assert "0 of" in queue
    assert 'data-label="undo" disabled' in head
    with pytest.raises(gr.Error):
        page.labelled(session, event(label="undo", finding=session.focus))


def test_the_tally_tells_how_far_the_work_has_come(page):
    session = opened(page, run="R1")
    _, queue, _ = page.labelled(session, event(label="normal", finding=session.focus))
    assert "1 of 2 judged" in queue


def test_a_drawn_box_is_repaired_and_shown_beside_the_input(page):
    session = opened(page, run="R1")
    name = next(f.id for f in page.workspace.store.findings("R1") if f.sample.startswith("part_003"))
    page.picked(session, event(finding=name, pick=1.0))
    panel, stage = page.repaired(session, event(finding=name, box=[3, 5, 13, 12]))
    assert "what_if_repaired" in panel
    assert "With the box repaired" in stage
    assert "returns to normal" in stage


def test_a_box_outside_the_picture_is_refused_in_one_sentence(page):
    session = opened(page, run="R1")
    with pytest.raises(gr.Error, match="holds no pixel"):
        page.repaired(session, event(finding=session.focus, box=[500, 500, 600, 600]))


def test_an_event_can_be_brushed_and_its_plot_knows_rows(page):
    session = opened(page, run="R2")
    assert "Drag over the plot" in page._hand(session)[1]
    figure = page.desk.plot(page.workspace.store.finding(session.focus))
    score = next(trace for trace in figure.data if trace.name == "score")
    kept = page.workspace.store.finding(session.focus).regions[0]["start"]
    assert kept in list(score.customdata)
    panel, stage = page.repaired(session, event(finding=session.focus, rows=[kept, kept + 3]))
    assert "rows" in panel
    assert stage == gr.skip()


def test_a_normal_version_brings_the_usual_range_into_the_plot(page):
    finding = page.workspace.store.findings("R2")[1]
    session = opened(page, finding=finding.id)
    assert "usual range" not in {trace.name for trace in page.desk.plot(finding).data}
    page.normal_version(session)
    names = [trace.name for trace in page.desk.plot(finding).data]
    assert names[:4] == ["usual range", "usual range", "expected", "observed"]


def test_a_row_is_shown_among_rows_that_were_not_flagged(page):
    parts = page._hand(opened(page, run="R3"))[3]
    assert 'class="spread"' in parts
    assert "above 100.0 % of them" in parts


def test_the_plot_of_an_overtaken_pick_is_not_drawn(page):
    session = opened(page, run="R2")
    first, second = (f.id for f in page.workspace.store.findings("R2"))
    page.picked(session, event(finding=second, pick=2.0))
    assert page.drawn(session, event(finding=first, pick=1.0)) == gr.skip()
    assert page.drawn(session, event(finding=second, pick=2.0)).visible is True


def test_why_there_is_no_normal_version_is_said_instead_of_waiting(page, monkeypatch):
    def gone(*arguments):
        raise AnomalyError("The model of this run is gone.")

    finding = page.workspace.store.findings("R3")[1]
    session = opened(page, finding=finding.id)
    assert "Working out" in page._hand(session)[1]
    monkeypatch.setattr(page.workspace, "specimen", gone)
    page.normal_version(session)
    stage = page._hand(session)[1]
    assert "The model of this run is gone" in stage
    assert "Working out" not in stage
