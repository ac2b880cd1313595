"""Scripts of the kind "what if": repair a place, leave a channel out, another alpha, a single method."""

from __future__ import annotations

import re

from assistant.evidence import Evidence
from assistant.llm.desk import Desk, first_run
from assistant.llm.dialogue import first_value
from assistant.llm.mentions import COUNTS
from assistant.llm.skills import skill
from assistant.llm.understand import knows
from assistant.llm.view import View, number
from assistant.modalities import kind


@skill("repaired")
def repaired(desk: Desk) -> None:
    """Make a region, channel or feature normal and score again."""
    name = desk.finding()
    part = desk.part(name, required=False) if _may_name_part(desk) else None
    ignored = "ignore" in desk.reading.concepts and "repair" not in desk.reading.concepts
    if part and ignored and "channel" in desk.reading.concepts:
        _without(desk, name, part)
        return
    region = None if part else desk.region(name)
    evidence = desk.use("what_if_repaired", finding=name, region=region, part=part)
    if part:
        changed = desk.pen.fill("changed_part", {"part": part})
    else:
        changed = desk.pen.fill("changed_region", {"place": region}) if region else desk.pen.fill("changed_whole", {})
    say_change(desk, evidence, name, changed or "")


def _may_name_part(desk: Desk) -> bool:
    """Whether a channel or feature may be meant: not in images."""
    modality = desk.known.modality or str(first_value(desk.use("describe_finding", finding=desk.finding()), "modality"))
    return not kind(modality).pictured


@skill("without")
def without(desk: Desk) -> None:
    """Leave a channel or feature out and score again; in an image a place is repaired instead."""
    name = desk.finding()
    if not _may_name_part(desk):
        repaired(desk)
        return
    part = desk.part(name)
    if part is None:
        repaired(desk)
        return
    _without(desk, name, part)


def _without(desk: Desk, name: str, part: str) -> None:
    evidence = desk.use("what_if_without", finding=name, part=part)
    changed = desk.pen.fill("changed_without", {"part": part}) or ""
    passes = say_change(desk, evidence, name, changed)
    desk.say("what_if_rests" if passes else "what_if_rests_not", evidence, part=part)


def say_change(desk: Desk, evidence: Evidence, name: str, changed: str) -> bool:
    """Before and after; whether the finding would pass."""
    view = View(evidence, name)
    before, after, alpha = view["before_p_value"], view["after_p_value"], view["alpha"]
    returns = view["returns_to_normal"]
    one, two = number(after), number(alpha)
    passes = bool(returns.value) if returns is not None else bool(one is not None and two is not None and one > two)
    key = "what_if_passes" if passes else "what_if_stays"
    if not desk.say(key, evidence, name=name, changed=changed, before=before, after=after, alpha=alpha):
        desk.say("what_if_plain", evidence, name=name, changed=changed, before=before, after=after)
    old, new = view["before_score"], view["after_score"]
    falls = (number(new) or 0.0) < (number(old) or 0.0)
    desk.say("what_if_score" if falls else "what_if_score_up", evidence, before=old, after=new)
    return passes


@skill("alpha")
def alpha(desk: Desk) -> None:
    """How many findings would be left at another alpha."""
    run = desk.run()
    level = desk.reading.mentions.levels[0] if desk.reading.mentions.levels else None
    if level is None and desk.reading.mentions.bare:
        level = float(desk.reading.mentions.bare[-1]) / (100 if float(desk.reading.mentions.bare[-1]) >= 1 else 1)
    if level is None:
        level = _towards(desk, run)
    evidence = desk.use("what_if_alpha", alpha=level, run=run)
    facts = {fact.field: fact for fact in evidence.facts if re.fullmatch(r"R\d+", fact.subject)}
    before, after = facts.get("before_findings") or facts.get("findings"), facts.get("after_findings")
    old = facts.get("before_alpha")
    slots = {"run": first_run(evidence), "before": before, "after": after, "old": old}
    shown = facts.get("after_alpha") or facts.get("alpha") or f"{level:g}"
    if not desk.say("alpha_fewer", evidence, alpha=shown, **slots):
        desk.say("alpha_plain", evidence, alpha=shown, **slots)
    if before is not None and after is not None and before.value == after.value:
        desk.say("alpha_same", evidence)
    elif number(before) is not None and number(after) is not None:
        desk.say("alpha_strict" if (number(after) or 0) < (number(before) or 0) else "alpha_loose")


_STRICT = re.compile(r"\b(?:strict\w*|tight\w*|lower|conservative|smaller|fewer|raise the bar)\b")
_LOOSE = re.compile(
    r"\b(?:less strict|loos\w*|lenient|relax\w*|raise|higher|larger|more sensitive|tolerant|lower the bar)\b"
)
_TIMES = re.compile(
    r"\b(?:(?P<count>\d+|two|three|four|five|ten|twenty|hundred) ?(?:times|x|fold)|twice|double|half)\b"
)


def _towards(desk: Desk, run: str | None) -> float:
    """ "Be stricter": half of the present alpha; "looser": its double; "ten times stricter": a tenth. Without a
    direction the answer asks back."""
    words = desk.reading.plain
    loose = _LOOSE.search(words) and "raise the bar" not in words
    if not _STRICT.search(words) and not loose:
        desk.end("alpha_which")
    evidence = desk.use("overview", run=run)
    present, told = float(str(first_value(evidence, "alpha") or 0.01)), _TIMES.search(words)
    count = told["count"] if told else None
    factor = float(COUNTS.get(count, 0) or count) if count else 2.0
    return min(present * factor, 0.5) if loose else present / factor


@skill("method")
def method(desk: Desk) -> None:
    """What one member of the hybrid says alone."""
    name = desk.finding()
    wanted = _method_name(desk)
    if wanted is None:
        desk.end("which_method")
    evidence = desk.use("what_if_method", finding=name, method=wanted)
    view = View(evidence, name)
    after, limit = view["after_p_value"], view["alpha"]
    flags = (number(after) or 0.0) <= (number(limit) if limit is not None else 0.01)  # type: ignore[operator]
    desk.say("method_flags" if flags else "method_passes", evidence, method=wanted, name=name, after=after, alpha=limit)
    desk.say("method_before", evidence, before=view["before_p_value"])


def _method_name(desk: Desk) -> str | None:
    """The method that is named: a known one, or a word before or after "method"."""
    if desk.reading.mentions.methods:
        return desk.reading.mentions.methods[0]
    named = re.search(
        r"\b(\w+) (?:method|member|detector|model)\b|\b(?:method|member|detector|model) (\w+)\b", desk.reading.plain
    )
    word = (named[1] or named[2]) if named else None
    return word if word and not knows(word) else None
