"""The handlers behind the page: what happens when a reader opens it, picks, labels, cites and asks.

Wires the desk (what is read), the talk (what is said) and the views (how it looks). A session's state lives in
`gr.State`; nothing of one reader is kept where another could see it.
"""

from __future__ import annotations

import tempfile
import threading
import uuid
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import wraps
from html import escape
from pathlib import Path
from typing import Any

import gradio as gr

from assistant import chat_talk, chat_view, tools
from assistant.agent import Assistant
from assistant.chat_desk import Desk
from assistant.pipeline import Workspace
from detectors.errors import AnomalyError

FIRST_QUESTIONS = ("What was flagged?", "Why is it anomalous?", "What should it look like?")
_THREADS = 64  # conversations kept ready; others are read back from the store


@dataclass
class Session:
    """What one open page has in hand."""

    run: str | None = None
    filter: dict[str, str] = field(default_factory=lambda: {"state": "", "search": "", "order": "p_value"})
    page: int = 0
    focus: str | None = None
    thread: str = ""
    talk: list[dict[str, Any]] = field(default_factory=list)
    pick: float = 0.0  # the latest pick that was begun; picks may overtake each other on their way
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)


def told(function: Callable[..., Any]) -> Callable[..., Any]:
    """What went wrong reaches the reader as one sentence; names in it are escaped."""

    @wraps(function)
    def wrapper(*arguments: Any, **named: Any) -> Any:
        try:
            return function(*arguments, **named)
        except AnomalyError as error:
            raise gr.Error(escape(str(error)), duration=12, title="That did not work", print_exception=False) from error

    return wrapper


class Page:
    """The handlers of one workspace's page. Each takes the session's state and gives it back."""

    def __init__(self, workspace: Workspace, llm: str) -> None:
        self.workspace = workspace
        self.llm = llm
        self.desk = Desk(workspace)
        self._assistants: OrderedDict[str, Assistant] = OrderedDict()
        self.assistant(new_thread())  # a language model that cannot be set up is told of before the page is served

    def assistant(self, thread: str) -> Assistant:
        """The assistant of a conversation; threads are unguessable, so a name is as good as a key."""
        made = self._assistants.pop(thread, None) or Assistant(self.workspace, llm=self.llm, thread=thread)
        self._assistants[thread] = made
        while len(self._assistants) > _THREADS:
            self._assistants.popitem(last=False)
        return made

    # --- opening --------------------------------------------------------------------------------------------------

    @told
    def load(self, kept: dict[str, Any] | None, request: gr.Request) -> tuple[Any, ...]:
        """A page opens: the latest run (or the one in the address), its first finding, the conversation kept."""
        session = Session()
        threads = (kept or {}).get("threads") or []
        session.thread = threads[0][0] if threads else new_thread()
        session.talk = chat_talk.retold(self.workspace.store.answers(session.thread))
        runs = self.workspace.store.runs()
        wanted = dict(request.query_params) if request else {}
        session.run = next((run.id for run in runs if run.id == wanted.get("run")), runs[0].id if runs else None)
        if wanted.get("finding"):
            session.focus = self.workspace.store.finding(wanted["finding"]).id
            session.run = self.workspace.store.finding(session.focus).run
        queue, ids = self._queue(session)
        if session.focus is None and ids:
            session.focus = ids[0]
            queue, _ = self._queue(session)
        return (session, self._filters(session), queue, *self._hand(session), *self._talk(session, threads))

    def _filters(self, session: Session) -> str:
        return chat_view.filters(self.workspace.store.runs(), session.run, session.filter)

    def _queue(self, session: Session) -> tuple[str, list[str]]:
        html, ids, session.page = self.desk.queue(session.run, session.filter, session.page, session.focus)
        return html, ids

    def _hand(self, session: Session) -> tuple[Any, ...]:
        """Head, stage, plot and parts of the finding in focus."""
        if session.focus is None:
            text = "This run holds no finding." if session.run else "Nothing has been detected yet."
            hint = "Nothing in it is anomalous at its alpha." if session.run else "Detect in new data on the Data tab."
            return chat_view.view("nothing", text, hint), "", gr.Plot(visible=False), ""
        finding = self.desk.store.finding(session.focus)
        explained = self.desk.explained(finding.id)
        stage = self.desk.stage(finding, explained, "Working out the nearest normal version …")
        figure = self.desk.plot(finding)
        plot = gr.Plot(figure, visible=True) if figure is not None else gr.Plot(visible=False)
        return self.desk.head(finding), stage, plot, self.desk.parts(finding)

    def _talk(self, session: Session, threads: list[list[str]]) -> tuple[Any, ...]:
        named = [(name, title) for name, title in threads] or [(session.thread, "New conversation")]
        head = chat_view.view("talk_head", self.llm, session.thread, named)
        return head, session.talk, self._suggest(session, ())

    def _suggest(self, session: Session, suggestions: tuple[str, ...]) -> str:
        shown = suggestions or (FIRST_QUESTIONS if session.focus else ("What can you do?",))
        return chat_view.view("suggestions", shown[:4])

    # --- the queue and the finding --------------------------------------------------------------------------------

    @told
    def filtered(self, session: Session, event: gr.EventData) -> tuple[Any, ...]:
        """Another run, search, state or order."""
        run = str(event._data.get("run") or "") or None
        chosen = {key: str(event._data.get(key) or "")[:200] for key in ("state", "search", "order")}
        moved = run != session.run
        session.run, session.page, session.filter = run, 0, chosen
        queue, ids = self._queue(session)
        if moved:
            session.focus = ids[0] if ids else None
            queue, _ = self._queue(session)
            return (session, queue, *self._hand(session))
        if session.filter is not chosen:  # the reader has typed on meanwhile
            return (gr.skip(),) * 6
        return (session, queue, *[gr.skip()] * 4)

    @told
    def picked(self, session: Session, event: gr.EventData) -> tuple[Any, ...]:
        """A card or a page of the queue."""
        if "page" in event._data:
            session.page = int(event._data["page"])
            return (session, self._queue(session)[0], *[gr.skip()] * 4)
        focus, pick = self.desk.store.finding(str(event._data["finding"])).id, float(event._data.get("pick") or 0.0)
        session.pick = max(session.pick, pick)
        with session.lock:
            if pick < session.pick:  # the reader has gone on meanwhile
                return (gr.skip(),) * 6
            session.focus = focus
            return (session, gr.skip(), *self._hand(session))

    @told
    def normal_version(self, session: Session) -> Any:
        """What the finding in hand would look like if it were normal, and its new score; slow the first time."""
        if session.focus is None or self.desk.explained(session.focus):
            return gr.skip(), gr.skip()
        focus = session.focus
        explained = self.desk.explain(focus)
        if session.focus != focus:  # the reader has gone on meanwhile
            return gr.skip(), gr.skip()
        finding = self.desk.store.finding(focus)
        figure = self.desk.plot(finding)
        return self.desk.stage(finding, explained, explained.note or "There is no normal version."), (
            gr.Plot(figure, visible=True) if figure is not None else gr.skip()
        )

    @told
    def labelled(self, session: Session, event: gr.EventData) -> tuple[Any, ...]:
        """Confirm, or false alarm."""
        if session.focus is None:
            return session, gr.skip(), gr.skip()
        finding = self.desk.label(session.focus, str(event._data["label"]))
        return session, self._queue(session)[0], self.desk.head(finding)

    @told
    def cited(self, session: Session, event: gr.EventData) -> tuple[Any, ...]:
        """A link with an id: evidence opens its panel and brings its finding into the middle."""
        name = str(event._data["id"])
        panel: Any = gr.skip()
        focus = name if name[0] == "F" else None
        if name[0] == "E":
            panel, focus = self.desk.evidence(name)
        elif name[0] in "RI":
            panel = self._opened(session, name)
        if focus is None or focus == session.focus:
            return (session, panel, *[gr.skip()] * 6)
        return (session, panel, *self.focus_on(session, focus))

    def _opened(self, session: Session, name: str) -> str:
        tool, key = ("overview", "run") if name[0] == "R" else ("summarise_incident", "incident")
        return self.desk.evidence(tools.call(self.workspace, tool, **{key: name}).id)[0]

    def focus_on(self, session: Session, name: str) -> tuple[Any, ...]:
        """Filters, queue and the four parts of the finding, with `name` in hand."""
        finding = self.desk.store.finding(name)
        session.focus, session.run = finding.id, finding.run
        session.page = self.desk.page_of(finding.run, finding.id, session.filter)
        return (self._filters(session), self._queue(session)[0], *self._hand(session))

    @told
    def report(self, session: Session) -> Any:
        """The report of the finding in hand, as one HTML file."""
        from assistant.report import write_report

        if session.focus is None:
            raise AnomalyError("There is no finding in hand to report on; choose one in the queue.")
        folder = Path(tempfile.mkdtemp(prefix="anomaly-report-"))
        out = write_report(self.workspace, folder / f"report-{session.focus}.html", findings=[session.focus])
        return str(out)

    # --- the talk -------------------------------------------------------------------------------------------------

    def ask(self, question: str, session: Session | None, kept: dict[str, Any] | None) -> Iterator[tuple[Any, ...]]:
        """One question: (box, messages, suggestions, session, kept) as the answer grows."""
        question = question.strip()
        if not question or session is None:  # nothing asked, or the page is still opening
            yield (gr.skip(),) * 5
            return
        before = [*session.talk, chat_talk.asked(question)]
        session.talk = before
        yield busy(True), [*before, chat_talk.thinking()], chat_view.view("suggestions", ()), gr.skip(), gr.skip()
        suggestions: tuple[str, ...] = ()
        try:
            events = self.assistant(session.thread).stream(question, focus=session.focus)
            for messages, answer in chat_talk.stream(events, self.desk.picture):
                session.talk = [*before, *messages]  # kept as it grows: a stopped answer stays readable
                suggestions = answer.suggestions if answer else ()
                shown = session.talk if messages else [*before, chat_talk.thinking()]
                yield gr.skip(), shown, gr.skip(), gr.skip(), gr.skip()
        except AnomalyError as error:
            session.talk = [*session.talk, chat_talk.failed(str(error))]
        kept = remembered(kept, session.thread, question)
        yield busy(False), session.talk, self._suggest(session, suggestions), session, kept

    def stopped(self, session: Session) -> tuple[Any, ...]:
        """The reader has had enough of an answer."""
        session.talk = [*session.talk, chat_talk.failed("Stopped.")]
        return busy(False), session.talk, self._suggest(session, ())

    @told
    def conversation(self, session: Session, kept: dict[str, Any] | None, event: gr.EventData) -> tuple[Any, ...]:
        """A new conversation, or one of this browser's earlier ones."""
        threads = (kept or {}).get("threads") or []
        wanted = str(event._data.get("thread"))
        mine = [pair for pair in threads if pair[0] == wanted]
        session.thread = mine[0][0] if mine else new_thread()
        session.talk = chat_talk.retold(self.workspace.store.answers(session.thread)) if mine else []
        shown = threads if mine else [[session.thread, "New conversation"], *threads]
        return (session, *self._talk(session, shown))

    def offered(
        self, session: Session | None, kept: dict[str, Any] | None, event: gr.EventData
    ) -> Iterator[tuple[Any, ...]]:
        """A suggested question."""
        yield from self.ask(str(event._data["ask"]), session, kept)

    @told
    def run_opened(self, session: Session, event: gr.EventData) -> tuple[Any, ...]:
        """A run from the Data tab: its queue, and its first finding in hand."""
        session.run = self.workspace.store.run(str(event._data["run"])).id
        session.page, session.filter, session.focus = 0, Session().filter, None
        _, ids = self._queue(session)
        session.focus = ids[0] if ids else None
        return (session, self._filters(session), self._queue(session)[0], *self._hand(session))


def new_thread() -> str:
    """A name for a conversation that nobody can guess."""
    return uuid.uuid4().hex


def remembered(kept: dict[str, Any] | None, thread: str, question: str) -> dict[str, Any]:
    """This browser's conversations, the one in hand first; a conversation is called by its first question."""
    threads = list((kept or {}).get("threads") or [])
    title = next((title for name, title in threads if name == thread), question[:60])
    return {"threads": [[thread, title], *[pair for pair in threads if pair[0] != thread]][:30]}


def busy(asking: bool) -> Any:
    """The question box: empty with a stop button while an answer is under way, else with a send button."""
    return gr.Textbox("", submit_btn=False, stop_btn=True) if asking else gr.Textbox(submit_btn=True, stop_btn=False)
