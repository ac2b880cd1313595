"""Corrects an intent by the form of its sentence: questions never change the store.

Turns a reading and its nearest intent into an intent. Knows how orders and questions are put in English; not the
conversation, tools or evidence.
"""

from __future__ import annotations

import re

from assistant.llm.understand import Reading, intents

_ORDER_TO_LABEL = re.compile(r"\b(?:mark|label|tag|classify|record|register|dismiss|confirm|count|treat|log|note)\b")
HIGHEST_ALPHA = 0.5
_LIMIT = re.compile(
    r"\b(?:alpha|thresholds?|limit|levels?|strict\w*|flag\w*|cut-?off|left|survive\w*|stay\w*|loos\w+|many)\b"
)
_HOW_SURE = re.compile(r"\b(?:certain|sure|confident|chance|probability|likely|trust|rare|low|small|high|good|bad)\b")
_DO_IT = re.compile(r"\b(?:do it|go ahead|please do|do that)\W*$")
_NO_ORDER = re.compile(r"\b(?:how|which|what|why|where|when|who)\b")
_ORDER_TO_WRITE = re.compile(
    r"\b(?:incidents?|summ\w+|sum (?:it |this |that )?up|reports?|write|written|draft|prepare|prep|hand[- ]?over|"
    r"brief\w*|log|note|notes|package|pack|tie|join|lump|link|escalate|compile|condense|raise|"
    r"bundle|group|collect|combine|merge|together|wrap|ticket|case|dossier|document|file|open|create|start|e-?mail|"
    r"send|forward|protocol|minutes|one-pager|recap|put)\b"
)
_SUMMARY_OF_DATA = re.compile(
    r"\b(?:summ\w+|sum up|recap) (?:for (?:me|us) )?(?:what\b|(?:the |this |that |our )?(?:[\w-]+ )?(?:file|data|"
    r"table|run|batch)\b)"
)
_ASKING = ("any", "which", "how", "what", "is", "are", "was", "were", "did", "does", "do")
_WANTS = re.compile(
    r"\bi (?:need|want|would like)\b|\bfor (?:my|the|our) \w+\W*$|\b(?:give|get|make|write|have) (?:me|us)\b"
)
_LABELLING = frozenset(["false_alarm", "confirm", "label", "normal"])
PLAINLY = 0.5  # how near an order to change the store must come where none of its words stands there
_POLITE = re.compile(r"^(?:can|could|would|will) (?:you|we) (?:please )?")


def by_form(reading: Reading, intent: str) -> str:
    """Correct by the form of the sentence: questions never change the store."""
    asks = reading.asks or (reading.words[:1] and reading.words[0] in _ASKING)
    if intent == "incident" and (
        not (_ORDER_TO_WRITE.search(reading.plain) or reading.mentions.incidents)
        or re.search(r"\b(?:no|not an?|without an?) (?:incident|report)\b", reading.plain)
        or (asks and not _POLITE.search(reading.plain) and not _WANTS.search(reading.plain))
        or (_SUMMARY_OF_DATA.search(reading.plain) and "incident" not in reading.plain)
    ):
        return next(name for name, _ in reading.scores if not intents()[name].get("changes"))
    if intent == "alpha":
        return _not_alpha(reading) or intent
    if not str(intent).startswith("label_") or _DO_IT.search(reading.plain):
        return intent
    if reading.words and reading.words[0] in ("show", "list", "which", "how", "give"):
        return "list"
    if reading.score < PLAINLY and not reading.concepts & _LABELLING:
        return "why"
    if _NO_ORDER.search(reading.plain) and not _ORDER_TO_LABEL.search(reading.plain):
        return next(name for name, _ in reading.scores if not intents()[name].get("changes"))
    polite = _POLITE.search(reading.plain) and _ORDER_TO_LABEL.search(reading.plain)
    if not reading.asks or polite:
        return intent
    return "check" if reading.mentions.samples else "sure"


def _not_alpha(reading: Reading) -> str:
    """What a number is about that can be no limit, or that is asked what it means; "" where it may be one."""
    if _LIMIT.search(reading.plain) or not reading.mentions.levels:
        return ""
    if reading.mentions.levels[0] > HIGHEST_ALPHA:
        return "compare_normal" if "score" in reading.concepts else "facts"
    return "guide_p" if "mean" in reading.plain else ("sure" if _HOW_SURE.search(reading.plain) else "")
