"""Reads the comparisons of a sentence: what is set against what, by which measure, which way, and by how much.

"Bearing temp ran 18.3 °C hotter than it should have", "F33 is also darker", "a third of the area of region 1". Each
becomes pairs of facts; a direction or an amount that none of its pairs has is wrong, and one without pairs is not
judged here. Knows scenes and facts.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from assistant.verify.asides import RESEMBLES, SPATIAL, in_space, in_time, resembling
from assistant.verify.baselines import FILLERS, Beside
from assistant.verify.changes import changes, is_amount
from assistant.verify.clauses import NOT, clause_at
from assistant.verify.comparison import Comparison, Pair, meets, more, turned
from assistant.verify.facts import Known, Pool
from assistant.verify.mentions import Mention
from assistant.verify.qualities import ADJECTIVES, BASE, COMPARATIVE_WORDS, GENERIC, SIDES, Quality, quality_of
from assistant.verify.reading import Number
from assistant.verify.scene import Scene
from assistant.verify.things import Measure, alike, measures_of, size

_COMPARES = re.compile(rf"\b{COMPARATIVE_WORDS}", re.I)
_AS = re.compile(rf"\bas (?P<adjective>{ADJECTIVES}|many|much)(?: (?P<noun>\w+))? as\b", re.I)
_TOO = re.compile(rf"\btoo (?P<adjective>{ADJECTIVES})\b", re.I)
_ASIDE_OF = re.compile(
    r"\b(?:(?P<up>above|over|beyond|exceed(?:s|ed|ing)?|outscores?|surpass(?:es|ed)?|tops|past)"
    r"|(?P<down>below|under|beneath|short of)|(?P<out>outside)|(?P<within>within|inside))\b",
    re.I,
)
_ITSELF = re.compile(rf"\W*(?:it|they) (?:is|are|was|were) (?P<adjective>{ADJECTIVES})\b", re.I)
_OF = re.compile(r"\W{0,2}(?:times |-fold )?(?:(?:of|as much as) )?(?!the (?:score|findings|time)\b)", re.I)
_THAN = re.compile(r"(?:[\s,]+\(?[\w%°.-]+\)?){0,8}?\s+than\b", re.I)
_OF_TWO = re.compile(r"(?: \w+)? of (?:the|these|those) (?:two|both|pair)\b|(?: \w+)? of them\b", re.I)
_ALONE = re.compile(r"(?: (?:one|finding|in (?:area|size)))?(?: by\b|\s*(?:[.:;,(]|$))", re.I)
_PREDICATE = re.compile(r"\b(?:is|was|are|were|looks?|being)(?: (?:also|even|much|far|slightly|clearly|somewhat|by far"
                        r"|the|a|considerably))* $", re.I)  # fmt: skip


class Comparing(Beside):
    """The comparisons of one sentence."""

    def __init__(self, scene: Scene, pool: Pool, facts_of: Callable[[Number], list[Known]]) -> None:
        super().__init__(scene, pool, facts_of)
        found = [*self._comparatives(), *self._prepositions(), *self._as(), *self._proportions(), *changes(self)]
        found += [*in_time(self), *in_space(self), *resembling(self)]
        self.found = [one for one in found if one.pairs]

    def problems(self) -> Iterator[str]:
        """Comparisons whose direction no pair has."""
        for one in self.found:
            if one.up is not None and not one.holds():
                yield f"'{one.text}' is the wrong way round: {one.told()}"

    def amount_problem(self, number: Number) -> str | None:
        """What is wrong with a number that says by how much; None where it says something else."""
        attached = [one for one in self.found if self._attached(one, number)]
        if any(one.allows(number) for one in attached):
            return ""
        if attached and number.kind in ("times", "fraction"):
            return f"'{number.text}' is not how they compare: {attached[0].told()}"
        if self._stated(number):
            return ""
        if not attached or (attached[0].form == "beside" and number.end <= attached[0].start and self.facts_of(number)):
            return None
        return f"'{number.text}' is not how they compare: {attached[0].told()}"

    def _stated(self, number: Number) -> bool:
        """ "F33 is darker: 54 versus 71": both sides of a comparison, told behind it."""
        numbers, text = self.scene.numbers, self.scene.text
        i = numbers.index(number)
        for one, two in ((i, i + 1), (i - 1, i)):
            if one < 0 or two >= len(numbers) or not re.fullmatch(
                r"\s?(?:vs\.?|versus|against|compared (?:with|to)|as opposed to)\s(?:just |only |about )?",
                text[numbers[one].end : numbers[two].start], re.I,
            ):  # fmt: skip
                continue
            for comparison in self.found:
                if comparison.end <= numbers[one].start and comparison.form in ("than", "as") and any(
                    meets(numbers[one], size(a) or 0.0) and meets(numbers[two], size(b) or 0.0)
                    for a, b in self._in_order(comparison)
                ):  # fmt: skip
                    return comparison.holds()
        return False

    def _in_order(self, comparison: Comparison) -> Iterator[Pair]:
        """The pairs of a comparison with the side first that the sentence names first."""
        for one, two in comparison.pairs:
            yield (one, two) if comparison.up is None or more((one, two)) is comparison.up else (two, one)

    # --- reading ------------------------------------------------------------------------------------------------

    def _comparatives(self) -> Iterator[Comparison]:
        text = self.scene.text
        for match in _COMPARES.finditer(text):
            if text[: match.start()].lower().endswith(("no ", "at least ", "once ", "any ")):
                continue
            if any(m.start() <= match.start() < m.end() for m in SPATIAL.finditer(text)) or re.match(
                r" (?:up|down|in the (?:picture|image))\b", text[match.end() :]
            ):
                continue
            if any(m.start() <= match.start() < m.end() for m in RESEMBLES.finditer(text)):
                continue
            quality = quality_of(match)
            noun = self._noun(match, quality)
            yield from self._sides(match, quality, measures_of(quality, noun), noun)
        for match in _TOO.finditer(text):
            quality = BASE[match["adjective"].lower()]
            pairs = self.beside(match.start(), "expected", measures_of(quality, None))
            yield Comparison(match.start(), match.end(), match[0], quality.up, tuple(pairs))

    def _sides(
        self, match: re.Match[str], quality: Quality, measures: list[Measure], noun: Mention | None
    ) -> Iterator[Comparison]:
        text = self.scene.text
        end = max(match.end(), noun.end if noun and noun.start >= match.end() else 0)
        limit = clause_at(text, end)[1]
        up = quality.up != (NOT.search(text[: match.start()]) is not None)
        if than := _THAN.match(text[:limit], end):
            following = next((n for n in self.scene.numbers if n.start >= than.end()), None)
            if (
                following
                and re.fullmatch(r"\s(?:the |an? |about |its )*", text[than.end() : following.start])
                and not re.match(r"\s?(?:that |which )?(?:is |was )?(?:expected|normal|usual)", text[following.end :])
            ):
                said = [n for n in self.scene.numbers if n.end <= match.start() and n.kind == "plain"][-1:]
                pairs = [(a, b) for n in said for a in self.facts_of(n) for b in self.facts_of(following)
                         if a.words == b.words and a.unit == b.unit and a is not b]  # fmt: skip
                if pairs:
                    yield Comparison(match.start(), than.end(), text[match.start() : than.end()], up, tuple(pairs))
                return
            pairs = self._against(match.start(), than.end(), limit, measures)
            yield Comparison(match.start(), than.end(), text[match.start() : than.end()], up, tuple(pairs))
        elif _OF_TWO.match(text, end) or (_ALONE.match(text, end) and self._stands_alone(match, noun)):
            pairs = self._against_other(match, measures)
            yield Comparison(match.start(), end, text[match.start() : end], up, tuple(pairs))

    def _stands_alone(self, match: re.Match[str], noun: Mention | None) -> bool:
        ahead = self.scene.text[: match.start()]
        if noun is not None and noun.start >= match.end():
            return re.search(r"\bthe $", ahead, re.I) is not None
        number = next((n for n in self.scene.numbers if 0 <= match.start() - n.end <= 2), None)
        return bool(_PREDICATE.search(ahead) or (number and _PREDICATE.search(ahead[: number.start] + " ")) or number)

    def _noun(self, match: re.Match[str], quality: Quality) -> Mention | None:
        """The field that is compared: right after the word, or the subject of its clause."""
        text, start = self.scene.text, clause_at(self.scene.text, match.start())[0]
        for field in self.scene.fields:
            if field.start >= match.end() and re.fullmatch(r"\s(?:\w+\s){0,2}", text[match.end() : field.start]):
                return field
        ahead = [f for f in self.scene.fields if start <= f.start and f.end <= match.start()]
        return ahead[-1] if ahead and quality.word in GENERIC else None

    def _prepositions(self) -> Iterator[Comparison]:
        text = self.scene.text
        for match in _ASIDE_OF.finditer(text):
            limit = clause_at(text, match.end())[1]
            baseline = self.baseline(match.end(), limit)
            up = (match["up"] is not None) != (NOT.search(text[: match.start()]) is not None)
            pairs: list[Pair] = []
            if match["out"] or match["within"]:
                if baseline == "range":
                    yield from self._in_range(
                        match, (match["out"] is not None) != (NOT.search(text[: match.start()]) is not None)
                    )
                continue
            if any(m.start() <= match.start() < m.end() for m in SPATIAL.finditer(text)) and not baseline:
                continue
            if baseline:
                pairs = self.beside(match.start(), baseline, measures_of(BASE["high"], None), up)
            elif re.match(r"\W*(?:that|those|the one) (?:of|for|in)\b", text[match.end() :]):
                right = self.things.after(match.end(), limit)
                said = [n for n in self.scene.numbers if n.end <= match.start()][-1:]
                known = [k for n in said for k in self.facts_of(n)]
                pairs = [(a, b) for a in known for b in (self._same(a, right) if right else [])]
                pairs = [(a, b) for a, b in pairs if a is not b]
            elif match[0].lower().startswith(("exceed", "out", "surpass")):
                noun = self._noun(match, BASE["high"])
                score = Mention(0, 0, frozenset(), "verb", (frozenset(["score"]),))
                noun = noun or (score if match[0].lower().startswith("out") else None)
                pairs = self._against(match.start(), match.end(), limit, measures_of(BASE["high"], noun))
            if pairs:
                yield Comparison(match.start(), match.end(), match[0], up, tuple(pairs), "beside")

    def _in_range(self, match: re.Match[str], outside: bool) -> Iterator[Comparison]:
        """ "within its usual range": on neither side of it."""
        for edge, up in (("high", True), ("low", False)):
            pairs = self.beside(match.start(), "range", measures_of(BASE["high"], None), up)
            beyond = [pair for pair in pairs if more(pair) is up]
            if outside and edge == "high":
                low = self.beside(match.start(), "range", measures_of(BASE["high"], None), False)
                if pairs and low and not beyond and not any(more(pair) is False for pair in low):
                    yield Comparison(match.start(), match.end(), match[0], True, tuple(pairs), "beside")
            elif not outside and beyond:
                yield Comparison(match.start(), match.end(), match[0], not up, tuple(beyond), "beside")

    def _as(self) -> Iterator[Comparison]:
        """ "twice as long as the second", "half as bright as it ought to be"."""
        for match in _AS.finditer(self.scene.text):
            limit = clause_at(self.scene.text, match.end())[1]
            quality = BASE.get(match["adjective"].lower())
            if _ITSELF.match(self.scene.text, match.end()):
                quality = SIDES.get(match["adjective"].lower(), quality)
            noun = next((f for f in self.scene.fields if match.start() < f.start < match.end()), None)
            wanted = "findings" if match["adjective"].lower() == "many" or match["noun"] else "share"
            amount = [(frozenset([name]), True, True) for name in (wanted, "findings", "share", "observed")]
            measures = measures_of(quality, noun) if quality else amount
            pairs = self._against(match.start(), match.end(), limit, measures)
            flipped = quality is not None and not quality.up
            yield Comparison(match.start(), match.end(), match[0], None,
                             tuple((b, a) if flipped else (a, b) for a, b in pairs), "as")  # fmt: skip

    def _proportions(self) -> Iterator[Comparison]:
        """ "a third of the area of region 1", "eleven times alpha", "three times that of F7"."""
        text = self.scene.text
        for number in self.scene.numbers:
            if number.kind not in ("times", "fraction") and number.unit != "%":
                continue
            of = _OF.match(text, number.end)
            if of is None or (number.kind != "times" and not of[0].strip(" ,")):
                continue
            pairs = self._proportion_pairs(number, of.end())
            if pairs:
                yield Comparison(number.start, of.end(), text[number.start : of.end()], None, tuple(pairs), "of")

    def _proportion_pairs(self, number: Number, position: int) -> list[Pair]:
        text = self.scene.text
        limit = clause_at(text, position)[1]
        said = [n for n in self.scene.numbers if n.end <= number.start][-1:]
        known = [k for n in said for k in self.facts_of(n) if n.kind == "plain"]
        following = next((n for n in self.scene.numbers if n.start >= position), None)
        beside = following and re.fullmatch(
            r"\s*(?:the |its |what \w+ )?(?P<role>expected |normal |usual )?", text[position : following.start]
        )
        if following and beside:
            role = "expected" if beside["role"] else None
            truths = [k for k in self.facts_of(following) if not role or k.roles.get("seen") == role]
            if known and not truths:
                truths = [k for a in known for k in self.of_same(a) if role and k.roles.get("seen") == role]
            return [(a, b) for a in known for b in truths if a.unit == b.unit and a is not b]
        baseline = self.baseline(position, min(limit, position + 60))
        if baseline and not known and (left := self.things.before(number.start)):
            known = self.facts_beside(left, baseline, [])
        if baseline and known:
            return [pair for k in known for pair in self.baseline_pairs(k, baseline, None)]
        if re.match(r"\s*(?:the )?(?:alpha|threshold)", text[position:limit], re.I):
            left = self.things.before(number.start) or self.things.context()
            known = known or (self.things.facts(left, (frozenset(["p", "value"]), True, True)) if left else [])
            return [(k, a) for k in known if "value" in k.words for a in self.pool.numbers if a.fact.field == "alpha"]
        right = self.things.after(position, min(limit, position + 50))
        if right is None:
            return []
        field = next((f for f in self.scene.fields if position <= f.start < right.start), None)
        if known:
            return [(a, b) for a in known for b in self._same(a, right) if b is not a]
        if field is None or number.unit == "%":
            return []
        left = self.things.before(number.start) or self.things.context()
        return self._cross(left, right, measures_of(BASE["high"], field)) if left else []

    def _same(self, known: Known, thing: Mention) -> list[Known]:
        """The facts of a thing that are of the same sort as a fact."""
        tail = known.tail
        if not tail and "normal" in known.words and known.part:  # "a median income three times that of F7"
            return [k for k in self.pool.numbers if k.fact.field == "observed" and k.part == known.part
                    and k.bases & thing.names]  # fmt: skip
        return [k for k in self.things.facts(thing, (tail, False, True)) if k.tail == tail and k.unit == known.unit
                and not ("normal" in known.words and "normal" in k.words)
                and "after" not in k.words and "before" not in k.words] if tail else []  # fmt: skip

    # --- the two sides ------------------------------------------------------------------------------------------

    def _against(self, start: int, position: int, limit: int, measures: list[Measure]) -> list[Pair]:
        """Pairs of what stands before a word of comparison and what it is held against."""
        baseline = self.baseline(position, limit)
        right = self.things.after(position, limit)
        if itself := _ITSELF.match(self.scene.text, position):
            return self._itself(
                start,
                measures,
                measures_of(SIDES.get(itself["adjective"].lower(), BASE[itself["adjective"].lower()]), None),
            )
        if baseline:
            pairs = self.beside(start, baseline, measures)
            if pairs:
                return pairs
        if right is None:
            return []
        since = clause_at(self.scene.text, start)[0]
        inside = [m for m in self.things.all if start <= m.start and m.end <= position and alike(m, right)]
        left = (
            inside[0] if inside else self.things.before(start, since, right) or self.things.before(start, 0, right)
            or self.things.context()
        )  # fmt: skip
        if left is None or left.names & right.names:
            left = self.things.before(left.start, 0, right) if left else None
        return self._cross(left, right, measures) if left else []

    def _itself(self, start: int, one: list[Measure], two: list[Measure]) -> list[Pair]:
        """ "wider than it is high": two fields of one thing."""
        left = self.things.before(start) or self.things.context()
        if left is None:
            return []
        return [(a, b) for first in one for a in self.things.facts(left, first) for second in two
                for b in self.things.facts(left, second)
                if a.words != b.words and (a.bases, a.part, a.unit) == (b.bases, b.part, b.unit)]  # fmt: skip

    def _against_other(self, match: re.Match[str], measures: list[Measure]) -> list[Pair]:
        since = clause_at(self.scene.text, match.start())[0]
        left = self.things.before(match.start(), since) or self.things.first(match.start()) or self.things.context()
        if left is None or len(self.things.together(left) if left.end else [left]) > 1:
            return []
        named = [
            one for one in self.things.all if one.end <= left.start and alike(one, left) and not one.names & left.names
        ]
        late = match[0].lower() in ("later", "earlier")  # than what was named before, or than an unnamed time
        right = named[-1] if named else None if late else self.things.other(left, measures)
        return self._cross(left, right, measures) if right else []

    def _cross(self, left: Mention, right: Mention, measures: list[Measure]) -> list[Pair]:
        found: list[Pair] = []
        timed = any("time" in words for words, _, _ in measures)  # a delay in stamps and in minutes may both be told
        for measure in measures:
            ones, twos = self.things.facts(left, measure), self.things.facts(right, measure)
            pairs = [
                (a, b) for a in ones for b in twos
                if a.unit == b.unit and a.words == b.words and (a.bases, a.part) != (b.bases, b.part)
            ]  # fmt: skip
            found += pairs if measure[2] else [turned(pair) for pair in pairs]
            if found and not timed:
                break
        return found

    # --- amounts ------------------------------------------------------------------------------------------------

    def _attached(self, one: Comparison, number: Number) -> bool:
        """Whether a number says by how much the sides of a comparison differ."""
        text = self.scene.text
        if one.form == "of":
            return number.start == one.start
        if one.form != "change" and number.end <= one.start and re.fullmatch(FILLERS, text[number.end : one.start]):
            return number.kind != "ordinal"
        if one.form == "as":
            return False
        if one.form == "change":
            return is_amount(text, one, number)
        return one.end <= number.start and re.fullmatch(
            r"(?:[^,;:.(\d]{0,40})?\sby (?:about |around |roughly |only |just |nearly |almost |some |a mere )*",
            text[one.end : number.start],
        ) is not None  # fmt: skip
