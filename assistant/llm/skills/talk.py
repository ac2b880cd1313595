"""Scripts for talk about the assistant itself: guides, abilities, sources, and what nobody can read off the data."""

from __future__ import annotations

import re

from assistant.evidence import Evidence
from assistant.llm.desk import Desk, first_run
from assistant.llm.interpret import WITHOUT_TOOLS
from assistant.llm.skills import skill
from assistant.llm.speech import asks_for_the_level

GUIDES = {"guide_p": "p-value", "guide_alpha": "alpha", "guide_map": "map", "guide_methods": "methods",
          "guide_score": "score", "guide_counterfactual": "counterfactual", "help": "help"}  # fmt: skip
_SENTENCES = 4


@skill(*GUIDES)
def guide(desk: Desk) -> None:
    """The first sentences of a reading guide, word for word."""
    topic = _topic(desk)
    if topic == "alpha" and asks_for_the_level(desk.reading.plain):
        told = desk.use("overview", run=desk.run())
        used = next((fact for fact in told.facts if fact.field == "alpha"), None)
        desk.end("alpha_now", told, run=first_run(told), alpha=used)
    evidence = desk.use("read_guide", topic=topic)
    sentences = sentences_of(evidence)
    if topic == "alpha":  # told within the guide on p-values
        sentences = [one for one in sentences if "alpha" in one.lower()] or sentences
    for sentence in sentences[: 6 if desk.asked.intent == "help" else _SENTENCES]:
        desk.pen.quote(sentence, evidence)


def _topic(desk: Desk) -> str:
    words = desk.reading.plain
    if desk.asked.intent == "guide_alpha" and re.search(r"\bfalse discovery|\bfdr\b", words):
        return "fdr"
    if desk.asked.intent == "guide_methods":
        return (desk.reading.mentions.methods or [GUIDES["guide_methods"]])[0]
    return GUIDES[desk.asked.intent]


def sentences_of(evidence: Evidence) -> list[str]:
    """The sentences of a guide; headings are left out."""
    text = evidence.note or next((str(fact.value) for fact in evidence.facts if fact.field in ("text", "guide")), "")
    lines = [line.strip("-* ").strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [part for line in lines for part in re.split(r"(?<=[.!?])\s+(?=[A-Z])", line)]


@skill("source")
def source(desk: Desk) -> None:
    """Which result a number came from."""
    named = desk.reading.mentions.evidence
    evidence = desk.use("read_guide", topic="evidence")
    if named and named[0] in desk.sources:
        desk.pen.sentences.append(f"{desk.pen.fill('source_of', {'tool': desk.sources[named[0]].replace('_', ' ')})}")
    elif named:
        desk.say("source_unknown")
    for sentence in sentences_of(evidence)[:3]:
        desk.pen.quote(sentence, evidence)


@skill(*WITHOUT_TOOLS, "unclear")
def limits(desk: Desk) -> None:
    """What cannot be answered, and what can be told instead."""
    intent = desk.asked.intent
    if intent == "unclear" and not desk.reading.words:
        desk.end("english_only")
    if desk.asked.between:
        one, two = (desk.pen.fill(f"means_{name}", {}) for name in desk.asked.between)
        desk.end("which_reading", one=one, two=two)
    desk.say(intent)
    if intent in ("offtopic", "unclear", "hello"):
        desk.say("offer_help")
