"""Tells which things a sentence speaks of, and the facts of a thing by which it may be compared.

A thing is a finding, a run, a place, a channel, a kind: whatever facts have as their subject. Knows scenes and facts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from assistant.verify.beside import group_of
from assistant.verify.facts import Known, Pool
from assistant.verify.mentions import Mention
from assistant.verify.qualities import GENERIC, Quality
from assistant.verify.scene import Scene

Measure = tuple[frozenset[str], bool, bool]  # words of the field, exactly these?, is more of it more of the quality?
TOGETHER = r"together|between them|combined|in total|altogether|in all|sum|jointly|add up|in sum"
_PLACES = ("region", "interval", "place")


class Things:
    """The things of one sentence."""

    def __init__(self, scene: Scene, pool: Pool) -> None:
        self.scene = scene
        self.pool = pool
        self.all = sorted([*scene.parts, *scene.bases], key=lambda one: (one.start, one.end))

    def before(self, position: int, since: int = 0, like: Mention | None = None) -> Mention | None:
        """The thing named last before a position; of the sort of another, where one is given."""
        found = [
            one for one in self.all if since <= one.start and one.end <= position and (not like or alike(one, like))
        ]
        return found[-1] if found else None

    def first(self, position: int) -> Mention | None:
        """What a sentence is about: the thing named first, where it is named before a position."""
        return self.all[0] if self.all and self.all[0].end <= position else None

    def after(self, position: int, until: int) -> Mention | None:
        """The thing named first after a position."""
        return next((one for one in self.all if position <= one.start < until), None)

    def together(self, one: Mention) -> list[Mention]:
        """A thing with those it is listed with: "F3, F4 and F5"."""
        return group_of(self.scene, self.scene.parts if one in self.scene.parts else self.scene.bases, one)

    def context(self) -> Mention | None:
        """The finding that the sentence before spoke of."""
        if self.scene.context:
            return Mention(0, 0, self.scene.context)
        findings = {base for base in self.pool.bases() if base[0] == "F"}
        return Mention(0, 0, frozenset(findings)) if len(findings) == 1 else None

    def other(self, one: Mention, measures: Iterable[Measure]) -> Mention | None:
        """The one thing of the same sort beside it, where the facts hold exactly two."""
        for measure in measures:
            mine = self.facts(one, measure)
            peers = {_key(k): k for k in self.peers(mine[0], measure)} if mine else {}
            if mine and len(peers) < 2 and mine[0].part:
                peers = {_key(k): k for k in self.pool.known if fits(k, measure) and k.part == mine[0].part
                         and size(k) is not None}  # fmt: skip
            rest = [k for key, k in peers.items() if key not in {_key(k) for k in mine}]
            if len(rest) == 1 and mine[0].part == rest[0].part and mine[0].bases != rest[0].bases:
                return Mention(0, 0, rest[0].bases)
            if len(rest) == 1:
                return Mention(0, 0, frozenset([rest[0].part]) if rest[0].part else rest[0].bases, rest[0].kind)
        return None

    def peers(self, known: Known, measure: Measure, whole: bool = False) -> list[Known]:
        """The same fact of everything of the same sort: all places of a finding, all findings listed."""
        return [
            k for k in self.pool.known
            if fits(k, measure) and size(k) is not None and k.kind == known.kind and bool(k.part) == bool(known.part)
            and k.level == known.level and k.words == known.words
            and (not known.part or k.bases == known.bases or (whole and k.part == known.part))
            and len(k.bases) == len(known.bases)
        ]  # fmt: skip

    def facts(self, thing: Mention, measure: Measure) -> list[Known]:
        """The facts of a thing that a measure speaks of; a finding's places stand in where it has none of its own."""
        fitting = [k for k in self.pool.known if fits(k, measure) and size(k) is not None]
        if any(re.match(r"[RFI]\d+$|sample ", name) for name in thing.names) or thing in self.scene.bases:
            own = [k for k in fitting if k.bases & thing.names]
            whole = [k for k in own if not k.part]
            places = [k for k in own if k.kind in _PLACES]
            return whole or [k for k in places if k.part == places[0].part] or (own if len(own) == 1 else [])
        owners = {n for m in self.scene.bases for n in m.names if n[0] in "Fs"} or set(self.scene.context)
        own = [k for k in fitting if k.part in thing.names] or [
            k for k in fitting if any(k.part.startswith(f"{name} ") for name in thing.names)
        ]
        own = [k for k in own if k.bases & owners] or own
        if len(thing.names) > 1 and len(own) > 1 and self.scene.has(TOGETHER):
            return [replace(own[0], number=sum(size(k) or 0.0 for k in own), part=" and ".join(sorted(thing.names)))]
        return own


def measures_of(quality: Quality, noun: Mention | None) -> list[Measure]:
    """What a word of comparison measures by: the field named beside a general word, else the word's own fields."""
    if noun is not None and (quality.word in GENERIC or noun.kind == "verb"):
        exact = [(option, True, True) for option in noun.options]
        return [*exact, *((option, False, True) for option in noun.options)]
    return [(frozenset(name.split("_")), True, up) for name, up in quality.fields]


def fits(known: Known, measure: Measure) -> bool:
    """Whether a fact is of the measured field."""
    words, exactly, _ = measure
    return known.words == words if exactly else words <= known.words


def size(known: Known) -> float | None:
    """A fact as a number that can be ordered; times count too."""
    return known.number if known.number is not None else known.moment.timestamp() if known.moment else None


def alike(one: Mention, two: Mention) -> bool:
    """Whether two mentions name things of one sort."""
    sorts = ["place" if m.kind in _PLACES else "part" if m.kind else "whole" for m in (one, two)]
    return sorts[0] == sorts[1]


def ratio_base(known: Known) -> Known:
    """What a ratio to normal is compared with: 1."""
    return replace(known, number=1.0)


def _key(known: Known) -> tuple[frozenset[str], str]:
    return known.bases, known.part
