"""How good the alarms were: of the findings that people labelled, the share that they confirmed, over time.

Wilson's score interval (Wilson 1927) says how sure so few labels make it. Only labelled findings count, and nobody
labels at random: the share labelled is told beside. Knows the store; not detectors, pages or language models.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from assistant.store import Store
from detectors.errors import AnomalyError

Z = 1.959964  # 95 %
SPANS = ("day", "week")
TICKS = 16
SUFFIXES = (".png", ".svg", ".pdf")


@dataclass(frozen=True)
class Period:
    """The alarms of a day or a week (or of all time)."""

    name: str  # "2026-11-24", "week of 2026-11-23", "all"
    start: str  # first and last day, ISO
    end: str
    findings: int  # raised
    confirmed: int
    false_alarms: int

    @property
    def labelled(self) -> int:
        """How many were labelled."""
        return self.confirmed + self.false_alarms

    @property
    def precision(self) -> float | None:
        """Share confirmed among labelled, 0..1; None where none was labelled."""
        return self.confirmed / self.labelled if self.labelled else None

    @property
    def interval(self) -> tuple[float, float]:
        """Where the share lies at 95 % confidence."""
        return wilson(self.confirmed, self.labelled)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        low, high = self.interval
        return {**asdict(self), "labelled": self.labelled, "precision": self.precision, "low": low, "high": high}


def wilson(hits: int, count: int, z: float = Z) -> tuple[float, float]:
    """The score interval of a share, `hits` of `count`; (0, 1) where nothing was counted."""
    if not count:
        return 0.0, 1.0
    share, reach = hits / count, z * z / count
    middle = (share + reach / 2) / (1 + reach)
    half = z / (1 + reach) * float(np.sqrt(share * (1 - share) / count + reach / (4 * count)))
    return max(0.0, middle - half), min(1.0, middle + half)


def precision(
    store: Store, by: str = "week", run: str | None = None, since: str | None = None, until: str | None = None
) -> list[Period]:
    """The alarms by day or week in which some were raised, in order; the last entry is all of them together.

    Args:
        by: "day" or "week" (from Monday), of the detection.
        run: only alarms of this run.
        since, until: first and last day, ISO.

    Raises:
        AnomalyError: unknown span, or no such day.
    """
    if by not in SPANS:
        raise AnomalyError(f"Precision is told by {' or '.join(SPANS)}, not by {by[:20]!r}.")
    first, last = _day(since), _day(until)
    days = {day: labels for day, labels in store.labels_by_day(run).items()
            if (first is None or day >= first) and (last is None or day <= last)}  # fmt: skip
    spans: dict[date, list[date]] = {}
    for day in sorted(days):
        spans.setdefault(day - timedelta(days=day.weekday()) if by == "week" else day, []).append(day)
    periods = [_period(start, by, [days[day] for day in within]) for start, within in spans.items()]
    return [*periods, _all(periods)] if periods else []


def spoken(words: str, today: date | None = None) -> tuple[str, str]:
    """ "last week", "this month", "yesterday", "the last 10 days" as first and last day, ISO.

    Raises:
        AnomalyError: not understood.
    """
    now = today or datetime.now(UTC).date()
    text = " ".join(words.casefold().split()).removeprefix("in ").removeprefix("the ")
    days = re.fullmatch(r"(?:last|past) (\d{1,3}) (day|week)s?", text)
    if days:
        return str(now - timedelta(days=int(days[1]) * (7 if days[2] == "week" else 1) - 1)), str(now)
    monday, first = now - timedelta(days=now.weekday()), now.replace(day=1)
    before = first - timedelta(days=1)
    known = {
        "today": (now, now),
        "yesterday": (now - timedelta(days=1), now - timedelta(days=1)),
        "this week": (monday, now),
        "last week": (monday - timedelta(days=7), monday - timedelta(days=1)),
        "this month": (first, now),
        "last month": (before.replace(day=1), before),
    }
    if text not in known:
        raise AnomalyError(f"{words[:40]!r} is no time; say {', '.join(known)} or last 10 days.")
    return str(known[text][0]), str(known[text][1])


def _day(text: str | None) -> date | None:
    if text is None:
        return None
    try:
        return date.fromisoformat(text[:10])
    except ValueError as error:
        raise AnomalyError(f"{text[:40]!r} is no day; give one such as 2026-11-24.") from error


def _period(start: date, by: str, labels: Sequence[dict[str, int]]) -> Period:
    end = start + timedelta(days=6) if by == "week" else start
    confirmed, wrong = (sum(one.get(label, 0) for one in labels) for label in ("anomaly", "normal"))
    name = f"week of {start}" if by == "week" else str(start)
    return Period(name, str(start), str(end), sum(sum(one.values()) for one in labels), confirmed, wrong)


def _all(periods: Sequence[Period]) -> Period:
    sums = [sum(getattr(one, name) for one in periods) for name in ("findings", "confirmed", "false_alarms")]
    return Period("all", periods[0].start, periods[-1].end, *sums)


def sentence(period: Period) -> str:
    """One period in words."""
    if period.precision is None:
        return f"None of {period.findings} alarms has been labelled, so their precision is not known."
    low, high = (100 * value for value in period.interval)
    return (
        f"{period.confirmed} of {period.labelled} labelled alarms were confirmed, {100 * period.precision:.0f} % "
        f"(95 % interval {low:.0f} to {high:.0f} %); {period.labelled} of {period.findings} alarms are labelled."
    )


# --- drawn ------------------------------------------------------------------------------------------------------------


def draw(periods: Sequence[Period], out: Path) -> Path:
    """Precision over time as a picture, with its intervals and how many labels each point rests on.

    Raises:
        AnomalyError: nothing was labelled, or the file is of no known form or cannot be written.
    """
    from matplotlib.figure import Figure

    told = [one for one in periods if one.name != "all" and one.precision is not None]
    if out.suffix.lower() not in SUFFIXES:
        raise AnomalyError(
            f"A figure is written as {', '.join(SUFFIXES)}, not as {out.suffix or 'a file without suffix'}."
        )
    if not told:
        raise AnomalyError("No finding has been labelled, so there is nothing to draw.")
    shares = np.array([100 * (one.precision or 0.0) for one in told])
    low, high = (100 * np.array([one.interval[side] for one in told]) for side in (0, 1))
    figure = Figure(figsize=(min(14.0, max(5.0, 0.7 * len(told) + 2)), 3.6), layout="constrained")
    axes = figure.subplots()
    places = np.arange(len(told))
    axes.errorbar(places, shares, [np.maximum(0, shares - low), np.maximum(0, high - shares)], fmt="o-",
                  color="#0b6e99", ecolor="#8ab8cc", elinewidth=3, capsize=0)  # fmt: skip
    box = {"facecolor": "white", "alpha": 0.7, "edgecolor": "none", "pad": 0.5}
    for place, one in enumerate(told):
        axes.annotate(f"{one.confirmed}/{one.labelled}", (place, shares[place]), (6, 6), textcoords="offset points",
                      fontsize=8, bbox=box)  # fmt: skip
    shown = places[:: max(1, len(told) // TICKS)]
    axes.set_xticks(shown, [told[place].start for place in shown], rotation=30, ha="right", fontsize=8)
    axes.set(ylim=(-3, 106), xlim=(-0.5, len(told) - 0.2), ylabel="confirmed among labelled, %")
    axes.set_title("How good the alarms were (95 % Wilson interval)", fontsize=10)
    axes.spines[["top", "right"]].set_visible(False)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(out, dpi=150)
    except OSError as error:
        raise AnomalyError(f"The figure cannot be written to {out}: {error.strerror or error}.") from error
    return out
