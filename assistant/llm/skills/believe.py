"""Scripts on what a finding is and whether to believe it: its kind, what differs, its explanation under test, the
channel that began it, the nearest normals, and findings that belong together."""

from __future__ import annotations

import re

from assistant.evidence import Evidence, Fact
from assistant.kinds import UNCLEAR, load_kinds
from assistant.llm.desk import Desk, first_run
from assistant.llm.skills import skill, skills
from assistant.llm.view import Piece, View, number

MEASURES_TOLD = 4
SENTENCE = re.compile(r"(?<=[.!?])\s+")


@skill("kind")
def kind(desk: Desk) -> None:
    """What kind of anomaly a finding is, how sure, and what speaks for it."""
    if "kind_of_finding" not in desk.defaults:
        skills()["why"](desk)
        return
    names = desk.findings()[:3]
    results = desk.all([("kind_of_finding", {"finding": name}) for name in names])
    for name, evidence in zip(names, results, strict=True):
        _say_kind(desk, evidence, name)
        if len(names) == 1:
            _say_measures(desk, evidence, View(evidence, name), "kind_speaks")
            if View(evidence, name)["kind"] is not None and evidence.note:
                desk.pen.quote(SENTENCE.split(evidence.note)[0], evidence)


def _say_kind(desk: Desk, evidence: Evidence, name: str) -> None:
    view, label = View(evidence, name), desk.pen.finding(evidence, name)
    told = view["kind"]
    if told is None:
        desk.pen.quote(evidence.note, evidence) if evidence.note else desk.say("kind_unknown", evidence, name=label)
        return
    if told.value == UNCLEAR:
        desk.say("kind_unclear", evidence, name=label)
        desk.say("kind_nearest", evidence, kind=view["nearest_kind"], confidence=view["kind_confidence"])
        return
    asked = load_kinds().called(desk.reading.plain) if desk.reading.asks else None
    both = bool(re.search(r"\bor\b|\bwhat\b|\bwhich\b", desk.reading.plain))
    key = "kind_is" if asked is None or both else ("kind_yes" if asked == told.value else "kind_no")
    desk.say(key, evidence, name=label, kind=told, confidence=view["kind_confidence"])
    if (number(view["second_kind_fit"]) or 0) >= 30:
        desk.say("kind_second", evidence, kind=view["second_kind"])


def _say_measures(desk: Desk, evidence: Evidence, view: View, key: str) -> None:
    """A few measurements of the first part, in words."""
    pieces = [*view.parts, *(place for place in view.places if place.kind == "region")]
    for piece in pieces[:1]:
        desk.say(key, evidence, part=desk.pen.part(piece.name), measures=_measures(desk, piece))


def _measures(desk: Desk, piece: Piece) -> str:
    numbers = [fact for fact in piece.facts.values() if number(fact) is not None][:MEASURES_TOLD]
    return ", ".join(desk.pen.fill_fact(fact.field.replace("_", " "), fact) for fact in numbers)


@skill("differs")
def differs(desk: Desk) -> None:
    """What was measured of the first part, those that the question names first."""
    if "what_differs" not in desk.defaults:
        skills()["expected"](desk)
        return
    name = desk.finding()
    evidence = desk.use("what_differs", finding=name)
    view = View(evidence, name)
    pieces = [*view.parts, *(place for place in view.places if place.kind == "region")]
    for piece in pieces[:2]:
        asked = [fact for fact in piece.facts.values() if _asked(desk, fact)]
        rest = [fact for fact in piece.facts.values() if fact not in asked and number(fact) is not None]
        chosen = (asked or rest)[: 2 * MEASURES_TOLD]
        told = ", ".join(desk.pen.fill_fact(fact.field.replace("_", " "), fact) for fact in chosen)
        desk.say("differs_in", evidence, part=desk.pen.part(piece.name), measures=told)
    if not desk.pen.sentences:
        desk.say("kind_unknown", evidence, name=name)


_SAME = {"frequency": "period", "rhythm": "period", "variance": "roughness", "trend": "slope"}


def _asked(desk: Desk, fact: Fact) -> bool:
    words = {_SAME.get(word, word) for word in re.findall(r"[a-z]+", desk.reading.plain)}
    return bool(words & set(fact.field.split("_")) - {"observed", "expected", "of", "to", "difference", "usual"})


@skill("trust")
def trust(desk: Desk) -> None:
    """The explanation under test: named place, everything else, equal places elsewhere."""
    if "test_explanation" not in desk.defaults:
        skills()["sure"](desk)
        return
    name = desk.finding()
    evidence = desk.use("test_explanation", finding=name)
    view, label = View(evidence, name), desk.pen.finding(evidence, name)
    enough = view["sufficient"]
    key = "trust_sufficient" if enough is not None and enough.value else "trust_insufficient"
    desk.say(key, evidence, name=label, p=view["named_repaired_p_value"], alpha=view["alpha"])
    returns, count = view["random_returns"], view["random_places"]
    if count is not None and number(count):
        desk.say("trust_random" if number(returns) else "trust_random_none", evidence, count=count, returns=returns)
    needed = view["necessary"]
    if needed is not None:
        key = "trust_necessary" if needed.value else "trust_unnecessary"
        desk.say(key, evidence, p=view["rest_repaired_p_value"])
    desk.say("trust_verdict", evidence, verdict=view["verdict"])


@skill("spread")
def spread(desk: Desk) -> None:
    """Which channel left its course first, and which followed."""
    if "trace_event" not in desk.defaults:
        skills()["when"](desk)
        return
    name = desk.finding()
    evidence = desk.use("trace_event", finding=name)
    view, label = View(evidence, name), desk.pen.finding(evidence, name)
    parts = sorted(view.parts, key=lambda piece: number(piece["delay"]) or 0.0)
    first = parts[0]
    if not desk.say("spread_first", evidence, part=desk.pen.part(first.name), name=label, time=first["onset_time"]):
        desk.say("spread_first_index", evidence, part=desk.pen.part(first.name), name=label, time=first["onset"])
    for piece in parts[1:4]:
        desk.say("spread_next", evidence, part=desk.pen.part(piece.name), delay=piece["delay"])
    if len(parts) == 1:
        desk.say("spread_alone", evidence)
    desk.say("spread_caution")


@skill("nearest")
def nearest(desk: Desk) -> None:
    """The nearest normal samples and their distances."""
    if "nearest_normals" not in desk.defaults:
        skills()["compare_normal"](desk)
        return
    name = desk.finding()
    evidence = desk.use("nearest_normals", finding=name)
    label = desk.pen.finding(evidence, name)
    rows = [(f"{name}/normal {n}", n) for n in range(1, 11)]
    facts = {(fact.subject, fact.field): fact for fact in evidence.facts}
    found = [(facts[key, "sample"], facts[key, "distance"]) for key, _ in rows if (key, "sample") in facts]
    if not found:
        desk.tell_note(evidence)
    desk.say("nearest_is", evidence, name=label, other=found[0][0], distance=found[0][1])
    desk.say("nearest_usual", evidence, usual=facts.get((name, "usual_distance")))
    if len(found) > 1:
        told = [f"{desk.pen.fact(other)} ({desk.pen.fact(distance)})" for other, distance in found[1:3]]
        desk.say("nearest_more", evidence, names=desk.pen.names(told))


@skill("groups")
def groups(desk: Desk) -> None:
    """Findings that belong together."""
    if "group_findings" not in desk.defaults:
        skills()["overview"](desk)
        return
    evidence = desk.use("group_findings", run=desk.run())
    run = first_run(evidence)
    facts = {(fact.subject, fact.field): fact for fact in evidence.facts}
    desk.say("groups_head", evidence, run=run, groups=facts.get((str(run), "groups")))
    for n in range(1, 6):
        own = {field: fact for (subject, field), fact in facts.items() if subject == f"{run}/group {n}"}
        if own:
            slots = {"findings": own.get("findings"), "members": own["members"].value}
            line = [desk.pen.fill("group_line", {"group": f"group {n}", **slots})]
            line += [desk.pen.fill("group_kind", {"kind": own.get("kind")})]
            line += [desk.pen.fill("group_place", {"place": own.get("place")})]
            line += [desk.pen.fill("group_span", {"first": own.get("first_time")})]
            desk.pen.item(", ".join(text for text in line if text), evidence)
