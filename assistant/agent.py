"""The agent: a language model, tools and a check in one loop, in threads that are kept. Only checked sentences leave.

Question → model → tools → model → answer → check against the evidence → reader. A model that is down, slow, loops or
invents is replaced for that question by the embedded narrator, and the answer says so. Knows LangChain, the tools and
the prompts; not detectors, pages or terminals.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from langchain.agents import create_agent
from langchain.agents.middleware import ModelCallLimitMiddleware, ToolCallLimitMiddleware
from langchain.agents.middleware.model_call_limit import ModelCallLimitExceededError
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AnyMessage, HumanMessage, RemoveMessage, ToolMessage
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.errors import GraphRecursionError
from langgraph.graph.message import REMOVE_ALL_MESSAGES

from assistant import prompts
from assistant.evidence import Answer, Evidence, Step, is_evidence
from assistant.llm import NARRATOR, get_model, without_secrets
from assistant.llm.guard import Checking, Desk, Steady, Turn, UnusableError, tidy, tool_errors
from assistant.store.conversations import open_threads
from assistant.verify import Verdict, Verifier
from detectors.errors import AnomalyError

if TYPE_CHECKING:
    from langchain_core.tools import BaseTool

    from assistant.pipeline import Workspace

KEPT_TURNS = 12  # questions of a thread that the model sees again and that may be cited
PATIENCE = 4  # whole answers may take this many times the time of one reply
CALLS_A_STEP = 4  # tool calls that one reply may make, on average
NOTHING = "I could not find an answer that the evidence supports."
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class StepStarted:
    """A tool is being called."""

    tool: str
    arguments: dict[str, Any]


@dataclass(frozen=True)
class StepDone:
    """A tool has answered."""

    step: Step
    evidence: Evidence | None


@dataclass(frozen=True)
class Token:
    """Checked text, to be put behind what came before."""

    text: str


@dataclass(frozen=True)
class Done:
    """The whole answer; the last event."""

    answer: Answer


Event = StepStarted | StepDone | Token | Done


class Assistant:
    """Answers questions about a workspace in one thread of conversation.

    Args:
        workspace: the store with its detectors; its config gives time and steps.
        llm: "narrator", "local:FOLDER", "provider:name", or a chat model.
        thread: the conversation; the same name goes on where it was left, also in a later process.
        tools: in place of the tools of `assistant.tools`.
        fallback: whether the narrator answers where the model cannot.

    Raises:
        AnomalyError: the model's name is not understood or it cannot be set up; the threads cannot be opened.
    """

    def __init__(
        self,
        workspace: Workspace,
        llm: str | BaseChatModel = NARRATOR,
        thread: str = "default",
        tools: Sequence[BaseTool] | None = None,
        fallback: bool = True,
    ) -> None:
        self.workspace = workspace
        self.thread = thread
        self.fallback = fallback
        self.model = llm if isinstance(llm, BaseChatModel) else get_model(llm, workspace.config)
        self.label = llm if isinstance(llm, str) else str(getattr(llm, "model_name", llm._llm_type))
        self._tools = list(tools) if tools is not None else _all_tools(workspace, thread)
        self._connection = open_threads(Path(workspace.store.root))
        self._saver = SqliteSaver(self._connection)
        self._verifier = Verifier()
        self._evidence: dict[str, Evidence] = {}
        self._graphs: dict[str, Any] = {}
        self._lock = threading.Lock()
        self._graph(self.label, self.model)

    def ask(self, question: str, focus: str | None = None) -> Answer:
        """The checked answer to a question; `focus` is the finding that the reader has open.

        Raises:
            AnomalyError: the question is empty, the thread is busy, or the store cannot be used.
        """
        for event in self.stream(question, focus):
            if isinstance(event, Done):
                return event.answer
        raise AnomalyError("The answer was broken off.")

    def stream(self, question: str, focus: str | None = None) -> Iterator[Event]:
        """The same, as it happens: tool calls, then checked text sentence by sentence, at last the whole answer."""
        question = question.strip()
        if not question:
            raise AnomalyError("The question is empty.")
        if not self._lock.acquire(timeout=self.workspace.config.timeout):
            raise AnomalyError(f"The conversation {self.thread!r} is still busy with the question before.")
        try:
            yield from self._answer(question, focus, time.monotonic())
        except sqlite3.Error as error:
            raise AnomalyError(f"The conversation {self.thread!r} cannot be kept: {error}.") from error
        finally:
            self._lock.release()

    def history(self) -> list[AnyMessage]:
        """The thread's messages without drafts and corrections."""
        state = self._graph(self.label, self.model).get_state(self._config)
        return tidy(state.values.get("messages", []), KEPT_TURNS)

    def take_back(self, question: str) -> bool:
        """Forget the last question and its answer, where that is `question`; what tools changed stays changed.

        Raises:
            AnomalyError: the thread is busy, or the store cannot be written.
        """
        if not self._lock.acquire(timeout=self.workspace.config.timeout):
            raise AnomalyError(f"The conversation {self.thread!r} is still busy with the question before.")
        try:
            if not self.workspace.store.remove_answer(self.thread, question):
                return False
            history = self.history()
            asked = [i for i, message in enumerate(history) if isinstance(message, HumanMessage)]
            if asked and history[asked[-1]].text.startswith(question):
                self._keep(history[: asked[-1]])
            return True
        finally:
            self._lock.release()

    def forget(self) -> None:
        """Forget the whole conversation; the evidence stays, since reports may cite it."""
        self.workspace.store.remove_thread(self.thread)
        self._saver.delete_thread(self.thread)

    def _keep(self, messages: list[AnyMessage]) -> None:
        """Make these the thread's messages."""
        if not messages:
            self._saver.delete_thread(self.thread)
            return
        state = {"messages": [RemoveMessage(REMOVE_ALL_MESSAGES), *messages]}
        self._graph(self.label, self.model).update_state(self._config, state, as_node="model")
        self._forget_checkpoints()

    def close(self) -> None:
        """Let go of the threads' file."""
        self._connection.close()

    def __enter__(self) -> Assistant:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # --- one answer ------------------------------------------------------------------------------------------------

    def _answer(self, question: str, focus: str | None, begun: float) -> Iterator[Event]:
        history = self.history()
        notices: list[str] = []
        label, turn = self.label, self._turn(question, history, patient=_is_patient(self.model))
        try:
            yield from self._run(label, self.model, turn, history, focus)
        except UnusableError as error:
            log.info("%s failed: %s", label, error)
            if not self.fallback or label == NARRATOR:
                notices.append(f"The question could not be answered: {error}.")
            else:
                notices.append(
                    f"The language model {without_secrets(label)} could not answer: {error}. The embedded narrator "
                    f"answered instead."
                )
                steps, usage, label = turn.steps, turn.usage, NARRATOR
                turn = self._turn(question, history, patient=False)
                turn.steps += steps
                turn.usage = usage
                try:
                    yield from self._run(label, get_model(NARRATOR), turn, history, focus)
                except UnusableError as second:
                    notices.append(f"The narrator could not answer either: {second}.")
        answer = self._finish(turn, label, notices, history, begun)
        yield from (Token(piece) for piece in _pieces(answer, turn.verdict))
        self.workspace.store.add_answer(self.thread, question, answer.to_dict())
        yield Done(answer)

    def _turn(self, question: str, history: list[AnyMessage], patient: bool) -> Turn:
        config = self.workspace.config
        evidence = {name: one for name in _ids(history) if (one := self._stored(name)) is not None}
        deadline = time.monotonic() + PATIENCE * config.timeout
        return Turn(
            question, self.thread, self._verifier, evidence, config.timeout, deadline, config.max_steps + 1, patient
        )

    def _run(
        self, label: str, model: BaseChatModel, turn: Turn, history: list[AnyMessage], focus: str | None
    ) -> Iterator[Event]:
        """Run the loop; its events, and the verdict in `turn`.

        Raises:
            UnusableError: the model came to no usable answer.
        """
        asked = f"{turn.question}\n\n(open on the page: {focus})" if focus else turn.question
        messages = [RemoveMessage(REMOVE_ALL_MESSAGES), *history, HumanMessage(asked)]
        graph = self._graph(label, model)
        try:
            yield from graph.stream(
                {"messages": messages}, self._config, context=turn, stream_mode="custom", durability="exit"
            )
        except (ModelCallLimitExceededError, GraphRecursionError) as error:
            raise UnusableError("it came to no answer within its steps") from error
        finally:
            self._evidence.update(turn.evidence)
            self._forget_checkpoints()
        if turn.verdict is None:
            raise UnusableError("it came to no answer")

    def _finish(self, turn: Turn, label: str, notices: list[str], history: list[AnyMessage], begun: float) -> Answer:
        verdict = turn.verdict
        text = (verdict.text if verdict else "") or NOTHING
        removed = verdict.removed if verdict else ()
        if removed:
            many = "One sentence was" if len(removed) == 1 else f"{len(removed)} sentences were"
            notices.append(f"{many} left out, since the evidence does not hold what was said.")
        asked = [message.text for message in history if isinstance(message, HumanMessage)]
        return Answer(
            text=text,
            claims=verdict.claims if verdict else (),
            removed=removed,
            steps=tuple(turn.steps),
            suggestions=_suggestions(turn, [*asked, turn.question]),
            model=without_secrets(label),
            seconds=time.monotonic() - begun,
            thread=self.thread,
            notices=tuple(notices),
            usage=turn.usage,
        )

    # --- what it stands on -----------------------------------------------------------------------------------------

    @property
    def _config(self) -> dict[str, Any]:
        return {"configurable": {"thread_id": self.thread}}

    def _graph(self, label: str, model: BaseChatModel) -> Any:
        """The compiled loop for a model, built once. Hooks after the model run from the last to the first."""
        if label not in self._graphs:
            steps = self.workspace.config.max_steps
            guards: list[Any] = [
                Checking(),
                ModelCallLimitMiddleware(run_limit=steps + 1, exit_behavior="error"),
                ToolCallLimitMiddleware(run_limit=CALLS_A_STEP * steps, exit_behavior="continue"),
                Steady(),
                Desk(StepStarted, StepDone),
                tool_errors(),
            ]
            self._graphs[label] = create_agent(
                model,
                self._tools,
                system_prompt=prompts.render("system", topics=list(prompts.guides())),
                middleware=guards,
                context_schema=Turn,
                checkpointer=self._saver,
            )
        return self._graphs[label]

    def _stored(self, name: str) -> Evidence | None:
        """Evidence of an earlier turn; None where the store does not have it any more."""
        if name not in self._evidence:
            try:
                self._evidence[name] = self.workspace.store.evidence(name)
            except AnomalyError:
                return None
        return self._evidence[name]

    def _forget_checkpoints(self) -> None:
        """Keep only the latest state of the thread: it holds the whole conversation."""
        with self._saver.cursor() as cursor:
            newest = "SELECT MAX(checkpoint_id) FROM checkpoints WHERE thread_id = ?"
            for table in ("checkpoints", "writes"):
                cursor.execute(
                    f"DELETE FROM {table} WHERE thread_id = ? AND checkpoint_id < ({newest})",  # noqa: S608 - two fixed names
                    (self.thread, self.thread),
                )


def _all_tools(workspace: Workspace, thread: str) -> list[BaseTool]:
    from assistant.tools import langchain_tools

    return langchain_tools(workspace, thread)


def _is_patient(model: BaseChatModel) -> bool:
    """Whether it makes sense to ask a model again: the narrator says the same again."""
    return model._llm_type != NARRATOR


def _ids(history: list[AnyMessage]) -> list[str]:
    """The evidence that a conversation holds."""
    texts = [message.text for message in history if isinstance(message, ToolMessage)]
    return [text[1 : text.index("]")] for text in texts if is_evidence(text)]


def _pieces(answer: Answer, verdict: Verdict | None) -> Sequence[str]:
    return verdict.pieces if verdict and verdict.text == answer.text else (answer.text,)


def _suggestions(turn: Turn, asked: list[str]) -> tuple[str, ...]:
    """Follow-up questions for what was looked at last."""
    last = next((step for step in reversed(turn.steps) if step.status == "ok" and step.evidence), None)
    if last is None:
        return prompts.suggest("", asked=asked)
    evidence = turn.evidence[str(last.evidence)]
    findings = [name for name in (last.arguments.get("finding"), last.arguments.get("first")) if name]
    findings += [str(fact.value) for fact in evidence.facts if fact.field in ("most_anomalous", "finding")]
    findings += [name for name in evidence.subjects if name.startswith("F")]
    names = list(dict.fromkeys(findings))
    spots = [
        fact.subject.partition("/")[2] for fact in evidence.facts if names and fact.subject.startswith(f"{names[0]}/")
    ]
    modality = next((str(fact.value) for fact in evidence.facts if fact.field == "modality"), "")
    parts = [spot.partition(" ")[2] for spot in spots if spot.startswith(("channel ", "feature "))]
    return prompts.suggest(
        last.tool,
        modality,
        asked,
        finding=names[0] if names else "",
        second=names[1] if len(names) > 1 else "",
        region=next((spot for spot in spots if spot.startswith("region ")), ""),
        part=parts[0] if parts else "",
    )
