"""Scripts that say the same in other words: without technical terms, or with all that is known."""

from __future__ import annotations

from assistant.llm.desk import Desk
from assistant.llm.skills import skill, skills
from assistant.llm.skills.facts import say_reading
from assistant.llm.skills.runs import overview
from assistant.llm.view import View, number


@skill("plain")
def plain(desk: Desk) -> None:
    """What is odd about a finding for somebody who knows no statistics."""
    seen = desk.reading.mentions
    if not (seen.findings or seen.samples or seen.places or seen.bare or desk.turn.focus or desk.memory.topics):
        overview(desk)
        return
    name = desk.finding()
    evidence = desk.use("explain_finding", finding=name)
    view = View(evidence, name)
    first = view.first
    if first is not None and first["observed"] is not None:
        say_reading(desk, evidence, view, first)
    if first is not None and first["position"] is not None:
        desk.say("plain_place", evidence, position=first["position"])
    desk.say("plain_rare", evidence, name=name, p=view["p_value"])
    returns = view["returns_to_normal"]
    if returns is not None:
        desk.say("plain_helps" if returns.value else "plain_fails", evidence)
    if number(view["p_value"]) is not None:
        desk.say("sure_not_defect")


@skill("more")
def more(desk: Desk) -> None:
    """All that is known: why, and where."""
    if not (desk.turn.focus or desk.memory.topics):
        overview(desk)
        return
    skills()["why"](desk)
    skills()["where"](desk)
