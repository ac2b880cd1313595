"""What findings can be filtered, sorted and found by, as SQL. Knows columns and indices; not transactions."""

from __future__ import annotations

import re
from typing import Any

from sqlalchemy import ColumnElement, and_, not_, or_, select

from assistant.records import ORDERS, STATE_OF, STATES
from assistant.store.database import StoreError
from assistant.store.rows import id_number, now
from assistant.store.schema import FindingRow, IgnoredRow, RuleRow, RunRow, TagRow

SAME_WORDS, SAME_NUMBERS, UNLIKE = 3, 4, 5
COMMON_WORDS = {"the", "row", "sample", "image", "picture", "number", "no", "file", "nr"}  # say nothing about which


def contains(column: Any, text: str) -> ColumnElement[bool]:
    """Whether a text column holds `text`, whatever its case; % and _ are themselves."""
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return column.ilike(f"%{escaped}%", escape="\\")


def _tagged(kind: str, names: str | list[str]) -> ColumnElement[bool]:
    keys = [name.casefold() for name in ([names] if isinstance(names, str) else names)]
    inner = select(TagRow.finding_id).where(TagRow.kind == kind, TagRow.key.in_(keys))
    return FindingRow.id.in_(inner)


def _in_state(state: str) -> ColumnElement[bool]:
    if state not in STATES:
        raise StoreError(f"the state {state!r} is unknown; known: {', '.join(STATES)}")
    return FindingRow.incident_id.is_not(None) if state == "in incident" else FindingRow.state == state


def _searched(text: str) -> ColumnElement[bool]:
    """Text in the sample's name or the note; an id finds its finding as well."""
    named = or_(contains(FindingRow.sample, text), contains(FindingRow.note, text))
    identity = re.fullmatch(r"\s*[Ff](\d{1,15})\s*", text)
    return or_(named, FindingRow.id == int(identity[1])) if identity else named


def in_force() -> tuple[ColumnElement[bool], ...]:
    """What a rule in force fulfils now."""
    return RuleRow.removed.is_(None), RuleRow.expires > now()


def covering() -> tuple[ColumnElement[bool], ...]:
    """What a rule in force and the finding that it covers fulfil now: what people confirmed is never ignored."""
    return (*in_force(), FindingRow.state != STATE_OF["anomaly"])


def ignored_now(yes: bool) -> ColumnElement[bool]:
    """Findings that a rule in force covers, or those that none does."""
    query = select(IgnoredRow.finding_id).join(RuleRow, RuleRow.id == IgnoredRow.rule_id).where(*in_force())
    covered = and_(FindingRow.id.in_(query), FindingRow.state != STATE_OF["anomaly"])
    return covered if yes else not_(covered)


FILTERS: dict[str, Any] = {
    "ignored": ignored_now,
    "state": _in_state,
    "kind": lambda kind: FindingRow.kind == kind,
    "not_state": lambda state: FindingRow.state != state,
    "label": lambda label: FindingRow.label == label,
    "model": lambda model: FindingRow.run_id.in_(select(RunRow.id).where(RunRow.model == model)),
    "part": lambda name: _tagged("part", name),
    "position": lambda name: _tagged("position", name),
    "search": _searched,
    "min_p": lambda p: FindingRow.p_value >= p,
    "max_p": lambda p: FindingRow.p_value <= p,
    "max_index": lambda index: FindingRow.index <= index,
    "min_score": lambda score: FindingRow.score >= score,
    "since": lambda time: FindingRow.time >= time,
    "until": lambda time: FindingRow.time <= time,
    "incident": lambda name: FindingRow.incident_id == id_number("I", name),
    "modality": lambda name: FindingRow.modality == name,
    "sample": lambda name: FindingRow.sample == name,
    "ids": lambda names: FindingRow.id.in_([id_number("F", name) for name in names]),
}


def condition(name: str, value: Any) -> ColumnElement[bool]:
    """One filter as SQL.

    Raises:
        StoreError: no such filter.
    """
    if name not in FILTERS:
        raise StoreError(f"findings cannot be filtered by {name!r}; known: {', '.join(FILTERS)}")
    return FILTERS[name](value)


def ordering(order: str, descending: bool) -> list[ColumnElement[Any]]:
    """The sort; descending is the exact reverse, so that one index serves both ways.

    Raises:
        StoreError: no such order.
    """
    columns: dict[str, list[Any]] = {
        "p_value": [(FindingRow.p_value, False), (FindingRow.score, True), (FindingRow.id, False)],
        "score": [(FindingRow.score, False), (FindingRow.id, False)],
        "index": [(FindingRow.run_id, False), (FindingRow.index, False), (FindingRow.id, False)],
        "created": [(FindingRow.id, False)],
        "time": [(FindingRow.time, False), (FindingRow.id, False)],
        "state": [(FindingRow.state, False), (FindingRow.p_value, False), (FindingRow.id, False)],
        "kind": [(FindingRow.kind, False), (FindingRow.p_value, False), (FindingRow.id, False)],
    }
    if order not in columns:
        raise StoreError(f"order {order!r} is unknown; known: {', '.join(ORDERS)}")
    return [column.desc() if down != descending else column.asc() for column, down in columns[order]]


def likeness(wanted: str, name: str) -> int:
    """0 the same, 1 but for case, 2 but for folder and suffix, 3 the same words and numbers, 4 numbers, 5 unlike."""
    if wanted == name:
        return 0
    low, other = wanted.casefold(), name.casefold()
    stem = other.rsplit("/", 1)[-1]
    if low == other:
        return 1
    if low in {stem, stem.rsplit(".", 1)[0], other.rsplit(".", 1)[0]}:
        return 2
    tokens, others = _tokens(low) - COMMON_WORDS, _tokens(other)
    if tokens and tokens <= others:
        return SAME_WORDS
    numbers = {token for token in tokens if token.isdigit()}
    return SAME_NUMBERS if numbers and numbers == {token for token in others if token.isdigit()} else UNLIKE


def telling_piece(wanted: str) -> str:
    """The piece of a wanted name that every like name holds: its last number, else all of it."""
    numbers = re.findall(r"\d+", wanted)
    return (numbers[-1].lstrip("0") or "0") if numbers else wanted


def _tokens(text: str) -> set[str]:
    return {token.lstrip("0") or "0" if token.isdigit() else token for token in re.findall(r"[^\W\d_]+|\d+", text)}
