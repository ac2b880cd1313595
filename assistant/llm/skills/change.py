"""Scripts that write into the store, because the question says so: labels and incidents."""

from __future__ import annotations

import re

from assistant.evidence import Fact
from assistant.llm.desk import Desk
from assistant.llm.skills import skill
from assistant.llm.skills.relate import alike
from assistant.llm.view import View


@skill("label_normal")
def label_normal(desk: Desk) -> None:
    """A false alarm."""
    _label(desk, "normal")


@skill("label_anomaly")
def label_anomaly(desk: Desk) -> None:
    """A confirmed anomaly."""
    _label(desk, "anomaly")


def _label(desk: Desk, label: str) -> None:
    names, note = desk.findings(), _note(desk)
    results = desk.all([("label_finding", {"finding": name, "label": label, "note": note}) for name in names])
    for name, evidence in zip(names, results, strict=True):
        if evidence.status != "ok":
            desk.tell_note(evidence)
        desk.say(f"labelled_{label}", evidence, name=desk.pen.finding(evidence, name))
    if note:
        desk.say("labelled_note")


def _note(desk: Desk) -> str | None:
    """What the person adds after a comma or "because": "F5 is ok, it was only dust" -> "it was only dust"."""
    text = desk.turn.question
    found = re.search(r"(?:\bbecause\b|\bsince\b|[,;:]|\s[-–—]\s)\s*(?P<note>[^,;:?]{4,200}?)[.!]*\s*$", text)
    if found is None or re.search(r"\b(?:mark|label|confirm|false alarm|log|dismiss)\b", found["note"], re.I):
        return None
    return found["note"].strip()


_AND_ITS_LIKE = re.compile(r"\b(?:and|with) (?:its like|similar|the like|those like|everything like)\b")


@skill("incident")
def incident(desk: Desk) -> None:
    """Findings put together, and what they have in common."""
    seen = desk.reading.mentions
    named = [*seen.findings, *(desk.flagged(name) for name in seen.samples)]
    if (
        not named
        and not seen.incidents
        and re.search(r"\b(?:it|this|that one|this one|this finding)\b", desk.reading.plain)
    ):
        named = (
            [desk.finding()]
            if (desk.turn.focus or any(one.startswith("F") for one in desk.memory.topics[-1:]))
            and "recent" not in desk.reading.concepts
            else []
        )
    if named and _AND_ITS_LIKE.search(desk.reading.plain):
        named = [*named, *alike(desk, named[0])]
    run = desk.run()
    known = seen.incidents[0] if seen.incidents else None
    evidence = desk.use("summarise_incident", findings=named or None, run=run, incident=known)
    key = next((fact.subject for fact in evidence.facts if re.fullmatch(r"I\d+", fact.subject)), known)
    facts: dict[str, Fact] = {fact.field: fact for fact in evidence.facts if fact.subject == key}
    members = list(dict.fromkeys(fact.subject for fact in evidence.facts if re.fullmatch(r"F\d+", fact.subject)))
    if len(members) == 1:
        desk.say("incident_one", evidence, incident=key, name=desk.pen.finding(evidence, members[0]))
    else:
        desk.say("incident_made", evidence, incident=key, findings=facts.get("findings"))
    worst = str(facts["most_anomalous"].value) if "most_anomalous" in facts else (members or [""])[0]
    if worst:
        p = facts.get("lowest_p_value") or View(evidence, worst)["p_value"]
        desk.say("incident_worst", evidence, name=desk.pen.finding(evidence, worst), p=p)
    rest = [desk.pen.finding(evidence, name, short=True) for name in members if name != worst][:6]
    if rest and len(members) > 1:
        desk.say("incident_names", evidence, names=desk.pen.names(rest))
    _common(desk, evidence)
    desk.say("incident_report", evidence, incident=key)


def _common(desk: Desk, evidence: object) -> None:
    """Channels or features that several of them share."""
    for fact in evidence.facts:  # type: ignore[attr-defined]
        kind, _, name = fact.subject.partition("/")[2].partition(" ")
        several = isinstance(fact.value, int) and fact.value > 1
        if kind in ("channel", "feature") and fact.field in ("findings", "count") and several:
            desk.say("incident_common", evidence, part=name, count=fact)  # type: ignore[arg-type]
            return
