"""Suite 3, conversations: follow-ups, what-ifs, comparisons, false premises, other languages, nothing to report.

Each turn is asked after the turns before it, through the whole assistant, and judged: the right tools, the right fact,
nothing that the evidence does not hold. Of a language model it is also told what it wrote before the check. Knows cases
and made-up stores; not detectors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from assistant.evals.asking import Opener, conversations
from assistant.evals.drafts import Drafts, Overheard, drafts_of, lines
from assistant.evals.table import Job, Line, counted, summed
from assistant.evaluate import Asker, Outcome, Reply, evaluate, load_cases, load_dialogues
from assistant.llm import NARRATOR, get_model

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

    from assistant.evals.made_stores import MadeStore

TITLE = "conversations"
QUICK = 12  # turns of a smoke run


def run(job: Job) -> list[Line]:
    """Ask the turns of the conversations and the single questions."""
    found = ask(job)
    outcomes = [outcome for outcome, _ in found]
    kinds = sorted({outcome.case.kind for outcome in outcomes})
    told = [right(kind, [one for one in outcomes if one.case.kind == kind]) for kind in kinds]
    every = len(outcomes) or 1
    return [
        *told,
        *summed(told),
        *lines([(outcome, drafts) for outcome, drafts in found if drafts]),
        Line("all", "sentences without support", sum(len(one.unsupported) for one in outcomes)),
        Line("all", "calls an answer", sum(len(one.reply.evidence) for one in outcomes) / every),
        Line("all", "seconds an answer", sum(one.seconds for one in outcomes) / every),
    ]


def ask(job: Job) -> list[tuple[Outcome, Drafts | None]]:
    """How every case went and, of a language model, what it wrote before the check; the narrator writes no drafts."""
    tail = "_held_out" if job.held_out else ""
    cases = load_dialogues(job.cases / f"conversations{tail}.yaml") + load_cases(job.cases / f"paraphrases{tail}.yaml")
    if job.held_out:
        blind = load_dialogues(job.cases / "conversations_blind.yaml")
        cases += [replace(case, kind="written blind") for case in blind]
    cases = cases[:QUICK] if job.quick else cases
    model = None if job.llm == NARRATOR else Overheard(inner=_model(job.llm))
    found: list[tuple[Outcome, Drafts | None]] = []
    with conversations(model or job.llm) as converse:
        for number, case in enumerate(cases):
            job.tell(number / len(cases), f"turn {number + 1} of {len(cases)}")
            outcome = evaluate([case], _listening(converse, model) if model else converse)[0]
            found.append((outcome, drafts_of(outcome, model.heard) if model else None))
    return found


def _model(llm: str | BaseChatModel) -> BaseChatModel:
    return get_model(llm) if isinstance(llm, str) else llm


def _listening(converse: Opener, model: Overheard) -> Opener:
    """Conversations in which only the replies to the last question stay in `model.heard`."""

    def open_(world: str | MadeStore) -> Asker:
        asker = converse(world)

        def ask(question: str, focus: str | None) -> Reply:
            model.heard.clear()
            return asker(question, focus)

        return ask

    return open_


def right(kind: str, outcomes: Sequence[Outcome]) -> Line:
    """A line of how many had the right tools and the right fact."""
    told = [(one.right, f"{one.case.question!r}: {'; '.join((*one.missing, *one.unsaid))}") for one in outcomes]
    return counted(kind, "right tool and fact", told)
