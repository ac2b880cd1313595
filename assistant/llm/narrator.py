"""The embedded narrator: a chat model without weights that understands questions about findings and writes answers.

A LangChain chat model like any other: it is given messages and tools, and gives back tool calls or an answer. It sees
messages only; whatever it knows of a conversation it reads off them anew each time. The same messages always get the
same reply. Knows LangChain's message types; understanding is in `understand` and `interpret`, looking things up in
`desk` and `skills`, wording in `phrases`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from hashlib import sha256
from typing import Any

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.messages.tool import tool_call_chunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult

from assistant.llm.clauses import clauses, heard
from assistant.llm.desk import Desk
from assistant.llm.dialogue import Entry, Turn, channel_names, read
from assistant.llm.interpret import asked_back, asked_before, interpret, name_spoken, remembered
from assistant.llm.phrases import phrases
from assistant.llm.results import Call, Finished, Need
from assistant.llm.skills import skills
from assistant.llm.tool_model import ToolModel

BRIEF = 2  # sentences of an answer that is wanted short
_ROLES = {"system": "system", "human": "human", "ai": "assistant", "tool": "tool"}


class Narrator(ToolModel):
    """Chats about findings through tools, deterministically and without weights."""

    @property
    def _llm_type(self) -> str:
        return "narrator"

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        text, calls = reply([_entry(message) for message in messages], kwargs.get("tools") or [])
        return ChatResult(generations=[ChatGeneration(message=_message(text, calls, len(messages)))])

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        message = self._generate(messages, stop, run_manager, **kwargs).generations[0].message
        if isinstance(message, AIMessage) and message.tool_calls:
            parts = [
                tool_call_chunk(name=call["name"], args=json.dumps(call["args"]), id=call["id"], index=i)
                for i, call in enumerate(message.tool_calls)
            ]
            yield ChatGenerationChunk(message=AIMessageChunk(content="", tool_call_chunks=parts))
        else:
            for piece in re.findall(r"\S+\s*", str(message.content)):
                chunk = ChatGenerationChunk(message=AIMessageChunk(content=piece))
                if run_manager:
                    run_manager.on_llm_new_token(piece, chunk=chunk)
                yield chunk
        yield ChatGenerationChunk(message=AIMessageChunk(content="", chunk_position="last"))


def reply(entries: Sequence[Entry], tools: Sequence[dict[str, Any]]) -> tuple[str, list[Call]]:
    """The answer, or the calls that it needs first. `tools` are in OpenAI's form."""
    turns = read(entries)
    if not turns:
        return "Ask me about the findings in this store.", []
    desks: list[Desk] = []
    try:
        for desk in _questions(turns, _defaults(tools)):
            desks.append(desk)
            for intent in filter(None, (desk.asked.intent, desk.asked.also)):
                desk.asked = replace(desk.asked, intent=intent)
                with suppress(Finished):
                    skills()[intent](desk)
    except Need as need:
        return "", need.calls
    return _text(desks, turns), []


def _questions(turns: Sequence[Turn], defaults: dict[str, dict[str, Any]]) -> Iterator[Desk]:
    """A desk for each question of the last turn; the later ones know what the earlier ones looked up."""
    memories, turn = remembered(turns[:-1]), turns[-1]
    memory, previous, answers = memories[-1], asked_before(turns[:-1], memories), asked_back(turns[:-1])
    for clause in clauses(turn.question):
        asked = interpret(heard(clause, channel_names(memory)), memory, previous, turn.focus, answers)
        desk = Desk(replace(turn, question=clause), memory, asked, defaults)
        desk.sources = {evidence.id: evidence.tool for one in turns for evidence in one.evidence}
        yield desk
        if desk.pen.asks_back:
            return
        memory = memory.copy().after(replace(turn, evidence=desk.used))
        name_spoken(memory, asked.reading)
        previous, answers = asked, False


def _text(desks: Sequence[Desk], turns: Sequence[Turn]) -> str:
    """The answer without sentences that were found wrong. A reader of another language is told once, in that
    language, that answers are in English."""
    texts = [text for desk in desks if (text := desk.pen.text(turns[-1].wrong, BRIEF if desk.asked.brief else None))]
    desk = desks[-1]
    if not texts:
        desk.say("corrected_away")
        texts = [desk.pen.sentences[-1]]
    if (key := f"in_english_{desks[0].reading.language}") in phrases():
        told = str(desk.pen.fill(key, {}))
        texts = texts if any(told in turn.answer for turn in turns[:-1]) else [told, *texts]
    return "\n\n".join(texts) if any("\n" in text for text in texts) else " ".join(texts)


def _defaults(tools: Sequence[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """The default argument values of each offered tool."""
    found = {}
    for tool in tools:
        function = tool.get("function", tool)
        properties = (function.get("parameters") or {}).get("properties") or {}
        found[str(function["name"])] = {key: value.get("default") for key, value in properties.items()}
    return found


def _entry(message: BaseMessage) -> Entry:
    return Entry(_ROLES.get(message.type, message.type), _plain_text(message))


def _plain_text(message: BaseMessage) -> str:
    """The text of a message, also where its content is a list of blocks."""
    if isinstance(message.content, str):
        return message.content
    return "\n".join(
        block if isinstance(block, str) else str(block.get("text", ""))
        for block in message.content
        if isinstance(block, str) or block.get("type", "text") == "text"
    )


def _message(text: str, calls: Sequence[Call], position: int) -> AIMessage:
    made = [
        {"name": name, "args": arguments, "id": _call_id(name, arguments, position, i), "type": "tool_call"}
        for i, (name, arguments) in enumerate(calls)
    ]
    return AIMessage(content=text, tool_calls=made)


def _call_id(name: str, arguments: dict[str, Any], position: int, number: int) -> str:
    """An id that is the same for the same call at the same place of a conversation."""
    digest = sha256(f"{position}|{number}|{name}|{json.dumps(arguments, sort_keys=True)}".encode()).hexdigest()
    return f"call_{digest[:16]}"


__all__ = ["Narrator", "reply"]
