"""Tells what stands beside what in a sentence: the field and the role of a number, lists, neighbours, counted things.

Knows scenes; not facts.
"""

from __future__ import annotations

import re

from assistant.verify.lexicon import BREAK, CONNECT, LEADS_ONLY, NUMBER_WORDS
from assistant.verify.mentions import Mention
from assistant.verify.reading import COUNT_NOUNS, Number
from assistant.verify.scene import Scene

_ACROSS = tuple(frozenset([word]) for word in ("left", "right", "x"))
_DOWN = tuple(frozenset([word]) for word in ("top", "bottom", "y"))


def nearest_before(mentions: list[Mention], position: int) -> Mention | None:
    """The last mention that ends before `position`."""
    before = [mention for mention in mentions if mention.end <= position]
    return before[-1] if before else None


def nearest_after(mentions: list[Mention], position: int) -> Mention | None:
    """The first mention that begins at or after `position`."""
    return next((mention for mention in mentions if mention.start >= position), None)


def group_of(scene: Scene, mentions: list[Mention], member: Mention) -> list[Mention]:
    """The mentions that are named together with `member`: "F12, F13 and F14"."""
    i = mentions.index(member)
    low = high = i
    while low > 0 and _joined(scene, mentions[low - 1], mentions[low]):
        low -= 1
    while high + 1 < len(mentions) and _joined(scene, mentions[high], mentions[high + 1]):
        high += 1
    return mentions[low : high + 1]


def field_of(scene: Scene, number: Number) -> Mention | None:
    """The field that a number is said to be: by the words right before or right after it."""
    if corner := _coordinate(scene, number):
        return corner
    following = nearest_after(scene.fields, number.end)
    if following and following.kind != "verb" and _touches(scene, number.end, following.start):
        return following
    index = scene.numbers.index(number)
    start = number
    while True:  # through lists: "p-values of 0.1, 0.2 and 0.3"
        mention = nearest_before(scene.fields, start.start)
        previous = scene.numbers[index - 1] if index > 0 else None
        if mention is not None and (previous is None or previous.end <= mention.start):
            return mention if _leads(scene, mention, start.start) and not _spent(scene, mention, start) else None
        if previous is None or previous.unit != start.unit or not listed(scene, previous, start):
            return None
        if not re.search(
            r"[,;/–—-]|\b(?:and|or|to|against|versus|vs|compared|for|of|in)\b", scene.text[previous.end : start.start]
        ):
            return None  # "alpha = 0.001 eleven would remain": no list
        start, index = previous, index - 1


def _spent(scene: Scene, mention: Mention, number: Number) -> bool:
    """Whether a field belongs to the number before it: "carries 21 % of the score and reads 2.2"."""
    trails = any(n.end <= mention.start and _touches(scene, n.end, mention.start) for n in scene.numbers)
    seen = (role for role in scene.roles if role.kind == "seen")
    return trails and any(mention.end <= role.start < number.start for role in seen)


def _coordinate(scene: Scene, number: Number) -> Mention | None:
    """The field of a number in "(401, 37)": across, then down."""
    ahead, behind = scene.text[: number.start], scene.text[number.end :]
    if re.search(r"\(\s*$", ahead) and re.match(r",\s*\d+(?: px)?\s*\)", behind):
        return Mention(number.start, number.end, frozenset(["x"]), "", _ACROSS)
    if re.search(r"\(\s*\d+(?: px)?,\s*$", ahead) and re.match(r"\s*\)", behind):
        return Mention(number.start, number.end, frozenset(["y"]), "", _DOWN)
    return None


def role_of(scene: Scene, number: Number, axis: str) -> str:
    """The role a number is given on an axis by the words beside it ("" = none)."""
    mentions = [mention for mention in scene.roles if mention.kind == axis]
    following = nearest_after(trailing(scene, mentions), number.end)
    if axis in ("seen", "time", "rank") and following and _trails(scene, number.end, following.start):
        return next(iter(following.names))
    preceding = nearest_before(mentions, number.start)
    if preceding is None or any(preceding.end <= other.start < number.start for other in scene.numbers):
        return ""
    behind = any(other.end <= preceding.start and _trails(scene, other.end, preceding.start) for other in scene.numbers)
    if behind and preceding in trailing(scene, mentions):  # it speaks of the number before it
        return ""
    limit = 3 if axis in ("time", "rank") else 2
    if _compares(scene, preceding, number.start):
        return ""
    if _gap(scene, preceding.end, number.start) <= limit and not BREAK.search(scene.text[preceding.end : number.start]):
        pair = [mention for mention in mentions if mention.end <= number.start][-2:]
        if len(pair) == 2 and re.fullmatch(
            r"\W*(?:and|or|against|versus|vs\.?)?\W*", scene.text[pair[0].end : pair[1].start]
        ):
            return ""  # "before and after: 8.2 and 1.1": the order tells, see binding
        return next(iter(preceding.names))
    return ""


def _compares(scene: Scene, mention: Mention, position: int) -> bool:
    """ "darker than it should be: 61.2 against 128.4": the role ends with the comparison, and numbers begin anew."""
    ahead, between = scene.text[: mention.start], scene.text[mention.end : position]
    return bool(
        re.search(r"\b(?:than|what|as|below|above|under|over)\s(?:\w+\s){0,2}$", ahead, re.I)
        and re.match(r"\s*(?:\w+\s*){0,2}[:,;(–—]", between)
    )


def trailing(scene: Scene, mentions: list[Mention]) -> list[Mention]:
    """Role mentions that may stand behind what they speak of: "41.2 was expected", never "instead of"."""
    return [mention for mention in mentions if not LEADS_ONLY.match(scene.text[mention.start : mention.end])]


def listed(scene: Scene, first: Number, second: Number) -> bool:
    """Whether two neighbouring numbers are items of one list: "8.2 for F12 and 4.1 for F13"."""
    between = scene.rest[first.end : second.start]
    words = [word.lower() for word in re.findall(r"[A-Za-z]+", between)]
    return not [word for word in words if word not in CONNECT and word not in ("against", "versus", "vs", "compared")]


def count_noun(scene: Scene, number: Number) -> list[str]:
    """The counted things right after a whole number: "3 suspicious regions" -> ["regions"]."""
    if number.unit or number.value != int(number.value) or number.kind not in ("plain", "word"):
        return []
    behind = scene.text[number.end :]
    if partly := re.match(
        rf"\s+(?:out\s)?of\s+(?:(?:the|these|all|its)\s+)?(?:\d[\d,]*|{NUMBER_WORDS})(?=\s)", behind, re.I
    ):
        behind = behind[partly.end() :]
    match = re.match(r"(?:[\s-]+[A-Za-z]+){1,3}", behind)
    words = match[0] if match else ""
    whole = re.search(
        rf"(?:\d|{NUMBER_WORDS})(?:\s?%|\spercent)?\s(?:out\s)?of\s(?:the|all)\s$", scene.text[: number.start], re.I
    )
    for word in re.findall(r"[A-Za-z]+", words):
        if whole and word.lower() == "flagged" and not words.lower().startswith(" flagged"):
            break  # "20 of the 1,250 seams were flagged": the 20 were
        if word.lower() in COUNT_NOUNS:
            return [*COUNT_NOUNS[word.lower()], *(["findings"] if partly else [])]
        if word.lower() in {
            "of",
            "in",
            "for",
            "and",
            "or",
            "is",
            "was",
            "at",
            "to",
            "on",
            "with",
            "by",
            "from",
            "against",
        }:
            break
    return []


def _joined(scene: Scene, first: Mention, second: Mention) -> bool:
    between = scene.text[first.end : second.start]
    return (
        re.fullmatch(r"\s*(?:,|,?\s*and|or|&|,?\s*as well as)\s*(?:the |channel |feature |finding )?", between)
        is not None
    )


def _gap(scene: Scene, start: int, end: int) -> int:
    """How many words of substance stand between two places; found names and numbers do not count."""
    roles = " ".join(scene.text[m.start : m.end].lower() for m in scene.roles if start <= m.start < end).split()
    words = re.findall(r"[A-Za-z]+", scene.rest[start:end])
    return len([word for word in words if word.lower() not in CONNECT and word.lower() not in roles])


def _leads(scene: Scene, mention: Mention, position: int) -> bool:
    """Whether a field mention speaks of the number that begins at `position`."""
    between = scene.text[mention.end : position]
    if mention.kind == "count":
        return re.fullmatch(r"\s*(?::|=|\(|is|are|was|were)?\s*", between) is not None
    if BREAK.search(between) or between.count(",") > 2:
        return False
    return _gap(scene, mention.end, position) <= (0 if mention.kind == "verb" else 2)


def _touches(scene: Scene, end: int, start: int) -> bool:
    """Whether a field right after a number belongs to it: "61 % of the score", "a 0.0004 p-value"."""
    return (
        re.fullmatch(
            r"[\s-]*(?:(?:of|in|from|below the|the|its|total)\s)*|\s(?:is|are|was|were)\s", scene.text[end:start]
        )
        is not None
    )


def _trails(scene: Scene, end: int, start: int) -> bool:
    """Whether a role right after a number belongs to it: "41.2 % was expected", "0.43 after the repair"."""
    between = scene.rest[end:start]
    words = re.findall(r"[A-Za-z]+", between)
    return (
        not re.search(r"[,;:(]", between)
        and all(
            word.lower()
            in {
                "is",
                "was",
                "were",
                "are",
                "would",
                "be",
                "as",
                "being",
                "had",
                "been",
                "have",
                "the",
                "model",
                "detector",
                "in",
                "on",
            }
            for word in words
        )
        and not any(end <= number.start < start for number in scene.numbers)
    )
