"""What every suite is given and hands back, and how it is shown. Knows plain values; not what is measured."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

Tell = Callable[[float, str], None]


@dataclass(frozen=True)
class Job:
    """What a suite is run with."""

    cases: Path  # folder of the case files (`tests/evals`)
    llm: Any = "narrator"  # a model's name, or a chat model
    held_out: bool = False  # the files that are run only at the end
    data: Path | None = None  # folder of the public sets
    quick: bool = False  # a smoke run: the first cases only
    tell: Tell = lambda fraction, message: None
    sets: tuple[str, ...] = ()  # of the suite `real`; all where empty
    work: Path | None = None  # folder in which fitted models of the suite `real` are kept
    say: Callable[[str], None] = lambda row: None  # lines of a long suite as they come


@dataclass(frozen=True)
class Line:
    """One row of a suite's table: how often something was right."""

    group: str  # what was looked at: a world, a set, a kind
    measure: str
    right: float  # count, or the value itself where `total` is 0
    total: int = 0
    misses: tuple[str, ...] = field(default=(), repr=False)  # what went wrong, a line each

    @property
    def value(self) -> float:
        """The share that was right, or the value itself."""
        return self.right / self.total if self.total else self.right

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {**asdict(self), "misses": list(self.misses), "value": self.value}


def counted(group: str, measure: str, outcomes: Sequence[tuple[bool, str]]) -> Line:
    """A line from single outcomes (right, what to say where it was not)."""
    wrong = tuple(text for right, text in outcomes if not right)
    return Line(group, measure, sum(right for right, _ in outcomes), len(outcomes), wrong)


def summed(lines: Sequence[Line], group: str = "all") -> list[Line]:
    """One line a measure over all groups, in order of appearance."""
    names = list(dict.fromkeys(line.measure for line in lines if line.total))
    out = []
    for name in names:
        same = [line for line in lines if line.measure == name and line.total]
        total = sum(line.total for line in same)
        out.append(Line(group, name, sum(line.right for line in same), total))
    return out


def rows_of(lines: Sequence[Line]) -> list[str]:
    """Lines as rows of the table."""
    rows = []
    for line in lines:
        count = f"{line.right:g} of {line.total}" if line.total else ""
        value = f"{100 * line.value:.1f} %" if line.total else f"{line.value:.3g}"
        rows.append(f"{line.group:<18}{line.measure:<44}{count:>12}{value:>9}")
    return rows


def shown(title: str, lines: Sequence[Line], misses: int = 0) -> str:
    """A table as text; `misses`: how many of what went wrong are listed."""
    rows = [f"{title}", f"{'group':<18}{'measure':<44}{'right':>12}{'':>9}", *rows_of(lines)]
    wrong = [f"- {line.group}, {line.measure}: {text}" for line in lines for text in line.misses]
    return "\n".join([*rows, *wrong[:misses]])
