"""Sentences that set two findings side by side by what was measured of them: area, length, brightness, score,
p-value, or a channel that both have."""

from __future__ import annotations

import re
from decimal import Decimal

from assistant.evidence import Evidence
from assistant.llm.aspects import asked_of_one
from assistant.llm.desk import Desk
from assistant.llm.measures import comparative, fact_of, superlative, value_of
from assistant.llm.phrases import rounded
from assistant.llm.view import View, number

_KEYS = {"size": "compare_area", "length": "compare_length", "level": "compare_level", "score": "compare_score",
         "start": "compare_start", "p_value": "compare_p_value"}  # fmt: skip
_NAMED = {"score": "score", "size": "size", "time": "length", "p": "p_value"}
_LARGER = re.compile(r"\b(?:px|pixels?|area|larger|bigger|smaller)\b")


def say_measured(desk: Desk, evidence: Evidence, one: View, two: View) -> None:
    """The measure that the question names, of both, with their difference."""
    if "share" in asked_of_one(desk.reading).aspects:
        for piece in one.parts:
            if (other := two.part(piece.name)) is not None:
                desk.say("compare_part_shares", evidence, part=piece.name, first=one.name, second=two.name,
                         a=piece["share"], b=other["share"])  # fmt: skip
                return
    if _say_shared_part(desk, evidence, one, two):
        return
    measure = _measure(desk)
    if measure is None:
        return
    if measure == "size" and one.region is None:
        measure = "length" if one.interval is not None else "p_value"
    a, b = value_of(one, measure), value_of(two, measure)
    if a is None or b is None or a == b:
        return
    if (a < b) != (measure == "p_value"):
        one, two, a, b = two, one, b, a
    facts = fact_of(one, measure), fact_of(two, measure)
    slots = {"first": desk.pen.finding(evidence, one.name), "second": two.name, "a": facts[0], "b": facts[1]}
    unit = facts[0].unit if facts[0] is not None else ""
    desk.say(_KEYS[measure], evidence, difference=_gap(a, b, unit), **slots)


def _measure(desk: Desk) -> str | None:
    """What is compared: by an adjective, by name, or as in the question before."""
    words = desk.reading.plain
    if _LARGER.search(words):
        return "size"
    found = comparative(words) or superlative(words)
    if found is not None:
        return found.name
    named = [aspect for aspect in asked_of_one(desk.reading).aspects if aspect in _NAMED]
    return _NAMED[named[0]] if named else None


def _say_shared_part(desk: Desk, evidence: Evidence, one: View, two: View) -> bool:
    """A channel or feature of both, where the question is about values."""
    if "reading" not in asked_of_one(desk.reading).aspects or _LARGER.search(desk.reading.plain):
        return False
    for piece in one.parts:
        other = two.part(piece.name)
        if other is None:
            continue
        a, b = number(piece["observed"]), number(other["observed"])
        if a is None or b is None or piece["observed"] is None:
            continue
        gap = _gap(a, b, piece["observed"].unit)
        slots = {"first": one.name, "second": two.name, "observed": piece["observed"], "other": other["observed"]}
        return desk.say("compare_part_values", evidence, part=piece.name, difference=gap, **slots)
    return False


def _gap(one: float, two: float, unit: str) -> str:
    text = rounded(float(abs(Decimal(str(one)) - Decimal(str(two)))), 3)
    return f"{text} {unit}" if unit and unit != "%" else text
