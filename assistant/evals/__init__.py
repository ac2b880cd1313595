"""The evaluation suites behind `anomaly eval`: one module a suite, named in `SUITES`.

A suite is a module with `TITLE` and `run(job) -> list[Line]` (see `table`). What is asked and planted are data
(`tests/evals/`) and seeded generators (`planted_*`), never detectors' own words.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from detectors.errors import AnomalyError

if TYPE_CHECKING:
    from assistant.evals.table import Job

SUITES = ("generated", "real", "conversations", "adversarial")
CASES = Path(__file__).resolve().parents[2] / "tests" / "evals"


def run_suites(names: Sequence[str], job: Job) -> dict[str, dict[str, Any]]:
    """Run suites; for each its title, its table as text, and its lines.

    Raises:
        AnomalyError: an unknown suite, or its cases or data are not there.
    """
    from assistant.evals.table import shown

    unknown = [name for name in names if name not in SUITES]
    if unknown:
        raise AnomalyError(f"There is no suite {unknown[0]!r}; known: {', '.join(SUITES)}.")
    if not job.cases.is_dir():
        raise AnomalyError(f"There are no cases at {job.cases}; name their folder with --cases.")
    found = {}
    for name in names or SUITES:
        suite = import_module(f"{__name__}.{name}")
        lines = suite.run(job)
        found[name] = {
            "title": suite.TITLE,
            "table": shown(suite.TITLE, lines, misses=40),
            "lines": [line.to_dict() for line in lines],
        }
    return found
