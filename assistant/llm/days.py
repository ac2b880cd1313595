"""Whether a run was made on the day that a question names: "monday", "the second of november", "2026-11-02".

Turns text and a run's source and time of making into yes or no. Knows calendars and how days are written in English;
not runs, tools or the conversation.
"""

from __future__ import annotations

import re
from datetime import datetime

from assistant.llm.mentions import ORDINALS

_WEEK = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_MONTHS = ("january", "february", "march", "april", "may", "june", "july", "august", "september", "october",
           "november", "december")  # fmt: skip
_WORDS = {word: place for word, place in ORDINALS.items() if place > 0}
_DAY = rf"(?P<day>\d{{1,2}}|{'|'.join(sorted(_WORDS, key=len, reverse=True))})(?:st|nd|rd|th)?"
_MONTH = rf"(?P<month>{'|'.join(f'{name[:3]}(?:{name[3:]})?' for name in _MONTHS)})"
_WEEKDAY = re.compile(rf"\b(?P<name>{'|'.join(_WEEK)})(?:'?s)?\b")
_DATES = [re.compile(rf"\b{_DAY} (?:of )?{_MONTH}\b"), re.compile(rf"\b{_MONTH} (?:the )?{_DAY}\b")]
_ISO = re.compile(r"\b\d{4}-\d{2}-\d{2}\b")


def names_a_day(text: str) -> bool:
    """Whether a folded text names a day at all."""
    return bool(_WEEKDAY.search(text) or _ISO.search(text) or any(one.search(text) for one in _DATES))


def made_on(text: str, source: str, created: str) -> bool:
    """Whether a run of this source, made at this time (ISO 8601), is one of the day that a folded text names."""
    try:
        made = datetime.fromisoformat(created)
    except ValueError:
        made = None
    if found := _WEEKDAY.search(text):
        named = next((day for day in _WEEK if day in source.lower()), None)  # a night shift may end on the next day
        return found["name"] == (named or (_WEEK[made.weekday()] if made else None))
    if iso := _ISO.search(text):
        return created.startswith(iso[0])
    dates = [found for one in _DATES if (found := one.search(text))]
    if not dates or made is None:
        return False
    day = _WORDS.get(dates[0]["day"]) or int(dates[0]["day"])
    return (made.day, _MONTHS[made.month - 1][:3]) == (day, dates[0]["month"][:3])
