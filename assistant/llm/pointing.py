"""Which place or part of a finding is meant: by number, by position, by size, by name, or as what was spoken of last.

Turns a question's words and the conversation's memory into the name of a region, channel or feature. Knows how people
point ("the smaller one", "the other sensor", "that"); not tools, wording or LangChain.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from assistant.llm.naming import match_name, position_in
from assistant.llm.understand import Reading

_THE = r"\b(?:the|that|this|only|just|its)\s+(?:two\s+)?"
_SMALL = re.compile(_THE + r"(?:small\w*|tiny|minor|lesser|little|weak\w*|faint\w*)\b")
_LARGE = re.compile(_THE + r"(?:big\w*|larg\w*|major|main|strong\w*|worst|worse)\b")
_OTHER = re.compile(
    r"\bother way a?round\b|\bvice versa\b|\bthe reverse\b|\bconversely\b|"
    r"\b(?:other|second|remaining) (?:spot|mark|region|one|area|place|scratch|stain|blob|defect)\b"
)
_OTHER_PART = re.compile(r"\bother\b")
_THAT_PART = re.compile(
    r"\b(?:that|this|same|the|its) (?:channel|sensor|feature|column|field|gauge|signal|value|reading)\b|\bthe unit\b"
)
_CHANGED_IT = re.compile(  # "it" is what is changed, not the finding: "had it been normal", "leave it out"
    r"\b(?:had|if) (?:it|that|this) (?:was|were|had|been|is|read)\b|\b(?:it|that|this) out\b"
    r"|\b(?:repair|fix|correct|drop|remove|ignore|disregard|without|exclude|leave|take|set|replace|put|skip|use|using)"
    r"(?:e?d|ing)? (?:it|that|this)\b"
)
_THAT_ONE = re.compile(r"\b(?:only|just) (?:that|this)(?: one)?\b|\b(?:that|same) (?:spot|mark|region|area|place)\b")
_ALL = re.compile(r"\b(?:both|all|everything|whole|entire|each)\b")


def points_at_region(reading: Reading) -> bool:
    """Whether a question may point at one region among several."""
    seen, words = reading.mentions, reading.plain
    named = bool(seen.regions or seen.region_places or position_in(words))
    return named or any(pattern.search(words) for pattern in (_SMALL, _LARGE, _OTHER, _THAT_ONE))


def region_meant(
    reading: Reading,
    regions: Sequence[tuple[str, str]],
    areas: Mapping[str, float],
    tried: str | None,
) -> str | None:
    """The region that a question points at, None for the whole.

    Args:
        reading: the question.
        regions: (name, position) of the finding's regions, the most important first.
        areas: region -> area, as far as known.
        tried: the region that was spoken of last.
    """
    seen, words = reading.mentions, reading.plain
    number = int(re.sub(r"\D", "", seen.regions[0])) if seen.regions else (seen.region_places or [0])[0]
    if number > 0:
        return next((name for name, _ in regions if name.endswith(f" {number}")), f"region {number}")
    if number < 0 and regions:
        return regions[-1][0]
    if (position := position_in(words)) and (at := next((name for name, at in regions if at == position), None)):
        return at
    if len(regions) < 2 or _ALL.search(words):
        return None
    if tried and _THAT_ONE.search(words):
        return tried
    if areas and _SMALL.search(words):
        return min(areas, key=lambda name: areas[name])
    if areas and _LARGE.search(words):
        return max(areas, key=lambda name: areas[name])
    if _OTHER.search(words):
        return next(name for name, _ in regions if name != (tried or regions[0][0]))
    return None


def part_meant(reading: Reading, names: Sequence[str], spoken: str | None) -> str | None:
    """The channel or feature that a question points at, None where it points at none.

    Args:
        reading: the question.
        names: channels or features of the finding, the guiltiest first.
        spoken: the one that was spoken of last.
    """
    words, places = reading.plain, reading.mentions.channel_places
    if spoken in names and _THAT_PART.search(words):  # "the usual amount for that field" names no other field
        return spoken
    if found := match_name(reading, names):
        return found
    if places and names and abs(places[0]) <= len(names):
        return names[places[0] - 1 if places[0] > 0 else places[0]]
    if _OTHER_PART.search(words) and len(names) > 1:
        return next(name for name in names if name != (spoken or names[0]))
    if _ALL.search(words) or not (_THAT_PART.search(words) or _CHANGED_IT.search(words)):
        return None
    if spoken in names:
        return spoken
    return names[0] if names and _THAT_PART.search(words) else None  # the guiltiest was named last
