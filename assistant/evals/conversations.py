"""Suite 3, conversations: follow-ups, what-ifs, comparisons, false premises, other languages, nothing to report.

Each turn is asked after the turns before it, through the whole assistant, and judged: the right tools, the right fact,
nothing that the evidence does not hold. Knows cases and made-up stores; not detectors.
"""

from __future__ import annotations

from collections.abc import Sequence

from assistant.evals.asking import conversations
from assistant.evals.table import Job, Line, counted, summed
from assistant.evaluate import Outcome, evaluate, load_cases, load_dialogues

TITLE = "conversations"
QUICK = 12  # turns of a smoke run


def run(job: Job) -> list[Line]:
    """Ask the turns of the conversations and the single questions."""
    tail = "_held_out" if job.held_out else ""
    cases = load_dialogues(job.cases / f"conversations{tail}.yaml") + load_cases(job.cases / f"paraphrases{tail}.yaml")
    cases = cases[:QUICK] if job.quick else cases
    outcomes = []
    with conversations(job.llm) as converse:
        for number, case in enumerate(cases):
            job.tell(number / len(cases), f"turn {number + 1} of {len(cases)}")
            outcomes += evaluate([case], converse)
    kinds = sorted({outcome.case.kind for outcome in outcomes})
    lines = [_right(kind, [one for one in outcomes if one.case.kind == kind]) for kind in kinds]
    every = len(outcomes) or 1
    return [
        *lines,
        *summed(lines),
        Line("all", "sentences without support", sum(len(one.unsupported) for one in outcomes)),
        Line("all", "calls an answer", sum(len(one.reply.evidence) for one in outcomes) / every),
        Line("all", "seconds an answer", sum(one.seconds for one in outcomes) / every),
    ]


def _right(kind: str, outcomes: Sequence[Outcome]) -> Line:
    told = [(one.right, f"{one.case.question!r}: {'; '.join((*one.missing, *one.unsaid))}") for one in outcomes]
    return counted(kind, "right tool and fact", told)
