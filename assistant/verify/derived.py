"""What follows from facts alone, told as further facts: far edges, durations, gaps, shares, kinds of a group's members.

Knows facts and times; not sentences. A sentence may state any of these without an evidence line of its own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime

from assistant.evidence import Fact

Table = Mapping[str, Mapping[str, Fact]]  # subject -> field -> fact
_SIZES = (("left", "width", "right"), ("top", "height", "bottom"), ("start", "length", "end"))
_PLACE = re.compile(r"(?P<whole>.+)/(?:part )?(?:region|interval) \d+")


def derived(facts: Iterable[Fact]) -> list[Fact]:
    """Every fact that others of one result imply."""
    table: dict[str, dict[str, Fact]] = {}
    for fact in facts:
        table.setdefault(fact.subject, {})[fact.field] = fact
    return [fact for rule in _RULES for fact in rule(table)]


def to_moment(text: str) -> datetime | None:
    """The time that an ISO text names, without its zone."""
    if not re.match(r"\d{4}-\d{2}-\d{2}", text):
        return None
    try:
        return datetime.fromisoformat(text).replace(tzinfo=None)
    except ValueError:
        return None


def _edges(table: Table) -> Iterator[Fact]:
    for subject, fields in table.items():
        for low, size, high in _SIZES:
            if low in fields and size in fields and high not in fields:
                yield Fact(subject, high, _value(fields[low]) + _value(fields[size]), fields[low].unit)


def _times(table: Table) -> Iterator[Fact]:
    """Durations between a start and an end, also of a sample that is named by both."""
    for subject, fields in table.items():
        named = str(fields["sample"].value).split("..") if "sample" in fields else []
        if len(named) == 2 and "start_time" not in fields and all(to_moment(one) for one in named):
            yield Fact(subject, "start_time", named[0])
            yield Fact(subject, "end_time", named[1])
        times = named if len(named) == 2 else [str(fields[f].value) for f in ("start_time", "end_time") if f in fields]
        begin, end = (to_moment(one) for one in times) if len(times) == 2 else (None, None)
        if begin and end and "duration" not in fields:
            yield Fact(subject, "duration", (end - begin).total_seconds(), "s")


def _gaps(table: Table) -> Iterator[Fact]:
    """The time between the end of one interval and the start of the next, where a finding has two."""
    for whole, places in _places(table).items():
        if len(places) != 2:
            continue
        for first, last, unit in (("end_time", "start_time", "s"), ("end", "start", "stamps")):
            one, two = places[0].get(first), places[1].get(last)
            if one is None or two is None:
                continue
            a, b = to_moment(str(one.value)), to_moment(str(two.value))
            gap = (b - a).total_seconds() if a and b else (_value(two) - _value(one) if unit == "stamps" else -1.0)
            if gap > 0:
                yield Fact(whole, "gap", gap, unit)


def _lead(table: Table) -> Iterator[Fact]:
    """How far the best kind is ahead of the second."""
    for subject, fields in table.items():
        if "kind_confidence" in fields and "second_kind_fit" in fields:
            yield Fact(subject, "kind_lead", _value(fields["kind_confidence"]) - _value(fields["second_kind_fit"]), "%")


def _outside(table: Table) -> Iterator[Fact]:
    """The share of the score that no place holds."""
    for whole, places in _places(table).items():
        shares = [_value(place["share"]) for place in places if "share" in place]
        if shares and 0 < sum(shares) < 100:
            yield Fact(whole, "outside_share", 100 - sum(shares), "%")


def _best(table: Table) -> Iterator[Fact]:
    for fields in table.values():
        worst, lowest = fields.get("most_anomalous"), fields.get("lowest_p_value")
        if worst and lowest:
            yield Fact(str(worst.value), "p_value", lowest.value)


def _groups(table: Table) -> Iterator[Fact]:
    """What a group is, its members are."""
    for subject, fields in table.items():
        if "members" not in fields or "/" not in subject:
            continue
        names = str(fields["members"].value).split(", ")
        count = fields.get("findings")
        if count:
            yield Fact(subject, "members_count", count.value)
        for name in names:
            yield Fact(name, "group", subject.partition("/")[2])
            for field in ("kind", "place"):
                if field in fields and field not in table.get(name, {}):
                    yield Fact(name, field, fields[field].value)


def _changes(table: Table) -> Iterator[Fact]:
    """What the log says of a finding: its state before and after the latest change."""
    told: set[str] = set()
    for fields in table.values():
        about = str(fields["about"].value) if "about" in fields else ""
        if about and about not in told and "undone_by" not in fields:
            told.add(about)
            for field, name in (("after_state", "state"), ("label", "label"), ("before_state", "before_state")):
                if field in fields and name not in table.get(about, {}):
                    yield Fact(about, name, fields[field].value)


def _days(table: Table) -> Iterator[Fact]:
    """The day in the name of a period: "week of 2026-10-12"."""
    for subject in table:
        if match := re.fullmatch(r"(?:week of|day) (\d{4}-\d\d-\d\d)", subject):
            yield Fact(subject, "start_date", match[1])


def _unshown(table: Table) -> Iterator[Fact]:
    """How many findings a list leaves out."""
    for subject, fields in table.items():
        if "shown" in fields and "findings" in fields:
            yield Fact(subject, "unshown", _value(fields["findings"]) - _value(fields["shown"]))


def _waiting(table: Table) -> Iterator[Fact]:
    """Alarms that nobody has labelled."""
    for subject, fields in table.items():
        if "alarms" in fields and "labelled" in fields:
            yield Fact(subject, "unlabelled_alarms", _value(fields["alarms"]) - _value(fields["labelled"]))


def _flagged(table: Table) -> Iterator[Fact]:
    """Which share of a run's samples was flagged."""
    for subject, fields in table.items():
        whole = fields.get("samples")
        for count, share in (("findings", "flagged_share"), ("before_findings", "before_flagged_share"),
                             ("after_findings", "after_flagged_share")):  # fmt: skip
            if whole and _value(whole) and count in fields and share not in fields:
                yield Fact(subject, share, 100 * _value(fields[count]) / _value(whole), "%")


_RULES: tuple[Callable[[Table], Iterator[Fact]], ...] = (
    _edges, _times, _gaps, _outside, _lead, _best, _groups, _flagged, _changes, _waiting, _days, _unshown,
)  # fmt: skip


def _places(table: Table) -> dict[str, list[Mapping[str, Fact]]]:
    found: dict[str, list[Mapping[str, Fact]]] = {}
    for subject, fields in table.items():
        if match := _PLACE.fullmatch(subject):
            found.setdefault(match["whole"], []).append(fields)
    return found


def _value(fact: Fact) -> float:
    return float(fact.value) if isinstance(fact.value, int | float) else 0.0
