"""What tools found and what answers claim: facts with ids, as text that a language model reads, and back.

Knows numbers, units and names; not detectors, the store, or any language model. Names that come from data stay
JSON-quoted wherever they could be mistaken for anything else.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from detectors.errors import AnomalyError

Value = float | int | str | bool | None
STATUSES = ("ok", "no_data", "error")


@dataclass(frozen=True)
class Fact:
    """One measured thing: `F12/region 1` . `left` = 34 px."""

    subject: str  # "R1" | "F12" | "F12/region 1" | "F12/channel cpu" | "sample part_003.png" | "store"
    field: str  # snake_case
    value: Value
    unit: str = ""  # "", "px", "%", "s", or the channel's own


@dataclass(frozen=True)
class ToolResult:
    """What a tool hands back before it is stored as evidence."""

    facts: list[Fact] = field(default_factory=list)
    note: str = ""
    status: str = "ok"
    pictures: list[str] = field(default_factory=list)  # paths relative to the store's root
    subjects: list[str] = field(default_factory=list)  # ids the result is about; () = read off the facts


@dataclass(frozen=True)
class Evidence:
    """A stored tool result: what an answer may cite as [E7]."""

    id: str
    tool: str
    arguments: dict[str, Any]
    status: str  # one of STATUSES
    facts: list[Fact] = field(default_factory=list)
    subjects: list[str] = field(default_factory=list)
    pictures: list[str] = field(default_factory=list)
    note: str = ""
    thread: str | None = None
    created: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return asdict(self)


@dataclass(frozen=True)
class Claim:
    """One sentence without its marks, the evidence it cites, the facts its numbers are, and, where dropped, why."""

    text: str
    evidence: tuple[str, ...] = ()
    reason: str = ""
    facts: tuple[str, ...] = ()  # "E7:F12.p_value"


@dataclass(frozen=True)
class Step:
    """One tool call on the way to an answer."""

    tool: str
    arguments: dict[str, Any]
    evidence: str | None
    seconds: float
    status: str


@dataclass(frozen=True)
class Usage:
    """What the language model's replies for one answer took, as far as its provider tells."""

    calls: int = 0
    read: int = 0  # tokens; 0 where they are not told
    written: int = 0
    cost: float | None = None  # in the provider's currency; None where it is not told


@dataclass(frozen=True)
class Answer:
    """What the reader gets: verified text, its claims, and how it came about."""

    text: str  # with [E7] marks at the end of each sentence that states facts
    claims: tuple[Claim, ...] = ()
    removed: tuple[Claim, ...] = ()  # claims that did not match their evidence, with the reason
    steps: tuple[Step, ...] = ()
    suggestions: tuple[str, ...] = ()
    model: str = ""
    seconds: float = 0.0
    thread: str = ""
    notices: tuple[str, ...] = ()
    usage: Usage = Usage()

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return asdict(self)

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Answer:
        """The answer that `to_dict` wrote down."""
        plain = dict(data)
        for key in ("claims", "removed"):
            plain[key] = tuple(
                Claim(**{**c, "evidence": tuple(c["evidence"]), "facts": tuple(c.get("facts", ()))})
                for c in plain.get(key, ())
            )
        plain["steps"] = tuple(Step(**s) for s in plain.get("steps", ()))
        for key in ("suggestions", "notices"):
            plain[key] = tuple(plain.get(key, ()))
        plain["usage"] = Usage(**plain.get("usage", {}))
        return cls(**plain)


# --- text ---------------------------------------------------------------------------------------------------------

_PLAIN_SUBJECT = re.compile(r"[\w][\w .,/()%:~+-]*")
_PLAIN_UNIT = re.compile(r"[^\s\"]{1,16}")
_HEAD = re.compile(r"\[(E\d+)\] (\w+)\((.*)\) (ok|no_data|error)")
_FIELD = re.compile(r"[a-z][a-z0-9_]*")
_ID = re.compile(r"[RFEI]\d+(?=/|$| vs )")
_JSON = json.JSONDecoder()


def format_number(value: float) -> str:
    """Four significant digits, integer part never cut, exponent only below 0.0001: 0.0004, 12.35, 12346, 1.2e-07."""
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else ("Infinity" if value > 0 else "-Infinity")
    if abs(value) >= 1000:
        return f"{value:.0f}" if abs(value) < 1e15 else f"{value:.3e}"
    return f"{value:.4g}"


def render(evidence: Evidence) -> str:
    """The text a language model reads: a head, one fact a line, the note last."""
    arguments = ", ".join(f"{key}={_json(value)}" for key, value in evidence.arguments.items())
    lines = [f"[{evidence.id}] {evidence.tool}({arguments}) {evidence.status}"]
    lines += [_fact_line(fact) for fact in evidence.facts]
    if evidence.note:
        lines.append(f"note: {_json(evidence.note)}")
    return "\n".join(lines)


def parse(text: str) -> Evidence:
    """Read back what `render` wrote (floats as rendered).

    Raises:
        AnomalyError: the text is not rendered evidence.
    """
    lines = text.strip("\n").split("\n")
    head = _HEAD.fullmatch(lines[0])
    if head is None:
        raise AnomalyError(f"not rendered evidence: {lines[0][:80]!r}; expected '[E7] tool(arguments) ok'")
    facts, note = [], ""
    for line in lines[1:]:
        if line.startswith("note: "):
            note = str(json.loads(line.removeprefix("note: ")))
        else:
            facts.append(_parse_fact(line))
    return Evidence(
        id=head[1],
        tool=head[2],
        arguments=_parse_arguments(head[3]),
        status=head[4],
        facts=facts,
        subjects=subjects_of(facts),
        note=note,
    )


def is_evidence(text: str) -> bool:
    """Whether `text` begins like rendered evidence."""
    return _HEAD.fullmatch(text.lstrip("\n").split("\n", 1)[0]) is not None


def subjects_of(facts: Iterable[Fact]) -> list[str]:
    """The ids (R1, F12, I3) that facts are about, in order of appearance."""
    return list(dict.fromkeys(found[0] for fact in facts if (found := _ID.match(fact.subject))))


def _json(value: Any) -> str:
    if isinstance(value, float):
        return format_number(value)
    return json.dumps(value, ensure_ascii=False, default=str)


def _fact_line(fact: Fact) -> str:
    plain = _PLAIN_SUBJECT.fullmatch(fact.subject) is not None and not fact.subject.startswith("note:")
    subject = fact.subject if plain else _json(fact.subject)
    unit = fact.unit if not fact.unit or _PLAIN_UNIT.fullmatch(fact.unit) else _json(fact.unit)
    return f"{subject}.{fact.field} = {_json(fact.value)}{' ' + unit if unit else ''}"


def _parse_fact(line: str) -> Fact:
    (subject, key), rest = _take_subject(line)
    try:
        value, end = _JSON.raw_decode(rest)
    except json.JSONDecodeError as error:
        raise AnomalyError(f"not a rendered fact: {line[:80]!r}") from error
    unit = rest[end:].strip()
    return Fact(subject, key, value, str(json.loads(unit)) if unit.startswith('"') else unit)


def _take_subject(line: str) -> tuple[tuple[str, str], str]:
    """Split a line into (subject, field) and what follows the equals sign."""
    if line.startswith('"'):
        name, end = _JSON.raw_decode(line)
        left, sign, right = line[end:].partition(" = ")
        subject, key = str(name), left.removeprefix(".")
    else:  # a plain subject holds no "=", so the first one ends the field, whatever the value holds
        left, sign, right = line.partition(" = ")
        subject, _, key = left.rpartition(".")
    if not (sign and subject and _FIELD.fullmatch(key)):
        raise AnomalyError(f"not a rendered fact: {line[:80]!r}")
    return (subject, key), right


def _parse_arguments(text: str) -> dict[str, Any]:
    arguments: dict[str, Any] = {}
    while text:
        name, _, text = text.partition("=")
        value, end = _JSON.raw_decode(text)
        arguments[name.strip()] = value
        text = text[end:].lstrip(", ")
    return arguments
