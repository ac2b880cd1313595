"""Scripts about one finding: why it was flagged, where and when it is, how large, what normal would look like."""

from __future__ import annotations

import re
from typing import Any

from assistant.evidence import Evidence
from assistant.llm.desk import Desk, first_run
from assistant.llm.phrases import span
from assistant.llm.skills import skill
from assistant.llm.skills.runs import say_where
from assistant.llm.speech import asks_for_the_run
from assistant.llm.view import Piece, View, number
from assistant.modalities import kind

MOST_AT_ONCE = 3


@skill("why")
def why(desk: Desk) -> None:
    """What carries the score, observed against expected, how rare it is, and whether a repair helps."""
    names = desk.findings()[:MOST_AT_ONCE]
    results = desk.all([("explain_finding", {"finding": name}) for name in names])
    for name, evidence in zip(names, results, strict=True):
        if evidence.status != "ok":
            desk.tell_note(evidence)
        view = View(evidence, name)
        say_where(desk, evidence, view)
        say_seen(desk, evidence, view)
        desk.say("p_below", evidence, p=view["p_value"], alpha=view["alpha"])
        if len(names) == 1:
            _say_second(desk, evidence, view)
            say_repair(desk, evidence, view)
            _say_state(desk, evidence, view)


def say_seen(desk: Desk, evidence: Evidence, view: View) -> None:
    """Observed against expected of the first carrier."""
    first = view.first
    if first is None or first["observed"] is None:
        return
    slots: dict[str, Any] = {"observed": first["observed"], "expected": first["expected"]}
    if first.kind == "region":
        one, two = number(first["observed"]), number(first["expected"])
        tone = "" if one is None or two is None or abs(one - two) < 2 else ("_darker" if one < two else "_lighter")
        desk.say(f"seen_place{tone}", evidence, region=first.name, **slots)
    else:
        if view.modality == "video":
            desk.say("carried_by", evidence, part=first.name, share=first["share"])
        key = {"series": "seen_channel", "video": f"seen_{first.name}"}.get(view.modality, "seen_cell")
        desk.say(key, evidence, part=first.name, **slots)


def _say_second(desk: Desk, evidence: Evidence, view: View) -> None:
    """The next carrier, where it counts."""
    carriers = view.carriers()
    if len(carriers) < 2 or carriers[1].share < 5:
        return
    second = carriers[1]
    if second.kind == "region":
        if not desk.say("also_place", evidence, region=second.name, position=second["position"], share=second["share"]):
            desk.say("also_place_only", evidence, region=second.name, share=second["share"])
        return
    slots = {
        "part": second.name,
        "share": second["share"],
        "observed": second["observed"],
        "expected": second["expected"],
    }
    key = {"series": "also_part_seen", "video": f"also_{second.name}"}.get(view.modality, "also_cell_seen")
    seen, due = second["observed"], second["expected"]
    as_expected = seen is not None and due is not None and seen.value == due.value  # odd only beside its neighbours
    if as_expected or not desk.say(key, evidence, **slots):
        desk.say("also_part", evidence, **slots)


def say_repair(desk: Desk, evidence: Evidence, view: View) -> None:
    """What the counterfactual scores."""
    returns = view["returns_to_normal"]
    if returns is not None:
        repair = "repair" if kind(view.modality).pictured else "repair_values"
        key = f"{repair}_helps" if returns.value else f"{repair}_fails"
        desk.say(key, evidence, p=view["counterfactual_p_value"])


def _say_state(desk: Desk, evidence: Evidence, view: View) -> None:
    state = view["state"].value if view["state"] is not None else ""
    if state == "false alarm":
        desk.say("state_false_alarm", evidence, name=view.name)
    elif state == "confirmed":
        desk.say("state_confirmed", evidence, name=view.name)


@skill("where")
def where(desk: Desk) -> None:
    """The place of a finding: region and pixels, interval, or features."""
    name = desk.finding()
    evidence = desk.use("describe_finding", finding=name)
    view = View(evidence, name)
    say_place(desk, evidence, view)


def say_place(desk: Desk, evidence: Evidence, view: View) -> None:
    """Where a finding lies, in words and in the units of its data."""
    label, carriers = desk.pen.finding(evidence, view.name), view.carriers()
    if view.region is not None:
        _say_regions(desk, evidence, view, label)
    elif view.interval is not None:
        part = carriers[0].name if carriers else None
        slots: dict[str, Any] = {"name": label, "part": part}
        place = view.interval
        if not desk.say("where_event", evidence, span=span(place["start_time"], place["end_time"]), **slots):
            desk.say("where_event_index", evidence, span=span(place["start"], place["end"]), **slots)
        if carriers:
            desk.say("blame_first", evidence, name=view.name, part=part, share=carriers[0]["share"])
    elif carriers:
        desk.say("where_cell", evidence, name=label, part=carriers[0].name, share=carriers[0]["share"])
        say_seen(desk, evidence, view)
    else:
        desk.say("where_not_localised", evidence, name=label)


def _say_regions(desk: Desk, evidence: Evidence, view: View, label: str) -> None:
    regions = [place for place in view.places if place.kind == "region"]
    first = regions[0]
    if not desk.say("where_place", evidence, name=label, region=first.name, **first.facts):
        desk.say("where_place_only", evidence, name=label, region=first.name, **first.facts)
    desk.say("where_share", evidence, region=first.name, share=first["share"])
    for place in regions[1:3]:
        desk.say("where_more", evidence, region=place.name, **place.facts)


@skill("when")
def when(desk: Desk) -> None:
    """Start and end of an event; of other samples, and of what was scored when, the time of the run."""
    if asks_for_the_run(desk.reading.plain):
        _say_run(desk, _earlier(desk) or desk.run() or desk.memory.run)
        return
    name = desk.finding()
    evidence = desk.use("describe_finding", finding=name)
    view, label = View(evidence, name), desk.pen.finding(evidence, name)
    if view.region is not None and view.region["peak_frame"] is not None:
        _say_frames(desk, evidence, view.region, label)
        return
    place = view.interval
    if place is None:
        if view["start_time"] is None:
            desk.say("when_no_time", evidence, name=label)
            _say_run(desk, str(view["run"].value) if view["run"] is not None else desk.memory.run)
            say_place(desk, evidence, view)
            return
        place = Piece("interval", "", view.facts)
    if not desk.say("when_event", evidence, name=label, start=place["start_time"], end=place["end_time"]):
        desk.say("when_event_index", evidence, name=label, start=place["start"], end=place["end"])
    first = view.first
    if first is not None:
        desk.say("blame_first", evidence, name=name, part=first.name, share=first["share"])


def _earlier(desk: Desk) -> str | None:
    """The run before the latest, where the earlier of the two is asked for."""
    if not re.search(r"\b(?:earlier|older|previous|first)\b", desk.reading.plain):
        return None
    latest = first_run(desk.use("overview")) or "R1"
    return f"R{int(latest[1:]) - 1}" if latest != "R1" else None


def _say_run(desk: Desk, run: str | None) -> None:
    """Of what a run is and when it was made."""
    evidence = desk.use("overview", run=run)
    facts = {fact.field: fact for fact in evidence.facts if fact.subject == first_run(evidence)}
    desk.say("when_created", evidence, run=first_run(evidence), created=facts.get("created"))
    desk.say("when_source", evidence, source=facts.get("source"))


def _say_frames(desk: Desk, evidence: Evidence, place: Piece, label: str) -> None:
    """From which to which frame of a clip, and when that is where the frame rate is known."""
    desk.say("when_frames", evidence, name=label, start=place["first_frame"], last=place["last_frame"])
    desk.say("when_peak", evidence, region=place.name, peak=place["peak_frame"])
    desk.say("when_clock", evidence, start=place["start_time"], end=place["end_time"])


@skill("size")
def size(desk: Desk) -> None:
    """How large a region is, how long an event lasts."""
    name = desk.finding()
    evidence = desk.use("describe_finding", finding=name)
    view, label = View(evidence, name), desk.pen.finding(evidence, name)
    if view.region is not None:
        wanted = desk.region(name)
        for place in [one for one in view.places if wanted in (None, one.name)][:2]:
            desk.say("size_place", evidence, name=label, region=place.name, **place.facts)
    elif view.interval is not None:
        place = view.interval
        times = span(place["start_time"], place["end_time"])
        if not desk.say("size_event", evidence, name=label, length=place["length"], span=times):
            desk.say("size_event_index", evidence, name=label, length=place["length"])
    else:
        desk.say("size_none", evidence, name=label)
        first = view.first
        if first is not None:
            desk.say("size_row", evidence, part=first.name, share=first["share"])


@skill("map")
def show_map(desk: Desk) -> None:
    """The map over the input, and where its high places are."""
    name = desk.finding()
    evidence = desk.use("show_map", finding=name)
    desk.say("map_shown", evidence, name=desk.pen.finding(evidence, name))
    say_place(desk, evidence, View(evidence, name))


@skill("expected")
def expected(desk: Desk) -> None:
    """What normal would look like, and what that would score."""
    name = desk.finding()
    evidence = desk.use("explain_finding", finding=name)
    view, label = View(evidence, name), desk.pen.finding(evidence, name)
    spoken = desk.memory.part if view.part(desk.memory.part) else None
    part = (desk.part(name, required=False) or spoken) if view.parts else None
    pieces = [view.part(part)] if part else [one for one in view.carriers()[:2] if one is view.first or one.share >= 5]
    for i, piece in enumerate(pieces):
        if piece is not None:
            _say_expected(desk, evidence, view, piece, label if i == 0 else name)
    returns = view["returns_to_normal"]
    if returns is not None:
        desk.say("expected_helps" if returns.value else "expected_fails", evidence, p=view["counterfactual_p_value"])
    if kind(view.modality).pictured and desk.pen.sentences:
        desk.say("expected_look")
    if not desk.pen.sentences:
        say_where(desk, evidence, view)


def _say_expected(desk: Desk, evidence: Evidence, view: View, piece: Piece, label: str) -> None:
    slots: dict[str, Any] = {"observed": piece["observed"], "expected": piece["expected"], "name": label}
    if piece.kind == "region":
        desk.say("expected_place", evidence, region=piece.name, position=piece["position"], **slots)
    else:
        key = {"series": "expected_channel", "video": f"expected_{piece.name}"}.get(view.modality, "expected_cell")
        desk.say(key, evidence, part=piece.name, **slots)
