"""Real causes in series (SMD, ASD): is the channel named first one of those that experts named, beside PCA's; and does
repairing what is named make a finding normal, and do places of equal size (one event of each series, since a test
scores it dozens of times; no event longer than `LONGEST`)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from assistant.evals.generated import repairs
from assistant.evals.real import scored, some
from assistant.evals.table import Job, Line, counted, summed
from assistant.records import Finding

ALPHA = 0.01
LONGEST = 256  # stamps of an event whose explanation is tested


def channels(name: str, job: Job) -> Iterator[Line]:
    """One collection. Raises AnomalyError where it is not there."""
    from detectors.bench.series import load_cases, pca

    assert job.data is not None
    first, beside, events, flagged = [], [], 0, 0
    tests: list[Line] = []
    for case in load_cases(job.data, name)[: 1 if job.quick else None]:
        series = (_named(case.train), _named(case.test))
        with scored(f"{name}-{case.name}", *series, "series", ALPHA, job) as (workspace, found):
            findings = workspace.store.findings(found.id, order="score", descending=True, limit=None)
            _, residual = pca(case.train, case.test, 0)
            assert residual is not None
            hits = []
            for start, end, guilty in case.events:
                hit = next((f for f in findings if _overlaps(f, start, end)), None)
                if hit is None:
                    continue
                hits.append(hit)
                named = int(str(hit.parts[0]["name"]).removeprefix("c"))
                first.append((named in guilty, f"{case.name} {start}-{end}: c{named}, guilty {guilty}"))
                rows = slice(hit.regions[0]["start"], hit.regions[0]["end"])
                beside.append((int(residual[rows].mean(0).argmax()) in guilty, f"{case.name} {start}-{end}"))
            events, flagged = events + len(case.events), flagged + len(hits)
            short = {hit.id: hit for hit in hits if hit.regions[0]["end"] - hit.regions[0]["start"] <= LONGEST}
            tests += list(repairs(name, workspace, some(list(short.values()), 1)))
    yield Line(name, "labelled events flagged", flagged, events)
    yield counted(name, "channel named first is guilty", first)
    yield counted(name, "channel with PCA's largest residual is guilty", beside)
    yield from summed(tests, name)


def _named(values: np.ndarray) -> Any:
    import pandas as pd

    return pd.DataFrame(values.astype(np.float64), columns=[f"c{i}" for i in range(values.shape[1])])


def _overlaps(finding: Finding, start: int, end: int) -> bool:
    region = finding.regions[0]
    return bool(region["start"] < end and region["end"] > start)
