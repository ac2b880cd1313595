"""Counts the findings that a result lists and that fit what a sentence says of them: "two of the four are scratches".

Knows scenes and facts. A sentence picks rows by kind, state, place, main part, day, or by a value above or below a
bound; a count is judged only where the evidence holds all the rows it is said of.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cached_property

from assistant.kinds import load_kinds
from assistant.verify.clauses import NOT, clause_at
from assistant.verify.facts import Known, Pool
from assistant.verify.lexicon import NUMBER_WORDS
from assistant.verify.qualities import SUPERLATIVE_WORDS, quality_of
from assistant.verify.reading import Number, place_words
from assistant.verify.scene import Scene
from assistant.verify.things import fits, measures_of, size

_ROW = (
    r"(?:findings?|events?|alarms?|ones?|rows?|samples?|parts?|images?|pictures?|anomal(?:y|ies)|hits?"
    r"|of them|shown|listed)"
)
_OF = re.compile(
    rf"\s(?:out )?of (?:the |these |those |all )*(?:(?P<whole>\d+"
    rf"|{NUMBER_WORDS})\b)?(?: (?:\w+ )?{_ROW})*(?: (?:shown|listed"
    r"|here))*|\s(?:of (?:them|these|those)|(?:\w+ )?" + _ROW + r")\b(?: (?:shown|listed|here))*",
    re.I,
)
_STATES = (
    (re.compile(r"\bconfirmed\b", re.I), ("confirmed",)),
    (re.compile(r"\bfalse alarms?\b|\bdismissed\b", re.I), ("false alarm",)),
    (re.compile(r"\bnew\b|\bunlabelled\b|\bnot (?:yet )?(?:been )?(?:labelled|reviewed|judged)\b", re.I), ("new",)),
)
_MAIN = re.compile(r"\b(?:main(?:ly)?|involv\w+|chief\w*|mostly|concern\w*|about|dominated)\b", re.I)
_TOP = re.compile(rf"\bthe (?P<n>\d+|{NUMBER_WORDS}) {SUPERLATIVE_WORDS}(?! \w+ of)", re.I)
_ALL = re.compile(r"\b(?P<word>all|both|each|every|none|neither)\b", re.I)
Test = Callable[[str], bool]


class Rows:
    """The findings that the cited results hold, and the tests that a sentence puts to them."""

    def __init__(self, scene: Scene, pool: Pool) -> None:
        self.scene = scene
        self.pool = pool

    @cached_property
    def all(self) -> list[str]:
        """The findings that are listed, in order."""
        listed = [k for k in self.pool.known if k.level == "finding" and len(k.bases) == 1 and not k.part]
        names = dict.fromkeys(base for k in listed for base in k.bases if re.fullmatch(r"F\d+", base))
        several = [name for name in names if self._values(name, ("kind", "state", "p_value", "main_part", "position"))]
        return several if len(several) > 1 else []

    def problem(self, number: Number) -> str | None:
        """What is wrong with a count of rows, "" if it is right, None where it counts no rows that are known."""
        text = self.scene.text
        if not self.all or number.unit or number.kind not in ("word", "plain") or number.value != int(number.value):
            return None
        of = _OF.match(text, number.end) or self._continued(number)
        if of is None or text[: number.start].lower().endswith(("of the ", "of these ", "of those ", "of ")):
            return None
        whole = _number(of["whole"]) if of.re is _OF and of["whole"] else self._whole()
        if whole != len(self.all):
            return None
        end = clause_at(text, of.end())[1]
        after = [n.start for n in self.scene.numbers if n.start >= of.end() and not self._is_bound(n)]
        end = min([end, *after])
        if more := re.compile(r"\sand (?:one|another|the other)\b").search(text, of.end(), end):
            end = more.start()
        tests = list(self._tests(of.end() if of.re is _OF and of["whole"] else number.end, end))
        if not tests or NOT.search(text[: number.end]):
            return None
        count = sum(all(test(row) for test in tests) for row in self.all)
        if count == int(number.value):
            return ""
        return f"'{number.text}' is not how many they are: {count} of the {len(self.all)} in {self.pool.cited}"

    def _continued(self, number: Number) -> re.Match[str] | None:
        """ "... and two on 12 March", "the other two the country": of the rows counted before."""
        earlier = any(n.end < number.start and _OF.match(self.scene.text, n.end) for n in self.scene.numbers)
        linked = re.search(r"(?:\band|,|;)\s(?:the other |another |only )?$", self.scene.text[: number.start], re.I)
        told = re.match(r"\s(?:are|is|were|remain)\s", self.scene.text[number.end :])
        earlier = earlier or bool(told and any(re.search(r"F\d", " ".join(m.names)) for m in self.scene.bases))
        return re.compile(r"\s").match(self.scene.text, number.end) if earlier and linked else None

    def problems(self) -> Iterator[str]:
        """ "The three weakest findings are all scratches", "all three are new": what must hold of each row."""
        text = self.scene.text
        if not self.all:
            return
        top = _TOP.search(text)
        if top and (rows := self._leading(top)):
            tests = list(self._tests(top.end(), clause_at(text, top.end())[1]))
            if (
                tests
                and not all(test(row) for row in rows for test in tests)
                and not NOT.search(text[: top.end() + 30])
            ):
                yield f"'{top[0]}' are {', '.join(rows)} in {self.pool.cited}, and that does not hold of them all"

    def _leading(self, match: re.Match[str]) -> list[str]:
        quality = quality_of(match)
        for measure in measures_of(quality, None):
            facts = {next(iter(k.bases)): size(k) or 0.0 for k in self.pool.known
                     if fits(k, measure) and size(k) is not None and not k.part and len(k.bases) == 1}  # fmt: skip
            rows = [row for row in self.all if row in facts]
            if len(rows) == len(self.all):
                return sorted(rows, key=lambda row: facts[row], reverse=quality.up == measure[2])[: _number(match["n"])]
        return []

    def _whole(self) -> int:
        shown = {int(k.number or 0) for k in self.pool.numbers if k.fact.field == "shown"}
        return shown.pop() if len(shown) == 1 else -1

    def _is_bound(self, number: Number) -> bool:
        return bool(number.bound) or number.step < 1

    def _values(self, row: str, fields: tuple[str, ...]) -> list[Known]:
        return [k for k in self.pool.known if k.fact.field in fields and row in k.bases and len(k.bases) == 1]

    def _has(self, fields: tuple[str, ...], values: tuple[str, ...] | frozenset[str]) -> Test | None:
        """A test for a fact in words, where every row has one."""
        if not any(self._values(row, fields) for row in self.all):
            return None
        return lambda row: any(str(k.fact.value) in values for k in self._values(row, fields))

    def _tests(self, start: int, end: int) -> Iterator[Test]:
        text = self.scene.text[:end]
        found: list[Test | None] = []
        for kind in load_kinds().all:
            if re.compile(rf"\b{re.escape(kind.name)}(?:e?s)?\b", re.I).search(text, start):
                found.append(self._has(("kind",), (kind.name,)))
        found += [self._has(("state",), values) for pattern, values in _STATES if pattern.search(text, start)]
        for place in self.scene.places:
            if start <= place.start < end:
                found.append(self._lies(place.words))
        if _MAIN.search(self.scene.text):
            parts = [
                m for m in self.scene.parts if start <= m.start < end and m.kind not in ("region", "interval", "place")
            ]
            found += [self._has(("main_part",), m.names) for m in parts[:1]]
        for moment in self.scene.moments:
            if start <= moment.start < end and "day" in moment.parts and "hour" not in moment.parts:
                found.append(self._on(moment.parts))
        for number in self.scene.numbers:
            if number.bound and start <= number.start < end:
                found.append(self._beyond(number, start))
        yield from (test for test in found if test is not None)

    def _lies(self, words: frozenset[str]) -> Test | None:
        if not any(self._values(row, ("position",)) for row in self.all):
            return None
        return lambda row: any(words <= place_words(str(k.fact.value)) for k in self._values(row, ("position",)))

    def _on(self, parts: dict[str, int]) -> Test | None:
        if not any(self._values(row, ("start_time",)) for row in self.all):
            return None
        return lambda row: any(k.moment and all(getattr(k.moment, name) == value for name, value in parts.items())
                               for k in self._values(row, ("start_time",))[:1])  # fmt: skip

    def _beyond(self, number: Number, start: int) -> Test | None:
        field = next((f for f in reversed(self.scene.fields) if start <= f.start and f.end <= number.start), None)
        if field is None:
            return None
        options = field.options

        def test(row: str) -> bool:
            values = [k.number for k in self.pool.numbers if row in k.bases and not k.part and k.words in options]
            return any(
                (v > number.value) == (number.bound == ">") and v != number.value for v in values if v is not None
            )

        return test


def _number(word: str) -> int:
    from assistant.verify.reading import WORDS

    return int(word) if word.isdigit() else int(WORDS[word.lower()])
