"""The talk without a browser: answers as they stream, conversations, edits, exports."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote

import gradio as gr
import pytest
from reader import EVIDENCE, EVIL, STEP, event, opened
from shop import open_shop

from assistant.agent import Done, StepDone, StepStarted, Token
from assistant.chat import marks as chat_marks
from assistant.chat import talk as chat_talk
from assistant.chat.page import Page
from assistant.chat.session import Session
from assistant.evidence import Answer, Claim, Usage
from detectors.errors import AnomalyError


@pytest.fixture
def page(tmp_path, monkeypatch):
    return Page(open_shop(tmp_path, monkeypatch), "narrator")


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


def test_an_answer_that_grows_on_after_it_was_stopped_changes_nothing(page):
    session = opened(page, run="R1")
    asking = page.ask("Why is it anomalous?", session)
    next(asking)
    next(asking)
    page.stopped(session)
    kept = list(session.talk)
    *_, last = asking
    assert "Stopped." in last[2][-1]["content"]
    assert session.talk == kept
    assert not session.answered


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
