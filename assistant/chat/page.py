"""The handlers behind the page: what happens when a reader opens it, picks, labels, cites and asks.

Wires the desk (what is read), the talk (what is said) and the views (how it looks). A session's state lives in
`gr.State`; nothing of one reader is kept where another could see it.
"""

from __future__ import annotations

from typing import Any

import gradio as gr

from assistant import tools
from assistant.chat.centre import Centre
from assistant.chat.conversations import Talk
from assistant.chat.data import DataIn
from assistant.chat.desk import Desk
from assistant.chat.incidents import Cases
from assistant.chat.session import Session, download_folder, new_id, told
from assistant.pipeline import Workspace
from detectors.errors import AnomalyError


class Page(Centre, Talk, DataIn, Cases):
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

    # --- what is cited --------------------------------------------------------------------------------------------

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

    @told
    def report(self, session: Session) -> Any:
        """The report of the finding in hand, as one HTML file."""
        from assistant.report import write_report

        if session.focus is None:
            raise AnomalyError("There is no finding in hand to report on; choose one in the queue.")
        folder = download_folder()
        out = write_report(self.workspace, folder / f"report-{session.focus}.html", findings=[session.focus])
        return str(out)

    @told
    def ticked(self, session: Session | None) -> tuple[Any, ...]:
        """While jobs are under way: what they have come to; a new run is in the queue's list at once."""
        before = session.latest if session else ""
        told_of = super().ticked(session)
        if session is None or session.latest == before:
            return (*told_of, *[gr.skip()] * 7)
        if session.run is None:  # the first run of all opens by itself
            session.run = session.latest
            self._first(session)
            opened = self._filters(session), self._queue(session)[0], *self._hand(session)
            return (*told_of, *opened, self.suggest(session))
        return (*told_of, self._filters(session), *[gr.skip()] * 6)

    @told
    def requeued(self, session: Session) -> tuple[str, str]:
        """Filters and queue, after what an incident changed in them."""
        return self._filters(session), self._queue(session)[0]

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
