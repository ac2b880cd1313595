"""The made-up findings of the question cases: four little factories and what went wrong in them.

Plain values; what tools would say of them is `made_stores`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Spot:
    """A region (image) or an interval (series)."""

    name: str
    share: float
    position: str = ""
    box: tuple[int, int, int, int] | None = None  # left, top, width, height
    area: int = 0
    span: tuple[int, int, str, str] | None = None  # start, end, start_time, end_time
    channels: tuple[str, ...] = ()


@dataclass(frozen=True)
class Cause:
    """A region, channel or feature with what was seen and what would be normal."""

    kind: str
    name: str
    share: float
    observed: Any
    expected: Any
    unit: str = ""


@dataclass(frozen=True)
class Case:
    """One finding of a made-up store."""

    id: str
    sample: str
    index: int
    p: float
    score: float
    causes: tuple[Cause, ...]
    spots: tuple[Spot, ...] = ()
    normal_p: float = 0.4
    returns: bool = True
    similar: dict[str, float] = field(default_factory=dict)
    run: str = ""


@dataclass(frozen=True)
class Batch:
    """One run of a made-up store."""

    id: str
    created: str
    source: str
    modality: str
    names: tuple[str, ...]
    cases: tuple[Case, ...]
    alpha: float = 0.01
    method: str = "hybrid"


def _region(name: str, share: float, observed: float, expected: float) -> Cause:
    return Cause("region", name, share, observed, expected)


def parts() -> tuple[Batch, ...]:
    one = Spot("region 1", 96.2, "upper left", (30, 22, 58, 12), 402)
    two = Spot("region 1", 91.5, "lower right", (171, 160, 41, 38), 1188)
    monday = (
        Case("F1", "part_009.png", 8, 0.0007, 3.91, (_region("region 1", 96.2, 63.4, 127.9),), (one,), 0.37),
        Case("F2", "part_031.png", 30, 0.0031, 2.44, (_region("region 1", 91.5, 88.1, 130.2),), (two,), 0.29),
    )
    scratch = Spot("region 1", 97.3, "upper left", (34, 22, 58, 12), 410)
    stain = Spot("region 1", 68.4, "lower right", (166, 158, 44, 40), 1240)
    chip = Spot("region 2", 24.9, "centre", (118, 121, 17, 15), 190)
    dust = Spot("region 1", 88.0, "centre", (120, 117, 20, 22), 301)
    gap = Spot("region 1", 93.6, "lower left", (14, 190, 36, 51), 1502)
    tuesday = (
        Case(
            "F3", "part_017.png", 16, 0.0004, 4.27, (_region("region 1", 97.3, 61.2, 128.4),), (scratch,), 0.41,
            similar={"F1": 0.94, "F4": 0.21},
        ),
        Case(
            "F4", "part_042.png", 41, 0.0021, 2.95,
            (_region("region 1", 68.4, 90.3, 129.7), _region("region 2", 24.9, 171.0, 126.1)), (stain, chip), 0.33,
            similar={"F2": 0.88, "F3": 0.21},
        ),
        Case("F5", "part_008.png", 7, 0.0046, 2.13, (_region("region 1", 88.0, 150.2, 127.3),), (dust,), 0.52),
        Case("F6", "part_055.png", 54, 0.0083, 1.87, (_region("region 1", 93.6, 34.9, 125.8),), (gap,), 0.006, False),
    )  # fmt: skip
    return (
        Batch("R1", "2026-11-02T21:40:00", "line-a/monday", "image", part_names(48), monday),
        Batch("R2", "2026-11-03T22:05:00", "line-a/tuesday", "image", part_names(60), tuesday),
    )


def part_names(count: int) -> tuple[str, ...]:
    return tuple(f"part_{number:03d}.png" for number in range(1, count + 1))


def _event(key: str, p: float, score: float, span: tuple[int, int, str, str], causes: tuple[Cause, ...]) -> Case:
    guilty = tuple(cause.name for cause in causes if cause.share > 5)
    spot = Spot("interval 1", 100.0, span=span, channels=guilty)
    return Case(key, f"{span[2]}..{span[3]}", span[0], p, score, causes, (spot,))


def machine() -> tuple[Batch, ...]:
    day = "2026-11-03T"
    cases = (
        _event("F1", 0.0002, 6.38, (134, 139, day + "02:14:00", day + "02:18:00"), (
            Cause("channel", "vibration", 93.1, 9.74, 2.05, "mm/s"),
            Cause("channel", "speed", 3.2, 1498.0, 1502.0, "rpm"),
        )),
        _event("F2", 0.0011, 3.12, (570, 665, day + "09:30:00", day + "11:04:00"), (
            Cause("channel", "temperature", 71.4, 83.1, 71.2, "°C"),
            Cause("channel", "oil pressure", 21.7, 3.62, 4.18, "bar"),
        )),
        _event("F3", 0.0035, 2.71, (840, 885, day + "14:00:00", day + "14:44:00"), (
            Cause("channel", "flow", 89.9, 12.4, 14.9, "l/min"),
        )),
        _event("F4", 0.0078, 1.93, (1160, 1190, day + "19:20:00", day + "19:49:00"), (
            Cause("channel", "motor current", 58.2, 7.1, 11.8, "A"),
            Cause("channel", "temperature", 33.3, 75.9, 71.0, "°C"),
        )),
    )  # fmt: skip
    return (Batch("R1", "2026-11-03T23:00:00", "press7.csv", "series", (), cases),)


def _row(key: str, row: int, p: float, score: float, *causes: Cause) -> Case:
    return Case(key, str(row), row, p, score, causes)


def payments() -> tuple[Batch, ...]:
    cases = (
        _row("F1", 217, 0.0003, 5.21, Cause("feature", "fee", 88.4, 412.5, 6.2, "EUR"),
             Cause("feature", "amount", 7.7, 180.0, 204.0, "EUR")),
        _row("F2", 1044, 0.0026, 3.07, Cause("feature", "country", 57.5, "NZ", "DE"),
             Cause("feature", "hour", 36.1, 3, 14, "h")),
        _row("F3", 1530, 0.0064, 2.02, Cause("feature", "hour", 61.0, 4, 13, "h"),
             Cause("feature", "fee", 30.2, 31.0, 4.8, "EUR")),
    )  # fmt: skip
    names = tuple(str(row) for row in range(2000))
    return (Batch("R1", "2026-11-01T08:15:00", "payments_october.csv", "table", names, cases),)


def lonely() -> Case:
    return parts()[0].cases[0]
