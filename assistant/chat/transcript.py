"""Writes a conversation as Markdown: questions, answers, how each was checked, and the evidence that it cites.

Knows exchanges, answers and evidence; not the store, pages or language models. Names come from data: whatever is not
an answer's own Markdown is escaped.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

from assistant.evidence import Answer, Evidence
from assistant.records import Exchange
from assistant.words import arguments_text, markdown, number, when
from detectors.errors import AnomalyError

FACTS = 400  # rows of one evidence that are written; the rest stays in the store
_MARK = re.compile(r"\[(E\d+(?:\s*,\s*E\d+)*)\](?!\()")


def as_markdown(title: str, exchanges: Sequence[Exchange], evidence: Callable[[str], Evidence]) -> str:
    """A whole conversation; `evidence` looks an id up and raises AnomalyError where it is not kept any more."""
    answers = [Answer.from_dict(exchange.answer) for exchange in exchanges]
    cited = sorted({name for answer in answers for name in _cited(answer)}, key=lambda name: int(name[1:]))
    many = f"{len(exchanges)} question{'s' * (len(exchanges) != 1)}"
    lines = [f"# {markdown(title)}", "", f"{many}; every figure was computed by a detector, and each mark such as "
             "[E7] leads to the evidence below that holds it.", ""]  # fmt: skip
    for exchange, answer in zip(exchanges, answers, strict=True):
        lines += [*_exchange(exchange, answer), ""]
    if cited:
        lines += ["## Evidence", ""]
    for name in cited:
        lines += [*_evidence(name, evidence), ""]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip() + "\n"


def _cited(answer: Answer) -> list[str]:
    steps = [step.evidence for step in answer.steps if step.evidence]
    return [name for claim in (*answer.claims, *answer.removed) for name in claim.evidence] + steps


def _exchange(exchange: Exchange, answer: Answer) -> Iterable[str]:
    yield f"## {markdown(exchange.question)}"
    yield ""
    for notice in answer.notices:
        yield from (f"> {markdown(notice)}", "")
    yield from (_MARK.sub(_linked, answer.text), "")
    yield f"*{checked(answer)}; {markdown(answer.model)}, {answer.seconds:.1f} s, {when(exchange.created)} UTC*"
    yield ""
    for step in answer.steps:
        mark = f" → [{step.evidence}](#{step.evidence.lower()})" if step.evidence else f" → {step.status}"
        yield f"- `{step.tool}`({markdown(arguments_text(step.arguments))}){mark}, {step.seconds:.2f} s"
    if answer.removed:
        yield from ("", "Left out, since the evidence does not hold it:", "")
    for claim in answer.removed:
        yield f"- ~~{markdown(claim.text)}~~ {markdown(claim.reason)}"


def checked(answer: Answer) -> str:
    """How an answer was checked, in words."""
    held = sum(bool(claim.evidence) for claim in answer.claims)
    if not held:
        return "no measured facts in it" if not answer.removed else f"{len(answer.removed)} statements left out"
    told = f"verified: {held} statement{'s' * (held != 1)} held against the evidence"
    return f"{told}, {len(answer.removed)} left out" if answer.removed else told


def facts_of(facts: Sequence[str], evidence: str) -> list[str]:
    """Those facts ("E7:F12.p_value") that are of one evidence, without its id: "F12.p_value"."""
    return [key.partition(":")[2] for key in facts if key.startswith(f"{evidence}:")]


def _linked(mark: re.Match[str]) -> str:
    return "[" + ", ".join(f"[{name}](#{name.lower()})" for name in re.findall(r"E\d+", mark[1])) + "]"


def _evidence(name: str, look_up: Callable[[str], Evidence]) -> Iterable[str]:
    yield from (f"### {name}", "")
    try:
        one = look_up(name)
    except AnomalyError as error:
        yield markdown(str(error))
        return
    yield f"`{one.tool}`({markdown(arguments_text(one.arguments))}) {one.status}, {when(one.created)} UTC"
    if one.note:
        yield from ("", f"> {markdown(one.note)}")
    if one.facts:
        yield from ("", "| subject | field | value |", "|---|---|---|")
    for fact in one.facts[:FACTS]:
        value = f"{number(fact.value)} {fact.unit}".strip()
        yield f"| {markdown(fact.subject)} | {markdown(fact.field)} | {markdown(value)} |"
    if len(one.facts) > FACTS:
        yield from ("", f"{len(one.facts) - FACTS} more facts are kept with {name} in the store.")
