"""Takes a message apart that asks more than one thing: "how many were flagged, and which is the worst?".

Turns text into questions that can be answered one after the other. Knows how English joins sentences and what each
clause comes nearest to; not the conversation, tools or answers.
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import lru_cache

from assistant.llm.declined import declined
from assistant.llm.understand import Reading, normalise, understand

MOST = 3  # questions of one message that are answered
PLAINLY = 0.4  # how near an example a clause must come to count as a question of its own
_OPENS = (
    "why|where|when|who|what|which|how|is|are|was|were|does|do|did|can|could|would|will|has|have|show|list|compare|"
    "explain|describe|tell|give|mark|label|confirm|dismiss|summari[sz]e|write|find|whats|wheres|hows|whos"
)
_TIES = r"(?:(?:and|also|then|plus|but|so|or)\s+)*"
_CUT = re.compile(
    r"(?P<end>[?!;]+|(?<=[^\d\s.])\.(?=\s)|(?<=\d)\.(?=\s))\s*|"
    rf"(?P<join>\s*,?\s+(?:and|then|plus)\s+|\s*,\s+)(?={_TIES}(?:{_OPENS})\b)",
    re.I,
)
_COMMA = re.compile(r"(?P<end>[?!;]+|(?<=[^\d\s.])\.(?=\s)|(?<=\d)\.(?=\s)|,(?=\s)|\s-+(?=\s))\s*")
LESS = 0.9  # how much a part of a message counts against the whole
_OPENING = re.compile(rf"^\W*{_TIES}(?:please\s+|just\s+)?(?:{_OPENS})\b", re.I)
_SUPPOSING = ("repaired", "without", "alpha", "method")
_OUTCOME = (*_SUPPOSING, "sure", "check", "overview", "why", "label_normal", "label_anomaly", "similar", "expected")

_SMALL_TALK = ("thanks", "hello", "bye", "sure", "offtopic")


@lru_cache(maxsize=256)
def clauses(text: str) -> tuple[str, ...]:
    """The questions of a message in their order; the message itself where it asks one thing."""
    pieces = _pieces(text)
    if len(pieces) < 2 or declined(normalise(text)[1]):
        return (text,)
    whole: list[str] = []
    for piece in pieces:
        if whole and (not _asks(piece) or not _asks(whole[-1]) or _belong(whole[-1], piece)):
            whole[-1] = _joined(whole[-1], piece)
        else:
            whole.append(piece)
    return tuple(whole[:MOST]) if len(whole) > 1 else (whole[0],)


def heard(text: str, names: tuple[str, ...] = ()) -> Reading:
    """The reading of one question, its intent judged by the clause that says it most plainly: remarks beside the
    question do not blur it, and of a supposition and its outcome the supposition counts."""
    whole = understand(text, names)
    pieces = [understand(piece, names) for piece in _pieces(text, _COMMA)]
    if len(pieces) < 2 or whole.language != "English":
        return whole
    supposed = next((one for one in pieces if one.intent in _SUPPOSING and one.score >= PLAINLY), None)
    judged = [supposed] if supposed else [one for one in pieces if one.intent not in _SMALL_TALK]
    best = dict(whole.scores)
    for one in judged:
        for name, score in one.scores:
            best[name] = max(best[name], LESS * score)
    return replace(whole, scores=tuple(sorted(best.items(), key=lambda item: -item[1])))


def _pieces(text: str, where: re.Pattern[str] | None = None) -> list[str]:
    """The text cut where a sentence ends or where a new question may begin, each piece with its question mark."""
    found, begin = [], 0
    for cut in (where or _CUT).finditer(text):
        mark = "?" if cut["end"] and "?" in cut["end"] else ""
        found.append(text[begin : cut.start()].strip() + mark)
        begin = cut.end()
    found.append(text[begin:].strip())
    return [piece for piece in found if re.search(r"\w", piece)]


def _asks(piece: str) -> bool:
    reading = understand(piece)
    return bool(_OPENING.match(piece)) and reading.score >= PLAINLY


def _belong(first: str, second: str) -> bool:
    """Whether two clauses are one question: the same asked twice, or a supposition and its outcome."""
    one, two = understand(first), understand(second)
    if one.intent in _SUPPOSING and two.intent in _OUTCOME and not _names(two):
        return True
    return one.intent == two.intent and (not _names(two) or _names(one) == _names(two))


def _names(reading: Reading) -> list[str]:
    seen = reading.mentions
    return [*seen.findings, *seen.samples, *seen.runs, *seen.regions, *(str(place) for place in seen.places)]


def _joined(first: str, second: str) -> str:
    """Two clauses as one. A remark without a name says nothing about the request beside it."""
    if not first.endswith("?") and not _OPENING.match(first) and _asks(second) and not _remarks(first):
        return second
    return f"{first.rstrip()} {second}" if first.endswith("?") else f"{first}, {second}"


def _remarks(piece: str) -> bool:
    """Whether a statement holds something that is needed: a name, a number, an order."""
    reading = understand(piece)
    named = any(word.startswith("x") for word in reading.words)
    return named or "negation" in reading.concepts or (reading.score >= PLAINLY and reading.intent not in _SMALL_TALK)
