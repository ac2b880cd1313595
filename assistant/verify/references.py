"""Numbers by reference: `{{E7.p_value}}` in an answer becomes the value of that fact, with its unit.

A model that refers cannot invent: it names the result, the subject where there are several, and the field, and the
value is filled in from the evidence. Knows evidence and the notation; the filled sentence is checked like any other, so
a right value beside the wrong name is still caught. References inside quotes or code are data and stay as they are.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from assistant.evidence import Evidence, Fact, format_number
from assistant.verify.sentences import QUOTED

REFERENCE = re.compile(r"\{\{\s*(?P<id>E\d+)\s*[.:]\s*(?P<path>[^{}]+?)\s*\}\}")
_BRACES = re.compile(r"\{\{[^{}]*\}\}")
_LISTED = 6  # names that a problem tells


def fill(answer: str, evidence: Mapping[str, Evidence]) -> str:
    """The answer with every reference that names one fact replaced by its value and a mark of its evidence.

    References that name none or several are left standing; `problems` says why.
    """
    quoted = [match.span() for match in QUOTED.finditer(answer)]

    def value(match: re.Match[str]) -> str:
        if any(start < match.start() < end for start, end in quoted):
            return match[0]
        facts = _facts(match, evidence)
        return f"{spoken(facts[0])} [{match['id']}]" if len(_values(facts)) == 1 else match[0]

    return REFERENCE.sub(value, answer)


def problems(text: str, evidence: Mapping[str, Evidence]) -> list[str]:
    """What is wrong with the references left in a sentence, in words that a model can act on."""
    quoted = [match.span() for match in QUOTED.finditer(text)]
    left = [m for m in _BRACES.finditer(text) if not any(start < m.start() < end for start, end in quoted)]
    return [_problem(match[0], evidence) for match in left]


def spoken(fact: Fact) -> str:
    """A fact's value as it stands in a sentence: "0.0004", "34 px", "61.5 %", "yes"."""
    value = fact.value
    if isinstance(value, bool):
        return "yes" if value else "no"
    shown = format_number(value) if isinstance(value, float) else str(value)
    return f"{shown} {fact.unit}" if fact.unit else shown


def _facts(match: re.Match[str], evidence: Mapping[str, Evidence]) -> list[Fact]:
    """The facts that a reference names: by field alone, by subject and field, or by a part's name and field."""
    one = evidence.get(match["id"])
    subject, _, field = match["path"].rpartition(".")
    named = [fact for fact in one.facts if fact.field == field] if one else []
    if not subject:
        return named
    return [f for f in named if f.subject == subject] or [
        f for f in named if subject in (f.subject.partition("/")[2], f.subject.rpartition(" ")[2])
    ]


def _values(facts: list[Fact]) -> set[str]:
    return {spoken(fact) for fact in facts}


def _problem(text: str, evidence: Mapping[str, Evidence]) -> str:
    match = REFERENCE.fullmatch(text)
    if match is None:
        return f"'{text}' is no reference; write {{{{E7.F12.p_value}}}}"
    if match["id"] not in evidence:
        return f"'{text}' refers to a result that is not there"
    facts = _facts(match, evidence)
    if facts:
        paths = list(dict.fromkeys(f"{fact.subject}.{fact.field}" for fact in facts))
        return f"'{text}' may mean {' or '.join(paths[:_LISTED])}; write which"
    one = evidence[match["id"]]
    return f"'{text}' names no fact; {one.id} has {', '.join(f'{f.subject}.{f.field}' for f in one.facts[:_LISTED])}"
