"""The page's Incidents tab, with its handlers: groups are accepted, summaries written and edited, reports handed out.

Knows gradio, incidents, summaries and the views; not detectors. Findings are chosen in the queue, several at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from assistant import incidents, summaries
from assistant.agent import Token
from assistant.chat.desk import Desk
from assistant.chat.marks import target
from assistant.chat.session import Session, download_folder, new_id, own, resource, told
from assistant.chat.transcript import facts_of
from assistant.chat.view import view
from assistant.evidence import format_number
from assistant.pipeline import Workspace
from assistant.records import Finding, Incident
from assistant.store import casebook
from assistant.store.audit import acting, short_session
from assistant.words import place, title, when
from detectors.errors import AnomalyError

MEMBERS = 60  # findings of an incident that are shown; the rest is counted
PROPOSED = 8  # groups of a run that are offered
GROUPED = 600  # findings of a run that groups are looked for in: a second, whatever the run
LISTED = 100  # incidents in the list
FORMATS = ("html", "pdf", "md", "json")


class Cases:
    """The handlers of the Incidents tab, for one workspace."""

    workspace: Workspace
    llm: str
    desk: Desk

    # --- which incident -------------------------------------------------------------------------------------------

    @told
    def cases_shown(self, session: Session | None) -> tuple[Any, ...]:
        """The tab opens: (session, list, head, text)."""
        if session is None:
            return (gr.skip(),) * 4
        known = [name for name, _ in self._incidents()]
        if session.incident not in known:
            session.incident = known[0] if known else None
        return (session, *self._all(session))

    @told
    def case_opened(self, session: Session, event: gr.EventData) -> tuple[Any, ...]:
        """Another incident of the list."""
        session.incident = self.workspace.store.incident(str(event._data["incident"])).id
        return (session, *self._all(session))

    @told
    def case_made(self, session: Session, event: gr.EventData) -> tuple[Any, ...]:
        """Findings chosen in the queue, or a proposed group, become an incident."""
        chosen = [str(name) for name in event._data.get("findings") or ()]
        if not chosen:
            raise AnomalyError("No finding is chosen; choose some in the queue, or accept a proposed group.")
        with self._acting(session):
            session.incident = incidents.open_incident(self.workspace.store, chosen).id
        return (session, *self._all(session))

    @told
    def case_changed(self, session: Session, event: gr.EventData) -> tuple[Any, ...]:
        """Another title, a finding less, or no incident any more."""
        given = event._data
        incident, store = self._incident(session).id, self.workspace.store
        with self._acting(session):
            if "title" in given:
                casebook.retitle(store, incident, str(given["title"]))
            elif "release" in given:
                casebook.release(store, incident, [str(given["release"])])
            elif given.get("dissolve"):
                casebook.dissolve(store, incident)
        return self.cases_shown(session)

    def _incident(self, session: Session) -> Incident:
        if session.incident is None:
            raise AnomalyError("No incident is open; choose one on the left.")
        return self.workspace.store.incident(session.incident)

    def _acting(self, session: Session) -> Any:
        return acting(via="page", session=short_session(session.thread))

    def _incidents(self) -> list[tuple[str, int]]:
        """(id, number of findings) of incidents that hold some, the latest first."""
        store = self.workspace.store
        counted = ((name, store.count_findings(incident=name)) for name, _ in store.incident_titles(LISTED))
        return [(name, count) for name, count in counted if count]

    # --- the summary ----------------------------------------------------------------------------------------------

    def case_written(self, session: Session) -> Iterator[str]:
        """The assistant writes the summary, sentence by sentence as each is verified."""
        text = ""
        try:
            incident = self._incident(session).id
            yield self._text(incident, "Looking at the findings …", waiting=True)
            for event in summaries.write(self.workspace, incident, self.llm, f"{incident}-{new_id()}"):
                if isinstance(event, Token):
                    text += event.text
                    yield self._text(incident, text, waiting=True)
            yield self._text(incident)
        except AnomalyError as error:
            yield view("case_failed", str(error))

    @told
    def case_edited(self, session: Session, event: gr.EventData) -> str:
        """What a person made of the summary is kept, and checked."""
        incident = self._incident(session).id
        with self._acting(session):
            who = self.workspace.store.who()
            summaries.edit(self.workspace.store, incident, str(event._data.get("text") or ""), who)
        return self._text(incident)

    # --- handing out ----------------------------------------------------------------------------------------------

    @told
    def case_report(self, session: Session, event: gr.EventData) -> str:
        """The report of the incident as a file."""
        from assistant.report import write_report

        form = str(event._data.get("form"))
        if form not in FORMATS:
            raise AnomalyError(f"Reports are written as {', '.join(FORMATS)}.")
        incident = self._incident(session).id
        folder = download_folder()
        out = write_report(self.workspace, folder / f"incident-{incident}.{form}", incident=incident)
        pictures = folder / f"{out.stem}_files"
        return str(zipped(folder, out.stem)) if pictures.is_dir() else str(out)

    # --- how it looks ---------------------------------------------------------------------------------------------

    def _all(self, session: Session) -> tuple[str, str, str]:
        listed = view("cases", self._cards(), self._proposals(session), session.incident, session.run)
        if session.incident is None:
            return listed, view("no_case"), ""
        return listed, self._head(session.incident), self._text(session.incident)

    def _cards(self) -> list[dict[str, Any]]:
        store, found = self.workspace.store, []
        for name, count in self._incidents():
            worst = store.findings(incident=name, limit=1)[0]
            titled = store.incident(name)
            found.append(
                {"id": name, "title": titled.title, "count": count, "p": format_number(worst.p_value),
                 "when": when(titled.created)[:16], "written": bool(summaries.load(store, name).text)}
            )  # fmt: skip
        return found

    def _proposals(self, session: Session) -> list[dict[str, Any]]:
        """Groups of the run in hand that are no incident yet."""
        if not session.run or session.run == "all":
            return []
        store, found = self.workspace.store, []
        taken = set(store.finding_ids(session.run, state="in incident"))
        for group in incidents.together(store, session.run, GROUPED):
            members = [name for name in group.members if name not in taken]
            if len(members) > 1:
                found.append({"members": members, "place": group.place, "kind": group.kind, "count": len(members)})
        return found[:PROPOSED]

    def _head(self, incident: str) -> str:
        store = self.workspace.store
        kept, members = store.incident(incident), store.findings(incident=incident, limit=MEMBERS)
        first, last = store.times(incident=incident)
        facts = [("findings", f"{len(kept.findings):,}"), ("lowest p-value", format_number(members[0].p_value))]
        facts += [("from", when(first)), ("to", when(last))] if first != last else [("when", when(first))]
        counted = store.modalities(incident=incident)
        facts += [("of these", incidents.told_of(counted))] if len(counted) > 1 else []
        shared = [
            one for modality in counted
            for one in store.involved(incidents.kind_of_place(modality), None, 3, incident=incident, modality=modality)
        ][:4]  # fmt: skip
        common = ", ".join(f"{name} ({count})" for name, count in shared if count > 1)
        facts += [("mainly", common)] if common else []
        cards = [self._member(finding) for finding in members]
        return view("case_head", kept, facts, cards, max(0, len(kept.findings) - MEMBERS), FORMATS)

    def _member(self, finding: Finding) -> dict[str, Any]:
        return {
            "id": finding.id, "title": title(finding, short=True), "place": place(finding), "kind": finding.kind,
            "p": format_number(finding.p_value), "state": finding.state, "thumb": self.desk.thumb(finding),
            "modality": finding.modality,
        }  # fmt: skip

    def _text(self, incident: str, growing: str = "", waiting: bool = False) -> str:
        """The summary: as it grows, or as it is kept, with what is not verified marked."""
        if waiting:
            return view("case_text", incident, "", [{"prefix": "", "sentences": []}], [], "", growing)
        store = self.workspace.store
        summary = summaries.load(store, incident)
        said = summaries.checked(store, summary) if summary.text else []
        wrong = [{"text": one.text, "why": "; ".join(one.reasons)} for one in said if one.reasons]
        by = summaries.told_by(summary) if summary.text else ""
        return view("case_text", incident, summary.text, lines_of(said), wrong, by, "")


def lines_of(said: Sequence[summaries.Said]) -> list[dict[str, Any]]:
    """Sentences by line: {"prefix", "sentences": [{"html", "evidence": [(id, where its link leads)]}]}."""
    lines: dict[int, dict[str, Any]] = {}
    for one in said:
        line = lines.setdefault(one.line, {"prefix": one.prefix.strip(), "sentences": []})
        marks = [(name, target(name, facts_of(one.facts, name))) for name in one.evidence]
        line["sentences"].append({"html": summaries.marked(one), "evidence": marks})
    return [lines[number] for number in sorted(lines)]


def zipped(folder: Path, name: str) -> Path:
    """Markdown with its pictures as one file to download."""
    import shutil

    inside = folder / "all"
    inside.mkdir()
    for path in [one for one in folder.iterdir() if one != inside]:
        path.replace(inside / path.name)
    return Path(shutil.make_archive(str(folder / name), "zip", inside))


def cases_tab() -> dict[str, Any]:
    """Draw the tab; its parts by name."""
    parts: dict[str, Any] = {}
    with gr.Row(elem_id="cases"):
        with gr.Column(elem_id="cases-left"):
            parts["list"] = own(resource("incidents.js"), "case-list")
        with gr.Column(elem_id="cases-middle"):
            parts["head"] = own(resource("incidents.js"), "case-head")
            parts["text"] = own(resource("incidents.js"), "case-text")
            parts["file"] = gr.DownloadButton("report", elem_id="case-file", elem_classes="offstage")
    return parts


def wire_cases(
    page: Cases, tab: gr.Tab, parts: dict[str, Any], picked: gr.HTML, session: gr.State, quiet: dict[str, Any]
) -> list[tuple[Any, bool]]:
    """Connect the events of the tab; hands back those that change the queue, and whether the tab comes up then."""
    everything = [session, parts["list"], parts["head"], parts["text"]]
    tab.select(page.cases_shown, session, everything, **quiet)
    parts["list"].select(page.case_opened, session, everything, **quiet)
    accepted = parts["list"].submit(page.case_made, session, everything, **quiet)
    made = picked.submit(page.case_made, session, everything, **quiet)
    changed = parts["head"].edit(page.case_changed, session, everything, **quiet)
    parts["text"].click(page.case_written, session, parts["text"], concurrency_limit=4, **quiet)
    parts["text"].edit(page.case_edited, session, parts["text"], **quiet)
    written = parts["head"].download(page.case_report, session, parts["file"], api_visibility="private")
    written.success(None, None, None, js=_DOWNLOAD_JS, **quiet)
    return [(accepted, True), (made, True), (changed, False)]


_DOWNLOAD_JS = "() => { setTimeout(() => document.getElementById('case-file')?.click(), 150); }"
