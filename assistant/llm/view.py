"""One finding as its evidence shows it: its own facts, its places, and the channels or features that carry the score.

Knows the shape of facts; not tools or wording.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from assistant.evidence import Evidence, Fact


@dataclass
class Piece:
    """A region, an interval, a channel or a feature."""

    kind: str  # "region", "interval", "channel", "feature"
    name: str  # "region 1", "interval 1", "cpu"
    facts: dict[str, Fact] = field(default_factory=dict)

    def __getitem__(self, key: str) -> Fact | None:
        return self.facts.get(key)

    @property
    def share(self) -> float:
        """Share of the score in percent, 0 where it is not known."""
        return number(self["share"]) or 0.0


class View:
    """The facts of one finding in some evidence."""

    def __init__(self, evidence: Evidence, name: str):
        self.name = name
        self.facts: dict[str, Fact] = {}
        pieces: dict[str, Piece] = {}
        for fact in evidence.facts:
            if fact.subject == name:
                self.facts[fact.field] = fact
            elif fact.subject.startswith(f"{name}/"):
                rest = fact.subject.removeprefix(f"{name}/")
                kind, _, tail = rest.partition(" ")
                label = rest if kind in ("region", "interval") else tail
                pieces.setdefault(rest, Piece(kind, label)).facts[fact.field] = fact
        self.places = [piece for piece in pieces.values() if piece.kind in ("region", "interval")]
        self.parts = [piece for piece in pieces.values() if piece.kind in ("channel", "feature", "part")]

    def __getitem__(self, key: str) -> Fact | None:
        return self.facts.get(key)

    @property
    def modality(self) -> str:
        """image, series or table: as told, else by what is there."""
        told = self["modality"]
        if told is not None:
            return str(told.value)
        if any(piece.kind == "region" for piece in self.places):
            return "image"
        return "series" if self.places else "table"

    @property
    def region(self) -> Piece | None:
        """The first suspicious region of an image."""
        return next((piece for piece in self.places if piece.kind == "region"), None)

    @property
    def interval(self) -> Piece | None:
        """The first interval of a series."""
        return next((piece for piece in self.places if piece.kind == "interval"), None)

    def part(self, name: str | None) -> Piece | None:
        """A channel or feature by name."""
        return next((piece for piece in self.parts if piece.name == name), None)

    @property
    def first(self) -> Piece | None:
        """What carries most of the score."""
        return next(iter(self.carriers()), None)

    def carriers(self) -> list[Piece]:
        """What carries the score, most guilty first: regions of an image, else channels or features."""
        pieces = self.parts or [piece for piece in self.places if piece.kind == "region"]
        return sorted(pieces, key=lambda piece: -piece.share)


def number(fact: Fact | None) -> float | None:
    """A fact's number, None where it has none."""
    if fact is None or isinstance(fact.value, bool) or not isinstance(fact.value, int | float):
        return None
    return float(fact.value)


def begins(view: View) -> str:
    """When an event begins, in ISO form; "" where that is not known."""
    fact = view.interval["start_time"] if view.interval is not None else None
    return str(fact.value) if fact is not None else ""


def lasts(view: View) -> float:
    """How many seconds an event lasts; 0 where that is not known."""
    sample = view["sample"]
    ends = str(sample.value).split("..") if sample is not None else []
    try:
        start, end = (datetime.fromisoformat(one) for one in ends)
    except ValueError:
        return 0.0
    return (end - start).total_seconds()
