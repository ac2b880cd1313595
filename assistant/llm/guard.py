"""Keeps any language model in bounds: LangChain middleware around its replies, its tool calls and its answers.

`Steady` calls the model: in time, with textual tool calls read as calls, without tools when its steps run out.
`Desk` runs the tools: no call twice, errors as messages, every call reported. `Checking` lets nothing out that does not
match the evidence. What one question needs to remember is its `Turn`, the run's context. Knows messages and evidence;
not which model it is, nor the store or the page.
"""

from __future__ import annotations

import json
import logging
import re
import threading
import time
from collections.abc import Callable
from contextvars import copy_context
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any
from uuid import uuid4

from langchain.agents.middleware import AgentMiddleware, ToolErrorMiddleware, hook_config
from langchain.agents.middleware.types import ModelRequest, ModelResponse
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage, ToolMessage

from assistant import prompts
from assistant.evidence import Evidence, Step, Usage
from assistant.llm import without_secrets
from assistant.llm.toolcalls import without_thoughts, written_calls
from assistant.verify import Verdict, Verifier
from detectors.errors import AnomalyError

RETRIES = 2  # how often an answer may be written again
ASIDE = "aside"  # marks messages between agent and model that are no part of the conversation
_SHOWN_TURNS = 3  # questions whose tool results are shown to a model in full
_COMMON = frozenset(
    # ruff: noqa: SIM905 - a list of words reads better as text
    "the a is of to in and i you it not no can for was are be this that with on as at what le la les de est et un une "
    "je pas que der die das ist und ich nicht ein eine zu den el los es en y se il di che non per o os um uma "
    "em".split()
)
log = logging.getLogger(__name__)


class UnusableError(Exception):
    """The model cannot answer this question; the sentence says why."""


@dataclass
class Turn:
    """All that one question needs to remember while it is answered."""

    question: str
    thread: str
    verifier: Verifier
    evidence: dict[str, Evidence]  # what may be cited: earlier turns' and this one's, by id
    timeout: float  # seconds for one reply of the model
    deadline: float  # time.monotonic() by which the model must have answered
    steps_left: int  # replies of the model
    patient: bool = True  # False: the model writes the same again, so it is not asked again
    steps: list[Step] = field(default_factory=list)
    done: dict[str, str] = field(default_factory=dict)  # call -> evidence id or what came of it
    drafts: list[str] = field(default_factory=list)
    verdict: Verdict | None = None
    usage: Usage = field(default_factory=Usage)


# --- asking the model ---------------------------------------------------------------------------------------------


class Steady(AgentMiddleware[Any, Turn]):
    """Calls the model, in time, and makes calls of what it wrote as calls."""

    def wrap_model_call(
        self, request: ModelRequest[Turn], handler: Callable[[ModelRequest[Turn]], ModelResponse[Any]]
    ) -> ModelResponse[Any]:
        turn = request.runtime.context
        known = [tool.name for tool in request.tools if not isinstance(tool, dict)]
        request = request.override(messages=_shortened(request.messages))
        if turn.steps_left <= 1 and turn.patient:  # the last reply: an answer from what is there
            request = request.override(tools=[], messages=[*request.messages, _aside(prompts.render("last"))])
        turn.steps_left -= 1
        response = _in_time(lambda: handler(request), turn)
        turn.usage = _added(turn.usage, response.result)
        return ModelResponse(result=[self._mended(message, request, known, turn) for message in response.result])

    def _mended(self, message: Any, request: ModelRequest[Turn], known: list[str], turn: Turn) -> Any:
        if not isinstance(message, AIMessage):
            return message
        text = without_thoughts(message.text)
        if message.tool_calls or not request.tools:
            return message.model_copy(update={"content": text})
        calls = [call for call in written_calls(text, known) if not _echoed(call.raw, request.messages)]
        for call in calls:
            text = text.replace(call.raw, "").strip()
        made = [
            {"name": c.name, "args": c.arguments, "id": f"call_{uuid4().hex[:16]}", "type": "tool_call"} for c in calls
        ]
        return message.model_copy(update={"content": text, "tool_calls": made, "invalid_tool_calls": []})


def _in_time(call: Callable[[], ModelResponse[Any]], turn: Turn) -> ModelResponse[Any]:
    """The model's reply within its time.

    Raises:
        UnusableError: it failed, or was too slow. A reply that hangs is left behind in its thread.
    """
    left = min(turn.timeout, turn.deadline - time.monotonic())
    if left <= 0:
        raise UnusableError("it took too long")
    box: list[Any] = []

    def run() -> None:
        try:
            box.append(call())
        except Exception as error:  # whatever a provider's package raises
            box.append(error)

    if turn.patient:
        worker = threading.Thread(target=copy_context().run, args=(run,), daemon=True)
        worker.start()
        worker.join(left)
    else:
        run()
    if not box:
        raise UnusableError(f"it gave no reply within {left:.0f} s")
    if isinstance(box[0], Exception):
        raise UnusableError(_said(box[0])) from box[0]
    return box[0]


def _added(usage: Usage, messages: list[Any]) -> Usage:
    """What has been used, with one more reply of a model; providers tell tokens, and some of them the cost."""
    for message in messages:
        if not isinstance(message, AIMessage):
            continue
        told = message.usage_metadata or {"input_tokens": 0, "output_tokens": 0}
        bill = message.response_metadata.get("token_usage") or {}
        cost = bill.get("cost") if isinstance(bill, dict) else None
        paid = usage.cost if not isinstance(cost, int | float) else (usage.cost or 0.0) + float(cost)
        read, written = usage.read + told["input_tokens"], usage.written + told["output_tokens"]
        usage = Usage(usage.calls + 1, read, written, paid)
    return usage


def _said(error: BaseException) -> str:
    """What went wrong with a model, in a clause without secrets."""
    text = " ".join(without_secrets(str(error)).split())
    if isinstance(error, AnomalyError):
        return text.rstrip(".")
    status = getattr(error, "status_code", None)
    if status in (401, 403):
        return f"its server refused the key (HTTP {status})"
    if status:
        return f"its server answered HTTP {status}: {text[:160]}"
    if re.search(r"connect", type(error).__name__ + text, re.I):
        return "it could not be reached"
    if re.search(r"time[d ]?-?out", type(error).__name__ + text, re.I):
        return "it gave no reply in time"
    return f"{type(error).__name__}: {text[:160]}" if text else type(error).__name__


def _echoed(raw: str, messages: list[AnyMessage]) -> bool:
    """Whether a textual call only repeats text from data or from the person: then it is a quotation."""
    spelled = (raw, json.dumps(raw, ensure_ascii=False)[1:-1], json.dumps(raw)[1:-1])
    return any(one in message.text for message in messages if not isinstance(message, AIMessage) for one in spelled)


def _shortened(messages: list[AnyMessage]) -> list[AnyMessage]:
    """Older tool results as their first line: the model can call again, and sees what it wrote of them."""
    asked = [i for i, message in enumerate(messages) if isinstance(message, HumanMessage) and not is_aside(message)]
    start = asked[-_SHOWN_TURNS] if len(asked) > _SHOWN_TURNS else 0
    return [
        message.model_copy(update={"content": message.text.split("\n", 1)[0]})
        if isinstance(message, ToolMessage) and i < start
        else message
        for i, message in enumerate(messages)
    ]


# --- running tools ------------------------------------------------------------------------------------------------


class Desk(AgentMiddleware[Any, Turn]):
    """Runs tool calls: the same call once, every call reported as an event, its evidence kept for the check."""

    def __init__(
        self, started: Callable[[str, dict[str, Any]], Any], done: Callable[[Step, Evidence | None], Any]
    ) -> None:
        super().__init__()
        self.events = (started, done)

    def wrap_tool_call(self, request: Any, handler: Callable[[Any], Any]) -> Any:
        turn: Turn = request.runtime.context
        name, arguments = str(request.tool_call["name"]), dict(request.tool_call["args"])
        key = f"{name}({json.dumps(arguments, sort_keys=True, default=str)})"
        if key in turn.done:
            text = f"This very call was made before; its result is {turn.done[key]}. Use it, or ask for something else."
            return ToolMessage(text, tool_call_id=request.tool_call["id"], name=name, status="error")
        turn.done[key] = "under way"
        started, done = self.events
        request.runtime.stream_writer(started(name, arguments))
        begun = time.monotonic()
        message = handler(request)
        evidence = message.artifact if isinstance(message.artifact, Evidence) else None
        step = Step(
            name, arguments, evidence.id if evidence else None, time.monotonic() - begun, _status(message, evidence)
        )
        if evidence is not None:
            turn.evidence[evidence.id] = evidence
            message.artifact = None  # kept by the store; the thread needs only its text
        turn.done[key] = evidence.id if evidence else "an error"
        turn.steps.append(step)
        request.runtime.stream_writer(done(step, evidence))
        return message


def tool_errors() -> ToolErrorMiddleware:
    """Turns what a tool raises into a message that the model can act on."""

    def told(error: Exception, request: Any) -> str:
        if isinstance(error, AnomalyError):
            return str(error)
        log.error("tool %s failed", request.tool_call["name"], exc_info=error)
        return (
            f"The tool {request.tool_call['name']} failed: {type(error).__name__}: {without_secrets(str(error))[:200]}"
        )

    return ToolErrorMiddleware(on_error=told)


def _status(message: ToolMessage, evidence: Evidence | None) -> str:
    return evidence.status if evidence else "error" if message.status == "error" else "ok"


# --- checking answers ---------------------------------------------------------------------------------------------


class Checking(AgentMiddleware[Any, Turn]):
    """Holds each answer against the evidence; what does not match goes back, twice, and is then left out.

    Its hook runs after all others, since a jump back to the model would skip those that come later.
    """

    @hook_config(can_jump_to=["model"])
    def after_model(self, state: Any, runtime: Any) -> dict[str, Any] | None:
        turn: Turn = runtime.context
        message = state["messages"][-1]
        if not isinstance(message, AIMessage) or message.tool_calls:  # calls to be made, or refused over the limit
            if turn.steps_left <= 0:
                raise UnusableError("it went on calling tools and came to no answer")
            return None
        if reason := unreadable(message.text):
            return self._again(
                turn, prompts.render("nudge", reason=reason, tools=_tool_names(turn)), reason, message.text
            )
        verdict = turn.verifier.verify(message.text, turn.evidence, turn.question).recited()
        if not verdict.ok:
            if turn.verdict is None or verdict.supported >= turn.verdict.supported:
                turn.verdict = verdict
            if self._may_retry(turn, message.text):
                turn.drafts.append(message.text)
                told = _aside(prompts.render("correction", problems=list(verdict.problems)))
                return {"messages": [told], "jump_to": "model"}
            verdict = turn.verdict
        return self._accept(turn, verdict, message)

    def _accept(self, turn: Turn, verdict: Verdict, message: AIMessage) -> dict[str, Any]:
        if verdict.problems and not verdict.supported and turn.patient:
            raise UnusableError("nothing that it claimed matched the evidence")
        turn.verdict = verdict
        kept = message.model_copy(update={"content": verdict.text, "tool_calls": [], "invalid_tool_calls": []})
        return {"messages": [kept]}

    def _may_retry(self, turn: Turn, draft: str) -> bool:
        return turn.patient and len(turn.drafts) < RETRIES and turn.steps_left > 0 and draft not in turn.drafts

    def _again(self, turn: Turn, text: str, reason: str, draft: str) -> dict[str, Any]:
        if not self._may_retry(turn, draft):
            raise UnusableError(reason)
        turn.drafts.append(draft)
        return {"messages": [_aside(text)], "jump_to": "model"}


def unreadable(text: str) -> str:
    """Why a reply is no answer at all; "" where it is one."""
    if not text.strip():
        return "it gave an empty answer"
    if re.search(r"</?tool_call>|<function=|\[TOOL_CALLS\]|<\|", text):
        return "it wrote a tool call that cannot be read"
    words = re.findall(r"[^\W\d_]+", text.lower())
    if not words or "\ufffd" in text:
        return "it wrote no words"
    prose = [
        line for line in text.splitlines() if not re.match(r"\s*(?:[-*•|]|\d+[.)])", line)
    ]  # lists do repeat words
    words = re.findall(r"[^\W\d_]+", " ".join(prose).lower())
    if len(words) >= 12 and len(set(words)) < 0.3 * len(words):
        return "it repeated itself"
    latin = [word for word in words if word.isascii() or re.fullmatch(r"[a-zà-ÿœ]+", word)]
    if len(latin) >= 6 and len(latin) > len(words) / 2 and not _COMMON & set(latin):
        return "it wrote no sentences"
    return ""


def is_aside(message: AnyMessage) -> bool:
    """Whether a message stands between agent and model only."""
    return bool(message.additional_kwargs.get(ASIDE))


def tidy(messages: list[AnyMessage], turns: int) -> list[AnyMessage]:
    """A conversation without drafts, corrections and questions that were never answered; the last `turns` questions."""
    asked = [i for i, message in enumerate(messages) if isinstance(message, HumanMessage) and not is_aside(message)]
    kept: list[AnyMessage] = []
    for start, end in list(pairwise([*asked, len(messages)]))[-turns:]:
        one = [message for message in messages[start:end] if not is_aside(message)]
        final = one[-1]
        if isinstance(final, AIMessage) and final.text and not final.tool_calls:
            drafts = [m for m in one[:-1] if isinstance(m, AIMessage) and not m.tool_calls]
            kept += [message for message in one if message not in drafts]
    return kept


def _aside(text: str) -> HumanMessage:
    return HumanMessage(text, additional_kwargs={ASIDE: True})


def _tool_names(turn: Turn) -> list[str]:
    return list(dict.fromkeys(step.tool for step in turn.steps)) or [
        "overview",
        "list_findings",
        "explain_finding",
        "read_guide",
    ]
