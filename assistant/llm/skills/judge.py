"""Scripts that weigh: which channel is to blame, how sure it is, whether a sample is normal."""

from __future__ import annotations

import re

from assistant.evidence import Evidence
from assistant.llm.desk import Desk
from assistant.llm.dialogue import first_value, sample_topic
from assistant.llm.skills import skill, skills
from assistant.llm.skills.explain import say_seen
from assistant.llm.skills.facts import say_reading
from assistant.llm.skills.runs import say_where
from assistant.llm.view import View


@skill("blame")
def blame(desk: Desk) -> None:
    """The channels, features or regions that carry the score, most guilty first."""
    name = desk.finding()
    evidence = desk.use("explain_finding", finding=name)
    view, label = View(evidence, name), desk.pen.finding(evidence, name)
    carriers = view.carriers()
    if not carriers:
        desk.end("blame_none", evidence, name=label)
    asked = view.part(desk.part(name, required=False)) if view.parts else None
    if asked is not None and asked is not carriers[0]:
        desk.say("blame_asked", evidence, part=asked.name, share=asked["share"], name=label)
        if asked["observed"] is not None:
            say_reading(desk, evidence, view, asked)
    desk.say("blame_first", evidence, name=name if desk.pen.sentences else label, part=carriers[0].name,
             share=carriers[0]["share"])  # fmt: skip
    if view.first is not None and view.first["observed"] is not None and view.modality != "video":
        say_reading(desk, evidence, view, view.first)
    elif view.modality == "video":
        say_seen(desk, evidence, view)
    if asked is None:
        for piece in carriers[1:3]:
            if piece.share >= 5:
                desk.say("also_place_only" if piece.kind == "region" else "also_part", evidence, part=piece.name,
                         region=piece.name, share=piece["share"])  # fmt: skip
    desk.say("blame_caution")


@skill("sure")
def sure(desk: Desk) -> None:
    """How rare a finding is among normal samples, and what that does not say."""
    names = desk.findings()[:3]
    results = desk.all([("describe_finding", {"finding": name}) for name in names])
    for name, evidence in zip(names, results, strict=True):
        if evidence.status != "ok":
            desk.tell_note(evidence)
        view = View(evidence, name)
        desk.say("sure_p", evidence, name=desk.pen.finding(evidence, name), p=view["p_value"])
        desk.say("sure_alpha", evidence, alpha=view["alpha"])
        if "score" in desk.reading.concepts:
            desk.say("sure_score", evidence, score=view["score"])
        over = view["runs_over"]
        if over is not None:
            desk.say("sure_runs", evidence, agree=view["runs_flagging"], asked=view["runs_asked"], over=str(over.value))
        if view["extrapolated"] is not None and view["extrapolated"].value:
            desk.say("sure_tail", evidence)
        desk.say(
            "sure_stable", evidence, agreeing=view["runs_flagging"], runs=view["runs_asked"], over=view["runs_over"]
        )
        state = view["state"].value if view["state"] is not None else "new"
        if state in ("confirmed", "false alarm"):
            desk.say("sure_label", evidence, state=str(state))
    desk.say("sure_not_defect")


@skill("check")
def check(desk: Desk) -> None:
    """Whether a sample is normal: its p-value against alpha."""
    seen = desk.reading.mentions
    if (beside := _BESIDE.search(desk.reading.plain)) and not seen.samples and not seen.bare:
        _check_beside(desk, beside["way"])
        return
    if not seen.samples and not seen.bare:
        topics = desk.memory.topics
        if topics and topics[-1].startswith("sample ") and not seen.findings:
            desk.flagged(topics[-1].removeprefix("sample "))
        sure(desk)
        return
    yes_or_no = bool(_YES_OR_NO.match(desk.reading.plain))
    for name in (seen.samples or seen.bare[:1])[:3]:
        evidence = desk.sample(name)
        topic = sample_topic(evidence)
        if not topic.startswith("F") and len(seen.samples) > 1:
            desk.say_not_flagged(evidence)
            continue
        if not topic.startswith("F"):
            desk.not_flagged(evidence)
        if not yes_or_no and len(seen.samples) == 1 and len(desk.reading.words) > 2:
            skills()["why"](desk)
            return
        _say_flagged(desk, evidence, topic, yes_or_no)
    if len(seen.samples) > 1:
        return
    described = desk.use("describe_finding", finding=topic)
    say_where(desk, described, View(described, topic), named=True)


_BESIDE = re.compile(r"\b(?P<way>before|after|same)\b")


def _check_beside(desk: Desk, way: str) -> None:
    """The sample before or after the one spoken of, or the one of its name in another run."""
    topic = desk.memory.topics[-1] if desk.memory.topics else desk.finding()
    told = desk.use("describe_finding", finding=topic) if topic.startswith("F") else None
    name = str(first_value(told, "sample")) if told else topic.removeprefix("sample ")
    number = re.search(r"\d+(?=\D*$)", name)
    if number is None:
        desk.end("unclear")
    step = {"before": -1, "after": 1, "same": 0}[way]
    evidence = desk.sample(name if step == 0 else str(int(number[0]) + step))
    found = sample_topic(evidence)
    if not found.startswith("F"):
        desk.not_flagged(evidence)
    _say_flagged(desk, evidence, found, False)


def _say_flagged(desk: Desk, evidence: Evidence, finding: str, yes_or_no: bool) -> None:
    """A sample that was asked about was flagged."""
    subject = next((fact.subject for fact in evidence.facts if fact.subject.startswith("sample ")), finding)
    values = {fact.field: fact for fact in evidence.facts if fact.subject in (subject, finding)}
    sample = desk.pen.name(subject.removeprefix("sample "), desk.modality_of(evidence))
    key = "is_flagged" if yes_or_no and "normal" in desk.reading.concepts else "was_flagged"
    desk.say(key, evidence, sample=sample, finding=finding, p=values.get("p_value"), alpha=values.get("alpha"))


_YES_OR_NO = re.compile(r"(?:is|was|are|were|did|does|has|can|check|confirm|tell me (?:if|whether))\b")
