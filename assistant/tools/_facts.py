"""Facts that several tools tell: about runs, findings, their places and parts. Knows records; not detectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from assistant.evidence import Fact
from assistant.keeping.drawn import box_in
from assistant.modalities import kind
from assistant.records import Finding, Run, Sample
from assistant.specimens.specimen import Judgement

PARTS_TOLD = 8  # parts beyond these carry next to nothing
REGIONS_TOLD = 12


def finding_facts(finding: Finding) -> list[Fact]:
    """What a finding is, without its places."""
    one = finding.id
    facts = [
        Fact(one, "sample", finding.sample),
        Fact(one, "p_value", finding.p_value),
        Fact(one, "alpha", finding.alpha),
        Fact(one, "score", finding.score),
        Fact(one, "index", finding.index),
        Fact(one, "modality", finding.modality),
        Fact(one, "run", finding.run),
        Fact(one, "extrapolated", finding.extrapolated),
        Fact(one, "regions", len(finding.regions)),
        Fact(one, "state", finding.state),
        Fact(one, "created", finding.created),
    ]
    if finding.kind:
        facts.append(Fact(one, "kind", finding.kind))
        facts.append(percent(one, "kind_confidence", finding.kind_confidence or 0.0))
    if finding.stability:
        facts.append(Fact(one, "runs_flagging", finding.stability["agree"]))
        facts.append(Fact(one, "runs_asked", finding.stability["of"]))
        facts.append(Fact(one, "runs_over", finding.stability["over"]))
    if finding.fitted_p is not None:
        facts.append(Fact(one, "fitted_p_value", finding.fitted_p))
    optional = {"label": finding.label, "note": finding.note, "incident": finding.incident}
    optional["ignored_by"] = finding.ignored
    return facts + [Fact(one, key, value) for key, value in optional.items() if value]


def place_facts(finding: Finding) -> list[Fact]:
    """Where a finding lies and which parts carry it, most guilty first."""
    regions = finding.regions[:REGIONS_TOLD] if finding.modality != "table" else []
    facts = [fact for region in regions for fact in region_facts(finding, region)]
    for part in finding.parts[:PARTS_TOLD]:
        facts += part_facts(finding, part)
    return facts


def region_facts(finding: Finding, region: Mapping[str, Any]) -> list[Fact]:
    """One place, in pixels or stamps."""
    several = finding.modality == "multimodal"  # its places are its parts
    subject = f"{finding.id}/{'part ' if several else ''}{region['name']}"
    if region.get("box"):
        left, top, right, bottom = region["box"]
        return [
            Fact(subject, "position", region.get("position", "")),
            percent(subject, "share", region["share"]),
            Fact(subject, "peak", region["peak"]),
            Fact(subject, "left", left, "px"),
            Fact(subject, "top", top, "px"),
            Fact(subject, "width", right - left, "px"),
            Fact(subject, "height", bottom - top, "px"),
            Fact(subject, "area", region.get("area"), "px"),
            *frame_facts(subject, region),
        ]
    facts = [percent(subject, "share", region["share"]), Fact(subject, "peak", region["peak"])]
    if region.get("start") is None:
        return facts
    times = [Fact(subject, key, region[key]) for key in ("start_time", "end_time") if region.get(key)]
    return [
        *times,
        *facts,
        Fact(subject, "start", region["start"]),
        Fact(subject, "end", region["end"]),
        Fact(subject, "length", region["end"] - region["start"]),
        Fact(subject, "channels", ", ".join(region.get("channels") or ())),
    ]


def frame_facts(subject: str, region: Mapping[str, Any]) -> list[Fact]:
    """From which to which frame of a clip something lasted, where it peaked, and when that was; nothing in images."""
    if region.get("frame") is None:
        return []
    return [
        *(Fact(subject, key, region[key]) for key in ("start_time", "end_time") if region.get(key)),
        Fact(subject, "first_frame", region["start"]),
        Fact(subject, "peak_frame", region["frame"]),
        Fact(subject, "last_frame", region["end"] - 1),
        Fact(subject, "length", region["end"] - region["start"], "frames"),
    ]


def part_facts(finding: Finding, part: Mapping[str, Any]) -> list[Fact]:
    """One part: its share, what was observed, what was expected. A region of an image told its share already."""
    subject = part_subject(finding, part["name"])
    share = [] if kind(finding.modality).places_are_parts else [percent(subject, "share", part["share"])]
    unit = kind(finding.modality).units.get(part["name"], "")
    return [*share, *(Fact(subject, key, part[key], unit) for key in ("observed", "expected"))]


def part_subject(finding: Finding, name: str) -> str:
    """F12/region 1, F12/channel cpu, F12/feature fee."""
    known = kind(finding.modality)
    return f"{finding.id}/{name if known.places_are_parts else f'{known.part} {name}'}"


def percent(subject: str, field: str, share: float) -> Fact:
    """A share 0..1, told in percent."""
    return Fact(subject, field, 100.0 * share, "%")


def sample_facts(sample: Sample, run: Run) -> list[Fact]:
    """What a scored sample is, flagged or not."""
    subject = f"sample {sample.name}"
    facts = [
        Fact(subject, "run", sample.run),
        Fact(subject, "index", sample.index),
        Fact(subject, "score", sample.score),
        Fact(subject, "p_value", sample.p_value),
        Fact(subject, "alpha", run.alpha),
        Fact(subject, "flagged", sample.flagged),
    ]
    return [*facts, Fact(subject, "finding", sample.finding)] if sample.finding else facts


def change_facts(finding: Finding, before: Judgement, after: Judgement) -> list[Fact]:
    """What a what-if did to the score."""
    one = finding.id
    return [
        Fact(one, "sample", finding.sample),
        Fact(one, "alpha", finding.alpha),
        Fact(one, "before_p_value", before.p_value),
        Fact(one, "after_p_value", after.p_value),
        Fact(one, "before_score", before.score),
        Fact(one, "after_score", after.score),
        Fact(one, "returns_to_normal", after.p_value > finding.alpha),
    ]


def drawn_facts(finding: Finding, box: Sequence[int] | None, rows: Sequence[int] | None) -> list[Fact]:
    """Where a place lies that a person drew: a box in pixels, or rows of the run."""
    if box is not None:
        left, top, right, bottom = box_in(finding, box)
        subject = f"{finding.id}/box"
        edges = {"left": left, "top": top, "width": right - left, "height": bottom - top}
        return [Fact(subject, name, value, "px") for name, value in edges.items()]
    subject, (first, last) = f"{finding.id}/rows", rows or (0, 0)
    return [Fact(subject, "first_row", first), Fact(subject, "last_row", last)]
