"""Reads what a sentence says that changes: "takes 3.3 off the score", "more than halves it", "a shortfall of 15 %".

Knows scenes and facts. What changes is set against what it was before, or what is observed against what is expected.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import TYPE_CHECKING

from assistant.verify.clauses import NOT, clause_at
from assistant.verify.comparison import Comparison, Pair
from assistant.verify.facts import Known
from assistant.verify.mentions import Mention
from assistant.verify.reading import Number
from assistant.verify.repairs import REPAIRS, repair_of

if TYPE_CHECKING:
    from assistant.verify.comparing import Comparing

_UP = (
    r"ris(?:es?|en|ing)|rose|climb(?:s|ed|ing)?|increas(?:es?|ed|ing)|grow(?:s|n|ing)?|grew|go(?:es)? up"
    r"|went up|lift(?:s|ed)?"
    r"|rais(?:es?|ed)|boost(?:s|ed)?|add(?:s|ed)?|doubl(?:es?|ed)|tripl(?:es?|ed)|gains?|excess|surplus"
)
_DOWN = (
    r"fall(?:s|en|ing)?|fell|drop(?:s|ped|ping)?|sinks?|sank|sunk|decreas(?:es?|ed|ing)|declin(?:es?|ed|ing)"
    r"|shrinks?|shrank|go(?:es)? down|went down|comes? down|lower(?:s|ed|ing)|cut(?:s|ting)?|reduc(?:es?|ed|ing|tion)"
    r"|brings? down|(?<=would )lower|(?<=to )lower|(?<=not )lower|slash(?:es|ed)?|halv(?:es?|ed|ing)|shortfall"
    r"|deficit|loses?|lost|tak(?:es?|ing)|took|knocks?"
    r"|knocked|shaves?|shaved|sheds?"
)
_CHANGE = re.compile(rf"\b(?:(?P<up>{_UP})|(?P<down>{_DOWN}))\b", re.I)
_OFF = re.compile(r"\s(?:off|away|from)\b", re.I)
_TAKES = re.compile(r"tak|took|knock|shave|shed|lose|lost|add", re.I)
_BY = re.compile(
    r"(?:\sfrom [\d.]+ (?:\S+ )?to [\d.]+(?: [^\s,]+)?,)?(?:[^,;:.\d]{0,40}?\s)?(?:by|of)\s(?:[a-z]+\s){0,3}$", re.I
)
_HEDGES = re.compile(
    r"\s(?:(?:about|around|roughly|nearly|almost|only|just|some|a|an|more|less|than|over|under)\s)*$", re.I
)


def changes(comparing: Comparing) -> Iterator[Comparison]:
    """Every change of a sentence whose two sides the facts hold."""
    text = comparing.scene.text
    for match in _CHANGE.finditer(text):
        if re.match(r"tak|took", match[0], re.I) and not re.match(r"[^;:]{0,25}?\b(?:off|away)\b", text[match.end() :]):
            continue
        field = _field(comparing, match)
        pairs = _pairs(comparing, match, field)
        if not pairs:
            continue
        denied = NOT.search(text[: match.start()]) is not None
        up = None if denied else match["up"] is not None
        yield Comparison(match.start(), match.end(), match[0], up, tuple(pairs), "change")
        limit = clause_at(text, match.end())[1]
        for number in comparing.scene.numbers:  # "cuts the score to a third"
            ahead = text[match.end() : number.start]
            if number.kind == "fraction" and number.start < limit and re.search(r"\bto (?:[a-z]+ ){0,2}$", ahead):
                yield Comparison(number.start, number.end, number.text, None, tuple(pairs), "of")


def is_amount(text: str, one: Comparison, number: Number) -> bool:
    """Whether a number says by how much something changes."""
    if one.start <= number.start and number.end <= one.end:  # "halves"
        return number.kind == "times"
    between = text[one.end : number.start]
    if number.start >= one.end:
        if _TAKES.match(one.text):
            return bool(_HEDGES.fullmatch(between) and _OFF.match(text, number.end))
        return _BY.fullmatch(between) is not None
    return number.kind == "times" and text[number.end : one.start].strip() == ""  # "a tenfold drop"


def _field(comparing: Comparing, match: re.Match[str]) -> Mention | None:
    """What changes: the field named right after the word, or before it in its clause, or last before it."""
    scene = comparing.scene
    limit = clause_at(scene.text, match.end())[1]
    gap = (
        r"(?:\s(?:the|its|this|that|of|off|from|\S*\d\S*|anomaly|back))*\s"
        if _TAKES.match(match[0])
        else r"\s(?:\w+\s){0,2}"
    )
    behind = [f for f in scene.fields if match.end() <= f.start < limit
              and re.fullmatch(gap, scene.text[match.end() : f.start])]  # fmt: skip
    ahead = [f for f in scene.fields if f.end <= match.start()]
    chosen = behind[:1] or ahead[-1:]
    return chosen[0] if chosen else None


def _pairs(comparing: Comparing, match: re.Match[str], field: Mention | None) -> list[Pair]:
    tails = {k.tail for k in comparing.pool.numbers if k.roles.get("time") == "after"}
    wanted = [option for option in field.options if any(option <= tail for tail in tails)] if field else []
    if wanted:
        start, end = clause_at(comparing.scene.text, match.start())
        repair = REPAIRS.search(comparing.scene.text, start, end)
        which = str(repair.lastgroup) if repair else ""
        pairs = [pair for option in wanted for pair in _after(comparing, option)]
        return [(a, b) for a, b in pairs if (repair_of(a) == which if repair_of(a) else True)]
    if field and re.match(r"rais", match[0], re.I) and field.end <= match.start():
        return []  # "seven alarms were raised"
    if field and (periods := _periods(comparing, field)):
        return periods
    scene, since = comparing.scene, clause_at(comparing.scene.text, match.start())[0]
    said = [k for n in scene.numbers if n.end <= match.start() for k in comparing.facts_of(n)]
    if not said:
        thing = comparing.things.before(match.start(), since)
        said = comparing.things.facts(thing, (frozenset(["observed"]), True, True)) if thing else []
    return [pair for known in said if known.fact.field == "observed"
            for pair in comparing.baseline_pairs(known, "expected", None)]  # fmt: skip


def _periods(comparing: Comparing, field: Mention) -> list[Pair]:
    """(later, earlier) of a figure that is told for several weeks or days."""
    told = [k for k in comparing.pool.numbers if k.words in field.options
            and any(re.match(r"(?:week of|day) \d", base) for base in k.bases)]  # fmt: skip
    told.sort(key=lambda k: sorted(k.bases))
    return [(two, one) for one, two in pairwise(told)]


def _after(comparing: Comparing, option: frozenset[str]) -> list[Pair]:
    """(after, before) of a score or a p-value, for the findings that the sentence names."""
    names = {n for m in comparing.scene.bases for n in m.names if n[0] in "Fs"} or set(comparing.scene.context)
    facts = [k for k in comparing.pool.numbers if option <= k.words and (not names or k.bases & names)]
    after = [k for k in facts if k.roles.get("time") == "after"]
    return [(a, b) for a in after for b in facts if _was_before(a, b)]


def _was_before(after: Known, before: Known) -> bool:
    same = after.part == before.part or after.kind == "method"
    if after.bases != before.bases or not same or before.roles.get("time") == "after":
        return False
    return before.words == after.words - {"after"} | {"before"} or (
        not before.roles.get("time")
        and before.words == before.tail
        and before.words <= after.words
        and not before.words & {"normal"}
    )
