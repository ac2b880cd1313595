"""Real causes in log lines (BGL, 2,000 lines): are lines that operators call alerts flagged, and how many others.

A line is a row: who wrote it, how severe it says it is, its template, its length, and how many numbers it holds. The
earlier normal lines are fitted on; what is scored are the later ones and all alerts.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from assistant.evals.real import scored
from assistant.evals.table import Job, Line, counted
from detectors.errors import AnomalyError

FILE = "txt_loghub_bgl2k/BGL_2k.log_structured.csv"
FITTED = 0.7  # share of the normal lines, the earlier ones
ALPHA = 0.01


def lines(name: str, job: Job) -> Iterator[Line]:
    """Raises AnomalyError where the set is not there."""
    import pandas as pd

    assert job.data is not None
    path = job.data / FILE
    if not path.is_file():
        raise AnomalyError(f"There is no set of log lines at {path}.")
    raw = pd.read_csv(path)
    rows, alert = as_rows(raw), (raw["Label"] != "-").to_numpy()
    normal = np.flatnonzero(~alert)
    cut = int(FITTED * len(normal))
    fit, test = normal[:cut], np.sort(np.concatenate([normal[cut:], np.flatnonzero(alert)]))
    with scored(name, rows.iloc[fit], rows.iloc[test].reset_index(drop=True), "table", ALPHA, job) as (workspace, run):
        findings = workspace.store.findings(run.id, limit=None)
    flagged = {finding.index for finding in findings}
    named = raw["EventTemplate"].tolist()
    hit = [(row in flagged, f"line {test[row]}: {named[test[row]]}") for row in np.flatnonzero(alert[test])]
    quiet = np.flatnonzero(~alert[test]).tolist()
    yield counted(name, "alert lines flagged", hit)
    yield Line(name, "other lines flagged", len(flagged & set(quiet)), len(quiet))


def as_rows(raw: Any) -> Any:
    """Log lines as a table of what can be said of each without knowing its words."""
    import pandas as pd

    text = raw["Content"].astype(str)
    return pd.DataFrame(
        {
            "type": raw["Type"].astype("category"),
            "component": raw["Component"].astype("category"),
            "level": raw["Level"].astype("category"),
            "template": raw["EventId"].astype("category"),
            "length": text.str.len().astype(float),
            "numbers": text.str.count(r"\d+").astype(float),
        }
    )
