"""Checks counts that a sentence gives by category: how many findings are holes, are confirmed, lie at the centre.

Knows scenes and the counts of facts; not whose other numbers are. A category's count comes from a run's facts
(`R1/kind hole.findings`, `confirmed_findings`) or is counted over the findings that a result lists.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from assistant.verify.facts import Pool
from assistant.verify.lexicon import NUMBER_WORDS
from assistant.verify.reading import COUNT_NOUNS, Number
from assistant.verify.scene import Scene

_STATES = ("confirmed", "new", "false alarm", "skipped")
_LOST = r"(?:would |will |could )?(?:drop|fall)s? (?:out|away)|disappears?|vanish(?:es)?|no longer (?:be )?flagged"
_LEFT = r"(?:would |will |could )?(?:remains?|survives?|be left|stays? flagged)|are left|is left"
_BETWEEN = re.compile(
    r"\s+(?:(?:of|out of|the|these|those|all|them|for|in|is|are|was|were|has|have|had|be|been|being|still|now|so far"
    r"|already|remain|remains|stay|stays|kind|kinds|put down|marked|labelled|classified|dismissed|counted|as|an?|with"
    rf"|shown|flagged|listed|here|would|\d[\d,]*|{NUMBER_WORDS}|{'|'.join(sorted(COUNT_NOUNS, key=len, reverse=True))}"
    r")\s+)*(?:(?!(?:not|no|than|and|or|but|if)\b)[a-z]+\s+)?(?:the |is |are |an? |kind |remains? |of |as )*"
    r"\(?(?:kind )?[\"“`]?",
    re.I,
)
_AHEAD = re.compile(
    r"[\"”`]?(?:\s(?:is|are|was|were) (?:hit|seen|found|named)(?: most)? often|\s(?:findings?|events?|kind))?"
    r"(?:\s?[:(=]|\swith)\s?(?:only |just )?"
    r"|[\"”`]?\s(?:(?:plays? a (?:part|role)|matters|counts|occurs?) in)\s(?:only )?",
    re.I,
)
_ASIDE = re.compile(r"\s?\([^)]*\)(?=\s(?:of|are|is|have|has|remain))|,\s(?:namely|that is|i\.e\.)[^,]*,(?=\s)")
_AS_MANY = re.compile(r"\s(?:as many|the number of)\b", re.I)
_MORE_THAN = re.compile(
    r"\b(?P<word>more|fewer) (?P<what>[\w ]{3,25}?) than (?P<other>[\w ]{3,25}?)\b(?=\W*$|[,;.(\[])", re.I
)
_THAT_IS = re.compile(
    r"(?P<part>\d[\d,]*) (?:out )?of (?:the |all )?(?P<whole>\d[\d,]*)\b[^;.%]{0,40}?[,(–—:]\s?(?:that is|i\.e\.|or"
    r"|which is|meaning)?,?\s?(?:about |roughly )?$",
    re.I,
)


@dataclass(frozen=True)
class Category:
    """One sort of finding and how many there are."""

    name: str
    pattern: str  # of its mentions
    count: float
    told: str  # for people: "R1/kind hole.findings there is 11"


@dataclass(frozen=True)
class Spot:
    """A category where a sentence names it."""

    start: int
    end: int
    category: Category


class Tallies:
    """The counts by category of one sentence."""

    def __init__(self, scene: Scene, pool: Pool) -> None:
        self.scene = scene
        self.pool = pool

    def problem(self, number: Number) -> str | None:
        """What is wrong with a count by category, "" if it is right, None where the number is no such count."""
        if number.kind == "times":
            return self._as_many(number)
        if number.unit == "%":
            return self._that_is(number)
        if number.unit or number.kind == "ordinal" or not self.spots:
            return None
        spot = self._meant(number)
        if spot is None:
            return None
        truth, told = spot.category.count, spot.category.told
        if number.kind == "fraction":
            if not self.total:
                return None
            truth, told = truth / self.total, f"{told} of {self.total:g}"
        elif number.value != int(number.value):
            return None
        if _meets(number, truth):
            return ""
        return f"'{number.text}' is not how many are {spot.category.name}: {told}"

    @cached_property
    def categories(self) -> list[Category]:
        """Every category that the cited facts count, the longest name first."""
        runs = {b for k in self.pool.numbers if k.level == "run" and "findings" in k.words for b in k.bases}
        found = list(_of_runs(self.pool)) if len(runs) == 1 else []
        if not found:
            found = list(_of_lists(self.pool))
        return sorted(found, key=lambda category: -len(category.name))

    @cached_property
    def total(self) -> float:
        """All findings that the categories divide."""
        whole = [k.number or 0.0 for k in self.pool.numbers if k.fact.field == "findings" and not k.part]
        return whole[0] if len(set(whole)) == 1 else 0.0

    @cached_property
    def spots(self) -> list[Spot]:
        """Where the sentence names categories."""
        found: list[Spot] = []
        for category in self.categories:
            for match in re.finditer(rf"(?<![\w-])(?:{category.pattern})(?![\w-])", self.scene.text, re.I):
                if not any(match.start() < s.end and s.start < match.end() for s in found):
                    found.append(Spot(match.start(), match.end(), category))
        return sorted(found, key=lambda spot: spot.start)

    def _meant(self, number: Number) -> Spot | None:
        """The category that a number counts: the one right behind it, or before it with "(", ":" or "with"."""
        text = self.scene.text
        if re.search(r"\w\s(?:out )?of (?:the |all |these )?$", text[: number.start], re.I):
            return None  # "three of the seven": all of them
        for spot in self.spots:
            if spot.start >= number.end:
                between = text[number.end : spot.start]
                aside = _ASIDE.sub("", between)
                return spot if _BETWEEN.fullmatch(aside) else self._before(number)
        return self._before(number)

    def _before(self, number: Number) -> Spot | None:
        before = [spot for spot in self.spots if spot.end <= number.start]
        if before and _AHEAD.fullmatch(self.scene.text[before[-1].end : number.start]):
            return before[-1]
        return None

    def _as_many(self, number: Number) -> str | None:
        """ "twice as many holes as stains", "matters in twice as many findings as motion"."""
        if not _AS_MANY.match(self.scene.text[number.end :]):
            return None
        behind = [spot for spot in self.spots if spot.start >= number.end]
        pair = behind[:2]
        if len(behind) == 1:
            pair = [*[spot for spot in self.spots if spot.end <= number.start][-1:], *behind]
        if len(pair) != 2 or not pair[1].category.count:
            return None
        one, two = pair[0].category, pair[1].category
        if _meets(number, one.count / two.count):
            return ""
        return f"'{number.text}' is not {one.count:g} to {two.count:g}: {one.told}, {two.told}"

    def _that_is(self, number: Number) -> str | None:
        """ "20 of the 1,250, that is 1.6 %": the share that these two make."""
        match = _THAT_IS.search(self.scene.text[: number.start])
        if match is None:
            return None
        part, whole = (float(match[name].replace(",", "")) for name in ("part", "whole"))
        if not whole or number.agrees(100 * part / whole):
            return None
        return f"'{number.text}' is not {part:g} of {whole:g}"

    def order_problem(self) -> str:
        """ "more stains than holes" against their counts."""
        match = _MORE_THAN.search(self.scene.text)
        if match is None:
            return ""
        sides = [
            [s.category for s in self.spots if match.start(n) <= s.start < match.end(n)] for n in ("what", "other")
        ]
        if len(sides[0]) != 1 or len(sides[1]) != 1:
            return ""
        one, two = sides[0][0], sides[1][0]
        if (one.count > two.count) == (match["word"].lower() == "more") and one.count != two.count:
            return ""
        return f"'{match[0]}' is wrong: {one.told}, {two.told}"


def _meets(number: Number, truth: float) -> bool:
    if number.bound:
        return truth < number.value if number.bound == "<" else truth > number.value
    return number.agrees(truth)


def _of_runs(pool: Pool) -> Iterator[Category]:
    """The categories that a run's facts count."""
    for known in pool.numbers:
        if known.number is None or known.level != "run":
            continue
        if known.fact.field == "findings" and known.part and known.kind in ("kind", "position", "part"):
            yield Category(known.part, _spelled(known.part), known.number, str(known))
        state = known.fact.field.removesuffix("_findings").replace("_", " ")
        if state in _STATES and known.fact.field.endswith("_findings"):
            yield Category(state, _spelled(state), known.number, str(known))
    fields = {known.fact.field: known for known in pool.numbers}
    if "no_longer_flagged" in fields and "after_findings" in fields:
        lost, left = fields["no_longer_flagged"], fields["after_findings"]
        yield Category("no longer flagged", _LOST, lost.number or 0.0, str(lost))
        yield Category("left", _LEFT, left.number or 0.0, str(left))


def _of_lists(pool: Pool) -> Iterator[Category]:
    """The categories of the findings that a result lists, counted."""
    if sum(known.fact.field == "shown" for known in pool.numbers) != 1:
        return
    for field in ("state", "kind"):
        values = Counter(str(k.fact.value) for k in pool.texts if k.fact.field == field and k.fact.subject[:1] == "F")
        for value, count in values.items():
            yield Category(value, _spelled(value), count, f"{count} of those shown have {field} {value}")


def _spelled(name: str) -> str:
    return re.escape(name).replace(r"\ ", r"[\s_-]") + "(?:e?s)?"
