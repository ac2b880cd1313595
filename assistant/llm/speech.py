"""Turns of speech whose intent their single words do not tell: "both channels", "anywhere else", "just the fee then".

Turns a reading and what was spoken of before into the name of an intent, or none. Knows how people put such questions;
not tools, evidence or answers.
"""

from __future__ import annotations

import re

from assistant.llm.dialogue import Memory
from assistant.llm.naming import match_name, position_in
from assistant.llm.understand import Reading, knows

_GOES_ON = re.compile(
    r"^(?:and|or|same|the same|sorry|no|now|then|instead|what about|how about|ok|hm+|wait|i meant?)\b"
    r"(?!.*\b(?:why|where|when|how|who|which|what is|does|did|was|is)\b)"
)
STILL = re.compile(
    r"^(?:so |and |then |is |would |be |it |that )*still\b.*"
    r"\b(?:below|above|flagged|under|over|event|anomal\w+|out|odd)\b"
)
_BOTH_PIECES = re.compile(r"\bboth (?:\w+ )?(?:channel|sensor|feature|field|signal|gauge|spot|region|mark|column)s?\b")
_BOTH_RUNS = re.compile(
    r"\b(?:both|the two|either|each) (?:day|run|shift|night|batch|batche)s?\b"
    r"|\b(?:worse|better|more|fewer|less)\b.*\b(?:since|than) (?:on )?"
    r"(?:yesterday|last \w+|(?:mon|tues|wednes|thurs|fri|satur|sun)day)\b"
)
_WHAT_IS_IT = re.compile(
    r"^(?:so |and |ok )*what (?:is (?:this|that|it|this one)|am i (?:looking at|seeing)|do i see|"
    r"are we looking at)(?: here)?\W*$"
)
_OUT_OF = re.compile(
    r"^(?:and |so )*(?:as|in) (?:a )?(?:per ?cent|percentage|fraction|share|proportion)\W*$|"
    r"^(?:and |so )*(?:that is )?out of(?: how many| what)?(?: in all| in total)?\W*$|\bshare of (?:the )?xcount\b"
)
_WHICH_SOURCE = re.compile(
    r"^(?:so |and |but )*(?:which|what) (?:lot|line|file|source|batch|shift|run|folder|set) (?:is|was|are|"
    r"were) (?:that|this|it|those|they)\b"
)
_LEAVES_OUT = re.compile(r"\b(?:leav\w+|tak(?:e|ing) .* out|dropp?\w*|ignor\w+|without|exclud\w+)\b")
_HOW_MANY_HAS = re.compile(
    r"\bhow many (?:events|findings|alarms|hits|rows|anomalies)\b|\b(?:only|just) (?:the )?[\w ]+ ones\b"
)
_ELSEWHERE = re.compile(r"\b(?:any ?where else|elsewhere|(?:any|at) other times?|some ?where else)\b")
_SCORED = re.compile(
    r"\b(?:when|what time|which day|what day|what date|which date)\b.*"
    r"\b(?:scored|run|inspected|checked|processed|analy[sz]ed|uploaded|looked at|computed|made)\b"
    r"|\b(?:which|what|between which|from which) (?:dates?|days?|period|date range)\b"
)
_THE_LEVEL = re.compile(
    r"\b(?:which|what)(?: is| was)?(?: the| our| your)? (?:alpha|threshold|limit|level)\b"
    r".*\b(?:on|used?|using|set|current|currently|now|moment|really|here|run|applied|work)\b"
)
_RATED_NORMAL = re.compile(
    r"\b(?:worst|highest|oddest|strangest|most \w+) (?:of |among )?(?:the )?(?:good|normal|ok|ordinary)\b"
)
_WAS_IT_THE = re.compile(
    r"^(?:so |then |and |but )*(?:is|was|were) (?:it|that|this) (?:really |just )?the (?P<noun>[a-z]+)\W*$"
)
_COUNTED = re.compile(
    r"^(?:so |and )?(?:why|how come) (?:are|were|do|did|is|was|have|has|we|you|there|i|be|get|got|"
    r"see|so many|\s)*xcount\b"
)
_LOOKS_BACK = re.compile(
    r"\b(?:row|part|sample|one|payment|image|item) (?:right |just |directly |immediately )?"
    r"(?:before|after) (?:it|that|this)\b"
    r"|\bsame (?:number|part|row|sample|position)\b.*\b(?:on|in|from|for)\b"
)


def by_phrase(reading: Reading, memory: Memory, last: str, focus: str | None, answers: bool) -> str:
    """The intent of a turn of speech whose words alone mislead, "" for any other.

    Args:
        reading: the question.
        memory: what was spoken of before.
        last: the intent of the question before, "" for none.
        focus: the finding that is open on the page.
        answers: whether the question before, on a finding, was answered by "which one?".
    """
    words = reading.plain
    things = reading.mentions.findings or reading.mentions.samples
    topic = focus or (memory.topics[-1] if memory.topics else "")
    if topic and _WHAT_IS_IT.search(words):
        return "why"
    counts = " ".join(reading.words)
    if _OUT_OF.search(counts) and ("xcount" in counts or not topic or last in ("overview", "list", "runs")):
        return "overview"
    if _WHICH_SOURCE.search(words) and not topic:
        return "when"
    if _SCORED.search(words) and not reading.mentions.times:
        return "when"
    if _THE_LEVEL.search(words) and not reading.mentions.levels:
        return "guide_alpha"
    if _BOTH_RUNS.search(words) and not things:
        return "runs"
    if _BOTH_PIECES.search(words) and re.search(
        r"\b(?:start|began|begin|first|same (?:time|moment)|together)\w*\b", words
    ):
        return "spread"
    if _RATED_NORMAL.search(words):
        return "compare_normal"
    if "xchannel" in reading.words and not things and _HOW_MANY_HAS.search(words):
        return "list"
    if memory.part and _ELSEWHERE.search(words) and re.search(r"\b(?:that|same|this|it)\b", words):
        return "list"
    if _COUNTED.search(" ".join(reading.words)):
        return "overview"
    if _LOOKS_BACK.search(words) and topic and not things:
        return "check"
    if (found := _WAS_IT_THE.search(words)) and not knows(found["noun"]) and not position_in(words):
        return "cause"
    if len(reading.mentions.bare) == 2 and "compare" in reading.concepts and not things:
        return "compare"
    if answers and "worst" in reading.concepts and not reading.asks:
        return last
    if last in ("repaired", "without") and _GOES_ON.search(words) and not reading.mentions.regions:
        if re.match(r"(?:and )?(?:the )?same\b", words) and things:
            return last
        last = "without" if _LEAVES_OUT.search(words) else last
        every = [name for names in memory.parts.values() for name in names]
        if "xchannel" in reading.words or match_name(reading, every) is not None:
            return last
    return ""


def asks_for_the_level(words: str) -> bool:
    """Whether a folded text asks which alpha is in use, not what one is."""
    return bool(_THE_LEVEL.search(words))


def asks_for_the_run(words: str) -> bool:
    """Whether a folded text asks when something was scored, or which dates the data are of."""
    return bool(_SCORED.search(words) or _WHICH_SOURCE.search(words))
