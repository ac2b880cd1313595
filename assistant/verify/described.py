"""Finds things that a sentence names by what they are: "the larger of the two regions", "the stain", "the second one".

Knows sentences and facts; a description counts only where the facts single out one thing by it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from assistant.verify.facts import Known, Pool
from assistant.verify.mentions import Mention
from assistant.verify.qualities import COMPARATIVE_WORDS, GENERIC, SUPERLATIVE_WORDS, quality_of
from assistant.verify.reading import ORDINALS, place_words

_SPOT = r"(?:regions?|spots?|places?|areas?|intervals?|stretch(?:es)?|phases?)"
_NUMBERED = re.compile(
    r"\b(?P<noun>regions|intervals|places|spots)\s(?P<list>\d+(?:,\s?\d+)*,?\s(?:and|or|to)\s\d+)\b", re.I
)
_SECOND = re.compile(
    r"\bthe\s(?P<word>first|second|third)(?:\sone)?(?=\s*(?:[.:;,()]|$)"
    r"|\s(?:is|was|has|had|carries|lasts?|lasted|covers|holds|involves?|of them|at|with|and|only)\b)",
    re.I,
)
_BEST = re.compile(
    rf"\bthe (?:by far )?(?P<all>(?:{SUPERLATIVE_WORDS}|main|{COMPARATIVE_WORDS.replace('(?P<', '(?P<c_')})"
    rf"(?: (?P<noun>{_SPOT}|one))?(?: of the (?:\w+ )?(?P<noun2>{_SPOT}|two|three|four|five))?)"
    r"(?! (?:\w+ )?(?:than|kind|p-value|score|share|peak|normal|channel|feature|column|part))",
    re.I,
)
_LATTER = re.compile(
    r"(?<!\bon )\bthe (?P<word>former|latter|other(?: one| finding| region| spot| interval)?)\b(?! \w+s\b)", re.I
)
_LINKED = re.compile(r"\s*(?:(?:in|of) F\d+ )?(?:,|\(|:|is|was|are)\s(?:\w+ ){0,2}?$|\s*\($", re.I)


_SIDED = re.compile(
    r"\b(?:the |both )?(?:two |three |both )?(?P<side>upper|lower|left|right|top|bottom)(?:-hand)? (?:regions"
    r"|spots|places|areas)\b",
    re.I,
)
_OTHERS = re.compile(r"\bthe other (?P<n>two|three|four)\b", re.I)
_COUNTS = {"two": 2, "three": 3, "four": 4}


def numbered(rest: str) -> Iterator[tuple[int, int, frozenset[str], str]]:
    """ "Regions 2 and 3" -> (start, end, names, kind), one for each number."""
    for match in _NUMBERED.finditer(rest):
        noun = "interval" if match["noun"].lower() == "intervals" else "region"
        ends = [int(d) for d in re.findall(r"\d+", match["list"])]
        spoken = list(re.finditer(r"\d+", match["list"]))
        if " to " in match["list"] and len(ends) == 2:
            yield match.start(), match.end(), frozenset(f"{noun} {n}" for n in range(ends[0], ends[1] + 1)), noun
            continue
        for i, digits in enumerate(spoken):
            start = match.start() if i == 0 else match.start("list") + digits.start()
            yield start, match.start("list") + digits.end(), frozenset([f"{noun} {digits[0]}"]), noun


def described(text: str, rest: str, pool: Pool, bases: list[Mention], parts: list[Mention]) -> list[Mention]:
    """Mentions of parts that are described and not named."""
    places = sorted({name for name, kind in pool.parts.items() if kind in ("region", "interval")})
    found = [
        *_seconds(rest, places, parts),
        *_best(text, rest, pool, bases, parts),
        *_several(rest, pool, places, parts),
    ]
    return [*found, *_latter(rest, [*bases, *parts], places, found)]


def _several(rest: str, pool: Pool, places: list[str], parts: list[Mention]) -> Iterator[Mention]:
    """ "The two upper regions", "the other two": all that lie there, all that were not named."""
    for match in _SIDED.finditer(rest):
        words = place_words(match["side"])
        lying = {
            k.part
            for k in pool.texts
            if k.fact.field == "position" and k.part and words <= place_words(str(k.fact.value))
        }
        if len(lying) > 1:
            yield Mention(match.start(), match.end(), frozenset(lying), "region")
    for match in _OTHERS.finditer(rest):
        named = {name for p in parts if p.end <= match.start() and p.kind in ("region", "interval") for name in p.names}
        others = [p for p in places if p not in named]
        if named and len(others) == _COUNTS.get(match["n"].lower(), 0):
            yield Mention(match.start(), match.end(), frozenset(others), places[0].partition(" ")[0])


def _seconds(rest: str, places: list[str], parts: list[Mention]) -> Iterator[Mention]:
    """ "as long as the second", where regions or intervals are spoken of."""
    if len(places) < 2 or not (any(p.kind in ("region", "interval") for p in parts) or re.search(_SPOT, rest, re.I)):
        return
    for match in _SECOND.finditer(rest):
        name = next((p for p in places if p.endswith(f" {ORDINALS[match['word'].lower()]}")), "")
        if name:
            yield Mention(match.start(), match.end(), frozenset([name]), name.partition(" ")[0])


def _best(text: str, rest: str, pool: Pool, bases: list[Mention], parts: list[Mention]) -> Iterator[Mention]:
    """ "The larger of the two regions": the one with the largest area."""
    owners = {name for m in bases for name in m.names}
    for match in _BEST.finditer(rest):
        behind = next(
            (p for p in parts if match.end() <= p.start and _LINKED.fullmatch(text[match.end() : p.start])), None
        )
        ahead = next(
            (p for p in parts[::-1] if p.end <= match.start() and _LINKED.fullmatch(text[p.end : match.start()])), None
        )
        spoken_of = match["noun"] or match["noun2"]
        listed = re.search(rf"\b{_SPOT}\b", rest[: match.start()], re.I)
        if behind or ahead or not (spoken_of or listed) or (spoken_of == "one" and not match["noun2"] and not listed):
            continue
        known = _leader(match, pool, owners)
        if known:
            yield Mention(match.start(), match.end(), frozenset([known.part]), known.kind)


def _leader(match: re.Match[str], pool: Pool, owners: set[str]) -> Known | None:
    if "main" in match["all"].lower().split():
        fields: tuple[tuple[str, bool], ...] = (("share", True),)
        up = True
    else:
        inner = re.match(rf"(?:{SUPERLATIVE_WORDS})", match["all"], re.I) or re.match(
            COMPARATIVE_WORDS, match["all"], re.I
        )
        if inner is None:
            return None
        quality = quality_of(inner)
        if quality.word in GENERIC - {"large", "small", "big"}:
            return None
        fields, up = quality.fields, quality.up
    for field, more in fields:
        facts = [k for k in pool.numbers if k.fact.field == field and k.kind in ("region", "interval")]
        facts = [k for k in facts if k.bases & owners] or facts
        if len({k.part for k in facts}) > 1 and len({k.bases for k in facts}) == 1:
            facts.sort(key=lambda k: k.number or 0.0, reverse=up == more)
            return facts[0] if facts[0].number != facts[1].number or facts[0].part == facts[1].part else None
    return None


def _latter(rest: str, named: list[Mention], places: list[str], found: list[Mention]) -> Iterator[Mention]:
    """ "the latter", "the other region": of two named, or of two that there are."""
    for match in _LATTER.finditer(rest):
        word = match["word"].lower()
        before = sorted([m for m in [*named, *found] if m.end <= match.start()], key=lambda m: m.start)
        if not before:
            continue
        if word in ("former", "latter"):
            pair = [m for m in before if bool(m.kind) == bool(before[-1].kind)][-2:]
            if len(pair) == 2:
                one = pair[word == "latter"]
                yield Mention(match.start(), match.end(), one.names, one.kind)
        elif before[-1].kind in ("region", "interval") and len(places) == 2:
            rest_ = [p for p in places if p not in before[-1].names]
            if len(rest_) == 1:
                yield Mention(match.start(), match.end(), frozenset(rest_), before[-1].kind)
