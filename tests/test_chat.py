"""The page without a browser: what its handlers read, say and refuse. tests/test_browser.py clicks through it."""

from __future__ import annotations

import re
import shutil
import socket
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import unquote

import gradio as gr
import numpy as np
import pandas as pd
import pytest
from shop import open_shop

from assistant import chat
from assistant.agent import Done, StepDone, StepStarted, Token
from assistant.chat import data as chat_data
from assistant.chat import marks as chat_marks
from assistant.chat import talk as chat_talk
from assistant.chat import view as chat_view
from assistant.chat.intake import Upload
from assistant.chat.jobs import Job
from assistant.chat.page import Page
from assistant.chat.session import Session
from assistant.evidence import Answer, Claim, Evidence, Fact, Step, Usage
from detectors.errors import AnomalyError

EVIL = '<img src=x onerror="alert(1)">{{ 7*7 }}'
STEP = Step("explain_finding", {"finding": "F1"}, "E1", 0.25, "ok")
EVIDENCE = Evidence("E1", "explain_finding", {"finding": "F1"}, "ok", [Fact("F1", "sample", EVIL)], ["F1"])


@pytest.fixture
def shop(tmp_path, monkeypatch):
    return open_shop(tmp_path, monkeypatch)


@pytest.fixture
def page(shop):
    return Page(shop, "narrator")


def event(**data) -> gr.EventData:
    return gr.EventData(None, data)


def opened(page: Page, reader: str = "", **query) -> Session:
    kept = {"reader": reader} if reader else None
    return page.load(kept, SimpleNamespace(query_params=query))[0]


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


# --- talking ------------------------------------------------------------------------------------------------------


def talk(page: Page, session: Session, question: str) -> list[tuple]:
    return list(page.ask(question, session))


def names(page: Page, session: Session) -> list[str]:
    return [one.title for one in page.conversations.of(session.reader)]


def test_an_answer_streams_from_question_to_checked_text(page):
    session = opened(page, run="R1")
    *_, last = talk(page, session, "Why is it anomalous?")
    _, _, messages, suggestions, _ = last
    assert messages[0]["role"] == "user"
    assert any(
        "explain_finding" in message.get("metadata", {}).get("title", "").replace("\\", "") for message in messages
    )
    assert re.search(r"\[E\d+\]\(#E\d+", messages[-1]["content"])
    assert "data-ask" in suggestions
    assert names(page, session) == ["Why is it anomalous?"]


def test_a_mark_leads_to_exactly_the_facts_that_its_sentence_states(page):
    session = opened(page, run="R1")
    *_, last = talk(page, session, "Why is it anomalous?")
    name, facts = re.search(r"\(#(E\d+)/([^)]+)\)", last[2][-1]["content"]).groups()
    _, panel, *_ = page.cited(session, event(id=name, facts=unquote(facts)))
    stated = panel[panel.index("What the sentence states") : panel.index("All of")]
    assert stated.count("<td>") // 2 == len(unquote(facts).split("|"))


def test_an_answer_shows_the_figures_it_cites(page):
    for run, drawn in (("R1", "image/webp"), ("R2", "image/png"), ("R3", "image/svg")):
        *_, last = talk(page, opened(page, run=run), "Why is it anomalous?")
        assert f"data:{drawn}" in last[2][-1]["content"]


def test_two_readers_do_not_see_each_other(page):
    one, two = opened(page, run="R1"), opened(page, run="R2")
    talk(page, one, "Why is it anomalous?")
    assert one.thread != two.thread
    assert two.talk == []
    assert two.focus != one.focus
    assert names(page, two) == []


def test_a_conversation_is_found_again_with_its_figures_and_suggestions(page):
    session = opened(page, run="R1")
    *_, last = talk(page, session, "Why is it anomalous?")
    again = opened(Page(page.workspace, "narrator"), reader=session.reader)
    assert again.thread == session.thread
    assert again.talk[-1]["content"] == last[2][-1]["content"]
    assert again.suggestions == session.suggestions


def test_two_tabs_of_one_browser_keep_each_others_conversations(page):
    one = opened(page)
    two = opened(page, reader=one.reader)
    talk(page, one, "What was flagged?")
    talk(page, two, "What can you do?")
    assert sorted(names(page, one)) == ["What can you do?", "What was flagged?"]


def test_only_this_browsers_conversations_can_be_opened(page):
    one, two = opened(page), opened(page)
    talk(page, one, "What was flagged?")
    page.conversation(two, event(thread=one.thread))
    assert two.thread != one.thread
    assert two.talk == []


def test_a_conversation_can_be_renamed_and_keeps_its_name(page):
    session = opened(page)
    talk(page, session, "What was flagged?")
    _, head = page.renamed(session, event(title=EVIL))
    talk(page, session, "What can you do?")
    assert names(page, session) == [EVIL]
    assert "<img" not in head
    with pytest.raises(gr.Error, match="needs a name"):
        page.renamed(session, event(title="  "))


def test_a_deleted_conversation_is_gone_from_list_store_and_memory(page):
    session = opened(page)
    talk(page, session, "What was flagged?")
    first = session.thread
    page.conversation(session, event(thread="new"))
    talk(page, session, "What can you do?")
    page.forgotten(session)
    assert session.thread == first
    assert names(page, session) == ["What was flagged?"]
    page.forgotten(session)
    assert (names(page, session), session.talk) == ([], [])
    assert page.workspace.store.answers(first) == []
    assert page.assistant(first).history() == []


def test_retrying_takes_the_place_of_the_last_answer(page):
    session = opened(page, run="R1")
    talk(page, session, "What was flagged?")
    talk(page, session, "Why is it anomalous?")
    *_, last = page.retried(session)
    assert [message["role"] for message in last[2]].count("user") == 2
    kept = page.workspace.store.answers(session.thread)
    assert [one.question for one in kept] == ["What was flagged?", "Why is it anomalous?"]


def test_the_last_question_can_be_edited_and_left_as_it_was(page):
    session = opened(page, run="R1")
    talk(page, session, "What was flaged?")
    box, shown, _ = page.edited(session, event(edit=True))
    assert box.value == "What was flaged?"
    assert "takes the place" in shown
    page.edited(session, event(edit=False))
    talk(page, session, "Why is it anomalous?")
    page.edited(session, event(edit=True))
    talk(page, session, "What should it look like?")
    kept = page.workspace.store.answers(session.thread)
    assert [one.question for one in kept] == ["What was flaged?", "What should it look like?"]


def test_a_conversation_is_exported_with_the_evidence_it_cites(page):
    session = opened(page, run="R1")
    talk(page, session, "Why is it anomalous?")
    text = Path(page.exported(session)).read_text()
    assert "## Why is it anomalous?" in text
    assert "verified" in text
    for name in set(re.findall(r"\(#(e\d+)\)", text)):
        assert f"### {name.upper()}" in text
    assert re.search(r"\| F\d+ \| p\\_value \| [\d.]+ \|", text)


def test_an_empty_conversation_cannot_be_exported(page):
    with pytest.raises(gr.Error, match="nothing to export"):
        page.exported(opened(page))


def test_after_a_stopped_answer_the_next_question_is_answered(page):
    session = opened(page, run="R1")
    asking = page.ask("Why is it anomalous?", session)
    next(asking), next(asking)
    asking.close()
    _, _, messages, *_ = page.stopped(session)
    assert "Stopped" in messages[-1]["content"]
    *_, last = talk(page, session, "What was flagged?")
    assert "checked against" in last[2][-1]["content"]


def test_a_stopped_question_can_be_retried_without_losing_the_one_before(page):
    session = opened(page, run="R1")
    talk(page, session, "What was flagged?")
    asking = page.ask("Why is it anomalous?", session)
    next(asking), next(asking)
    asking.close()
    page.stopped(session)
    list(page.retried(session))
    kept = page.workspace.store.answers(session.thread)
    assert [one.question for one in kept] == ["What was flagged?", "Why is it anomalous?"]


def test_an_empty_question_asks_nothing(page):
    assert talk(page, opened(page), "  ") == [(gr.skip(),) * 5]


def test_what_goes_wrong_is_said_in_the_talk(page, monkeypatch):
    def broken(thread):
        raise AnomalyError("The store is locked by <another> program.")

    session = opened(page)
    monkeypatch.setattr(page, "assistant", broken)
    *_, last = talk(page, session, "What was flagged?")
    assert "locked by &lt;another&gt; program" in last[2][-1]["content"]


def test_the_line_under_an_answer_says_whether_it_was_verified_and_what_it_took():
    held, bare = Claim("F1 is odd.", ("E1",), facts=("E1:F1.p_value",)), Claim("Hello.")
    usage = Usage(calls=2, read=1234, written=56, cost=0.0021)
    said = chat_marks.seal(Answer("", (held, bare), model="openai:<x>", seconds=0.21, usage=usage))
    assert ">verified<" in said
    assert "1 statement checked against" in said
    assert "openai:&lt;x&gt; · 210\u00a0ms · 1,234 tokens read, 56 written · cost 0.0021" in said
    assert "verified" not in chat_marks.seal(Answer("Hello.", (bare,)))
    assert "verified, 1 removed" in chat_marks.seal(Answer("", (held,), removed=(bare,)))


def test_tool_calls_are_folded_with_arguments_and_time():
    answer = Answer("F1 is odd [E1].", (Claim("F1 is odd.", ("E1",)),), steps=(STEP,), model="narrator", seconds=0.3)
    events = [StepStarted("explain_finding", {"finding": "F1"}), StepDone(STEP, EVIDENCE), Token("F1"), Done(answer)]
    shown = [messages for messages, _ in chat_talk.stream(events, lambda cited: [])]
    assert shown[0][0]["metadata"]["status"] == "pending"
    folded = shown[-1][0]
    assert folded["metadata"]["status"] == "done"
    assert 'finding="F1"' in folded["metadata"]["title"]
    assert folded["metadata"]["title"].endswith("250\u00a0ms")
    assert "<img" not in folded["content"]


def test_removed_statements_and_notices_are_shown():
    answer = Answer("Nothing.", removed=(Claim(f"It is 3 mm {EVIL}.", ("E1",), "no fact gives 3 mm"),), notices=(EVIL,))
    said, removed = chat_talk.closing(answer, [])
    assert "no fact gives 3 mm" in removed["content"]
    assert removed["metadata"]["title"].startswith("1 statement removed")
    assert "[E1](#E1)" in removed["content"]
    assert "notice" in said["content"]
    assert "<img src=x" not in said["content"] + removed["content"]


def test_marks_with_several_ids_become_links():
    assert chat_marks.linked("So [E2, E1].") == "So [E2](#E2) [E1](#E1)."


def test_findings_in_sentences_become_links_but_not_names_that_look_like_them():
    assert chat_marks.linked("F2 is like F13.") == "[F2](#F2) is like [F13](#F13)."
    for name in ("F2.png", "a/F2", "F2_x", "part-F2", "F2-7"):
        assert chat_marks.linked(name) == name


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


# --- data in ------------------------------------------------------------------------------------------------------


@pytest.fixture
def sent(tmp_path, monkeypatch):
    """Sends a file to the page's server, as the drop zone does; what the page is told of it."""
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path / "arrived"))

    def send(name: str, data: bytes) -> list[str]:
        path = tmp_path / "arrived" / str(len(name)) / Path(name).name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
        return [str(path), name]

    return send


def finished(page: Page, session: Session) -> Job:
    job = page.jobs.of(session.reader)[0]
    until = time.monotonic() + 60
    while not job.ended and time.monotonic() < until:
        time.sleep(0.01)
    return job


def csv_of(page: Page, run: str) -> bytes:
    return Path(page.workspace.store.run(run).source).read_bytes()


def test_dropped_data_become_a_run_and_the_queue_hears_of_it(page, sent):
    session = opened(page)
    page.uploaded(session, event(files=[sent("new.csv", csv_of(page, "R3"))]))
    _, drop, jobs, timer = page.detect(session, "", "/models/table", 0.01, 0.0)
    assert "Drop files" in drop
    assert "Detecting in new.csv with table" in jobs
    assert timer.active
    assert finished(page, session).error == ""
    _, jobs, runs, _, timer, filters, *_ = page.ticked(session)
    assert 'data-run="R4"' in jobs
    assert "new.csv" in runs
    assert "R4" in filters
    assert not timer.active
    kept = Path(page.workspace.store.run("R4").source)
    assert kept.is_relative_to(page.workspace.store.root)


def test_a_zip_of_pictures_is_looked_through(page, sent, tmp_path):
    session = opened(page)
    folder = Path(page.workspace.store.run("R1").source)
    archive = shutil.make_archive(str(tmp_path / "tonight"), "zip", folder)
    page.uploaded(session, event(files=[sent("tonight.zip", Path(archive).read_bytes())]))
    page.detect(session, "", "/models/image", 0.01, None)
    job = finished(page, session)
    assert (job.status, job.result.n_samples) == ("done", 10)
    assert "left out" in page.jobs_view(session)  # the broken picture and the one of another size


@pytest.mark.parametrize(
    ("name", "data", "told"),
    [
        ("empty.csv", b"", "empty"),
        ("notes.docx", b"x", "of no kind that can be read"),
        ("bad.zip", b"x", "damaged or no zip"),
        ("evil.pkl", b"x", "never opened"),
    ],
)
def test_bad_data_are_told_in_one_sentence_and_leave_nothing(page, sent, name, data, told):
    session = opened(page)
    before = len(page.workspace.store.runs())
    page.uploaded(session, event(files=[sent(name, data)]))
    page.detect(session, "", "/models/table", 0.01, None)
    job = finished(page, session)
    assert job.status == "failed"
    assert told in job.error
    assert "\n" not in job.error
    assert len(page.workspace.store.runs()) == before
    assert not list((page.workspace.store.root / "uploads").glob("*"))


def test_a_cancelled_detection_keeps_nothing(page, sent, monkeypatch):
    def endless(workspace, source, model, alpha, fdr, tell):
        for _ in range(5000):
            tell(0.3, "scoring")
            time.sleep(0.01)

    monkeypatch.setattr(chat_data, "run_detection", endless)
    session = opened(page)
    page.uploaded(session, event(files=[sent("new.csv", csv_of(page, "R3"))]))
    page.detect(session, "", "/models/table", 0.01, None)
    job = page.jobs.of(session.reader)[0]
    page.cancelled(session, event(job=job.id))
    assert finished(page, session).status == "cancelled"
    assert "Nothing of it was kept" in page.jobs_view(session)
    assert not list((page.workspace.store.root / "uploads").glob("*"))


def test_a_model_is_fitted_in_the_background_and_chosen(page, sent):
    session = opened(page)
    page.uploaded(session, event(files=[sent("normal.csv", normal_rows())]))
    page.fit(session, "", "line-3", "table", "smoothed_density", "", False)
    job = finished(page, session)
    assert (job.status, job.error) == ("done", "")
    assert "Learned from" in page.jobs_view(session)
    models = page.ticked(session)[3]
    assert Path(models.value) == page.workspace.store.root / "models" / "line-3"
    page.uploaded(session, event(files=[sent("normal.csv", normal_rows())]))
    with pytest.raises(gr.Error, match="already"):
        page.fit(session, "", "line-3", "table", "default", "", False)


def test_a_cancelled_fit_leaves_nothing_half_written(page, sent):
    session = opened(page)
    page.uploaded(session, event(files=[sent("normal.csv", normal_rows())]))
    page.fit(session, "", "line-3", "table", "score_matching", "train_steps=200000", False)
    job = page.jobs.of(session.reader)[0]
    until = time.monotonic() + 60
    while "step" not in job.message and not job.ended and time.monotonic() < until:
        time.sleep(0.02)
    assert not job.ended, job.error
    page.cancelled(session, event(job=job.id))
    assert finished(page, session).status == "cancelled"
    root = page.workspace.store.root
    assert [path for name in ("models", "uploads") for path in (root / name).glob("*")] == []


def normal_rows() -> bytes:
    rng = np.random.default_rng(0)
    amount = rng.lognormal(2, 0.3, 300)
    return pd.DataFrame({"amount": amount, "tax": amount * 0.19}).to_csv(index=False).encode()


def test_data_and_model_are_asked_for_in_one_sentence(page):
    session = opened(page)
    with pytest.raises(gr.Error, match="no data yet"):
        page.detect(session, "", "/models/table", 0.01, None)
    with pytest.raises(gr.Error, match="No model is chosen"):
        page.detect(session, "/y", "", 0.01, None)
    with pytest.raises(gr.Error, match="needs a name"):
        page.fit(session, "/y", "../up", "table", "default", "", False)
    session.uploads = [Upload(Path("x"), "x")]
    with pytest.raises(gr.Error, match="clear one of them"):
        page.detect(session, "/y", "/models/table", 0.01, None)


def test_only_files_that_arrived_here_can_be_named(page, sent):
    session = opened(page)
    for path in ("/etc/passwd", sent("a.csv", b"x")[0] + "/../../../../etc/passwd"):
        with pytest.raises(gr.Error, match="did not arrive"):
            page.uploaded(session, event(files=[[path, "a.csv"]]))


def test_readers_from_elsewhere_may_only_choose_models_of_the_store(shop):
    page = Page(shop, "narrator", local_paths=False)
    session = opened(page)
    with pytest.raises(gr.Error, match="no data yet"):
        page.detect(session, "/etc", "/models/table", 0.01, None)
    session.uploads = [Upload(Path("x"), "x")]
    with pytest.raises(gr.Error, match="not one of the store"):
        page.detect(session, "", "/etc", 0.01, None)
    with pytest.raises(gr.Error, match="served to this machine alone"):
        page.fit(session, "", "mine", "image", "default", "backbone=/etc", False)


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
