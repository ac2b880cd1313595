"""The script for a place that the reader drew: a box in a picture, or rows of an event; looked at, or repaired."""

from __future__ import annotations

from assistant.evidence import Evidence, Fact
from assistant.llm.desk import Desk
from assistant.llm.places import drawn
from assistant.llm.skills import skill
from assistant.llm.skills.try_out import say_change
from assistant.llm.view import View, number

ALIKE = 0.02  # relative difference of two means that is not worth a sentence


@skill("place")
def place(desk: Desk) -> None:
    """Measure a drawn place, or make it normal and score again."""
    where = drawn(desk.reading.text)
    named = desk.reading.mentions.findings
    name = named[0] if named else desk.turn.focus or desk.finding()  # its numbers are no names of samples
    assert where is not None  # the intent is only read where there is one
    given = {"finding": name, "box": where.box, "rows": where.rows}
    if where.repair:
        evidence = desk.use("what_if_repaired", **given)
        changed = desk.pen.fill("changed_box" if where.box else "changed_rows", {}) or ""
        say_change(desk, evidence, name, changed)
        return
    evidence = desk.use("look_at_place", **given)
    (_box if where.box else _rows)(desk, evidence, name)
    desk.say("place_repair_hint")


def _facts(evidence: Evidence, subject: str) -> dict[str, Fact]:
    return {fact.field: fact for fact in evidence.facts if fact.subject == subject}


def _box(desk: Desk, evidence: Evidence, name: str) -> None:
    told = _facts(evidence, f"{name}/box")
    odd = (number(told.get("peak")) or 0.0) >= 1.0
    desk.say("place_box", evidence, name=name, share=told.get("share"))
    desk.say("place_peak" if odd else "place_quiet", evidence, peak=told.get("peak"))
    desk.say("place_touches", evidence, touches=told.get("touches"))
    desk.say("place_grey", evidence, observed=told.get("observed"), expected=told.get("expected"))


def _rows(desk: Desk, evidence: Evidence, name: str) -> None:
    told = _facts(evidence, f"{name}/rows")
    slots = {key: told.get(key) for key in ("stamps", "flagged_stamps", "p_value", "score")}
    desk.say("place_rows", evidence, name=name, **slots)
    for part in View(evidence, name).parts[:2]:
        observed, expected = part["observed"], part["expected"]
        seen, wanted = number(observed) or 0.0, number(expected) or 0.0
        if abs(seen - wanted) <= ALIKE * max(abs(seen), abs(wanted)):
            continue  # nothing departs there
        desk.say("place_channel", evidence, channel=part.name, observed=observed, expected=expected)
