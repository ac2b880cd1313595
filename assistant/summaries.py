"""The summary of an incident: written by the assistant and verified, or edited by a person and checked again.

Knows incidents, evidence, the verifier and the assistant; not pages or reports' forms. Kept as JSON in the store's
folder, `incidents/I1.json`. A person may write what they like: what states facts that the evidence does not hold is
kept, and marked as unverified wherever the summary is shown.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from html import escape
from typing import TYPE_CHECKING

from assistant.evidence import Answer, Evidence
from assistant.keeping import keep_json, load_json
from assistant.store import Store
from assistant.store.audit import INCIDENT_EDITED
from assistant.verify import Verdict, verify
from detectors.errors import AnomalyError

if TYPE_CHECKING:
    from assistant.agent import Event
    from assistant.pipeline import Workspace

PERSON, ASSISTANT = "person", "assistant"
LOGGED = 400  # characters of a summary in the audit log
LONGEST = 20_000  # characters
UNVERIFIED = "(unverified)"
_NUMBER = re.compile(r"(?<![\w.])[-+]?\d+(?:[.,:]\d+)*(?:e[-+]?\d+)?(?:\s?%)?(?![\w])", re.I)
_FINDING = re.compile(r"(?<![\w./#\[;&-])F\d{1,9}(?![\w-]|\.\w)")
_COMMAND = "anomaly report"  # how an answer in a terminal ends; no part of a summary


@dataclass(frozen=True)
class Summary:
    """What is said of an incident, and by whom."""

    text: str = ""  # Markdown with [E7] marks
    evidence: tuple[str, ...] = ()  # what it may cite
    by: str = ASSISTANT  # who wrote it last
    author: str = ""  # the language model, or the person
    updated: str = ""  # ISO time, UTC


@dataclass(frozen=True)
class Said:
    """A sentence of a summary."""

    text: str  # without marks
    evidence: tuple[str, ...]
    line: int
    prefix: str  # "- " in lists
    reasons: tuple[str, ...] = ()  # why it is unverified; empty where it holds, or states no facts
    facts: tuple[str, ...] = ()  # those that its numbers are: "E7:F12.p_value"

    @property
    def numbers(self) -> list[tuple[int, int]]:
        """Where its numbers stand."""
        return [found.span() for found in _NUMBER.finditer(self.text)]


def load(store: Store, incident: str) -> Summary:
    """The summary of an incident; an empty one where there is none yet."""
    path = store.path(f"incidents/{store.incident(incident).id}.json")
    if not path.is_file():
        return Summary()
    known = load_json(path)
    return Summary(**{**known, "evidence": tuple(known["evidence"])})


def keep(store: Store, incident: str, summary: Summary) -> Summary:
    """Keep a summary; whole or not at all."""
    keep_json(store.path(f"incidents/{store.incident(incident).id}.json"), asdict(summary))
    return summary


def edit(store: Store, incident: str, text: str, who: str) -> Summary:
    """Keep what a person made of a summary; the same text again stays the assistant's.

    Raises:
        AnomalyError: the text is too long.
    """
    text = text.replace("\r\n", "\n").strip()
    if len(text) > LONGEST:
        raise AnomalyError(f"The summary has {len(text):,} characters; {LONGEST:,} are the most.")
    known = load(store, incident)
    if text == known.text.strip():
        return known
    named = re.findall(r"E\d+", " ".join(re.findall(r"\[[^\]]*\]", text)))
    evidence = tuple(dict.fromkeys([*known.evidence, *named]))
    kept = keep(store, incident, Summary(text, evidence, PERSON, who, _now()))
    told = ({"summary": known.text[:LOGGED]}, {"summary": text[:LOGGED]})
    store.note_change(INCIDENT_EDITED, incident, before=told[0], after=told[1], who=who)
    return kept


def write(workspace: Workspace, incident: str, llm: str, thread: str) -> Iterator[Event | Summary]:
    """Let the assistant write the summary; its events as they come, at last the summary, which is kept.

    Raises:
        AnomalyError: the incident holds no findings any more, or the store cannot be used.
    """
    from assistant.agent import Assistant, Done

    kept = workspace.store.incident(incident)
    ranked = workspace.store.findings(incident=kept.id, limit=1)
    if not ranked:
        raise AnomalyError(f"{kept.id} holds no findings any more; there is nothing to summarise.")
    answers: list[Answer] = []
    with Assistant(workspace, llm, thread) as assistant:
        for question in questions(llm, kept.id, ranked[0].id, kept.findings):
            for event in assistant.stream(question):
                yield event
                if isinstance(event, Done):
                    answers.append(event.answer)
    text = "\n\n".join(piece for answer in answers if (piece := without_commands(answer)))
    evidence = dict.fromkeys(name for one in answers for claim in one.claims for name in claim.evidence)
    author = answers[-1].model if answers else llm
    yield keep(workspace.store, kept.id, Summary(text, tuple(evidence), ASSISTANT, author, _now()))


def questions(llm: str, incident: str, worst: str, findings: Sequence[str]) -> list[str]:
    """What is asked: a language model gets the prompt for incidents, the narrator three plain questions."""
    from assistant import prompts
    from assistant.llm import NARRATOR

    if llm.strip() in ("", NARRATOR):
        return [f"Summarise incident {incident}", f"Why is {worst} anomalous?", f"What kind of anomaly is {worst}?"]
    return [prompts.render("incident", incident=incident, findings=list(findings)[:20])]


def without_commands(answer: Answer) -> str:
    """An answer's text without sentences on what to type into a terminal."""
    lines = re.split(r"(?<=[.!?])\s+(?=[A-Z])", answer.text)
    return " ".join(line for line in lines if _COMMAND not in line)


# --- checked --------------------------------------------------------------------------------------------------------


def checked(store: Store, summary: Summary) -> list[Said]:
    """The summary, sentence by sentence, held against the evidence that it may cite."""
    return sentences(verify(summary.text, held(store, summary)))


def held(store: Store, summary: Summary) -> dict[str, Evidence]:
    """The evidence that it may cite, as far as the store has it; a mark that somebody made up is not there."""
    known: dict[str, Evidence] = {}
    for name in summary.evidence:
        with suppress(AnomalyError):
            known[name] = store.evidence(name)
    return known


def sentences(verdict: Verdict) -> list[Said]:
    """A verdict as sentences with what is wrong with each."""
    wrong = {problem.sentence: problem.reasons for problem in verdict.problems}
    return [
        Said(
            one.text,
            one.cites,
            one.line,
            one.prefix,
            tuple(wrong.get(number, ())),
            verdict.facts.get(number, ()),
        )
        for number, one in enumerate(verdict.sentences, start=1)
    ]


def plain(said: Said) -> str:
    """A sentence for a report: a number that the evidence does not hold is followed by "(unverified)"."""
    if not said.reasons:
        return said.text
    if not said.numbers:
        return f"{said.text} {UNVERIFIED}"
    text = said.text
    for _, end in reversed(said.numbers):
        text = f"{text[:end]} {UNVERIFIED}{text[end:]}"
    return text


def marked(said: Said) -> str:
    """A sentence as HTML; what the evidence does not hold is marked, and says why."""
    if not said.reasons:
        return _html(said.text)
    why = escape("; ".join(said.reasons))
    open_, close = f'<mark class="unverified" title="Not in the evidence: {why}">', "</mark>"
    if not said.numbers:
        return f"{open_}{_html(said.text)}{close}"
    pieces, at = [], 0
    for start, end in said.numbers:
        pieces += [_html(said.text[at:start]), open_, escape(said.text[start:end]), close]
        at = end
    return "".join([*pieces, _html(said.text[at:])])


def _html(text: str) -> str:
    """Text from outside as HTML; the ids of findings lead to them."""
    return _FINDING.sub(r'<a href="#\g<0>">\g<0></a>', escape(text))


def told_by(summary: Summary) -> str:
    """Who wrote it, in a sentence."""
    if summary.by == PERSON:
        return f"Edited by a person ({summary.author or 'unnamed'}), {summary.updated[:16].replace('T', ' ')} UTC."
    return f"Written by {summary.author} and verified, {summary.updated[:16].replace('T', ' ')} UTC."


def opening(store: Store, incident: str) -> list[tuple[str, str]]:
    """(sentence, evidence) for the top of a report; empty where nobody has written a summary."""
    summary = load(store, incident)
    if not summary.text:
        return []
    known = set(held(store, summary))
    said = [(plain(one), next((name for name in one.evidence if name in known), "")) for one in checked(store, summary)]
    return [*said, (told_by(summary), "")]


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
