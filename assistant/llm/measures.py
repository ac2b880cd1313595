"""What findings can be ranked, compared and narrowed by: size, length, start, brightness, score, p-value.

Turns words ("the longest", "which is darker", "with a score over 2") into a measure and reads its fact off a finding's
evidence. Knows words and facts; not tools, wording or the conversation.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime

from assistant.evidence import Fact
from assistant.llm.view import View, begins, lasts, number


@dataclass(frozen=True)
class Measure:
    """A measure and which end of it is meant."""

    name: str  # "size", "length", "start", "level", "score", "p_value"
    most: bool  # the largest value, or the smallest


# Stems of adjectives -> (measure, whether more of the adjective is more of the measure)
_WORDS: dict[str, tuple[str, bool]] = {
    **dict.fromkeys(("big", "bigg", "larg", "large", "huge", "hug", "wide", "wid", "broad"), ("size", True)),
    **dict.fromkeys(("small", "tini", "tiny", "littl", "little"), ("size", False)),
    **dict.fromkeys(("long", "lengthy", "lengthi", "drawn-out"), ("length", True)),
    **dict.fromkeys(("short", "brief", "quick"), ("length", False)),
    **dict.fromkeys(("late", "lat", "new", "recent"), ("start", True)),
    **dict.fromkeys(("early", "earli", "old"), ("start", False)),
    **dict.fromkeys(("bright", "light", "pale", "pal"), ("level", True)),
    **dict.fromkeys(("dark", "black"), ("level", False)),
    **dict.fromkeys(
        ("weak", "mild", "faint", "harmless", "doubtful", "uncertain", "borderline", "dubious", "safe", "unsure"),
        ("p_value", True),
    ),
    **dict.fromkeys(
        ("certain", "sure", "confident", "convincing", "clear", "obvious", "significant", "anomalous", "odd", "strange",
         "unusual", "serious", "severe", "suspicious", "weird", "extreme", "strong", "rare", "alarming", "abnormal"),
        ("p_value", False),
    ),
}  # fmt: skip
_ADJECTIVE = "|".join(sorted(_WORDS, key=len, reverse=True))
_SUPERLATIVE = re.compile(
    rf"\b(?:(?P<how>most|least) (?P<full>{_ADJECTIVE})|(?P<stem>{_ADJECTIVE})e?st)\b(?! (?:run|batch|shift|inspection|"
    r"data|day|results?|scan|upload|news|version|set|week|night)\b)"
)
_COMPARATIVE = re.compile(rf"\b(?:(?P<how>more|less) (?P<full>{_ADJECTIVE})|(?P<stem>{_ADJECTIVE})e?r)\b")
_NAMED = re.compile(
    r"\b(?P<end>high|low|large|small|big|great|bigg)e?st (?P<what>scores?|p-values?|p|area|duration|ones?|"
    r"of (?:them|those|these|all))\b"
)
_NAMES = {"score": "score", "p-value": "p_value", "p": "p_value", "area": "size", "duration": "length"}
_AT_THE_LIMIT = re.compile(
    r"\b(?:clos\w*|near\w*|next) to (?:the |being |our )?(?:limit|threshold|line|alpha|cut-?off|normal|passing|ok|"
    r"border\w*)\b"
    r"|\b(?:closest|nearest) (?:call|to)\b|\bonly just\b|\bborderline\b|\bjust (?:below|under|missed|made)\b"
)


def superlative(words: str) -> Measure | None:
    """The measure of "the longest", "the least certain", "the lowest score", "the one closest to the limit"."""
    found = _NAMED.search(words)
    name = _NAMES.get(found["what"].removesuffix("s")) if found else None
    if found and (name or found["end"] in ("low", "high")):
        return Measure(name or "score", found["end"] not in ("low", "small"))
    if _AT_THE_LIMIT.search(words):
        return Measure("p_value", True)
    return _measure(_SUPERLATIVE.search(words))


def comparative(words: str) -> Measure | None:
    """The measure of "which is longer", "is F3 less certain than F4"."""
    return _measure(_COMPARATIVE.search(words))


def _measure(found: re.Match[str] | None) -> Measure | None:
    if found is None:
        return None
    name, most = _WORDS[found["full"] or found["stem"]]
    return Measure(name, most != (found["how"] in ("least", "less")))


def fact_of(view: View, measure: str) -> Fact | None:
    """The fact by which a finding is ranked, None where it has none."""
    place = view.region or view.interval
    if measure == "index":
        return view["sample"]
    if measure in ("score", "p_value"):
        return view[measure]
    if measure == "start":
        return (place["start_time"] or place["start"]) if place is not None else view["index"]
    if place is None:
        return None
    if measure == "level":
        return place["observed"] if view.region is not None else None
    return place["area"] or place["length"] if measure == "size" else place["length"] or place["area"]


def value_of(view: View, measure: str) -> float | None:
    """The same as a number that can be ordered."""
    fact = fact_of(view, measure)
    if measure == "index" and fact is not None:
        digits = re.findall(r"\d+", str(fact.value))
        return float(digits[-1]) if digits else None
    if fact is not None and isinstance(fact.value, str):
        try:
            return datetime.fromisoformat(fact.value).timestamp()
        except ValueError:
            return None
    if fact is None and measure in ("length", "size") and begins(view):
        return lasts(view) or None
    return number(fact)


# --- bounds -----------------------------------------------------------------------------------------------------------

_NUMBER = r"(?P<value>\d*\.\d+|\d+|half an?|an?|one|two|three|four|five|ten)"
_BOUND = re.compile(
    r"\b(?P<way>over|above|more than|longer than|larger than|bigger than|greater than|higher than|exceed\w*|at least|"
    rf"beyond|under|below|less than|shorter than|smaller than|lower than|at most|up to) (?:a |an )?{_NUMBER}"
    r"(?: ?(?P<unit>px|pixels?|minutes?|min|hours?|hour|seconds?|stamps?))?"
)
_SECONDS = {"min": 60.0, "hou": 3600.0, "sec": 1.0}
_COUNTS = {"half an": 0.5, "half a": 0.5, "a": 1, "an": 1, "one": 1, "two": 2, "three": 3, "four": 4, "five": 5,
           "ten": 10}  # fmt: skip
_UNDER = ("under", "below", "less than", "shorter than", "smaller than", "lower than", "at most", "up to")


@dataclass(frozen=True)
class Bound:
    """ "longer than 30 minutes": a measure, a limit and on which side of it findings are meant."""

    measure: str
    limit: float  # seconds for a length told in minutes or hours, else the fact's own unit
    over: bool
    seconds: bool = False

    def holds(self, view: View) -> bool:
        """Whether a finding lies on that side."""
        value = lasts(view) if self.seconds else value_of(view, self.measure)
        return value is not None and (value >= self.limit if self.over else value <= self.limit)


_PLACED = re.compile(
    r"\b(?P<way>beyond|after|past|above|over|from|behind|before|below|under|up to) "
    r"(?:row|part|image|sample|number|index|line|item|frame|no\.?)s? ?(?:number |no\.? )?(?P<value>\d+)\b(?! (?:on|"
    r"in) )"
)


def index_bound(words: str) -> Bound | None:
    """ "Beyond row 1000": a bound on the place in the data, None for none."""
    found = _PLACED.search(words)
    return (
        Bound("index", float(found["value"]), found["way"] not in ("before", "below", "under", "up to"))
        if found
        else None
    )


def bound(words: str) -> Bound | None:
    """The bound that a text names, None for none."""
    found = _BOUND.search(words)
    if not found:
        return None
    unit = found["unit"] or ""
    limit = float(_COUNTS.get(found["value"]) or (found["value"] if re.match(r"[\d.]", found["value"]) else 0))
    over = found["way"] not in _UNDER
    if seconds := next((_SECONDS[key] for key in _SECONDS if unit.startswith(key)), None):
        return Bound("length", limit * seconds, over, seconds=True)
    if unit.startswith(("px", "pixel")):
        return Bound("size", limit, over)
    if unit.startswith("stamp"):
        return Bound("length", limit, over)
    if re.search(r"\bscores?\b", words):
        return Bound("score", limit, over)
    if re.search(r"\bp(?:-values?)?\b", words) and over:
        return Bound("p_value", limit, True)
    return None


_EXCEPT = re.compile(
    r"\b(?:not|outside|isn't|aren't|except|apart from|other than|besides|excluding|without|but not) "
    r"(?:in |at |on |for |about |involving |the |those |ones )*"
)


def left_out(words: str) -> str:
    """What a list is to leave out: "the centre" of "those that are not in the centre"; "" for nothing."""
    found = _EXCEPT.search(words)
    return words[found.end() :] if found else ""
