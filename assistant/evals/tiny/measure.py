"""Measures a language model on the conversations, apart by whether its training may have spelled the very words.

`python -m assistant.evals.tiny.measure --llm local:FOLDER [--held-out]`, also for the narrator, for comparison. Knows
the suite and the patterns; not tokens or training.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from assistant.evals import CASES
from assistant.evals.conversations import ask, right
from assistant.evals.drafts import lines
from assistant.evals.table import Job, Line, shown
from assistant.evals.tiny import WEIGHTS
from assistant.evals.tiny.dialogue import taught


def measure(job: Job) -> dict[str, list[Line]]:
    """Tables for questions whose words the patterns spell, and for those they do not."""
    found = ask(job)
    tables = {}
    for name, known in (("words that may have been trained on", True), ("words never trained on", False)):
        some = [(outcome, drafts) for outcome, drafts in found if taught(outcome.case.question) is known]
        outcomes = [outcome for outcome, _ in some]
        kinds = sorted({outcome.case.kind for outcome in outcomes})
        told = [right(kind, [one for one in outcomes if one.case.kind == kind]) for kind in kinds]
        written = lines([(outcome, drafts) for outcome, drafts in some if drafts])
        tables[name] = [*told, right("all", outcomes), *written]
    return tables


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--llm", default=f"local:{WEIGHTS}")
    parser.add_argument("--cases", type=Path, default=CASES)
    parser.add_argument("--held-out", action="store_true")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--misses", type=int, default=0, help="how many misses are listed")
    given = parser.parse_args()
    job = Job(given.cases, given.llm, given.held_out, quick=given.quick)
    for name, table in measure(job).items():
        print(shown(f"{given.llm}: {name}", table, given.misses), end="\n\n")


if __name__ == "__main__":
    main()
