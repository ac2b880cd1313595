"""The page's Feedback tab with its handlers: precision over time, what labels would change, rules, the log.

Knows gradio, the workspace and the tab's view; not detectors or language models.
"""

from __future__ import annotations

from typing import Any

import gradio as gr

from assistant import feedback
from assistant.chat.session import Session, own, resource, told
from assistant.chat.teach_view import feedback_tab
from assistant.feedback import precision
from assistant.feedback.suggestions import suggestions
from assistant.kinds import load_kinds
from assistant.pipeline import Workspace
from assistant.store.audit import acting, short_session
from detectors.errors import AnomalyError

LISTED = 30  # changes shown
PERIODS = 26  # periods drawn


class Teaching:
    """The handlers of the tab, for one workspace."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace

    @told
    def shown(self, session: Session | None, by: str) -> str:
        """The tab as it is now."""
        store = self.workspace.store
        run = session.run if session else None
        runs = store.runs()
        run = run or (runs[0].id if runs else None)
        offers = suggestions(store, run) if run else []
        waits = any(one.what == "recalibrate" for one in offers)
        proposal = feedback.propose(self.workspace, run) if waits else None
        periods = precision.precision(store, by)
        kept = [*periods[:-1][-PERIODS:], *periods[-1:]]
        changes = store.changes(limit=LISTED)
        return feedback_tab(run, kept, by, proposal, offers, store.rules(), store.count_ignored(), changes)

    @told
    def acted(self, session: Session, by: str, event: gr.EventData) -> tuple[str, str]:
        """Something was pressed; (the tab, the chosen span)."""
        given = {str(key): str(value)[:200] for key, value in event._data.items()}
        if given.get("do") == "by":
            by = given["value"] if given["value"] in precision.SPANS else by
        else:
            with acting(via="page", session=short_session(session.thread)):
                gr.Info(self._done(session, given), duration=6)
        return self.shown(session, by), by

    def _done(self, session: Session, given: dict[str, str]) -> str:
        store = self.workspace.store
        if given.get("do") == "apply":
            revision = feedback.apply(self.workspace, feedback.propose(self.workspace, session.run))
            return f"Applied as {revision.id}."
        if given.get("do") == "undo":
            return feedback.undo(self.workspace).sentence
        if given.get("do") == "remove":
            store.remove_rule(given["value"])
            return f"{given['value'].capitalize()} is removed."
        if given.get("do") == "ignore":
            kind = given.get("kind", "").strip()
            named = load_kinds(self.workspace.config.kinds).called(kind) or kind if kind else ""
            where = {name: given.get(name, "") for name in ("position", "part", "source")}
            rule = store.add_rule(given.get("reason", ""), given.get("until", ""), named, **where)
            return f"{rule.id.capitalize()} ignores {store.count_ignored().get(rule.id, 0)} findings."
        raise AnomalyError("That button is not known.")


def teach_tab() -> dict[str, Any]:
    """The tab's parts."""
    waiting = '<p class="nothing" role="status">Looking at what labels would change …</p>'  # a model is loaded first
    return {"by": gr.State("week"), "teach": own(resource("teach.js"), "teach", waiting)}


def wire_teach(
    workspace: Workspace, tab: gr.Tab, parts: dict[str, Any], session: gr.State, quiet: dict[str, Any]
) -> None:
    """Connect the events of the tab; it is drawn anew whenever it is opened."""
    teaching = Teaching(workspace)
    tab.select(teaching.shown, [session, parts["by"]], parts["teach"], **quiet)
    pressed = [parts["teach"], parts["by"]]
    parts["teach"].click(teaching.acted, [session, parts["by"]], pressed, concurrency_limit=4, **quiet)
