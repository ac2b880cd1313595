"""Checks fractions and percentages of counts: "13 of the 24, almost two thirds", "more than half of the findings".

Knows scenes and the counts of facts by category (`tallies`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from assistant.verify.clauses import clause_at
from assistant.verify.comparison import meets
from assistant.verify.lexicon import NUMBER_WORDS
from assistant.verify.reading import Number

if TYPE_CHECKING:
    from assistant.verify.tallies import Tallies

_COUNT = rf"(?:\d[\d,]*|{NUMBER_WORDS})"
_PAIR_BEFORE = re.compile(
    rf"\b(?P<part>{_COUNT}) (?:\w+ )?(?:out )?of (?:the |all |these "
    rf"|those )*(?P<whole>{_COUNT})\b[^;.%]{{0,60}}?[,(–—:]\s?"
    r"(?:that is|that makes|i\.e\.|or|which is|meaning)?,?\s?(?:in )?(?:(?:about|roughly|almost|nearly|just"
    r"|over|under|more|less"
    r"|than|some|a good|only)\s)*$",
    re.I,
)
_PAIR_AFTER = re.compile(
    rf"[^;.%]{{0,60}}?[,(–—:]\s?(?:namely |that is,? |i\.e\. )?(?P<part>{_COUNT}) (?:\w+ )?(?:out )?of (?:the "
    rf"|all |these )*"
    rf"(?P<whole>{_COUNT})\b",
    re.I,
)


def of_fraction(tallies: Tallies, number: Number) -> str | None:
    """ "six findings, more than a third of all sixteen", "13 of the 24 parts, almost two thirds"."""
    if number.kind != "fraction" and number.unit != "%":
        return None
    text, numbers = tallies.scene.text, tallies.scene.numbers
    whole = next((n for n in numbers if n.start >= number.end), None)
    part = next((n for n in reversed(numbers) if n.end <= number.start), None)
    if whole and part and re.fullmatch(r"\s(?:out )?of (?:all |the |these |those )*", text[number.end : whole.start]):
        return _portion(number, part, whole)
    if whole and re.fullmatch(r"\s(?:out )?of (?:all |the |these |those )*", text[number.end : whole.start]):
        colon = text.find(":", whole.end)
        listed = [n for n in numbers if 0 < colon < n.start and not n.unit and n.kind in ("word", "plain")]
        several = Number(0, 0, "what is listed", sum(n.value for n in listed), 1.0, kind="word")
        return _portion(number, several, whole) if listed and several.value <= whole.value else None
    if re.match(r"\sof (?:the |its )?(?:\w+ )?(?:alpha|level|threshold)", text[number.end :], re.I):
        return None
    if (told := _of_findings(tallies, number)) is not None:
        return told
    pair = _PAIR_BEFORE.search(text[: number.start]) or _PAIR_AFTER.match(text, number.end)
    if pair is None:
        return None
    chosen = [n for n in numbers if n.start in (pair.start("part"), pair.start("whole"))]
    return _portion(number, *chosen) if len(chosen) == 2 else None


def _of_findings(tallies: Tallies, number: Number) -> str | None:
    """ "is involved in more than half of the findings": a category's count of all of them."""
    of = re.compile(r"\sof (?:(?:the |all |these )?(?:\w+ )?(?:findings|events|alarms|time|runs)"
        r"|them)\b", re.I).match(
        tallies.scene.text, number.end)  # fmt: skip
    before = [
        s for s in tallies.spots if s.end <= number.start and s.start >= clause_at(tallies.scene.text, number.start)[0]
    ]
    behind = [s for s in tallies.spots if of and re.fullmatch(r"\s(?:are|is|were|involve|have|concern"
        r"|show)\s(?:the |an? |been )?",
                                                           tallies.scene.text[of.end() : s.start])]  # fmt: skip
    chosen = behind[:1] or before[-1:]
    if of and tallies.total and not chosen:
        return _of_total(tallies, number)
    if of is None or not chosen or not tallies.total:
        return None
    truth = chosen[0].category.count / tallies.total * (100 if number.unit == "%" else 1)
    return (
        "" if meets(number, truth) else f"'{number.text}' is not right: {chosen[0].category.told} of {tallies.total:g}"
    )


def _of_total(tallies: Tallies, number: Number) -> str | None:
    """ "eight findings, i.e. two thirds of them": the count before it of all."""
    part = next((n for n in reversed(tallies.scene.numbers) if n.end <= number.start), None)
    if part is None or part.unit or part.kind not in ("word", "plain") or part.value > tallies.total:
        return None
    truth = part.value / tallies.total * (100 if number.unit == "%" else 1)
    return "" if meets(number, truth) else None


def _portion(number: Number, part: Number, whole: Number) -> str | None:
    counts = all(n.kind in ("word", "plain") and not n.unit and n.value == int(n.value) for n in (part, whole))
    if not counts or not 0 <= part.value <= whole.value or not whole.value:
        return None
    truth = part.value / whole.value * (100 if number.unit == "%" else 1)
    return "" if meets(number, truth) else f"'{number.text}' is not {part.text} of {whole.text}"
