"""The handlers behind the page: what happens when a reader opens it, picks, labels, cites and asks.

Wires the desk (what is read), the talk (what is said) and the views (how it looks). A session's state lives in
`gr.State`; nothing of one reader is kept where another could see it.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import gradio as gr

from assistant import chat_view, tools
from assistant.audit import short_session
from assistant.chat_conversations import Talk
from assistant.chat_data import DataIn
from assistant.chat_desk import Desk
from assistant.chat_session import Session, new_id, told
from assistant.pipeline import Workspace
from detectors.errors import AnomalyError


class Page(Talk, DataIn):
    """The handlers of one workspace's page. Each takes the session's state and gives it back."""

    def __init__(self, workspace: Workspace, llm: str, local_paths: bool = True) -> None:
        self.workspace = workspace
        self.llm = llm
        self.desk = Desk(workspace)
        self.open_talk()
        self.open_data(local_paths)

    # --- opening --------------------------------------------------------------------------------------------------

    @told
    def load(self, kept: dict[str, Any] | None, request: gr.Request) -> tuple[Any, ...]:
        """A page opens: the latest run (or the one in the address), its first finding, the conversation kept."""
        session = Session(reader=str((kept or {}).get("reader") or new_id()))
        mine = self.conversations.of(session.reader)
        self.enter(session, mine[0].thread if mine else None)
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
        session.latest = runs[0].id if runs else ""
        known = {"reader": session.reader}
        return (session, known, self._filters(session), queue, *self._hand(session), *self.talk(session))

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
        finding = self.desk.label(session.focus, str(event._data["label"]), short_session(session.thread))
        return session, self._queue(session)[0], self.desk.head(finding)

    @told
    def cited(self, session: Session, event: gr.EventData) -> tuple[Any, ...]:
        """A link with an id: evidence opens its panel and brings its finding into the middle."""
        name = str(event._data["id"])
        panel: Any = gr.skip()
        focus = name if name[0] == "F" else None
        if name[0] == "E":
            panel, focus = self.desk.evidence(name, str(event._data.get("facts") or "").split("|"))
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

    @told
    def ticked(self, session: Session | None) -> tuple[Any, ...]:
        """While jobs are under way: what they have come to; a new run is in the queue's list at once."""
        before = session.latest if session else ""
        told_of = super().ticked(session)
        if session is None or session.latest == before:
            return (*told_of, *[gr.skip()] * 6)
        if session.run is None:  # the first run of all opens by itself
            session.run = session.latest
            self._first(session)
            return (*told_of, self._filters(session), self._queue(session)[0], *self._hand(session))
        return (*told_of, self._filters(session), *[gr.skip()] * 5)

    def _first(self, session: Session) -> None:
        """Take the first finding of the run in hand."""
        session.page, session.filter, session.focus = 0, Session().filter, None
        _, ids = self._queue(session)
        session.focus = ids[0] if ids else None

    @told
    def run_opened(self, session: Session, event: gr.EventData) -> tuple[Any, ...]:
        """A run from the Data tab: its queue, and its first finding in hand."""
        session.run = self.workspace.store.run(str(event._data["run"])).id
        self._first(session)
        return (session, self._filters(session), self._queue(session)[0], *self._hand(session))
