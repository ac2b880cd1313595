"""Scripts that set a finding beside something else: similar ones, another one, normal samples."""

from __future__ import annotations

import re

from assistant.evidence import Evidence, Fact
from assistant.llm.desk import Desk
from assistant.llm.phrases import rounded, span
from assistant.llm.skills import skill
from assistant.llm.skills.measured import say_measured
from assistant.llm.view import View, number

ALIKE = 0.8  # similarity (a cosine) from which two findings are called the same kind
UNLIKE = 0.4


@skill("similar")
def similar(desk: Desk) -> None:
    """Whether something like it is known, and what."""
    name = desk.finding()
    limit = desk.reading.mentions.count or 5
    evidence = desk.try_("find_similar", finding=name, limit=limit)
    rows = _similarities(evidence, name)
    if evidence.status == "error":
        desk.tell_note(evidence)
    if day := desk.day_run():
        rows = [row for row in rows if (run := View(evidence, row[0])["run"]) is not None and run.value == day]
    if not rows:
        desk.end("similar_none", evidence, name=name)
    other, fact = rows[0]
    level = number(fact) or 0.0
    asks = desk.reading.asks and not desk.reading.plain.startswith(("which", "what"))
    key = "similar_best" if not asks or UNLIKE <= level < ALIKE else ("similar_yes" if level >= ALIKE else "similar_no")
    desk.say(key, evidence, name=name, other=desk.pen.finding(evidence, other), similarity=fact)
    view = View(evidence, other)
    desk.say("similar_run", evidence, other=other, run=view["run"])
    desk.say("similar_label", evidence, other=other, label=view["label"])
    rest = [key for key, one in rows[1:limit] if (number(one) or 0.0) >= UNLIKE]
    if rest:
        desk.say("similar_more", evidence, names=desk.pen.names(rest))


def alike(desk: Desk, name: str) -> list[str]:
    """The findings that look like this one."""
    evidence = desk.try_("find_similar", finding=name, limit=20)
    return [other for other, fact in _similarities(evidence, name) if (number(fact) or 0.0) >= ALIKE]


def _similarities(evidence: Evidence, name: str) -> list[tuple[str, Fact]]:
    """(other finding, similarity), the most similar first."""
    rows = []
    for fact in evidence.facts:
        if fact.field == "similarity" and isinstance(fact.value, int | float):
            others = [one for one in re.findall(r"\bF\d+\b", fact.subject) if one != name]
            if others:
                rows.append((others[0], fact))
    return sorted(rows, key=lambda row: -float(str(row[1].value)))


@skill("compare")
def compare(desk: Desk) -> None:
    """Two findings side by side: how rare, where, by what, how alike."""
    first, second = desk.two()
    evidence = desk.use("compare_findings", first=first, second=second)
    one, two = View(evidence, first), View(evidence, second)
    if (number(one["p_value"]) or 0.0) > (number(two["p_value"]) or 0.0):
        one, two = two, one
    say_measured(desk, evidence, one, two)
    label, other = desk.pen.finding(evidence, one.name), desk.pen.finding(evidence, two.name)
    key = "compare_p" if number(one["p_value"]) == number(two["p_value"]) else "compare_more"
    desk.say(key, evidence, first=label, second=other, p=one["p_value"], q=two["p_value"])
    _compare_places(desk, evidence, one, two)
    similarity = next((fact for fact in evidence.facts if fact.field == "similarity"), None)
    level = number(similarity)
    if level is not None:
        desk.say("compare_similar" if level >= ALIKE else "compare_unlike", evidence, similarity=similarity)
    elif evidence.note:
        desk.pen.quote(evidence.note, evidence)


def _compare_places(desk: Desk, evidence: Evidence, one: View, two: View) -> None:
    if one.region is not None and two.region is not None:
        here, there = one.region["position"], two.region["position"]
        if here is not None and there is not None and here.value == there.value:
            desk.say("compare_place_same", evidence, position=here)
        else:
            desk.say("compare_place", evidence, first=one.name, second=two.name, position=here, other_position=there)
    elif one.parts and two.parts:
        if one.interval is not None and two.interval is not None:
            spans = [span(place["start_time"], place["end_time"]) for place in (one.interval, two.interval)]
            desk.say("compare_spans", evidence, first=one.name, second=two.name, span=spans[0], other_span=spans[1])
        here_part, there_part = one.carriers()[0].name, two.carriers()[0].name
        if here_part == there_part:
            desk.say("compare_part_same", evidence, part=here_part)
        else:
            desk.say("compare_part", evidence, first=one.name, second=two.name, part=here_part, other_part=there_part)


@skill("compare_normal")
def compare_normal(desk: Desk) -> None:
    """A finding's score among those of normal samples, and what differs most."""
    from assistant.llm.skills.explain import say_seen

    name = desk.finding()
    evidence = desk.use("compare_with_normal", finding=name)
    view, label = View(evidence, name), desk.pen.finding(evidence, name)
    facts = {fact.field: fact for fact in evidence.facts}
    if not desk.say(
        "normal_median", evidence, name=label, score=view["score"], median=facts.get("normal_median_score")
    ):
        desk.say("normal_score", evidence, name=label, score=view["score"])
    desk.say("normal_max", evidence, max=facts.get("normal_max_score"))
    own, most = number(view["score"]), number(facts.get("normal_max_score"))
    if own and most and own >= 1.1 * most:
        desk.say("normal_ratio", evidence, name=name, times=rounded(own / most, 2))
    desk.say("p_of", evidence, name=name, p=view["p_value"], alpha=view["alpha"])
    say_seen(desk, evidence, view)
