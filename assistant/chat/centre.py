"""The handlers of the queue and of the finding in hand: filter, pick, label, take back, repair a drawn place.

A part of `Page`. Knows gradio, sessions and the desk; not the talk or the Data tab. Each handler takes the session's
state; what it gives back is named beside `QUEUE` and `HAND`.
"""

from __future__ import annotations

from typing import Any

import gradio as gr

from assistant import feedback, tools
from assistant.chat import view as chat_view
from assistant.chat.desk import Desk
from assistant.chat.queue import ALL, UNFILTERED
from assistant.chat.session import Session, told
from assistant.pipeline import Workspace
from assistant.store.audit import acting, short_session
from detectors.errors import AnomalyError

QUEUE = ("filters", "queue")
HAND = ("head", "stage", "plot", "parts")
SAME = gr.skip()


def same(count: int) -> list[Any]:
    """So many parts of the page that stay as they are."""
    return [gr.skip() for _ in range(count)]


class Centre:
    """The left and the middle of the page, for one workspace."""

    workspace: Workspace
    desk: Desk

    # --- what is shown --------------------------------------------------------------------------------------------

    def _filters(self, session: Session) -> str:
        return self.desk.queue.filters(session.run, session.filter)

    def _queue(self, session: Session) -> tuple[str, list[str]]:
        html, ids, session.page = self.desk.queue.page(session.run, session.filter, session.page, session.focus)
        return html, ids

    def _hand(self, session: Session, plotted: bool = True) -> tuple[Any, ...]:
        """Head, stage, plot (where it does not come by itself) and parts of the finding in focus."""
        if session.focus is None:
            text = "This run holds no finding." if session.run else "Nothing has been detected yet."
            hint = "Nothing in it is anomalous at its alpha." if session.run else "Detect in new data on the Data tab."
            return chat_view.view("nothing", text, hint, not session.run), "", gr.Plot(visible=False), ""
        finding = self.desk.store.finding(session.focus)
        explained = self.desk.explained(finding.id)
        stage = self.desk.stage(finding, explained, "Working out the nearest normal version …")
        if not self.desk.has_plot(finding):
            plot = gr.Plot(visible=False)
        else:
            plot = gr.Plot(self.desk.plot(finding), visible=True) if plotted else SAME
        return self.desk.head(finding), stage, plot, self.desk.parts(finding)

    # --- the queue ------------------------------------------------------------------------------------------------

    @told
    def filtered(self, session: Session, event: gr.EventData) -> tuple[Any, ...]:
        """Another run, search, state, kind, incident or order; session, `QUEUE`, `HAND`."""
        run = str(event._data.get("run") or "")
        run_ = None if run in ("", ALL) else run
        chosen = {name: str(event._data.get(name) or "")[:200] for name in UNFILTERED}
        moved = run_ != session.run
        if moved:  # kinds and incidents are those of a run
            chosen |= {"kind": "", "incident": ""}
        session.run, session.page, session.filter = run_, 0, chosen
        queue, ids = self._queue(session)
        if moved:
            session.focus = ids[0] if ids else None
            queue, _ = self._queue(session)
            return (session, self._filters(session), queue, *self._hand(session))
        if session.filter is not chosen:  # the reader has typed on meanwhile
            return tuple(same(7))
        return (session, SAME, queue, *same(4))

    @told
    def picked(self, session: Session, event: gr.EventData) -> tuple[Any, ...]:
        """A card or a page of the queue; session, the queue, `HAND`."""
        if "page" in event._data:
            session.page = int(event._data["page"])
            return (session, self._queue(session)[0], *same(4))
        focus, pick = self.desk.store.finding(str(event._data["finding"])).id, float(event._data.get("pick") or 0.0)
        session.pick = max(session.pick, pick)
        with session.lock:
            if pick < session.pick:  # the reader has gone on meanwhile
                return tuple(same(6))
            session.focus = focus
            head, stage, plot, parts = self._hand(session, plotted=False)
            return (session, SAME, head, stage, plot, parts)

    @told
    def drawn(self, session: Session, event: gr.EventData) -> Any:
        """The plot of a card's finding, on its own way: a browser takes longer to draw it than all the rest."""
        if "finding" not in event._data or float(event._data.get("pick") or 0.0) < session.pick:
            return SAME
        figure = self.desk.plot(self.desk.store.finding(str(event._data["finding"])))
        return gr.Plot(figure, visible=True) if figure is not None else SAME

    def focus_on(self, session: Session, name: str) -> tuple[Any, ...]:
        """`QUEUE` and `HAND`, with `name` in hand."""
        finding = self.desk.store.finding(name)
        session.focus = finding.id
        session.run = finding.run if session.run is not None else None
        session.page = self.desk.queue.page_of(session.run, finding, session.filter)
        return (self._filters(session), self._queue(session)[0], *self._hand(session))

    # --- the finding in hand --------------------------------------------------------------------------------------

    @told
    def normal_version(self, session: Session) -> Any:
        """What the finding in hand would look like if it were normal, and its new score; slow the first time."""
        if session.focus is None or self.desk.explained(session.focus):
            return same(3)
        focus = session.focus
        explained = self.desk.explain(focus)
        if session.focus != focus:  # the reader has gone on meanwhile
            return same(3)
        finding = self.desk.store.finding(focus)
        figure = self.desk.plot(finding)
        stage = self.desk.stage(finding, explained, explained.note or "There is no normal version.")
        return stage, gr.Plot(figure, visible=True) if figure is not None else gr.skip(), self.desk.parts(finding)

    @told
    def labelled(self, session: Session, event: gr.EventData) -> tuple[Any, ...]:
        """Confirm, dismiss, or take the last label back, of the finding that the reader saw; session, queue, head."""
        name = str(event._data.get("finding") or session.focus or "")
        if not name:
            return session, *same(2)
        label, who = str(event._data["label"]), short_session(session.thread)
        if label == "undo":
            with acting(via="page", session=who):
                feedback.undo(self.workspace, finding=name)
        else:
            self.desk.label(name, label, who)
        head = self.desk.head(self.desk.store.finding(name)) if name == session.focus else SAME
        return session, self._queue(session)[0], head

    @told
    def repaired(self, session: Session, event: gr.EventData) -> tuple[Any, ...]:
        """A box or rows that the reader drew, made normal and scored again; the drawer and the stage."""
        name = self.desk.store.finding(str(event._data["finding"])).id
        drawn = {key: [int(v) for v in event._data[key]] for key in ("box", "rows") if event._data.get(key)}
        evidence = tools.call(self.workspace, "what_if_repaired", finding=name, **drawn)
        if evidence.status == "error":
            raise AnomalyError(evidence.note)
        panel, _ = self.desk.evidence(evidence.id)
        if not evidence.pictures or session.focus != name:
            return panel, SAME
        return panel, self.desk.tried(self.desk.store.finding(name), evidence)
