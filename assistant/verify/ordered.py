"""Checks orders that a sentence gives: which channel carries more, which deviated first, that none was confirmed.

Knows scenes and facts; helpers on whom a word speaks of are shared with `relations`.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from assistant.evidence import format_number
from assistant.verify.beside import nearest_after, nearest_before
from assistant.verify.binding import Binder
from assistant.verify.clauses import NOT
from assistant.verify.facts import Known
from assistant.verify.mentions import Mention

_OF_THE_SCORE = re.compile(
    r"\b(?:carr(?:y|ies)|holds?|accounts? for|contributes?)\s(?:even |far |much |slightly )?(?P<more>more|less)"
    r"(?: (?:of|to) (?:the|its) (?:score|anomaly))?\sthan\b(?! \d)",
    re.I,
)
_FIRST = re.compile(
    r"\b(?:(?:deviated|moved|started|began|left its \w+|went|changed|came|was|is) (?:the )?first"
    r"|the first (?:to|channel)"
    r"|led (?:the way|it)|came before)\b",
    re.I,
)
_NONE = re.compile(
    r"\b(?:none|no (?:finding|one|sample|event|alarm)s?)\b[^,;.]{0,40}?\b(?P<what>confirmed|dismissed|false alarm)",
    re.I,
)


def _carries_more(binder: Binder) -> str:
    """ "cpu carries less of the score than flow": two shares."""
    scene = binder.scene
    match = _OF_THE_SCORE.search(scene.text)
    if match is None or NOT.search(scene.text[: match.start()]):
        return ""
    first, second = nearest_before(scene.parts, match.start()), nearest_after(scene.parts, match.end())
    one, two = value_of(binder, first, {"share"}), value_of(binder, second, {"share"})
    if one is None or two is None or one == two or (one > two) == (match["more"].lower() == "more"):
        return ""
    return f"'{match[0]}' is the wrong way round: {format_number(one)} against {format_number(two)}"


def _none_is(binder: Binder) -> str:
    """ "none has been confirmed" against the counts of a run."""
    match = _NONE.search(binder.scene.text)
    if match is None:
        return ""
    key = "confirmed_findings" if match["what"].lower() == "confirmed" else "false_alarm_findings"
    counted = [k for k in binder.pool.numbers if k.fact.field == key and k.number]
    return f"{counted[0]}" if counted else ""


def value_of(binder: Binder, mention: Mention | None, words: set[str]) -> float | None:
    if mention is None:
        return None
    found = {
        k.number for k in binder.pool.numbers
        if k.words == words and ((k.bases & mention.names and not k.part) or k.part in mention.names)
    }  # fmt: skip
    return found.pop() if len(found) == 1 else None


def concerns(binder: Binder, known: Known) -> bool:
    """Whether a fact is about something that the sentence names (or it names nothing)."""
    names = {
        name for mention in binder.scene.bases for name in mention.names if name[0] in "Fs"
    } or binder.scene.context
    return not names or bool(known.bases & names)


def meant(mentions: list[Mention], text: str, start: int, end: int) -> Mention | None:
    """Whom a superlative speaks of: "The worst is F3", "F3 is the worst"."""
    after = nearest_after(mentions, end)
    if after and re.search(r"\b(?:is|was|are|were)\b|:|\(|,$", text[end : after.start]):
        return after
    return nearest_before(mentions, start) or after


ORDERED: tuple[Callable[[Binder], str], ...] = (_carries_more, _none_is)
