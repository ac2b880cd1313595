"""Conversations: kept by name for each reader, taken back, forgotten, told with their cost, written as Markdown."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest
from scripted import Scripted, call, openai_call, openai_server
from shop import open_shop

from assistant.agent import Assistant
from assistant.chat.transcript import as_markdown
from assistant.evidence import Answer, Claim, Evidence, Fact, Step, Usage
from assistant.llm import get_model
from assistant.records import Exchange
from assistant.store.conversations import TITLE, Conversations
from detectors.errors import AnomalyError

EVIL = "<b>x</b> | `y` [z](http://a) _i_"


@pytest.fixture
def workspace(tmp_path, monkeypatch):
    workspace = open_shop(tmp_path, monkeypatch)
    workspace.config = replace(workspace.config, timeout=5.0, max_steps=5)
    yield workspace
    workspace.store.close()


# --- names ----------------------------------------------------------------------------------------------------------


def test_the_latest_conversation_comes_first_and_keeps_its_first_name(tmp_path):
    kept = Conversations(tmp_path)
    kept.touch("ada", "one", "first?")
    kept.touch("ada", "two", "second?")
    kept.touch("ada", "one", "third?")
    assert [(one.thread, one.title) for one in kept.of("ada")] == [("one", "first?"), ("two", "second?")]


def test_readers_have_conversations_of_their_own(tmp_path):
    kept = Conversations(tmp_path)
    kept.touch("ada", "one", "first?")
    assert kept.of("bob") == []
    assert (kept.owns("ada", "one"), kept.owns("bob", "one")) == (True, False)
    kept.rename("bob", "one", "mine now")
    kept.forget("bob", "one")
    assert [one.title for one in kept.of("ada")] == ["first?"]


def test_names_survive_a_restart_and_fit_a_line(tmp_path):
    Conversations(tmp_path).touch("ada", "one", "why\n is " + "very " * 40)
    (one,) = Conversations(tmp_path).of("ada")
    assert one.title.startswith("why is very")
    assert len(one.title) <= TITLE


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(AnomalyError, match="cannot be opened"):
        Conversations(tmp_path / "file")


# --- taking back ----------------------------------------------------------------------------------------------------


def test_a_question_that_was_taken_back_is_not_seen_again(workspace):
    model = Scripted(script=["One.", "Two.", "Three."])
    assistant = Assistant(workspace, model, thread="t")
    assistant.ask("first?")
    assistant.ask("second?")
    assert not assistant.take_back("first?")  # it is not the last
    assert assistant.take_back("second?")
    assistant.ask("third?")
    seen = [message.text for message in model.seen[-1]]
    assert any("first?" in text for text in seen)
    assert not any("second?" in text for text in seen)
    assert [one.question for one in workspace.store.answers("t")] == ["first?", "third?"]


def test_the_only_question_can_be_taken_back_and_a_conversation_forgotten(workspace):
    assistant = Assistant(workspace, "narrator", thread="t")
    first = assistant.ask("Why is F1 anomalous?")
    assert assistant.take_back("Why is F1 anomalous?")
    assert assistant.history() == []
    assistant.ask("What was flagged?")
    assistant.forget()
    assert (assistant.history(), workspace.store.answers("t")) == ([], [])
    assert workspace.store.evidence(first.steps[0].evidence).tool == "explain_finding"  # reports may cite it


# --- what an answer took ----------------------------------------------------------------------------------------------


def test_tokens_of_all_replies_are_added_up(workspace, monkeypatch):
    workspace.config = replace(workspace.config, base_url="")
    with openai_server([openai_call("explain_finding", finding="F1"), {"content": "F1 was looked at [E1]."}]) as (
        url,
        _,
    ):
        workspace.config = replace(workspace.config, base_url=url)
        answer = Assistant(workspace, get_model("openai:fake", workspace.config)).ask("why is F1 anomalous?")
    assert answer.usage == Usage(calls=2, read=20, written=10)
    assert Answer.from_dict(answer.to_dict()) == answer


def test_the_narrator_takes_no_tokens(workspace):
    usage = Assistant(workspace).ask("What can you do?").usage
    assert (usage.read, usage.written, usage.cost) == (0, 0, None)


def test_a_cost_that_a_provider_tells_is_added_up(workspace):
    def told(cost, message):
        message.response_metadata = {"token_usage": {"cost": cost}}
        return message

    from langchain_core.messages import AIMessage

    script = [told(0.001, call("overview")), told(0.002, AIMessage("Hello."))]
    answer = Assistant(workspace, Scripted(script=script)).ask("hello")
    assert answer.usage.cost == pytest.approx(0.003)


# --- as Markdown ----------------------------------------------------------------------------------------------------


def exchange(**more) -> Exchange:
    claim = Claim("F1 is odd.", ("E1",), facts=("E1:F1.p_value",))
    step = Step("explain_finding", {"finding": EVIL}, "E1", 0.2, "ok")
    answer = Answer("F1 is odd [E1].", (claim,), (Claim(EVIL, ("E1",), EVIL),), (step,), model=EVIL, **more)
    return Exchange("t", EVIL, answer.to_dict(), "2026-01-02T03:04:05+00:00")


def test_a_conversation_is_written_with_marks_that_lead_to_its_evidence():
    evidence = Evidence("E1", "explain_finding", {}, "ok", [Fact("F1", "p_value", 0.0004), Fact(EVIL, "note", EVIL)])
    text = as_markdown(EVIL, [exchange()], lambda name: evidence)
    assert "F1 is odd [[E1](#e1)]." in text
    assert "### E1" in text
    assert "| F1 | p\\_value | 0.0004 |" in text
    assert "Left out" in text
    assert "verified: 1 statement held against the evidence, 1 left out" in text
    assert "<b>" not in text
    assert not re.search(r"(?<!\\)\]\(http", text)


def test_evidence_that_is_gone_is_said_to_be():
    def gone(name):
        raise AnomalyError(f"There is no evidence {name}.")

    assert "There is no evidence E1." in as_markdown("x", [exchange()], gone)
