"""Numbers that are no facts but follow from facts: counts, differences, ratios, sums, shares, odds, bounds, ranks.

Knows scenes and facts, and asks the binder whose number it is; not how sentences are split.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from assistant.verify.clauses import clause_at
from assistant.verify.facts import Known
from assistant.verify.owners import Scope, is_finding
from assistant.verify.reading import Number, place_words
from assistant.verify.things import TOGETHER

if TYPE_CHECKING:
    from assistant.verify.binding import Binder

_MORE = (
    r"higher|more|above|over|longer|later|larger|greater|too high|too much|taller|wider|up|stronger|exceed\w*|brighter"
    r"|lighter|hotter|warmer|faster|heavier|louder|bigger"
)
_LESS = (
    r"lower|less|fewer|below|under|shorter|earlier|smaller|too low|too little|down|weaker|darker|dimmer|colder|cooler"
    r"|slower|quieter|narrower"
)
_DIFFERENCE = re.compile(
    rf"^\W*(?:[a-z]+\s){{0,2}}?(?:{_MORE}|{_LESS}|apart|off|difference|of difference|away)\b", re.I
)
_BY = re.compile(r"\b(?:by|difference(?: of| is)?|gap of|rise of|drop of|fall of|increase of|decrease of|change of"
                 r"|off by|"
                 r"differs? by|deviation of|deviates by|distance of)\W*$", re.I)  # fmt: skip


class Following:
    """What follows from the facts that one sentence cites."""

    def __init__(self, binder: Binder) -> None:
        self.binder = binder
        self.scene = binder.scene
        self.pool = binder.pool

    def holds(self, number: Number, scope: Scope, nouns: list[str]) -> bool:
        """Whether a number is a count, or a difference, ratio or sum that the words announce."""
        if nouns:
            return self._counted(number, nouns, scope)
        if number.kind in ("times", "fraction"):
            return self._ratio(number, scope)
        return self._derived(number, scope) or self._summed_up(number)

    def is_difference(self, number: Number) -> bool:
        """ "72 grey levels higher than": a number that can be nothing else."""
        return (
            re.match(
                rf"\s+(?:(?!(?:is|was|are|were|lies?|has)\s)[a-z]+\s){{0,2}}?(?:{_MORE}|{_LESS})\sthan\b",
                self.scene.text[number.end :],
            )
            is not None
        )

    def _counted(self, number: Number, nouns: list[str], scope: Scope) -> bool:
        """Whether a count equals a count fact, or the number of things that the evidence or the sentence names."""
        n = int(number.value)
        for known in self.pool.numbers:
            if known.number is not None and any(noun in known.words for noun in nouns) and not known.unit:
                role = self.binder.wrong_role(number, known) or self.binder.wrong_state(number, known)
                if self._meets(number, known.number) and self.binder.fits_base(known, scope) and not role and (
                    not scope.parts or not known.part or known.part in scope.parts
                ):  # fmt: skip
                    return True
        sizes = self._sizes(nouns, scope)
        if n in sizes or self._changed(n, nouns, scope):
            return True
        ahead = self.scene.text[max(0, number.start - 30) : number.end + 30]
        partly = re.search(
            r"\b(?:top|most|first|last|lowest|highest|worst|strangest|gravest|latest|other|more|further)\b", ahead, re.I
        )
        return bool(partly and sizes and n <= max(sizes))

    def _changed(self, n: int, nouns: list[str], scope: Scope) -> bool:
        """ "removes three of the four findings": the difference of a count before and after."""
        if not self.scene.has(
            r"remov\w*|drops?|dropp\w*|fewer|less|los\w+|gone|more|addition\w*|further|new|disappear\w*|fall\w* away"
            r"|adds?"
        ):
            return False
        counts = [
            k for k in self.pool.numbers if any(noun in k.words for noun in nouns) and self.binder.fits_base(k, scope)
        ]
        pairs = itertools.product(counts, counts)
        return any(
            a.roles.get("time") == "before"
            and b.roles.get("time") == "after"
            and abs((a.number or 0) - (b.number or 0)) == n
            for a, b in pairs
        )

    def _summed_up(self, number: Number) -> bool:
        """ "the two", "all three": as many as the sentence or the evidence names."""
        if number.kind != "word" or not re.search(
            r"\b(?:the|these|those|all|of|other)\s$", self.scene.text[: number.start], re.I
        ):
            return False
        whole = Scope(None, None, None, None)
        return int(number.value) in self._sizes(
            ["findings", "samples", "regions", "channels", "features", "runs"], whole
        )

    def _meets(self, number: Number, truth: float) -> bool:
        if number.bound:
            return truth < number.value if number.bound == "<" else truth > number.value
        return number.agrees(truth)

    def _sizes(self, nouns: list[str], scope: Scope) -> set[int]:
        """How many things of a kind the evidence or the sentence names."""
        scene, pool = self.scene, self.pool
        sizes: set[int] = set()
        if "values" in nouns:
            sizes.add(len({k.bases for k in pool.numbers if "value" in k.words and k.level == "finding"}))
        findings = {base for base in pool.bases() if base[0] == "F"}
        spots = [place.words for place in scene.places]
        if "findings" in nouns:
            chosen = {f for f in findings if not spots or self._lies(f, spots)}
            sizes.add(len([k for k in pool.numbers if k.fact.field == "similarity"]))
            sizes |= {len(chosen), len([m for m in scene.bases if any(is_finding(n) for n in m.names)])}
        if "samples" in nouns:
            sizes |= {len({b for b in pool.bases() if b.startswith("sample ")}), len(scene.bases)}
        for noun, kinds in (
            ("regions", ("region", "interval", "position")),
            ("channels", ("channel", "sensor")),
            ("features", ("feature", "column")),
        ):
            if noun in nouns:
                owners = (scope.bases or findings) & findings or {""}
                for owner in owners:
                    named = {k.part for k in pool.known if k.kind in kinds and (not owner or owner in k.bases)}
                    if spots:
                        named = {p for p in named if self._lies(owner, spots, p)}
                    sizes.add(len(named))
                sizes.add(len({n for m in scene.parts if m.kind in kinds for n in m.names}))
                for known in pool.texts:
                    if known.fact.field == noun and (not scope.bases or known.bases & scope.bases):
                        sizes.add(len(str(known.fact.value).split(", ")))
        return sizes - {0}

    def _lies(self, base: str, spots: list[frozenset[str]], part: str = "") -> bool:
        return any(
            k.fact.field == "position" and (not base or base in k.bases) and (not part or k.part == part)
            and any(spot <= place_words(str(k.fact.value)) for spot in spots)
            for k in self.pool.texts
        )  # fmt: skip

    def _derived(self, number: Number, scope: Scope) -> bool:
        """A difference, a percentage of change, a sum, or a share of counts."""
        scene = self.scene
        behind, ahead = scene.text[number.end : number.end + 40], scene.text[max(0, number.start - 40) : number.start]
        crossed = re.search(r"(?<![A-Za-z\d])\d+\s*(?:px)?\s*by\s*$", ahead)
        if _DIFFERENCE.search(behind) or (_BY.search(ahead) and not crossed):
            direction = self._direction(number)
            for one, two in self._pairs(scope):
                if self._differs(number, one, two, direction):
                    return True
        if number.unit == "%" and re.match(r"\W*of (?:its|the|what|their|that)\b(?! score| anomaly)", behind, re.I):
            part = Number(**{**number.__dict__, "value": number.value / 100, "step": number.step / 100, "unit": ""})
            if any(two.number and part.agrees((one.number or 0.0) / two.number) for one, two in self._pairs(scope)):
                return True
        if scene.has(TOGETHER) and self._sums(number, scope):
            return True
        return number.unit == "%" and self._share_of_counts(number, scope)

    def _direction(self, number: Number) -> int:
        """+1 more, -1 less, 0 unsaid."""
        behind = self.scene.text[number.end : number.end + 25]
        if re.match(rf"\W*(?:[a-z]+\s){{0,2}}?(?:{_MORE})\b", behind, re.I):
            return 1
        if re.match(rf"\W*(?:[a-z]+\s){{0,2}}?(?:{_LESS})\b", behind, re.I):
            return -1
        ahead = self.scene.text[max(0, number.start - 60) : number.start]
        if re.search(
            r"\b(?:rises?|rose|increases?d?|grows?|grew|higher|above|exceeds?|climbs?|outscor\w+|beats?"
            r"|tops?)\b[^,;]*\bby\W*$",
            ahead,
            re.I,
        ):
            return 1
        if re.search(
            r"\b(?:falls?|fell|drops?(?:ped)?|decreases?d?|sinks?|lower|below|reduces?d?)\b[^,;]*\bby\W*$",
            ahead,
            re.I,
        ):
            return -1
        return 0

    def _pairs(self, scope: Scope) -> Iterator[tuple[Known, Known]]:
        """Facts that may be set against each other, the one that is compared first: observed/expected, after/before,
        first-named/second-named finding or part."""
        fitting = [k for k in self.pool.numbers if scope.field is None or scope.fits_field(k)]
        order = [name for m in self.scene.bases for name in m.names]
        spoken = [name for m in self.scene.parts for name in m.names]
        ranks = {name for m in self.scene.roles if m.kind == "rank" for name in m.names}
        for one, two in itertools.permutations(fitting, 2):
            if one.unit != two.unit or one.fact.field == "index":
                continue
            if len(ranks) == 1 and two.roles.get("rank", next(iter(ranks))) not in ranks:
                continue
            same_owner = one.bases == two.bases and one.part == two.part
            if same_owner and one.tail == two.tail:
                axis = next((a for a in ("seen", "time", "edge") if one.roles.get(a) != two.roles.get(a)), "")
                if axis == "edge" and not {"start", "end"} & one.words:  # the sides of a box make its size
                    continue
                if axis and (one.roles.get(axis), two.roles.get(axis)) in (
                    ("observed", "expected"), (None, "expected"), ("after", "before"), ("after", None),
                    ("end", "start"),
                ) and self._about(one, scope):  # fmt: skip
                    yield one, two
            elif one.words == two.words and not same_owner:
                if one.part == two.part and _rank(one.bases, order) < _rank(two.bases, order) < 99:
                    yield one, two
                if one.bases == two.bases and _rank({one.part}, spoken) < _rank({two.part}, spoken) < 99:
                    yield one, two

    def _about(self, known: Known, scope: Scope) -> bool:
        return (not scope.bases or bool(known.bases & scope.bases)) and (
            not scope.parts or not known.part or known.part in scope.parts
        )

    def _differs(self, number: Number, one: Known, two: Known, direction: int) -> bool:
        gap = (one.number or 0.0) - (two.number or 0.0)
        if direction and gap * direction < 0:
            return False
        if number.unit == "%" and one.unit != "%":
            base = abs(two.number or 0.0)
            return bool(base) and number.agrees(100 * abs(gap) / base)
        if number.unit and one.unit and number.unit != one.unit:
            return False
        return Number(**{**number.__dict__, "value": abs(number.value)}).agrees(abs(gap))

    def sum_problem(self, number: Number) -> str | None:
        """What is wrong with a number that is said of several parts together; None where no parts can be summed."""
        start = clause_at(self.scene.text, number.start)[0]
        told = re.compile(rf"\b(?:{TOGETHER})\b", re.I).search(self.scene.text[: number.start], start)
        if told is None or number.kind not in ("plain", "word") or number.unit != "%":
            return None
        scope = self.binder.owners.scope(number)
        if any(told.start() < n.start < number.start for n in self.scene.numbers if n.unit) or scope.field is None:
            return None
        named = [m for m in self.scene.parts if start <= m.start < number.start]
        kinds = {m.kind for m in named} or ({"region", "interval"} if re.search(
            r"\b(?:both|two|three|all|the) (?:\w+ )?(?:regions|intervals|spots|places)\b", self.scene.text[start:], re.I
        ) else set[str]())  # fmt: skip
        if not kinds or self._sums(number, scope):
            return "" if kinds else None
        spoken = {name for m in named for name in m.names}
        whole = Scope(scope.bases, None, None, None)
        peers = [k for k in self.pool.numbers if k.fact.field == "share" and scope.fits_field(k) and k.kind in kinds
                 and (not spoken or k.part in spoken) and self._about(k, whole)]  # fmt: skip
        if len(peers) < 2 or len({k.bases for k in peers}) > 1 or len({k.part for k in peers}) < 2:
            return None
        return f"'{number.text}' is not their sum: {', '.join(str(k) for k in peers[:4])}"

    def _sums(self, number: Number, scope: Scope) -> bool:
        spoken = {name for m in self.scene.parts for name in m.names}
        if scope.parts and len(scope.parts) > 1:
            spoken = set(scope.parts)
        for known in self.pool.numbers:
            if not known.part or not self._about(known, Scope(scope.bases, None, None, None)):
                continue
            peers = [
                k
                for k in self.pool.numbers
                if k.words == known.words and k.bases == known.bases and k.kind == known.kind
            ]
            chosen = [k for k in peers if k.part in spoken] if spoken else peers
            if len(chosen) > 1 and scope.fits_field(known) and number.agrees(sum(k.number or 0.0 for k in chosen)):
                return True
        return False

    def _share_of_counts(self, number: Number, scope: Scope) -> bool:
        counts = [
            k for k in self.pool.numbers if k.words & {"findings", "samples", "flagged", "matching"} and not k.unit
        ]
        for one, two in itertools.permutations(counts, 2):
            if self.binder.wrong_role(number, one):
                continue
            if one.bases == two.bases and two.number and number.agrees(100 * (one.number or 0.0) / two.number):
                return True
        return False

    def _ratio(self, number: Number, scope: Scope) -> bool:
        """ "twice", "3 times", "a third of": a ratio of two facts, or a share itself."""
        alphas = {k.fact.field: k.number for k in self.pool.numbers if k.fact.field in ("alpha", "before_alpha")}
        if len(alphas) == 2 and re.match(r"\W*(?:of |times )?(?:the |its )?(?:\w+ )?(?:alpha|level|threshold)\b",
                                         self.scene.text[number.end :], re.I):  # fmt: skip
            return _times_agree(number, (alphas["alpha"] or 0.0) / (alphas["before_alpha"] or 1.0))
        spoken = {name for m in self.scene.parts for name in m.names}
        shares = [
            k for k in self.pool.numbers if k.fact.field == "share" and k.part in spoken and self._about(k, scope)
        ]
        if number.kind == "fraction" and self.scene.has("each") and len(shares) > 1:
            return all(_times_agree(number, (k.number or 0.0) / 100) for k in shares)
        if number.kind == "fraction":
            return any(
                _times_agree(number, (k.number or 0.0) / (100 if k.unit == "%" else 1))
                for k in self.pool.numbers
                if (k.unit == "%" or 0 < (k.number or 0) < 1)
                and self.binder.fits_base(k, scope)
                and self.binder.fits_part(k, scope)
                and "value" not in k.words
            ) or any(
                two.number and _times_agree(number, (one.number or 0.0) / two.number) for one, two in self._pairs(scope)
            )
        less = re.match(rf"\W*(?:as\s)?(?:{_LESS}|little|low|small)\b", self.scene.text[number.end :], re.I) is not None
        expected = re.search(r"^\W*(?:\w+\W+){0,4}?(?:expected|normal|usual)", self.scene.text[number.end :], re.I)
        for one, two in self._pairs(scope):
            if expected and two.roles.get("seen") != "expected":
                continue
            over, under = (two.number, one.number) if less else (one.number, two.number)
            if over and under and over / under > 0 and _times_agree(number, over / under):
                return True
        counts = [
            k.number for k in self.pool.numbers
            if k.words & {"findings", "count", "times", "ratio", "elongation", "aspect"} and k.number is not None
        ]  # fmt: skip
        return any(number.agrees(count) for count in counts)


def _times_agree(number: Number, ratio: float) -> bool:
    if number.bound:
        return ratio < number.value if number.bound == "<" else ratio > number.value
    return number.agrees(ratio)


def _rank(names: set[str] | frozenset[str], order: list[str]) -> int:
    return min((order.index(name) for name in names if name in order), default=99)
