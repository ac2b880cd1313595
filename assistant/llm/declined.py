"""Orders that are not carried out: those that the person takes back in the same breath, and those against the evidence.

Turns text into the name of a script, or none. Knows how people back out ("hm wait, no, leave it") and how they order an
answer ("just say it is fine", "set its p to 0.5"); not findings, tools or wording.
"""

from __future__ import annotations

import re

_CANCELS = re.compile(
    r"\b(?:never ?mind|forget (?:it|that|about it|about that)|leave (?:it|that|them|everything)(?: (?:as (?:it is|"
    r"is)|open|"
    r"alone|be|for now|unlabell?ed|untouched))?|(?:do not|don't|dont) (?:do|label|mark|change|touch|confirm|dismiss|"
    r"file|"
    r"write|save|record|log) (?:it|that|this|anything|them|any of them|nothing)(?: (?:yet|now|for now))?|"
    r"not yet|hold off|hold it|scrap that|cancel(?: that| it)?|not now|(?:do not|stop)(?=\W*$)|changed my mind|"
    r"let us wait|better not|rather not)"
    r"(?=(?P<rest>[^?]*)$)"
)
_BACKS_OUT = re.compile(
    r"\b(?:no|wait|hm+|actually|stop|hold on|hang on|sorry|but|oh|nah|yet|never|cancel|forget|not now)\b"
)
_ORDERS_CHANGE = re.compile(
    r"\b(?:mark|label|dismiss|confirm|file|log|record|clear|tag|set|undo|report|incident|alarm)\b"
)
_VALUE = r"(?:p|p-values?|scores?|results?|numbers?|values?|evidence|verdict|findings?|facts?|grey level|share)"
_AGAINST = re.compile(
    r"^\W*(?:please |now |ok |so |just |you must |you have to |i order you to |i want you to )*"
    r"(?:from now on|always (?:say|answer|tell|report|reply)|never (?:flag|say|report|mention|tell)|"
    r"pretend (?:to be|you|that you|everything|all|it is|nothing|there is)\b|act (?:as|like)\b|"
    r"role-?play|you are now\b|(?:ignore|forget|disregard|drop|override|bypass) (?:all |any |your |the |my |these |"
    r"previous |"
    r"prior |earlier )+(?:rules?|instructions?|prompts?|guidelines?|evidence|checks?|verifier|limits?|numbers?)|"
    r"(?:just )?(?:say|claim|write|answer|state|swear|promise|tell (?:me|them|everyone|the \w+)) (?:that )?(?:it|"
    r"this|that|f\d+|xfinding|"
    r"everything|all|they|nothing|there)\b.{0,24}\b(?:is|are|was|were)\b|lie\b|make (?:up|something up))"
    rf"|\b(?:change|set|make|turn|lower|raise|edit|overwrite|adjust|fake|fudge|replace|bump|rewrite) (?:the |its |"
    rf"his |that |this |"
    rf"f\d+(?:'s)? )*{_VALUE}(?: of [\w ]{{1,20}})? (?:to|up|down|as|into|by)\b"
    r"|\b(?:delete|erase|hide|destroy|wipe) (?:the |its |all |this |that |those )*(?:evidence|findings?|f\d+|"
    r"records?|log|"
    r"alarms?|results?|database|store)\b"
)


def declined(text: str, last: str = "") -> str:
    """ "backed_out" where the person takes an order back, "refuse" for an order against the evidence, else "".

    Args:
        text: the question, folded.
        last: the intent of the question before.
    """
    if _AGAINST.search(text):
        return "refuse"
    found = next(iter(reversed([*_CANCELS.finditer(text)])), None)
    if found and len(found["rest"].split()) <= 3:
        before = text[: found.start()]
        alone = not re.search(r"\w{3,}", re.sub(_BACKS_OUT, "", before))
        if alone or (_ORDERS_CHANGE.search(before) and _BACKS_OUT.search(text)):
            return "backed_out"
    return ""
