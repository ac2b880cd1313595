"""Scripts for orders that are not carried out: taken back by the person, or against what was computed."""

from __future__ import annotations

from assistant.llm.desk import Desk
from assistant.llm.skills import skill
from assistant.llm.view import View


@skill("backed_out")
def backed_out(desk: Desk) -> None:
    """Nothing is changed; of the finding that was meant, its state is told."""
    desk.say("backed_out")
    _state(desk, "still_open", "still_marked")


@skill("refuse")
def refuse(desk: Desk) -> None:
    """No order changes what was computed."""
    desk.say("refuse")
    name = _meant(desk)
    if name:
        evidence = desk.use("describe_finding", finding=name)
        view = View(evidence, name)
        desk.say("p_of", evidence, name=desk.pen.finding(evidence, name), p=view["p_value"], alpha=view["alpha"])
    else:
        desk.say("refuse_offer")


def _meant(desk: Desk) -> str:
    """The finding that the order is about, "" where it names none and none is spoken of."""
    seen = desk.reading.mentions
    if seen.findings or seen.samples or seen.places or seen.bare or desk.extreme():
        return desk.finding()
    topic = desk.turn.focus or (desk.memory.topics or [""])[-1]
    return topic if topic.startswith("F") else ""


def _state(desk: Desk, fresh: str, judged: str) -> None:
    name = _meant(desk)
    if not name:
        return
    evidence = desk.use("describe_finding", finding=name)
    state = str(view.value) if (view := View(evidence, name)["state"]) is not None else "new"
    key = fresh if state == "new" else judged
    desk.say(key, evidence, name=desk.pen.finding(evidence, name), state=state)
