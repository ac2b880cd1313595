"""Tells which repair of an explanation's test a number speaks of: of the named places, of the rest, of random places.

Knows scenes and facts.
"""

from __future__ import annotations

import re

from assistant.verify.facts import Known
from assistant.verify.scene import Scene

REPAIRS = re.compile(
    r"(?P<rest>(?:everything|all) (?:else|except|but|apart from|other than)(?: (?:for )?(?:the )?named \w+)?|the rest\b"
    r"|except the named)"
    r"|(?P<named>\bthe named (?:places?|regions?|parts?|ones?)|\bnamed \w+ (?:are |is |was |were )?repaired)"
    r"|(?P<random>\brandom\b|\belsewhere\b|\bother places\b)",
    re.I,
)


def repair_told(scene: Scene, start: int, end: int) -> str:
    """ "named", "rest" or "random": the repair of an explanation's test that the words around a number speak of."""
    found = list(REPAIRS.finditer(scene.text))
    before = [match for match in found if match.end() <= start]
    match = before[-1] if before else next((m for m in found if m.start() >= end), None)
    return str(match.lastgroup) if match else ""


def repair_of(known: Known) -> str:
    """The repair of an explanation's test that a fact is the outcome of."""
    if not {"p", "value"} <= known.words:
        return ""
    return next((name for name in ("named", "rest", "random") if name in known.words), "")
