"""Which facts of one finding a question asks for, found by taking the question apart rather than by likeness.

Turns a reading into the aspects that it names ("by how much" -> reading, "which corner" -> place) and the words that
nothing explains. The patterns are data (`prompts/narrator/aspects.yaml`); knows words, not findings, tools or evidence.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

import yaml

from assistant.llm.understand import Reading

_HIGH = re.compile(
    r"\b(?:high|higher|hot|hotter|warm|warmer|bright|brighter|light|lighter|above|over|up|rise|rises|rose|rising|risen|"
    r"climb\w*|increas\w+|jump\w*|spik\w+|surg\w+|soar\w*|more than|greater|larger|faster|stronger|too much|excess)\b"
)
_LOW = re.compile(
    r"\b(?:low|lower|cold|colder|cool|cooler|dark|darker|below|under|down|fall|falls|fell|falling|fallen|drop\w*|sink|"
    r"sinks|sank|sinking|decreas\w+|dip\w*|plung\w+|crash\w*|less than|smaller|slower|weaker|too little|shortfall)\b"
)
_OR = re.compile(r"\bor\b|\bwhich\b|\bwhat (?:way|direction)\b|\bhow\b|\bwhether\b")


@dataclass(frozen=True)
class Asked:
    """What a question asks of one finding."""

    aspects: tuple[str, ...]  # in the order in which they are answered
    unexplained: tuple[str, ...]  # words that are neither part of an aspect nor filler

    @property
    def whole(self) -> bool:
        """Whether the question is explained to its last word."""
        return bool(self.aspects) and not self.unexplained


def asked_of_one(reading: Reading, names: tuple[str, ...] = ()) -> Asked:
    """The aspects of a question; words of `names` (channels and features) need no explanation."""
    text, found = " ".join(reading.words), []
    left = text
    for name, pattern in _patterns().items():
        if pattern.search(text):
            found.append(name)
            left = pattern.sub(" ", left)
    known = _filler() | {word for name in names for word in re.findall(r"[a-z0-9]+", name.lower())}
    rest = [word for word in re.findall(r"[a-z][a-z0-9'-]*", left) if word not in known]
    return Asked(tuple(found), tuple(rest))


def direction_claimed(words: str) -> int:
    """1 where a text takes a value for too high, -1 for too low, 0 where it claims neither or asks which."""
    high, low = bool(_HIGH.search(words)), bool(_LOW.search(words))
    return 0 if high == low or (_OR.search(words) and not words.startswith("why")) else (1 if high else -1)


@cache
def _patterns() -> dict[str, re.Pattern[str]]:
    return {
        name: re.compile(r"\b(?:" + "|".join(f"(?:{one})" for one in ways) + r")\b")
        for name, ways in _data()["aspects"].items()
    }


@cache
def _filler() -> frozenset[str]:
    return frozenset(str(_data()["filler"]).split())


@cache
def _data() -> dict[str, Any]:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    text = (resources.files("prompts") / "narrator" / "aspects.yaml").read_text(encoding="utf-8")
    return dict(yaml.load(text, Loader=loader))  # noqa: S506 - a safe loader either way
