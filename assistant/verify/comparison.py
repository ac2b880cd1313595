"""Two sides that a sentence sets against each other, as pairs of facts, and whether a direction or an amount fits.

Knows facts and numbers; not how a sentence says it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from assistant.evidence import format_number
from assistant.verify.facts import SECONDS, Known
from assistant.verify.reading import Number
from assistant.verify.things import size

COUNTING = frozenset("year frame frames stamp stamps row rows step steps samples".split())  # noqa: SIM905
Pair = tuple[Known, Known]


@dataclass(frozen=True)
class Comparison:
    """Two sides that a sentence sets against each other."""

    start: int
    end: int
    text: str
    up: bool | None  # whether the first side is said to be more; None where no direction is said
    pairs: tuple[Pair, ...]  # facts that may be meant, the first side first
    form: str = "than"  # "than", "beside" (above, exceeds), "as", "of", "change"

    def holds(self) -> bool:
        """Whether the direction is that of a pair."""
        return self.up is None or any(more(pair) is self.up for pair in self.pairs)

    def allows(self, number: Number) -> bool:
        """Whether an amount is that of a pair with the right direction."""
        right = [pair for pair in self.pairs if self.up is None or more(pair) is self.up]
        return any(_amount(number, pair, self) for pair in right)

    def told(self) -> str:
        """Both sides of the first pair in words."""
        return f"{_spoken(self.pairs[0][0])} against {_spoken(self.pairs[0][1])}"


def more(pair: Pair) -> bool | None:
    one, two = size(pair[0]), size(pair[1])
    return None if one is None or two is None or one == two else one > two


def turned(pair: Pair) -> Pair:
    """A pair by a field of which less is more: the other way round."""
    return pair[1], pair[0]


def _amount(number: Number, pair: Pair, comparison: Comparison) -> bool:
    """Whether a number says how the sides of a pair differ: a difference, a ratio, a percentage."""
    one, two = size(pair[0]), size(pair[1])
    if one is None or two is None:
        return False
    if number.kind in ("times", "fraction") or (number.unit == "%" and pair[0].unit != "%"):
        share = 100.0 if number.unit == "%" else 1.0
        if comparison.form in ("as", "of"):
            return bool(two) and meets(number, share * one / two)
        if number.kind == "times" and comparison.form == "change" and number.value < 1:  # "more than halves"
            flipped = replace(number, bound={"<": ">", ">": "<"}.get(number.bound, ""))
            return bool(two) and meets(flipped, one / two)
        if number.kind == "times":
            big, small = max(abs(one), abs(two)), min(abs(one), abs(two))
            return bool(small) and meets(number, big / small)
        return bool(two) and meets(number, share * abs(one - two) / abs(two))
    gap = abs(one - two)
    unit = pair[0].unit if pair[0].number is not None else "s"
    if number.unit and unit and number.unit != unit:
        if number.unit not in SECONDS or unit not in SECONDS:
            return False
        gap *= SECONDS[unit] / SECONDS[number.unit]
    elif number.unit and not unit and number.unit not in COUNTING:
        return False
    return meets(replace(number, value=abs(number.value)), gap)


def meets(number: Number, truth: float) -> bool:
    """Whether a value is what a number says, or on the said side of it."""
    if number.bound:
        return truth < number.value if number.bound == "<" else truth > number.value
    return number.agrees(truth)


def _spoken(known: Known) -> str:
    value = size(known)
    where = f"{known.fact.subject}.{known.fact.field}"
    return (
        f"{where} {format_number(known.number) if known.number is not None else known.fact.value}" if value else where
    )
