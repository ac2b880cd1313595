"""Numbers that are no facts but follow loosely: a bound that facts keep, odds, what a note or a name holds.

Knows scenes and facts, and asks the binder whose number it is.
"""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING

from assistant.verify.comparison import meets
from assistant.verify.facts import SECONDS, Known
from assistant.verify.owners import Scope
from assistant.verify.reading import Number

if TYPE_CHECKING:
    from assistant.verify.binding import Binder


class Loosely:
    """What follows loosely from the facts that one sentence cites."""

    def __init__(self, binder: Binder) -> None:
        self.binder = binder
        self.scene = binder.scene
        self.pool = binder.pool

    def holds(self, number: Number, scope: Scope) -> bool:
        """Whether a number that is no fact is a bound that facts keep, stands in a note, or gives odds."""
        return (
            self._between_times(number)
            or self._bounded(number, scope)
            or self._noted(number)
            or self._odds(number)
            or self._part_of_a_name(number)
        )

    def _between_times(self, number: Number) -> bool:
        """ "and zone 2 followed 17 minutes afterwards": between two onsets or starts of what is named."""
        ahead = re.search(r"\b(?:after|within)\s(?:only |just |about )?$", self.scene.text[: number.start], re.I)
        if number.unit not in SECONDS or (not ahead and not re.match(r"\s(?:later|afterwards|after that|earlier"
            r"|before that)\b",
                                                      self.scene.text[number.end :], re.I)):  # fmt: skip
            return False
        named = {name for m in (*self.scene.parts, *self.scene.bases) for name in m.names}
        times = [k.moment for k in self.pool.texts if k.moment and k.fact.field in ("onset_time", "start_time")
                 and (k.part in named or (not k.part and k.bases & named))]  # fmt: skip
        gaps = [abs((b - a).total_seconds()) / SECONDS[number.unit] for a, b in itertools.combinations(times, 2)]
        return any(number.agrees(gap) for gap in gaps)

    def _part_of_a_name(self, number: Number) -> bool:
        """ "week 40" of pump_week_40.parquet."""
        before = re.search(r"([A-Za-z]{3,})[\s#-]*$", self.scene.text[: number.start])
        if before is None or number.unit:
            return False
        spelled = rf"\b{re.escape(before[1].lower())}[\s#._-]*0*{re.escape(number.text)}\b"
        return any(re.search(spelled, one.haystack) for one in self.pool.read)

    def _bounded(self, number: Number, scope: Scope) -> bool:
        """ "below 0.001": true of a fact of the named field."""
        if not number.bound or number.kind in ("times", "fraction"):
            return False
        if scope.field is None and not number.unit:
            return False
        fitting = [
            k for k in self.pool.numbers
            if (scope.fits_field(k) if scope.field else self._spoken_of(k))
            and self.binder.fits_base(k, scope) and self.binder.fits_part(k, scope)
            and not self.binder.wrong_role(number, k) and k.level != "call"
            and not (number.unit and k.unit and number.unit != k.unit)
        ]  # fmt: skip
        named = [k for k in fitting if scope.parts and k.part in scope.parts]
        truths = [meets(number, k.number) for k in named or fitting if k.number is not None]
        if self.scene.has("none|neither|no one"):
            return bool(truths) and not any(truths)
        return bool(truths) and (all(truths) if self.scene.has("all|every|each|both") else any(truths))

    def _spoken_of(self, known: Known) -> bool:
        """Whether a word of a fact's field stands in the sentence: "named", "fit"."""
        text = self.scene.text.lower()
        covers = re.search(r"\b(?:covers?|makes? up|takes? up)\b", text) is not None
        if covers and known.fact.field in ("area_share", "named_size"):
            return True
        return known.unit != "" and any(
            len(word) > 2 and re.search(rf"\b{word}", text) for word in known.words - {"kind"}
        )

    def _noted(self, number: Number) -> bool:
        """Whether the number stands in a note of the evidence, beside a word that the sentence has too."""
        for match in re.finditer(rf"(?<![\w.]){re.escape(number.text.strip())}(?!\w|\.\d)", self.pool.notes, re.I):
            near = self.pool.notes[max(0, match.start() - 60) : match.end() + 60]
            words = set(re.findall(r"[a-z]{4,}", near.lower()))
            if words & set(re.findall(r"[a-z]{4,}", self.scene.text.lower())):
                return True
        return False

    def _odds(self, number: Number) -> bool:
        """ "1 in 2,500" for a p-value of 0.0004; "12 of 240" for a share."""
        numbers = self.scene.numbers
        i = numbers.index(number)
        for one, two in ((i, i + 1), (i - 1, i)):
            if one >= 0 and two < len(numbers):
                first, second = numbers[one], numbers[two]
                between = self.scene.text[first.end : second.start]
                if re.fullmatch(r"\s(?:in|out of|per)\s(?:a\s|every\s)?", between) and second.value > first.value > 0:
                    value = first.value / second.value
                    fair = Number(0, 1, "", value, 0.1 * value)
                    if first.bound:
                        sign = 1 if first.bound == ">" else -1
                        chances = [
                            (k.number or 0.0) / (100 if k.unit == "%" else 1) for k in self.pool.numbers
                            if ("value" in k.words and k.level == "finding") or ("flagged" in k.words and k.unit == "%")
                        ]  # fmt: skip
                        return any((p - value) * sign > 0 for p in chances)
                    return any(fair.agrees(k.number or 0.0) or (k.unit == "%" and fair.agrees((k.number or 0.0) / 100))
                               for k in self.pool.numbers if k.words & {"value", "alpha", "share"})  # fmt: skip
        return False
