"""Scores a language model on question cases: were the right tools called, does the answer state the right fact?

Cases are data (YAML, see `tests/evals/paraphrases.yaml`); whoever asks hands in a way to ask (`Asker`), so that any
model over any store, real or made up, is scored alike. Knows questions, evidence and answers; not tools, stores or
language models.
"""

from __future__ import annotations

import ast
import re
import statistics
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import yaml

from assistant.evidence import Evidence, Fact
from assistant.verify import verify
from assistant.verify.reading import moments, numbers
from detectors.errors import AnomalyError

MOST_CALLS = 6  # a turn that needs more has lost its way
CHANGES = ("label_finding", "summarise_incident", "ignore_findings", "stop_ignoring", "undo_change")
_KEYS = {"kind", "world", "question", "focus", "history", "calls", "fact", "says"}


@dataclass(frozen=True)
class Case:
    """One question with what a right answer needs."""

    kind: str
    question: str
    world: str = ""  # the store it is asked over; "" = the one at hand
    focus: str | None = None
    history: tuple[str, ...] = ()
    calls: tuple[tuple[tuple[str, dict[str, Any]], ...], ...] = ()  # each: alternatives (tool, arguments)
    facts: tuple[str, ...] = ()  # subject.field
    says: tuple[str, ...] = ()  # regular expressions; one must match


@dataclass(frozen=True)
class Reply:
    """What a model made of one question."""

    text: str
    evidence: tuple[Evidence, ...]  # of this question alone, in order
    earlier: tuple[Evidence, ...] = ()  # of the conversation before it: may be cited too


Asker = Callable[[str, str | None], Reply]  # question, open finding -> reply; keeps one conversation


@dataclass(frozen=True)
class Outcome:
    """How one case went. `right` = tools and fact."""

    case: Case
    reply: Reply
    missing: tuple[str, ...]  # calls that were not made, or made and not asked for
    unsaid: tuple[str, ...]  # facts and words that the answer lacks
    unsupported: tuple[str, ...]  # sentences that do not match the evidence they cite
    seconds: float

    @property
    def right(self) -> bool:
        """Right tool and right fact."""
        return not self.missing and not self.unsaid


def load_cases(path: str | Path) -> list[Case]:
    """The cases of a YAML file.

    Raises:
        AnomalyError: the file is not a list of cases; the sentence names the row.
    """
    rows = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    if not isinstance(rows, list):
        raise AnomalyError(f"{path} is not a list of cases.")
    return [_case(row, f"{path}, case {i}") for i, row in enumerate(rows, 1)]


def load_dialogues(path: str | Path) -> list[Case]:
    """The turns of a YAML file of conversations, each with the turns before it as its history.

    Raises:
        AnomalyError: the file is not a list of conversations; the sentence names the one.
    """
    found = []
    for i, dialogue in enumerate(yaml.safe_load(Path(path).read_text(encoding="utf-8")), 1):
        where = f"{path}, conversation {i}"
        if not isinstance(dialogue, dict) or not {"world", "turns"} <= set(dialogue) <= {"world", "turns", "focus"}:
            raise AnomalyError(f"{where}: a conversation has world and turns, and may have focus.")
        shared = {key: value for key, value in dialogue.items() if key != "turns"}
        said: list[str] = []
        for turn in dialogue["turns"]:
            found.append(_case({**shared, **turn, "history": list(said)}, where))
            said.append(turn["question"])
    return found


def _case(row: Any, where: str) -> Case:
    if not isinstance(row, dict) or not {"kind", "question"} <= set(row) or not set(row) <= _KEYS:
        raise AnomalyError(f"{where}: a case has kind and question, and may have {', '.join(sorted(_KEYS))}.")
    facts = row.get("fact", [])
    return Case(
        kind=str(row["kind"]),
        question=str(row["question"]),
        world=str(row.get("world", "")),
        focus=row.get("focus"),
        history=tuple(row.get("history", ())),
        calls=tuple(tuple(_call(text, where) for text in str(entry).split(" | ")) for entry in row.get("calls", ())),
        facts=tuple([facts] if isinstance(facts, str) else facts),
        says=tuple(row.get("says", ())),
    )


def _call(text: str, where: str) -> tuple[str, dict[str, Any]]:
    """`explain_finding(finding="F3")` as name and arguments."""
    try:
        node = ast.parse(re.sub(r"=(true|false)\b", lambda m: f"={m[1].title()}", text.strip()), mode="eval").body
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Name):
            raise SyntaxError(text)
        return node.func.id, {str(word.arg): ast.literal_eval(word.value) for word in node.keywords}
    except (SyntaxError, ValueError) as error:
        raise AnomalyError(f"{where}: {text!r} is not a call such as explain_finding(finding='F3').") from error


def evaluate(cases: Iterable[Case], conversation: Callable[[str], Asker]) -> list[Outcome]:
    """Ask every case; `conversation(world)` opens a fresh one each time."""
    return [_ask(case, conversation(case.world)) for case in cases]


def _ask(case: Case, asker: Asker) -> Outcome:
    for earlier in case.history:
        asker(earlier, case.focus)
    start = time.perf_counter()
    reply = asker(case.question, case.focus)
    seconds = time.perf_counter() - start
    known = {evidence.id: evidence for evidence in (*reply.earlier, *reply.evidence)}
    asked = " ".join((*case.history, case.question))
    problems = tuple(
        f"{problem.text} ({'; '.join(problem.reasons)})" for problem in verify(reply.text, known, asked).problems
    )
    return Outcome(case, reply, _missing(case, reply), _unsaid(case, reply), problems, seconds)


# --- tools --------------------------------------------------------------------------------------------------------


def _missing(case: Case, reply: Reply) -> tuple[str, ...]:
    """Calls that should have been made and were not, or the other way round."""
    made = [(evidence.tool, evidence.arguments) for evidence in reply.evidence]
    lacking = [
        " or ".join(_spoken(*call) for call in alternatives)
        for alternatives in case.calls
        if not any(_made(call, made) for call in alternatives)
    ]
    wanted = {name for alternatives in case.calls for name, _ in alternatives}
    unasked = [f"{name} was not asked for" for name, _ in made if name in CHANGES and name not in wanted]
    if len(made) > MOST_CALLS:
        unasked.append(f"{len(made)} calls for one question")
    return (*lacking, *unasked)


def _made(call: tuple[str, dict[str, Any]], made: Sequence[tuple[str, dict[str, Any]]]) -> bool:
    name, wanted = call
    return any(
        tool == name and all(_equal(value, given.get(key)) for key, value in wanted.items()) for tool, given in made
    )


def _equal(wanted: Any, given: Any) -> bool:
    if isinstance(wanted, bool) or given is None:
        return bool(wanted) == bool(given)
    if isinstance(wanted, int | float) and isinstance(given, int | float):
        return abs(wanted - given) <= 1e-6 * max(1.0, abs(wanted))
    if isinstance(wanted, str) and isinstance(given, str):
        return _plain_name(wanted) == _plain_name(given) or _digits(wanted) == _digits(given) != ""
    return bool(wanted == given)


def _plain_name(text: str) -> str:
    stem = re.sub(r"\.\w{2,5}$", "", text.lower())
    return re.sub(r"(?<!\d)0+(?=\d)", "", re.sub(r"[^a-z0-9]", "", stem))


def _digits(text: str) -> str:
    """The number of a sample's name, where it has just one: "part 17", "part_017.png" -> "17"."""
    found = re.findall(r"\d+", text)
    return found[0].lstrip("0") if len(found) == 1 and not re.fullmatch(r"[FRIE]\d+", text) else ""


def _spoken(name: str, arguments: dict[str, Any]) -> str:
    return f"{name}({', '.join(f'{key}={value!r}' for key, value in arguments.items())})"


# --- facts --------------------------------------------------------------------------------------------------------


def _unsaid(case: Case, reply: Reply) -> tuple[str, ...]:
    """Facts and words that the answer lacks."""
    found = []
    for wanted in case.facts:
        subject, _, key = wanted.rpartition(".")
        facts = [fact for one in reply.evidence for fact in one.facts if fact.subject == subject and fact.field == key]
        if not facts:
            found.append(f"no result holds {wanted}")
        elif not any(states(reply.text, fact) for fact in facts):
            found.append(f"{wanted} = {facts[0].value}")
    if case.says and not any(re.search(pattern, reply.text, re.I) for pattern in case.says):
        found.append(f"words like {case.says[0]!r}")
    return tuple(found)


def states(text: str, fact: Fact) -> bool:
    """Whether a text states a fact's value: a correct rounding, the same time, or the same words."""
    value = fact.value
    if isinstance(value, bool) or value is None:
        return True
    if isinstance(value, int | float):
        told = [number for number in numbers(text, [fact.unit]) if number.value or not value]
        return any(number.agrees(value) and abs(number.value - value) <= 0.1 * abs(value) for number in told)
    try:
        moment = datetime.fromisoformat(value) if re.match(r"\d{4}-\d\d-\d\d", value) else None
    except ValueError:
        moment = None
    if moment is not None:
        return any(all(getattr(moment, key) == part for key, part in one.parts.items()) for one in moments(text))
    return re.sub(r"[\s_]+", " ", value).lower() in re.sub(r"[\s_]+", " ", text).lower()


# --- report -------------------------------------------------------------------------------------------------------


def report(outcomes: Sequence[Outcome]) -> str:
    """A table by kind of question, and every case that went wrong."""
    kinds = sorted({outcome.case.kind for outcome in outcomes})
    rows = [f"{'kind':<18}{'cases':>6}{'right':>7}{'tool':>6}{'fact':>6}{'unsupported':>13}"]
    for kind in [*kinds, ""]:
        group = [outcome for outcome in outcomes if kind in ("", outcome.case.kind)]
        tools, facts = sum(not o.missing for o in group), sum(not o.unsaid for o in group)
        right, wrong = sum(o.right for o in group), sum(len(o.unsupported) for o in group)
        rows.append(f"{kind or 'all':<18}{len(group):>6}{right:>7}{tools:>6}{facts:>6}{wrong:>13}")
    seconds = statistics.median(outcome.seconds for outcome in outcomes) if outcomes else 0.0
    rows.append(f"right tool and fact: {share(outcomes):.1%}; median {1000 * seconds:.0f} ms an answer")
    rows += [_miss(outcome) for outcome in outcomes if not outcome.right or outcome.unsupported]
    return "\n".join(rows)


def share(outcomes: Sequence[Outcome]) -> float:
    """Share of cases with the right tool and the right fact."""
    return sum(outcome.right for outcome in outcomes) / max(1, len(outcomes))


def _miss(outcome: Outcome) -> str:
    case = outcome.case
    before = "".join(f"{question!r}, " for question in case.history)
    lines = [
        f"- {case.kind}, {case.world or 'store'}{', ' + case.focus if case.focus else ''}: {before}{case.question!r}"
    ]
    lines += [f"    not called: {text}" for text in outcome.missing]
    lines += [f"    not said: {text}" for text in outcome.unsaid]
    lines += [f"    unsupported: {text}" for text in outcome.unsupported]
    made = "; ".join(_spoken(one.tool, one.arguments) for one in outcome.reply.evidence)
    return "\n".join([*lines, f"    calls: {made or 'none'}", f"    answer: {outcome.reply.text}"])
