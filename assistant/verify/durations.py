"""Reads lengths of time that are said in words: "an hour and a half", "half an hour", "2 hours and 10 minutes".

Knows English; not evidence. A plain "94 minutes" is a number with a unit and is read elsewhere.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_SMALL = "zero one two three four five six seven eight nine ten eleven twelve".split()  # noqa: SIM905
_COUNT = {word: float(i) for i, word in enumerate(_SMALL)} | {"a": 1.0, "an": 1.0}
_PARTS = {"half": 0.5, "quarter": 0.25, "third": 1 / 3}
_N = rf"(?:\d+|an?|{'|'.join(_SMALL[1:])})"
_UNIT = "(?:hours?|minutes?|days?|weeks?)"
_UNITS = {"second": ("s", 1.0), "minute": ("min", 60.0), "hour": ("h", 3600.0), "day": ("d", 86400.0),
          "week": ("week", 604800.0)}  # fmt: skip
_SPAN = re.compile(
    rf"\b(?:(?P<n>{_N}) (?P<unit>{_UNIT}) and (?:a )?(?P<more>half|quarter|three[- ]quarters)\b(?! minutes?| seconds?)"
    rf"|(?P<n1>{_N}) and (?:a )(?P<more1>half|quarter) (?P<unit1>{_UNIT})\b"
    rf"|(?P<part>half|(?:a |one )?(?:quarter|third)|three[- ]quarters)(?: of)? an? (?P<unit2>hour|minute|day|week)\b"
    rf"|(?P<n3>{_N}) (?P<unit3>hours?|minutes?|days?),? (?:and )?(?P<n4>{_N}) (?P<unit4>hours?|minutes?|seconds?)\b"
    rf"|(?<=\s)(?P<n5>an?) (?P<unit5>hour|minute|day|week)(?= (?:long|later|earlier|after|before|apart|longer|shorter))"
    rf"|(?<=lasted |almost |around )(?:about |roughly |almost )?(?P<n6>an?) (?P<unit6>hour|minute|day|week)\b)",
    re.I,
)


@dataclass(frozen=True)
class Span:
    """A length of time; `value` and `step` are in `unit`."""

    start: int
    end: int
    value: float
    step: float
    unit: str


def durations(text: str) -> list[Span]:
    """All lengths of time in words of a sentence."""
    return [_span(match) for match in _SPAN.finditer(text)]


def _span(match: re.Match[str]) -> Span:
    many = next((match[name] for name in ("n", "n1", "n3", "n5", "n6") if match[name]), "")
    unit, seconds = _unit(next(match[name] for name in ("unit", "unit1", "unit2", "unit3", "unit5", "unit6")
                               if match[name]))  # fmt: skip
    value, step = _many(many), 0.1
    if match["part"]:
        word = match["part"].lower().split()[-1].split("-")[-1].rstrip("s")
        value, step = _PARTS[word] * (3 if match["part"].lower().startswith("three") else 1), 0.05
    elif more := match["more"] or match["more1"]:
        value += 0.75 if more.lower().startswith("three") else _PARTS[more.lower()]
    elif match["n4"]:
        fine = _unit(match["unit4"])[1] / seconds
        value, step = value + _many(match["n4"]) * fine, fine
    return Span(match.start(), match.end(), value, step, unit)


def _unit(word: str) -> tuple[str, float]:
    return _UNITS[word.lower().rstrip("s")]


def _many(word: str) -> float:
    return float(word) if word.isdigit() else _COUNT.get(word.lower(), 0.0)
