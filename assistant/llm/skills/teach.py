"""Scripts for teaching: ignore, undo, recalibrate, and telling about the log and how good the alarms were."""

from __future__ import annotations

import re

from assistant.evidence import Evidence, Fact
from assistant.llm.desk import Desk, first_run
from assistant.llm.naming import position_in
from assistant.llm.skills import skill
from assistant.llm.teaching import Lesson, lesson
from assistant.llm.view import View

TOLD = 5
SAID = {"undone": "undid", "rule added": "added", "rule removed": "removed", "incident made": "made",
        "kind added": "added the kind", "kinds renamed": "renamed the kinds of"}  # fmt: skip


def _lesson(desk: Desk) -> Lesson:
    found = lesson(desk.turn.question, desk.asked.before)
    assert found is not None
    return found


def _of(evidence: Evidence, subject: str) -> dict[str, Fact]:
    return {fact.field: fact for fact in evidence.facts if fact.subject == subject}


def _subjects(evidence: Evidence, pattern: str) -> list[str]:
    return list(dict.fromkeys(fact.subject for fact in evidence.facts if re.fullmatch(pattern, fact.subject)))


# --- changes ----------------------------------------------------------------------------------------------------------


@skill("ignore")
def ignore(desk: Desk) -> None:
    """A rule, if the question gives its reason and its day."""
    asked = _lesson(desk)
    if not asked.until:
        desk.end("ignore_until")
    if not asked.reason:
        desk.end("ignore_reason")
    given = _what(desk, asked)
    if not given:
        desk.end("ignore_what")
    evidence = desk.use("ignore_findings", reason=asked.reason, until=asked.until, **given)
    rule = _subjects(evidence, r"rule \d+")[0]
    _say_rule(desk, "ignore_done", evidence, rule)
    desk.say("ignore_kept")


def _what(desk: Desk, asked: Lesson) -> dict[str, str]:
    """Kind, place, part and source as the tool takes them."""
    if asked.pointed:
        name = desk.turn.focus or next((one for one in reversed(desk.memory.topics) if one.startswith("F")), "")
        if not name:
            return {}
        view = View(desk.use("describe_finding", finding=name), name)
        kind = str(view["kind"].value) if view["kind"] is not None else ""
        spot = view.region["position"] if view.region else None
        part = view.parts[0].name if view.parts and not view.region else ""
        found = {"kind": "" if kind == "unclear" else kind, "position": str(spot.value) if spot else "", "part": part}
        return {key: value for key, value in found.items() if value}
    found = {"kind": asked.what} if asked.what else {}
    if not asked.where:
        return found
    if place := position_in(asked.where):
        return {**found, "position": place}
    run = first_run(desk.use("overview")) or ""
    names = {name.casefold(): name for name in desk.parts_of(run)}
    named = next((names[name] for name in names if name in (asked.where.casefold(), _bare(asked.where))), None)
    return {**found, "part": named} if named else {**found, "source": asked.where}


def _bare(where: str) -> str:
    return re.sub(r"\s+(?:channel|feature|sensor|column)$", "", where.casefold())


def _say_rule(desk: Desk, key: str, evidence: Evidence, rule: str) -> None:
    facts = _of(evidence, rule)
    desk.say(key, evidence, rule=rule, ignores=str(facts["ignores"].value), day=str(facts["last_day"].value),
             reason=_quoted(facts["reason"]), findings=facts["findings"])  # fmt: skip


def _quoted(fact: Fact | None) -> str:
    return '"' + str(fact.value).replace('"', "'")[:200] + '"' if fact is not None and fact.value else ""


@skill("stop_ignoring")
def stop_ignoring(desk: Desk) -> None:
    """A rule is removed."""
    evidence = desk.use("stop_ignoring", rule=_lesson(desk).rule)
    rule = _subjects(evidence, r"rule \d+")[0]
    desk.say("stopped_ignoring", evidence, rule=rule, ignores=str(_of(evidence, rule)["ignores"].value))


@skill("undo")
def undo(desk: Desk) -> None:
    """The latest change, or the one named, is taken back."""
    asked = _lesson(desk)
    evidence = desk.use("undo_change", change=asked.change, finding=asked.finding)
    change = _subjects(evidence, r"A\d+")[0]
    facts = _of(evidence, change)
    about = str(facts["about"].value)
    desk.say("undone", evidence, change=change, action=str(facts["action"].value), about=about)
    state = _of(evidence, about).get("state")
    desk.say("undone_state", evidence, name=about, state=state)


@skill("recalibrate")
def recalibrate(desk: Desk) -> None:
    """What labels would change, or that they have."""
    asked = _lesson(desk)
    evidence = desk.use("recalibrate", run=desk.run(), **({"apply": True} if asked.apply else {}))
    run = first_run(evidence) or ""
    facts = _of(evidence, run)
    if "before_threshold" not in facts:
        desk.end("calibrated_already", evidence, run=run, count=facts.get("labelled_normal"))
    made = _subjects(evidence, r"C\d+")
    desk.say("labelled_so_far", evidence, count=facts["labelled_normal"])
    moved = {"before": facts["before_threshold"], "after": facts["after_threshold"]}
    desk.say("recalibrated" if made else "would_recalibrate", evidence, revision=made[0] if made else None, **moved)
    desk.say("p_values_move", evidence, count=facts["changed_p_values"], total=facts["findings_of_model"])
    desk.say("leave_flagged", evidence, count=facts["no_longer_flagged"])
    lost = facts["confirmed_no_longer_flagged"]
    if lost.value:
        desk.say("confirmed_lost", evidence, count=lost)
    for name in _subjects(evidence, r"F\d+")[:3]:
        own = _of(evidence, name)
        desk.say("p_value_moves", evidence, name=name, before=own["before_p_value"], after=own["after_p_value"])
    desk.say("undo_offered" if made else "apply_offered", *([evidence] if made else []))


# --- questions --------------------------------------------------------------------------------------------------------


@skill("rules")
def rules(desk: Desk) -> None:
    """What is ignored."""
    evidence = desk.use("list_rules")
    for rule in _subjects(evidence, r"rule \d+")[:TOLD]:
        _say_rule(desk, "rule_told", evidence, rule)


@skill("log")
def log(desk: Desk) -> None:
    """Who changed what, when and why."""
    named = bool(desk.reading.mentions.findings or desk.reading.mentions.samples)
    pointed = re.search(r"\b(?:it|this|that)\b", desk.reading.plain) is not None
    finding = desk.finding() if named or (pointed and (desk.turn.focus or desk.memory.topics)) else None
    evidence = desk.use("changes", finding=finding)
    for change in _subjects(evidence, r"A\d+")[:TOLD]:
        facts = _of(evidence, change)
        action, about = (str(facts[key].value) for key in ("action", "about"))
        who = desk.pen.part(str(facts["who"].value))
        told = {"change": change, "who": who, "action": SAID.get(action, action), "about": desk.pen.part(about)}
        desk.say("change_told", evidence, **told, time=facts["created"])
        desk.say("change_why", evidence, why=_quoted(facts.get("why")))
        if "undone_by" in facts:
            desk.say("change_undone", evidence, change=change, entry=str(facts["undone_by"].value))


@skill("precision")
def precision(desk: Desk) -> None:
    """The share of confirmed among labelled alarms."""
    asked = _lesson(desk)
    by = {"by": "day"} if re.search(r"\b(?:by|per|each|every) day\b|\bdaily\b", desk.reading.plain) else {}
    runs = desk.reading.mentions.runs
    evidence = desk.use("alarm_precision", when=asked.time, run=runs[0] if runs else None, **by)
    facts = _of(evidence, "all alarms")
    if "precision" not in facts:
        desk.end("precision_unknown", evidence, alarms=facts["alarms"])
    _say_precision(desk, "precision_told", evidence, facts)
    desk.say("precision_level", evidence, level=facts["confidence_level"])
    desk.say("precision_labelled", evidence, labelled=facts["labelled"], alarms=facts["alarms"])
    weeks = _subjects(evidence, r"(?:week of|day) [\d-]+")
    for subject in weeks[-TOLD:] if len(weeks) > 1 else ():
        _say_precision(desk, "precision_span", evidence, _of(evidence, subject), subject)
    desk.say("precision_caution")


def _say_precision(desk: Desk, key: str, evidence: Evidence, facts: dict[str, Fact], span: str = "all") -> None:
    limits = {"low": facts.get("precision_low"), "high": facts.get("precision_high")}
    counts = {"confirmed": facts.get("confirmed"), "labelled": facts["labelled"]}
    desk.say(key, evidence, span=span, share=facts.get("precision"), **counts, **limits)


@skill("suggest")
def suggest(desk: Desk) -> None:
    """What the labels are enough for."""
    evidence = desk.use("suggest_next", run=desk.run())
    found = _subjects(evidence, r"R\d+/suggestion \w+")
    for subject in found:
        facts = _of(evidence, subject)
        desk.say(f"suggest_{subject.rpartition(' ')[2]}", evidence, labels=facts["labels"], needed=facts["needed"])
    if not found:
        desk.end("suggest_nothing", evidence)
