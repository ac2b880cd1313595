"""Reads off a sentence whose number each number is: of which finding or run, which part, and which field.

Knows scenes; not facts. "0.0004 for F12 and 0.02 for F13", "F12 and F13 have p-values 0.0004 and 0.02", "61 % of the
score lies in cpu".
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from assistant.verify.beside import field_of, group_of, listed, nearest_after, nearest_before
from assistant.verify.facts import Known
from assistant.verify.mentions import Mention
from assistant.verify.reading import Number
from assistant.verify.scene import Scene


@dataclass(frozen=True)
class Scope:
    """What a number is allowed to be about, by the words around it; None = the sentence does not say."""

    bases: frozenset[str] | None  # findings and samples
    runs: frozenset[str] | None
    parts: frozenset[str] | None
    field: Mention | None

    def fits_field(self, known: Known) -> bool:
        """Whether the fact is of the field that the sentence names."""
        return self.field is None or any(option <= known.words for option in self.field.options)


class Owners:
    """Whose the numbers of one sentence are."""

    def __init__(self, scene: Scene) -> None:
        self.scene = scene
        self.findings = [m for m in scene.bases if any(is_finding(name) for name in m.names)]
        rest = [m for m in scene.bases if m not in self.findings]
        self.runs = [m for m in rest if not all(re.fullmatch(r"C\d+", name) for name in m.names)]  # C1: a calibration

    def scope(self, number: Number) -> Scope:
        """Whom and what a number is about."""
        bases = self._owner(self.findings, number)
        if bases is None and self.scene.context and not self.findings:
            bases = self.scene.context
        return Scope(bases, self._owner(self.runs, number), self._part_owner(number), self._field(number))

    def _field(self, number: Number) -> Mention | None:
        """The field a number is said to be; "the score of F12: 62 % and 20 %" speaks of shares of it."""
        field = field_of(self.scene, number)
        if field and number.unit == "%" and re.search(r"[:(]", self.scene.text[field.end : number.start]):
            return replace(field, options=(*field.options, frozenset(["share"])))
        return field

    def _owner(self, mentions: list[Mention], number: Number) -> frozenset[str] | None:
        if not mentions:
            return None
        after, strict = self._attached(mentions, number)
        before = nearest_before(mentions, number.start)
        if after and strict:
            return after.names
        if before is None:
            first = nearest_after(mentions, number.end)
            return self._aligned(mentions, first, number) if first else None
        if len({mention.names for mention in mentions}) == 1 and self._other_side(number):
            return None
        owners = self._aligned(mentions, before, number) | self._in_turn(mentions, number)
        return owners | after.names if after else owners

    def _part_owner(self, number: Number) -> frozenset[str] | None:
        parts = self.scene.parts
        if not parts:
            return None
        after, _ = self._attached(parts, number)
        before = nearest_before(parts, number.start)
        if before and self._passed_on(before, number):
            before = None
        if after and before and not _same_sort(after, before):
            return after.names | before.names
        if after:
            return after.names
        if before is None or (len({part.names for part in parts}) == 1 and self._other_side(number)):
            return None
        return self._aligned(parts, before, number) | self._in_turn(parts, number)

    def _passed_on(self, part: Mention, number: Number) -> bool:
        """Whether the sentence went on to another finding between a part and a number: "cpu in F12, and F13 ..."."""
        nearest = nearest_before(self.findings, number.start)
        return nearest is not None and nearest.start > part.end and "," in self.scene.text[part.end : nearest.start]

    def _attached(self, mentions: list[Mention], number: Number) -> tuple[Mention | None, bool]:
        """The mention that a number is said to be for: "0.02 for F13", "8.2 (F12)", "61 % of the score lies in cpu"."""
        mention = nearest_after(mentions, number.end)
        if mention is None:
            return None, False
        between = self.scene.text[number.end : mention.start]
        if any(number.end <= other.start < mention.start for other in self.scene.numbers):
            return None, False
        if re.fullmatch(r"\s*\(\s*(?:for |in )?(?:the |channel |feature )?", between):
            return mention, True
        words = re.fullmatch(
            r"\s*\)?\s*(?:[\w%'°/-]+\s+){0,6}?(for|of|in|on|at|from|by|to|is|lies in)\s+"
            r"(?:(?:the|channel|feature|finding|sample|run|column|sensor)\s)*",
            between,
        )
        if words is None or re.search(r"\b(?:and|but|while|whereas|with|than|against)\b", between):
            return None, False
        return mention, words[1] == "for"

    def _aligned(self, mentions: list[Mention], member: Mention, number: Number) -> frozenset[str]:
        """ "F12 and F13 have p-values 0.0004 and 0.02": the first number is F12's, the second F13's."""
        group = group_of(self.scene, mentions, member)
        run = self.list_of(number)
        if len(group) > 1 and len(run) == len(group) and not self.scene.has("between|range|ranges|from"):
            return group[run.index(number)].names
        return frozenset(name for mention in group for name in mention.names)

    def _other_side(self, number: Number) -> bool:
        """ "F5 has the lower p-value (0.0046 vs. 0.0083)": the second number is that of something unnamed."""
        run = self.list_of(number)
        between = self.scene.text[run[0].end : run[-1].start]
        return (
            len(run) == 2
            and number is run[1]
            and re.search(r"\b(?:vs\.?|versus|against|compared)", between) is not None
        )

    def _in_turn(self, mentions: list[Mention], number: Number) -> frozenset[str]:
        """ "F12 has a lower p-value than F13 (0.0004 against 0.02)": as many numbers as names before them."""
        run = self.list_of(number)
        ahead = list(dict.fromkeys(mention.names for mention in mentions if mention.end <= run[0].start))
        if len(run) < 2 or len(ahead) != len(run):
            return frozenset()
        return ahead[run.index(number)]

    def list_of(self, number: Number) -> list[Number]:
        """The neighbouring numbers that form one list with this one."""
        numbers = self.scene.numbers
        low = high = numbers.index(number)
        while low > 0 and self._one_list(numbers[low - 1], numbers[low]):
            low -= 1
        while high + 1 < len(numbers) and self._one_list(numbers[high], numbers[high + 1]):
            high += 1
        return numbers[low : high + 1]

    def _one_list(self, first: Number, second: Number) -> bool:
        return listed(self.scene, first, second) and not any(
            first.end <= m.start < second.start for m in (*self.scene.fields, *self.scene.bases, *self.scene.parts)
        )


def is_finding(name: str) -> bool:
    """Whether an id or name means a finding or a sample."""
    return name.startswith("sample ") or re.fullmatch(r"F\d+", name) is not None


def _same_sort(one: Mention, two: Mention) -> bool:
    spots = {"region", "interval", "place"}
    return (one.kind in spots) == (two.kind in spots)
