"""Finds the place that a reader drew on the page and asks about: "the box [4, 6, 12, 11]", "rows [60, 63]".

Turns the text of a question into numbers. The page writes such questions; people may too. Knows nothing of findings.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_BOX = re.compile(r"\bbox \[\s*(-?\d{1,6}(?:\s*,\s*-?\d{1,6}){3})\s*\]", re.IGNORECASE)
_ROWS = re.compile(r"\brows? \[\s*(\d{1,9}\s*,\s*\d{1,9})\s*\]", re.IGNORECASE)
_REPAIR = re.compile(r"\b(?:repair\w*|fix\w*|made normal|make .{0,80} normal|normalis\w+|normaliz\w+)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Drawn:
    """A drawn place; one of the two is None."""

    box: list[int] | None
    rows: list[int] | None
    repair: bool  # whether it is to be made normal rather than looked at


def drawn(text: str) -> Drawn | None:
    """The drawn place that a question names, if it names one."""
    box, rows = _BOX.search(text), _ROWS.search(text)
    if not box and not rows:
        return None
    first = [int(number) for number in (box or rows)[1].split(",")]  # type: ignore[index]
    return Drawn(first if box else None, None if box else first, bool(_REPAIR.search(text)))
