"""The queue of findings: one page of cards, what they can be filtered and sorted by, and how far the work has come.

Reads pages from the store (never more than a page of findings) and turns them into HTML. Knows the store's queries and
the views; not gradio, detectors or a reader's session.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from assistant.chat import view as chat_view
from assistant.records import STATES, Finding
from assistant.store import Store
from assistant.words import run_title

PAGE = 24  # cards of a page
ALL = "all"  # the choice of all runs at once
IGNORED = "ignored"  # the choice of findings that a rule covers; all others leave them out
UNFILTERED = {"state": "", "search": "", "order": "p_value", "kind": "", "incident": ""}
ORDERS = (
    ("p_value", "p-value"),
    ("score-", "score"),
    ("time-", "latest first"),
    ("time", "earliest first"),
    ("index", "position"),
    ("state", "state"),
    ("kind", "kind"),
)  # a minus: the other way round
_INCIDENTS = 50  # offered as a filter


def found(count: int) -> str:
    """So many findings, in words."""
    return f"{count:,} finding{'' if count == 1 else 's'}"


class Queue:
    """The findings of one store, page by page."""

    def __init__(self, store: Store, thumb: Callable[[Finding], str]) -> None:
        self.store = store
        self.thumb = thumb

    def filters(self, run: str | None, filter_: Mapping[str, str]) -> str:
        """The bar above the queue."""
        runs = [{"id": r.id, "title": run_title(r), "found": found(r.n_flagged)} for r in self.store.runs()]
        counts = self.store.states(run)
        states = [("", "all"), *((state, f"{state} ({counts.get(state, 0):,})") for state in STATES)]
        ignored = self.store.count_findings(run, ignored=True) if self.store.count_ignored(run) else 0
        states += [(IGNORED, f"ignored by a rule ({ignored:,})")] if ignored else []
        kinds = [("", "all"), *((name, f"{name} ({count:,})") for name, count in self.store.kinds(run).items())]
        incidents = self.store.incident_titles(_INCIDENTS)
        named = [("", "any"), *((name, f"{name} · {title}") for name, title in incidents)] if incidents else []
        return chat_view.view("filters", runs, run or ALL, states, ORDERS, kinds, named, {**UNFILTERED, **filter_})

    def page(
        self, run: str | None, filter_: Mapping[str, str], page: int, focus: str | None
    ) -> tuple[str, list[str], int]:
        """One page of cards as HTML, the ids on it, and the page shown (clamped to what there is)."""
        chosen = self._chosen(filter_)
        total = self.store.count_findings(run, **chosen)
        pages = max(1, -(-total // PAGE))
        page = min(max(page, 0), pages - 1)
        order = filter_.get("order") or "p_value"
        found = self.store.findings(run, order.removesuffix("-"), order.endswith("-"), PAGE, page * PAGE, **chosen)
        cards = [chat_view.card(finding, self.thumb(finding), run is None) for finding in found]
        tally = chat_view.tally(self.store.states(run))
        html = chat_view.view("queue", cards, focus, page * PAGE, total, page, pages, tally)
        return html, [finding.id for finding in found], page

    def page_of(self, run: str | None, finding: Finding, filter_: Mapping[str, str]) -> int:
        """The page that holds a finding, for the default order; 0 where others are chosen or it is filtered out."""
        if {**UNFILTERED, **filter_} != UNFILTERED:
            return 0
        before = self.store.count_findings(run, max_p=np.nextafter(finding.p_value, 0.0), ignored=False)
        return before // PAGE

    @staticmethod
    def _chosen(filter_: Mapping[str, str]) -> dict[str, Any]:
        chosen: dict[str, Any] = {name: filter_.get(name) or None for name in ("state", "search", "kind", "incident")}
        if chosen["state"] == IGNORED:
            return {**chosen, "state": None, "ignored": True}
        return {**chosen, "ignored": False}
