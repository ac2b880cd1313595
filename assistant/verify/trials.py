"""Checks counts of trials: how many members flag a finding, how many repairs of random places changed it.

Knows scenes and facts.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from assistant.verify.clauses import clause_at
from assistant.verify.comparison import meets
from assistant.verify.facts import Pool
from assistant.verify.lexicon import NUMBER_WORDS
from assistant.verify.reading import Number
from assistant.verify.scene import Scene

_COUNT = rf"(?:\d[\d,]*|{NUMBER_WORDS})"
_MANY = rf"(?:{_COUNT}|both|all|none|neither|half|a (?:third|quarter|fifth))"
_MEMBER = r"(?:members?|methods?|models?|detectors?|repeats?|seeds?|runs?)"
_TRIALS: tuple[tuple[re.Pattern[str], str, str], ...] = (
    (re.compile(rf"\b{_MANY}(?: (?:out )?of (?:the |its |these )?(?:{_COUNT})?)? ?(?:of )?(?:the )?{_MEMBER} (?:\w+ )?"
                r"(?:flag\w*|agree\w*|call|reject|find)|(?<=by )\w+ (?:out )?of (?:the |its )?(?:\w+ )?" + _MEMBER
                + r"|\b\w+ of (?:them|these) (?:flag\w* )?(?=F\d)", re.I), "runs_flagging", "runs_asked"),
    (re.compile(rf"\b{_MANY} (?:out )?of (?:the |its |these )?(?:\w+ )?(?:(?:random|other) \w+"
        rf"|places (?:of equal size )?"
                r"elsewhere)(?! (?:left|stayed|did|were not|fail))", re.I), "random_returns", "random_places"),
    (re.compile(rf"\b(?:random|elsewhere)\b[^.;]{{0,30}}?,\s(?P<at>{_MANY} of (?:the )?{_COUNT})\b", re.I),
     "random_returns", "random_places"),
)  # fmt: skip


class Trials:
    """The counts of trials of one sentence."""

    def __init__(self, scene: Scene, pool: Pool) -> None:
        self.scene = scene
        self.pool = pool

    def problem(self, number: Number) -> str | None:
        """ "two of the three members flag it", "none of the eight random places": of trials that were made."""
        text = self.scene.text
        for pattern, hits, asked in _TRIALS:
            match = next((m for m in pattern.finditer(text) if _at(m) == number.start), None)
            owners = self._owners(number)
            facts = {name: [k for k in self.pool.numbers if k.fact.field == name and (not owners or k.bases & owners)]
                     for name in (hits, asked)}  # fmt: skip
            if match is None or len({k.number for k in facts[hits]}) != 1 or not facts[asked]:
                continue
            hit, whole = facts[hits][0], facts[asked][0]
            truth = hit.number or 0.0
            if number.kind == "fraction" and whole.number:
                truth /= whole.number
            return "" if meets(number, truth) else f"'{number.text}' is not right: {hit}, of {whole.number:g}"
        return None

    def problems(self) -> Iterator[str]:
        """ "Both members flag it", "all of the random places": trials that are counted in words."""
        text = self.scene.text
        for pattern, hits, asked in _TRIALS:
            for match in pattern.finditer(text):
                word = match[0].split()[0].lower()
                if word not in ("both", "all", "none", "neither"):
                    continue
                stand_in = Number(match.start(), match.start() + len(word), word, 0.0, 1.0, kind="word")
                owners = self._owners(stand_in)
                mine = [k for k in self.pool.numbers if not owners or k.bases & owners]
                facts = [next((k for k in mine if k.fact.field == name), None) for name in (hits, asked)]
                if facts[0] is None or facts[1] is None:
                    continue
                wanted = 0.0 if word in ("none", "neither") else facts[1].number
                if facts[0].number != wanted:
                    yield f"'{word}' is not right: {facts[0]}, of {facts[1].number:g}"

    def _owners(self, number: Number) -> frozenset[str]:
        """The finding that a trial is said of: named after the number in its clause, else before it."""
        end = clause_at(self.scene.text, number.end)[1]
        bases = [m for m in self.scene.bases if any(n[0] == "F" for n in m.names)]
        behind = [m for m in bases if number.end <= m.start < end]
        chosen = behind[:1] or [m for m in bases if m.end <= number.start][-1:]
        return chosen[0].names if chosen else self.scene.context


def _at(match: re.Match[str]) -> int:
    return match.start("at") if "at" in match.groupdict() else match.start()
