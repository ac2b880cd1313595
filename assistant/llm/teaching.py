"""Finds out whether a question is about teaching: ignoring, undoing, recalibrating, the log, how good the alarms were.

Turns text into a `Lesson`. Such questions change what people see later, so they are recognised by what they must say
rather than by likeness to examples. Knows how people say it in English; not findings, tools or wording.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

INTENTS = ("ignore", "stop_ignoring", "undo", "recalibrate", "rules", "log", "precision", "suggest")
_PLEASE = r"^\W*(?:(?:please|ok|okay|so|now|and|then|no|wait|actually|sorry|well)[\s,]+)*"
_PLEASE += r"(?:(?:can|could|would|will) you (?:please )?|i (?:want|would like|need) (?:you )?to |let us |let's )?"
_COUNTED = r"(?:a|one|two|three|four|five|six|seven|eight|nine|ten|\d{1,3})"
_UNTIL = re.compile(
    rf"\s*[,;]?\s*\b(?:(?:until|till|up to|through)\s+(?P<day>.+?)|for (?:the next )?(?P<length>{_COUNTED} "
    r"(?:day|week|month|year)s?))\s*(?=[,;.!?]*\s*$|[,;]|\s(?:because|since|due to|as|reason)\b)",
    re.I,
)
_REASON = re.compile(r"\s*[,;]?\s*\b(?:because(?: of)?|since|due to|reason:?|as)\s+(?P<reason>.+?)[.!?]*\s*$", re.I)
_IGNORE = re.compile(
    _PLEASE + r"(?:ignore|mute|silence|suppress|stop (?:showing|flagging|reporting|alarming on))\s+(?P<what>.+)$", re.I
)
_PLACE = re.compile(r"\s+(?:(?:coming )?from|on|at|in|near|of|by)\s+(?:the\s+|channel\s+|feature\s+)*", re.I)
_ANYTHING = re.compile(
    r"(?:all (?:the )?|any |every )?(?:everything|anything|all|anomal\w+|findings?|alarms?|events?)", re.I
)
_THIS = re.compile(r"\b(?:(?:this|that) (?:kind|one|type|sort)|it|this|that|these|here|such)\b", re.I)
_UNDO = re.compile(
    _PLEASE
    + r"(?:undo[.!?\s]*$|(?:undo|revert|take|roll|reverse)\s+(?:(?P<change>A\d{1,7})|(?:back\s+)?(?:that|this|it|my|"
    r"the)?\s*"
    r"(?:last |latest |previous )?(?:change|label|labels|labelling|verdict|rule|recalibration|calibration|incident|one|"
    r"thing)?(?:\s+(?:of|on|about|for|to)\s+(?P<finding>F\d{1,7}))?)(?:\s+back)?\s*(?:again|please|now)?[.!?\s]*$)",
    re.I,
)
_RULE = re.compile(r"\brule\s*(?:no\.?|number|#)?\s*(?P<rule>\d{1,6})\b", re.I)
_STOP = re.compile(_PLEASE + r"(?:stop ignoring|remove|delete|drop|cancel|end|lift|switch off)\b", re.I)
_RULES = re.compile(
    r"\b(?:what|which|list|show|are there|any|how many)\b.*\b(?:ignored|ignoring|(?:ignore |ignoring )?rules?)\b"
    r"(?! of\b)", re.I,
)  # fmt: skip
_PRECISION = re.compile(
    r"\bhow (?:good|precise|accurate|reliable|right|trustworthy)\b.*\b(?:alarms?|alerts?|findings|detections)\b"
    r"|\b(?:precision|hit rate|false[- ]alarm rate|false[- ]positive rate)\b"
    r"|\b(?:share|fraction|percentage|proportion|rate) of (?:the )?(?:alarms?|findings|false alarms)\b", re.I,
)  # fmt: skip
_TIME = re.compile(
    r"\b(?:today|yesterday|(?:this|last) (?:week|month)|(?:last|past) \d{1,3} (?:day|week)s?)\b", re.I
)  # fmt: skip
_LOG = re.compile(
    r"\bwho\b.*\b(?:labell?ed|labelled|marked|confirmed|dismissed|changed|recalibrated|ignored|undid|said)\b"
    r"|\b(?:audit|change)[- ]?(?:log|trail)\b|\bhistory of (?:F\d+|changes|the labels)\b"
    r"|\bwhat (?:has been|was|were) changed\b(?! between)|\b(?:show|list|tell)\b.*\b(?:changes made|log of changes)\b"
    r"|\bwhy (?:was|is|has) (?:F\d+|it|this|that)\b.*\b(?:labell?ed|marked|confirmed|dismissed|a false alarm)\b", re.I,
)  # fmt: skip
_A_DEVICE = r"(?! (?:the |this |that |our |my )?(?:machine|sensor|camera|device|pump|line|gauge|instrument))"
_CALIBRATE = re.compile(
    rf"\bre-?calibrat\w+{_A_DEVICE}|\bwhat would (?:my|the|these|our) labels? change\b"
    r"|\b(?:take|put|use|apply|count) (?:my|the|these|our) (?:new )?labels?\b", re.I,
)  # fmt: skip
_APPLY = re.compile(r"\b(?:apply|do it|go ahead|put (?:it|them) in(?:to)? force|yes|now)\b", re.I)
_AGREES = re.compile(
    _PLEASE + r"(?:yes|yep|sure|ok|okay|apply|do it|go ahead|agreed|go on|put it in(?:to)? force)\b", re.I
)
_NEXT = re.compile(
    r"\b(?:should (?:we|i)|is it time to|worth) (?:refit|re-?train\w*|fit(?:ting)? (?:it |the model )?again)\b"
    r"|\b(?:labels?|feedback)\b.*\benough\b|\benough (?:labels?|feedback)\b", re.I,
)  # fmt: skip
_MARKED = re.compile(r"\b(?:mark|label|confirm|dismiss)\b", re.I)


@dataclass(frozen=True)
class Lesson:
    """A question about teaching: its intent, and what it names."""

    intent: str
    what: str = ""  # a kind as typed, "" for anything
    where: str = ""  # a place as typed
    pointed: bool = False  # "this kind here": of the finding in hand
    until: str = ""
    reason: str = ""
    change: str | None = None  # "A7"
    finding: str | None = None
    rule: str | None = None  # "rule 2"
    time: str | None = None  # "last week"
    apply: bool = False


def lesson(text: str, before: str = "") -> Lesson | None:
    """What a question asks about teaching, None where it asks something else; `before`: the intent before it."""
    if before == "recalibrate" and _AGREES.search(text):
        return Lesson("recalibrate", apply=True)
    if found := _UNDO.search(text):
        named = {key: value.upper() if value else None for key, value in found.groupdict().items()}
        return Lesson("undo", change=named["change"], finding=named["finding"])
    if _STOP.search(text) and (rule := _RULE.search(text)):
        return Lesson("stop_ignoring", rule=f"rule {rule['rule']}")
    if found := _IGNORE.search(text):
        return _ignore(found["what"])
    return _asked(text)


def _asked(text: str) -> Lesson | None:
    """A question that changes nothing (but for a recalibration that is to be applied)."""
    if _CALIBRATE.search(text):
        return Lesson("recalibrate", apply=bool(_APPLY.search(text)))
    if _LOG.search(text):
        return Lesson("log")
    if _PRECISION.search(text):
        when = _TIME.search(text)
        return Lesson("precision", time=when[0].lower() if when else None)
    if _NEXT.search(text):
        return Lesson("suggest")
    return Lesson("rules") if _RULES.search(text) and not _MARKED.search(text) else None


def _ignore(rest: str) -> Lesson | None:
    """An order to ignore; None where it rather dismisses one finding ("ignore F3, that is normal")."""
    until, reason = _UNTIL.search(rest), None
    plain = f"{rest[: until.start()]} {rest[until.end() :]}" if until else rest
    if found := _REASON.search(plain):
        plain, reason = plain[: found.start()], found["reason"]
    plain = plain.strip(" ,;.!?")
    if re.search(r"\bF\d+\b", plain) or (not until and (not reason or _THIS.fullmatch(plain))):
        return None
    pointed = bool(_THIS.search(plain))
    kind, *places = _PLACE.split(plain, maxsplit=1)
    kind = "" if pointed or _ANYTHING.fullmatch(kind.strip()) else kind.strip()
    where = "" if not places or _THIS.fullmatch(places[0].strip()) else places[0].strip()
    day = (until["day"] or until["length"]).strip() if until else ""
    return Lesson("ignore", kind, where, pointed, _digits(day), (reason or "").strip())


_NUMBERS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


def _digits(text: str) -> str:
    """ "two weeks" -> "2 weeks"."""
    first, _, rest = text.partition(" ")
    return f"{_NUMBERS.index(first.lower()) + 1} {rest}" if first.lower() in _NUMBERS else text
