"""What a report reads: the ledger of tool calls, a fact, its value, its value in words, the parts of a finding.

Knows tools and evidence; not findings or forms.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from assistant import tools
from assistant.evidence import Evidence, Fact
from assistant.pipeline import Workspace
from assistant.words import number, when


@dataclass(frozen=True)
class Sentence:
    """A sentence and the evidence that holds its figures."""

    text: str
    evidence: str = ""


class Ledger:
    """Calls tools and keeps what they found, in order; the same call is made once."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.evidence: list[Evidence] = []
        self._made: dict[tuple[Any, ...], Evidence] = {}

    def call(self, name: str, **arguments: Any) -> Evidence:
        """One tool call; its result becomes part of the report."""
        key = (name, *sorted(arguments.items()))
        if key not in self._made:
            self._made[key] = tools.call(self.workspace, name, **arguments)
            self.evidence.append(self._made[key])
        return self._made[key]


def find(evidence: Evidence, subject_: str, key: str) -> Fact | None:
    """The fact of a subject and field."""
    return next((fact for fact in evidence.facts if fact.subject == subject_ and fact.field == key), None)


def value_of(evidence: Evidence, subject_: str, key: str) -> Any:
    """Its value, or None."""
    fact = find(evidence, subject_, key)
    return fact.value if fact else None


def number_of(evidence: Evidence, subject_: str, key: str) -> str:
    """Its value in words, with its unit; a dash where there is none."""
    fact = find(evidence, subject_, key)
    return shown(fact) if fact else "–"


def shown(fact: Fact) -> str:
    """A fact's value as readers see it."""
    value = when(fact.value) if fact.field.endswith("_time") and isinstance(fact.value, str) else number(fact.value)
    return f"{value} {fact.unit}".strip()


def subjects(evidence: Evidence, finding: str, fields: tuple[str, ...]) -> list[str]:
    """The parts of a finding that have one of these fields, in order."""
    own = (fact for fact in evidence.facts if fact.field in fields and fact.subject.startswith(f"{finding}/"))
    return list(dict.fromkeys(fact.subject for fact in own))
