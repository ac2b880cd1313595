"""Reads comparisons in time, in space and in likeness: "F3 happened before F2", "lies above region 1".

Knows scenes and facts; `comparing` reads all other comparisons.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from assistant.verify.clauses import clause_at
from assistant.verify.comparison import Comparison, Pair
from assistant.verify.mentions import Mention

if TYPE_CHECKING:
    from assistant.verify.comparing import Comparing

_BEFORE_AFTER = re.compile(
    r"\b(?P<way>before|after|ahead of|behind|followed|preceded|lagged(?: behind)?"
    r"|trailed)\b(?! (?:the )?(?:repair|change|correct|that|it\b(?! (?:starts?"
    r"|started|began|begins|set in))|all|label|alpha))",
    re.I,
)
_ITS_START = re.compile(
    r"\W*(?:it|the event|this|they|its|the) ?(?:starts?|started|began|begins|set in|beginning|onset)\b", re.I
)
SPATIAL = re.compile(
    r"\b(?P<low>(?:lies?|is|sits?|are|begins?|starts?|located|found) (?:\w+ )?(?:lower(?: down)?|below|under"
    r"|beneath|further"
    r" down)|lower (?:down|in the (?:picture|image)))\b"
    r"|\b(?P<high>(?:lies?|is|sits?|are|begins?|starts?|located|found) (?:\w+ )?(?:higher(?: up)?|above|over"
    r"|further up)"
    r"|higher (?:up|in the (?:picture|image)))\b"
    r"|\b(?:(?:further|farther|more) (?:to the )?|to the |on the )(?P<side>left|right)(?= (?:of|than)\b)",
    re.I,
)
RESEMBLES = re.compile(
    r"\b(?:resembles?|looks? (?:more )?like|is (?:more )?(?:similar to"
    r"|like))\b(?P<what>[^,;.]{0,40}?)\b(?P<more>more|less)"
    r"\b(?: closely)? than\b",
    re.I,
)


def in_time(one: Comparing) -> Iterator[Comparison]:
    """ "F3 happened before F2", "F2 begins 41 frames after the last frame of F1"."""
    text = one.scene.text
    for match in _BEFORE_AFTER.finditer(text):
        limit = clause_at(text, match.end())[1]
        right, left = one.things.after(match.end(), limit), one.things.before(match.start())
        if _ITS_START.match(text, match.end()):
            said = [k for n in one.scene.numbers if n.end < match.start() - 12 for k in one.facts_of(n)]
            pairs = [(a, b) for a in said for b in one.of_same(a) if "frame" in a.words
                     and b.fact.field == "first_frame"]  # fmt: skip
            yield Comparison(match.start(), match.end(), match[0], True, tuple(pairs), "beside")
            continue
        if (
            right is None
            or left is None
            or not re.fullmatch(
                r"\W*(?:the |that |its )?(?:\w+ ){0,3}?(?:of |in )?(?:the )?\W*", text[match.end() : right.start]
            )
        ):
            continue
        end = re.search(r"\b(?:end|last)\b", text[match.end() : right.start], re.I)
        pairs = _timed(one, left, right, bool(end))
        later = match["way"].lower() in ("after", "behind", "followed", "lagged", "lagged behind", "trailed")
        yield Comparison(match.start(), match.end(), match[0], later, tuple(pairs), "beside")


def _timed(one: Comparing, left: Mention, right: Mention, end: bool) -> list[Pair]:
    """Pairs of starts, or of a start and an end."""
    starts = ("delay", "onset_time", "onset", "start_time", "first_frame", "start", "index")
    ends = {"start_time": "end_time", "first_frame": "last_frame", "start": "end"}
    pairs: list[Pair] = []
    for name in starts:
        other = ends.get(name, "") if end else name
        ones = one.things.facts(left, (frozenset(name.split("_")), True, True))
        twos = one.things.facts(right, (frozenset(other.split("_")), True, True)) if other else []
        pairs += [(a, b) for a in ones for b in twos if a.unit == b.unit and (a.bases, a.part) != (b.bases, b.part)]
    return pairs


def in_space(one: Comparing) -> Iterator[Comparison]:
    """ "Region 3 lies above region 1", "the spot of F25 lies lower than that of F30"."""
    text = one.scene.text
    for match in SPATIAL.finditer(text):
        limit = clause_at(text, match.end())[1]
        right, left = one.things.after(match.end(), limit), one.things.before(match.start())
        if left is None or right is None or one.baseline(match.end(), limit):
            continue
        field = "left" if match["side"] else "top"
        measure = (frozenset([field]), True, True)
        pairs = [(a, b) for a in one.things.facts(left, measure) for b in one.things.facts(right, measure)
                 if (a.bases, a.part) != (b.bases, b.part)]  # fmt: skip
        more = bool(match["low"]) or (match["side"] or "").lower() == "right"
        yield Comparison(match.start(), match.end(), match[0], more, tuple(pairs), "beside")


def resembling(one: Comparing) -> Iterator[Comparison]:
    """ "F3 resembles F2 more than F4 does"."""
    for match in RESEMBLES.finditer(one.scene.text):
        left = one.things.before(match.start())
        middle = one.things.after(match.start("what"), match.start("more"))
        right = one.things.after(match.end(), len(one.scene.text))
        if left is None or middle is None or right is None:
            continue
        measure = (frozenset(["similarity"]), True, True)
        found = one.things.facts(left, measure) + one.things.facts(right, measure)
        pair = [[k for k in found if k.bases & a.names and k.bases & b.names] for a, b in (
            (left, middle), (right, middle), (left, right))]  # fmt: skip
        twos = pair[1] or pair[2]
        if pair[0] and twos:
            up = match["more"].lower() == "more"
            yield Comparison(match.start(), match.end(), match[0], up, ((pair[0][0], twos[0]),), "than")
