"""What the command line prints: progress, tables, findings, answers; as text for people or JSON for programs.

Knows records and rich; not the store, detectors or options. Names from data are printed as they are, never as markup.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from assistant.evidence import Answer, Evidence, format_number, render
from assistant.modalities import kind
from assistant.records import Finding, Incident, Run

if TYPE_CHECKING:
    from rich.table import Table

    from assistant.report.check import Checked

SKIPPED_SHOWN = 20
PARTS_SHOWN = 8


def say(text: str) -> None:
    """A line for people, on standard output."""
    print(printable(text))


def remark(text: str) -> None:
    """A line beside the result, on standard error."""
    print(printable(text), file=sys.stderr)


def give(value: Any) -> None:
    """A result for programs: one JSON document on standard output."""
    from assistant.keeping import plain

    print(json.dumps(plain(value), ensure_ascii=False, indent=2))


def printable(text: str) -> str:
    """Control characters (colours, cursor moves) made visible, so that a file name cannot steer a terminal."""
    return "".join(c if c in "\n\t" or c.isprintable() else f"\\x{ord(c):02x}" for c in text)


@contextmanager
def progress(shown: bool) -> Iterator[Callable[[float, str], None]]:
    """A bar on standard error while something takes long; nothing where that is no terminal or JSON was asked for."""
    if not shown or not sys.stderr.isatty():
        yield lambda fraction, message: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("starting", total=1.0)
        yield lambda fraction, message: bar.update(task, completed=fraction, description=printable(message))


def show_table(titles: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """Rows under titles; as wide as they need where the output is no terminal."""
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in titles:
        table.add_column(title, overflow="fold")
    _fill(table, rows)
    Console(width=None if sys.stdout.isatty() else 200, highlight=False).print(table)


def _fill(table: Table, rows: Sequence[Sequence[Any]]) -> None:
    from rich.text import Text

    for row in rows:
        table.add_row(*(Text(printable(shown(cell))) for cell in row))


def shown(value: Any) -> str:
    """A value as people read it."""
    if value is None:
        return "-"
    return format_number(value) if isinstance(value, float) else str(value)


def place(finding: Finding) -> str:
    """Where a finding lies, in a few words."""
    names = [f"{part['name']} {100 * part['share']:.0f} %" for part in finding.parts[:2]]
    if not finding.regions:
        return ", ".join(names)
    first = finding.regions[0]
    if kind(finding.modality).pictured:
        more = f" and {len(finding.regions) - 1} more" if len(finding.regions) > 1 else ""
        timed = f"; {_span(first, 'frames')}" if kind(finding.modality).event else ""
        return f"{first.get('position') or first['name']}{more}{timed}"
    if finding.modality == "series":
        span = f"{first.get('start_time') or first.get('start')} .. {first.get('end_time') or first.get('end')}"
        return f"{span}: {', '.join(names)}"
    return ", ".join(names)


def show_methods(known: Sequence[Mapping[str, Any]]) -> None:
    """Methods by modality, with network calls a sample; empty where a method does not work on a modality."""
    modalities = list(dict.fromkeys(name for method in known for name in method["calls"]))
    rows = [
        (m["name"], m["family"], *(str(m["calls"].get(name, "")) for name in modalities), m["about"]) for m in known
    ]
    show_table(("method", "family", *modalities, "about"), rows)
    say("Numbers: network calls a sample with the default settings, at most; 0 is closed form.")


def show_findings(findings: Sequence[Finding]) -> None:
    """A list of findings."""
    rows = [(f.id, f.sample, f.p_value, f.score, f.state, f.kind or "–", place(f)) for f in findings]
    show_table(("id", "sample", "p-value", "score", "state", "kind", "where"), rows)


def show_finding(finding: Finding) -> None:
    """One finding with its places and parts."""
    say(f"{finding.id}  {finding.sample}  ({finding.modality}, run {finding.run}, {finding.state})")
    tail = ", beyond every calibration score: read off the fitted tail" if finding.extrapolated else ""
    say(f"p-value {format_number(finding.p_value)} (alpha {finding.alpha:g}){tail}; score {shown(finding.score)}")
    say(f"found {finding.created}; files in {finding.folder}")
    if finding.kind:
        say(f"kind: {finding.kind} (confidence {100 * (finding.kind_confidence or 0):.0f} %)")
    if finding.note:
        say(f"note: {finding.note}")
    if kind(finding.modality).pictured:
        rows = [
            (r["name"], r.get("position"), _box(r), f"{100 * r['share']:.1f} %", r["peak"]) for r in finding.regions
        ]
        show_table(("region", "position", "left, top, width, height", "share", "peak"), rows)
    if finding.modality == "multimodal":
        told = [
            (r["name"], f"{100 * r['share']:.1f} %", ", ".join(r.get("channels") or ()) or r.get("position"), r["peak"])
            for r in finding.regions
        ]
        show_table(("part", "share", "where in it", "peak"), told)
    if finding.modality == "series":
        spans = [(r["name"], _span(r), ", ".join(r.get("channels") or ()), r["peak"]) for r in finding.regions]
        show_table(("interval", "when", "channels", "peak"), spans)
    parts = [
        (p["name"], f"{100 * p['share']:.1f} %", p["observed"], p["expected"]) for p in finding.parts[:PARTS_SHOWN]
    ]
    show_table(("part", "share", "observed", "expected"), parts)


def _box(region: Mapping[str, Any]) -> str:
    left, top, right, bottom = region["box"]
    return f"{left}, {top}, {right - left}, {bottom - top} px"


def _span(region: Mapping[str, Any], unit: str = "rows") -> str:
    rows = f"{unit} {region['start']} to {region['end'] - 1}"
    return f"{region['start_time']} .. {region['end_time']} ({rows})" if region.get("start_time") else rows


def show_run(run: Run) -> None:
    """One run."""
    unit = kind(run.modality).samples
    level = f"alpha {run.alpha:g}" if run.fdr is None else f"false-discovery rate {run.fdr:g} (p <= {run.alpha:.2g})"
    say(f"{run.id}  {run.source}  ({run.modality}, method {run.method}, {run.created})")
    if run.n_flagged:
        events = "event" if run.n_flagged == 1 else "events"
        found = f"{run.n_flagged} {events} in" if kind(run.modality).event else f"{run.n_flagged} of"
        say(f"{found} {run.n_samples} {unit} flagged at {level}.")
    else:
        say(f"Nothing is anomalous: none of {run.n_samples} {unit} was flagged at {level}.")
    drift = run.info.get("drift") or {}
    if drift.get("drifting"):
        say(f"The batch as a whole scores {drift['direction']} than the normals of the fit: it may have drifted.")


def show_checked(checked: Checked) -> None:
    """What of a report holds."""
    if checked.holds:
        say(f"Every line of the report on {checked.subject} holds: {checked.figures} figures as the store has them.")
    else:
        say(f"{len(checked.differences)} lines of the report on {checked.subject} do not hold any more:")
    for one in checked.differences:
        say(f"- report: {one.report or '(nothing)'}\n  store:  {one.store or '(nothing)'}")
    say(f"{checked.scored} findings were scored again by the detectors that flagged them.")


def show_notes(notes: Sequence[str], skipped: Sequence[tuple[str, str]]) -> None:
    """What was said about a source, and the files that were left out, each with its reason."""
    for note in notes:
        if not (skipped and " skipped (" in note):  # the list below says more
            remark(note)
    if not skipped:
        return
    remark(f"{len(skipped)} file{'s' if len(skipped) > 1 else ''} left out:")
    for name, reason in skipped[:SKIPPED_SHOWN]:
        remark(f"  {name}: {reason}")
    if len(skipped) > SKIPPED_SHOWN:
        remark(f"  and {len(skipped) - SKIPPED_SHOWN} more")


def show_incident(incident: Incident, findings: Sequence[Finding]) -> None:
    """One incident with its findings."""
    say(f"{incident.id}  {incident.title}  ({len(incident.findings)} findings, {incident.created})")
    show_findings(findings)


def show_evidence(evidence: Evidence) -> None:
    """One tool result, fact by fact."""
    say(render(evidence))
    for picture in evidence.pictures:
        say(f"picture: {picture}")


def show_answer(answer: Answer) -> None:
    """An answer with what it rests on."""
    say(answer.text)
    for notice in answer.notices:
        remark(notice)
    for claim in answer.removed:
        remark(f"Left out, since no evidence supports it: {claim.text} ({claim.reason})")
    used = answer.usage
    if used.read or used.written:  # only where the provider tells
        cost = f", cost {used.cost:.4g}" if used.cost is not None else ""
        remark(f"{answer.model}: {answer.seconds:.1f} s, {used.read:,} tokens read, {used.written:,} written{cost}.")
