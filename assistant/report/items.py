"""Gathers what a report says of one finding: sentences, tables, pictures, each with the evidence it was read from.

Knows tools, evidence and records; not files, templates or forms. Pictures are handed out as bytes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from assistant import figures
from assistant.evidence import Evidence, format_number
from assistant.figures import plots
from assistant.keeping import keep_overlay
from assistant.keeping.clips import keep_strip
from assistant.keeping.windows import series_view
from assistant.modalities import kind
from assistant.pipeline import Workspace
from assistant.records import Finding
from assistant.report.facts import Ledger, Sentence, number_of, shown, subjects, value_of
from assistant.report.reasons import checks, reasons, ruled_out
from assistant.words import flag_level, place, title, when

SIMILAR = 5
ALIKE = 0.5  # cosine from which a finding is listed as similar


@dataclass
class Table:
    """A table read off one evidence; the column `bar` carries a share in percent."""

    title: str
    head: tuple[str, ...]
    rows: list[dict[str, Any]]
    evidence: str = ""


@dataclass
class Picture:
    """A picture of a finding as PNG bytes."""

    name: str
    data: bytes
    caption: str
    evidence: str = ""
    wide: bool = False


@dataclass
class Item:
    """One finding of the report."""

    id: str
    title: str
    when: str
    where: str
    p_value: str
    state: str
    described: str
    explained: str = ""
    verdict: str = ""
    facts: list[dict[str, str]] = field(default_factory=list)
    sentences: list[Sentence] = field(default_factory=list)
    ruled_out: list[Sentence] = field(default_factory=list)
    checks: list[Sentence] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)


def listed_item(ledger: Ledger, finding: Finding) -> Item:
    """A line of the list."""
    described = ledger.call("describe_finding", finding=finding.id)
    return Item(
        id=finding.id,
        title=title(finding),
        when=when(finding.time)[:16],
        where=place(finding),
        p_value=("≈ " if finding.extrapolated else "") + number_of(described, finding.id, "p_value"),
        state=finding.state,
        described=described.id,
    )


def detailed_item(ledger: Ledger, finding: Finding, tested: bool) -> Item:
    """A finding with its kind, pictures, tables, normal version and similar cases; its explanation is `tested`."""
    item = listed_item(ledger, finding)
    described = ledger.call("describe_finding", finding=finding.id)
    explained = ledger.call("explain_finding", finding=finding.id)
    item.explained = explained.id
    item.facts = strip(finding, described)
    item.verdict = verdict(finding, explained)
    item.sentences = sentences(finding, described, explained) + reasons(ledger, finding, described)
    source = explained if explained.status == "ok" else described
    item.ruled_out = ruled_out(ledger, finding, source, tested)
    item.checks = checks(ledger, finding)
    item.tables = tables(finding, described, explained)
    item.pictures = pictures(ledger, finding, explained)
    similar = ledger.call("find_similar", finding=finding.id, limit=SIMILAR)
    alike = similar_cases(ledger.workspace, finding, similar)
    item.tables += alike
    if not alike:
        item.sentences.append(Sentence("No other finding of this model looks much like it.", similar.id))
    return item


def strip(finding: Finding, described: Evidence) -> list[dict[str, str]]:
    """The facts at a glance."""
    named = {"p-value": "p_value", "alpha": "alpha", "score": "score"}
    facts = [
        {"name": shown, "value": number_of(described, finding.id, key), "evidence": described.id}
        for shown, key in named.items()
    ]
    facts.append({"name": "where", "value": place(finding), "evidence": described.id})
    named_time = "detected" if finding.time in ("", finding.created) else "when"
    facts.append({"name": named_time, "value": when(finding.time or finding.created)[:16], "evidence": ""})
    facts.append(
        {"name": "state", "value": finding.state + (f": {finding.note}" if finding.note else ""), "evidence": ""}
    )
    return facts


def sentences(finding: Finding, described: Evidence, explained: Evidence) -> list[Sentence]:
    """What, how sure, and what would be normal."""
    p, alpha = number_of(described, finding.id, "p_value"), number_of(described, finding.id, "alpha")
    what = f"The event of {title(finding)}" if kind(finding.modality).event else finding.sample
    said = [Sentence(f"{what} was flagged: its p-value is {p}, at most alpha {alpha}.", described.id)]
    if finding.extrapolated:
        said.append(
            Sentence("No calibration sample is as unusual; the p-value was read off the fitted tail.", described.id)
        )
    if explained.status != "ok":
        return [*said, Sentence(explained.note, explained.id)]
    after = number_of(explained, finding.id, "counterfactual_p_value")
    score = number_of(explained, finding.id, "counterfactual_score")
    back = "returns to normal" if value_of(explained, finding.id, "returns_to_normal") else "does not return to normal"
    text = f"With its oddities made normal, it scores {score} at p-value {after}: it {back}."
    return [*said, Sentence(text, explained.id)]


def verdict(finding: Finding, explained: Evidence) -> str:
    """The normal version's p-value in a few words."""
    if explained.status != "ok":
        return "not worked out"
    back = "normal" if value_of(explained, finding.id, "returns_to_normal") else "still unusual"
    return f"p {number_of(explained, finding.id, 'counterfactual_p_value')}, {back}"


def tables(finding: Finding, described: Evidence, explained: Evidence) -> list[Table]:
    """Places and parts, read off the evidence."""
    made = []
    spots = subjects(described, finding.id, ("left", "start"))
    if kind(finding.modality).pictured:
        rows = [
            spot_row(described, spot, ("position", "left", "top", "width", "height", "area", "peak")) for spot in spots
        ]
        head: tuple[str, ...] = ("place", "position", "left", "top", "width", "height", "area", "peak", "share")
        made.append(Table("Places", head, rows, described.id))
        if kind(finding.modality).event:
            made.append(_when(described, spots[:1]))
    elif spots:
        rows = [spot_row(described, spot, ("start_time", "end_time", "length", "channels")) for spot in spots]
        made.append(Table("Intervals", ("interval", "from", "to", "stamps", "channels", "share"), rows, described.id))
    source = explained if explained.status == "ok" else described
    rows = [spot_row(source, part, ("observed", "expected")) for part in subjects(source, finding.id, ("observed",))]
    if rows:
        named = {
            "image": "Grey level by place",
            "series": "Channels, at the peak of the event",
            "video": "What carries the score: mean grey level, and speed in pixels a frame",
        }
        head = ("part", "observed", "expected", "share")
        made.append(Table(named.get(finding.modality, "Features"), head, rows, source.id))
    return made


def _when(described: Evidence, spots: list[str]) -> Table:
    """Frames of a place, and its times where the clip has any."""
    columns = {
        "first_frame": "first",
        "last_frame": "last",
        "peak_frame": "peak",
        "start_time": "from",
        "end_time": "to",
    }
    told = [key for key in columns if any(value_of(described, spot, key) is not None for spot in spots)]
    rows = [spot_row(described, spot, tuple(told)) for spot in spots]
    return Table("When", ("place", *(columns[key] for key in told), "share"), rows, described.id)


def spot_row(evidence: Evidence, subject_: str, fields: tuple[str, ...]) -> dict[str, Any]:
    """A row of a table: the spot's own name, some of its fields with their units, its share with a bar."""
    cells = [subject_.partition("/")[2], *(number_of(evidence, subject_, key) for key in fields)]
    share = value_of(evidence, subject_, "share")
    width = f"{min(100.0, max(0.0, float(share))):.1f}" if isinstance(share, int | float) else "0"
    told = f"{share:.1f} %" if isinstance(share, int | float) else "–"
    return {"cells": [*cells, told], "bar": len(cells), "width": width}


def similar_cases(workspace: Workspace, finding: Finding, similar: Evidence) -> list[Table]:
    """Findings that look alike; those with little in common are left out."""
    rows = []
    for fact in similar.facts:
        other = next((name for name in fact.subject.split() if name[0] == "F" and name != finding.id), None)
        alike = isinstance(fact.value, float) and fact.value >= ALIKE
        if fact.field != "similarity" or other is None or not alike:
            continue
        known = workspace.store.finding(other)
        cells = [other, title(known), place(known), format_number(known.p_value), known.state, shown(fact)]
        rows.append({"cells": cells, "bar": -1, "width": "0"})
    head = ("finding", "what", "where", "p-value", "state", "similarity")
    return [Table("Similar cases", head, rows, similar.id)] if rows else []


def pictures(ledger: Ledger, finding: Finding, explained: Evidence) -> list[Picture]:
    """Input, map and normal version of an image, or the stretch of a series."""
    if kind(finding.modality).pictured:
        mapped = ledger.call("show_map", finding=finding.id)
        shown = [
            ("input", finding.folder / "input.png", "Input", mapped.id),
            (
                "map",
                keep_overlay(finding.folder, finding.regions),
                "Map; places numbered, the most guilty first",
                mapped.id,
            ),
            ("normal", finding.folder / "counterfactual.png", "Nearest normal version", explained.id),
        ]
        made = [
            Picture(f"{finding.id}-{name}.png", figures.png(figures.legible(path)), caption, evidence)
            for name, path, caption, evidence in shown
            if path.is_file()
        ]
        return made + ([_strip(ledger, finding, mapped.id)] if finding.modality == "video" else [])
    if finding.modality in ("series", "multimodal"):
        level = flag_level(ledger.workspace.store.run(finding.run))
        caption = "Observed and expected; the event is shaded. Below, the score and the level of alpha"
        data = plots.series_png(series_view(finding, level))
        return [Picture(f"{finding.id}-series.png", data, caption, explained.id, wide=True)]
    return []


def _strip(ledger: Ledger, finding: Finding, evidence: str) -> Picture:
    path = keep_strip(finding.folder, flag_level(ledger.workspace.store.run(finding.run)))
    caption = "Frames through the event, and the score of each frame with the level of alpha"
    return Picture(f"{finding.id}-strip.png", path.read_bytes(), caption, evidence, wide=True)
