"""Cuts a sentence into clauses: what stands in one clause speaks of the same things.

Knows English; not facts.
"""

from __future__ import annotations

import re
from functools import lru_cache

_CUT = re.compile(
    r";|:(?!\d)|[–—]|,? \b(?:whereas|while|but|although|though|yet)\b|, i\.e\.|, (?:that is|or|and|so|which"
    r"|where|with|making"
    r"|leaving|led)\b",
    re.I,
)

NOT = re.compile(
    r"(?:\b(?:not|never|no longer|cannot|fails? to|nor|neither|isn't|barely)\b|n't\b|n’t\b)[^,;:.]{0,40}$", re.I
)


@lru_cache(maxsize=512)
def clauses(text: str) -> tuple[tuple[int, int], ...]:
    """(start, end) of each clause."""
    cuts = [match.start() for match in _CUT.finditer(text)]
    return tuple(zip([0, *cuts], [*cuts, len(text)], strict=True))


def clause_at(text: str, position: int) -> tuple[int, int]:
    """The clause in which a position lies."""
    return next(((start, end) for start, end in clauses(text) if position < end), (0, len(text)))
