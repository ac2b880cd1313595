"""Reads what a comparison is held against where that is no other thing: the expected, the usual range, what was before.

Knows scenes and facts; which words compare is `comparing`.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from assistant.verify.clauses import clause_at
from assistant.verify.comparison import Pair
from assistant.verify.facts import Known, Pool
from assistant.verify.mentions import Mention
from assistant.verify.reading import Number
from assistant.verify.scene import Scene
from assistant.verify.things import Measure, Things, ratio_base

_EXPECTED = re.compile(
    r"\W*(?:it|they|that|this|one)? ?(?:should|ought)\b|\W*(?:the |its |their |an? |what )?(?:\S+ ){0,4}?"
    r"(?:expect(?:ed|s|ation)|predict(?:ed|s)|forecast|anticipated|suggests?|normally|usually)\b"
    r"|\W*(?:the |its |their |an? |what (?:is|was|would be) )?(?:\S+ ){0,2}?(?:normal|usual|typical)\b"
    r"(?! (?:median|range|score|scores|rows?|samples?|parts?|maximum))",
    re.I,
)
_BEFORE = re.compile(r"\W*(?:before\b|originally|the (?:original|whole|full|overall|complete|hybrid|default|combined)"
                     r"|it (?:was|is) (?:before|now)|with everything|(?:with )?all (?:the )?(?:members"
                     r"|methods))", re.I)  # fmt: skip
_BASELINES: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("range", re.compile(r"\W*(?:the |its )?(?:usual|normal|typical) (?:range|values)", re.I)),
    ("top", re.compile(r"\W*(?:the |its )?(?:upper (?:end|limit|edge|bound)|top of (?:the|its) (?:usual"
        r"|normal)? ?range)", re.I)),
    ("bottom", re.compile(r"\W*(?:the |its )?(?:lower (?:end|limit|edge|bound)|bottom of (?:the|its))", re.I)),
    ("low", re.compile(r"\W*(?:the |any )?(?:lowest|smallest|minimum) (?:of the )?(?:normal|usual)", re.I)),
    ("high", re.compile(r"\W*(?:the |any )?(?:highest|largest|max\w*) (?:\w+ ){0,4}?normal|\W*(?:any|every) "
                        r"(?:other )?normal", re.I)),
    ("median", re.compile(r"\W*(?:the |its )?(?:\w+ )?(?:normal |usual )?(?:median|average)", re.I)),
    ("before", _BEFORE),
    ("expected", _EXPECTED),
)  # fmt: skip
_BASES = {  # baseline -> words that the fact on the other side has
    "expected": ("expected",), "median": ("normal", "median"), "top": ("normal", "high"), "high": ("normal", "max"),
    "low": ("normal", "min"), "bottom": ("normal", "low"), "before": ("before",),
}  # fmt: skip
FILLERS = r"\W*(?:(?:grey levels?|percentage points?|points?|levels?|units?|clearly|or so|of the score|the)\s)*"


class Beside:
    """One sentence's facts beside their own baselines."""

    def __init__(self, scene: Scene, pool: Pool, facts_of: Callable[[Number], list[Known]]) -> None:
        self.scene = scene
        self.pool = pool
        self.facts_of = facts_of
        self.things = Things(scene, pool)

    def baseline(self, position: int, limit: int) -> str:
        """What a comparison is held against, where that is no thing of its own: the expected, the usual range."""
        return next((name for name, pattern in _BASELINES if pattern.match(self.scene.text[:limit], position)), "")

    def beside(self, start: int, baseline: str, measures: list[Measure], up: bool | None = None) -> list[Pair]:
        """Pairs of what is spoken of and its own expected value, its value before, its usual range."""
        since = clause_at(self.scene.text, start)[0]
        ahead = [n for n in self.scene.numbers if since <= n.start and n.end <= start]
        said = [n for n in ahead if not re.fullmatch(FILLERS, self.scene.text[n.end : start])]
        bound = [k for n in said for k in self.facts_of(n)]
        pairs = [pair for k in bound for pair in self.baseline_pairs(k, baseline, up)]
        if pairs:
            return pairs
        left = self.things.before(start, since) or self.things.before(start) or self.things.context()
        if baseline == "before":
            after = [k for words, _, _ in measures for k in self.pool.numbers if k.words == words | {"after"}]
            return [pair for k in after for pair in self.baseline_pairs(k, baseline, up)]
        if left is None:
            return []
        for one in dict.fromkeys([left, *[m for m in self.things.all if m.end <= start][::-1]]):
            for known in self.facts_beside(one, baseline, measures):
                pairs += self.baseline_pairs(known, baseline, up)
            if pairs:
                return pairs
        return []

    def facts_beside(self, left: Mention, baseline: str, measures: list[Measure]) -> list[Known]:
        """The facts of a thing that may be held against a baseline."""
        if baseline in ("high", "low"):
            return self.things.facts(left, (frozenset(["score"]), True, True))
        names: tuple[str, ...] = ("observed",) if baseline != "median" else ("observed", "score")
        names += tuple("_".join(sorted(words, reverse=True)) for words, _, _ in measures if "observed" in words)
        names = (*names, "motion_ratio") if baseline == "expected" else names
        return [k for name in names for k in self.things.facts(left, (frozenset(name.split("_")), True, True))]

    def baseline_pairs(self, known: Known, baseline: str, up: bool | None) -> list[Pair]:
        """A fact with its own baseline: its expected value, an edge of its usual range, its value before."""
        if known.fact.field.endswith("_ratio") and baseline == "expected":
            return [(known, ratio_base(known))]
        if baseline == "range":
            edge = "high" if up else "low"
            return [(known, k) for k in self.of_same(known) if {"normal", edge} <= k.words]
        if baseline == "before":
            return [(known, k) for k in self.of_same(known)
                    if k.words - {"before"} == known.words - {"after"} and "before" in k.words]  # fmt: skip
        wanted = set(_BASES[baseline])
        plainly = known.fact.field == "observed"
        return [
            (known, k) for k in self.of_same(known)
            if wanted <= k.words and (k.tail == known.tail or (plainly and (baseline != "expected" or not k.tail)))
        ]  # fmt: skip

    def of_same(self, known: Known) -> list[Known]:
        """The other facts in the same unit of the same thing."""
        return [k for k in self.pool.numbers if k.bases == known.bases and k.unit == known.unit and k is not known
                and (k.part == known.part or known.kind == "method")]  # fmt: skip
