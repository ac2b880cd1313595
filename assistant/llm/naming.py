"""Finds in a question the names that the data use: a channel or feature, also misspelt, and a place in a picture.

Knows spelling; not the conversation, tools or evidence.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from assistant.llm.spelling import distance
from assistant.llm.understand import Reading, fold

_SIDES = {"upper": "upper", "top": "upper", "lower": "lower", "bottom": "lower", "left": "left", "right": "right",
          "centre": "centre", "center": "centre", "middle": "centre", "central": "centre"}  # fmt: skip


_RANK = re.compile(  # "the top three" ranks, it does not place
    r"\b(?:top|bottom) (?=\d|(?:two|three|four|five|six|seven|eight|nine|ten|xcount|few|one|ones|hits?|findings?|"
    r"anomal\w+|offenders?|suspects?|picks?|cases?|alarms?|events?|priorit\w+|of the (?:list|heap|pile))\b)"
    r"|\b(?:worst|strangest|oddest|gravest|biggest|lowest|highest|newest|oldest|latest) (?:ones? )?"
    r"(?:at|on) (?:the )?top\b"
)


_NO_SIDE = re.compile(  # "you are right", "what is left", "right before it"
    r"\b(?:is|are|am|was|were|that|not|be) (?:you )?(?:right|left)\b"
    r"(?! (?:corner|side|edge|half|hand|part|of|in|at))(?= (?:to|about|over|for|\w+ing\b|now)|\W*$|$)"
    r"|\b(?:you|we|they) are right\b|, right\b|\bright (?:before|after|now|away|next|there|beside)\b"
    r"|\bleft (?:to (?!right\b)|over|open|out|undone|unreviewed)\b"
    r"|\b(?:anything|what|something|nothing|how many) (?:is |are )?left\b"
)


def position_in(text: str) -> str | None:
    """A place inside a picture as the facts spell it: "top left corner" -> "upper left"."""
    found = [_SIDES[word] for word in re.findall(r"[a-z]+", _NO_SIDE.sub("", _RANK.sub("", text))) if word in _SIDES]
    vertical = next((word for word in found if word in ("upper", "lower")), "")
    level = next((word for word in found if word in ("left", "right")), "")
    if "centre" in found and not (vertical and level):
        return f"{vertical} centre".strip() if vertical else (f"centre {level}".strip())
    return f"{vertical} {level}".strip() or None


def match_name(reading: Reading, names: Sequence[str]) -> str | None:
    """The name that the question contains: exactly, else with slight misspelling; the longest wins."""
    text = f" {re.sub(r'[_-]', ' ', reading.plain)} "
    raw = f" {re.sub(r'[_-]', ' ', fold(reading.text))} "
    folded = sorted(((re.sub(r"[_-]", " ", fold(name)), name) for name in names), key=lambda item: -len(item[0]))
    for spelled, name in folded:
        if re.search(rf"(?<!\w){re.escape(spelled)}(?!\w)", raw) or re.search(
            rf"(?<!\w){re.escape(spelled)}(?!\w)", text
        ):
            return name
    typed = [*(fold(name) for name in (*reading.mentions.quoted, *reading.mentions.channels))]
    for spelled, name in folded:
        if any(spelled == one or spelled.endswith(f" {one}") for one in typed):
            return name
    words = re.findall(r"[a-z0-9]+", raw)
    for spelled, name in folded:
        length = len(spelled.split())
        chunks = [" ".join(words[i : i + length]) for i in range(len(words) - length + 1)]
        if len(spelled) >= 4 and any(distance(chunk, spelled) <= (1 if len(spelled) < 7 else 2) for chunk in chunks):
            return name
    for spelled, name in folded:  # a part of a longer name: "oil" of "oil pressure"
        own = [word for word in spelled.split() if len(word) > 2]
        rivals = [other for other, _ in folded if other != spelled]
        if any(word in words and not any(word in rival.split() for rival in rivals) for word in own):
            return name
    return None


_HALF = re.compile(
    r"\b(upper|lower|top|bottom)\b|\b(?:on|at|to|towards) the (left|right)\b|\b(left|right)[- ](?:hand|side|half|"
    r"edge|part)\b"
)


def sides(text: str) -> set[str]:
    """The halves that a text names where it names no corner: "at the bottom, left or right" -> lower."""
    text = _NO_SIDE.sub("", _RANK.sub("", text))
    if " " in (position_in(text) or "") and not {"left", "right"} <= set(re.findall(r"[a-z]+", text)):
        return set()
    found = {_SIDES[word] for groups in _HALF.findall(text) for word in groups if word in _SIDES}
    if {"left", "right"} <= found:
        found -= {"left", "right"}
    if {"upper", "lower"} <= found:
        found -= {"upper", "lower"}
    return found if len(found) == 1 and "centre" not in found else set()
