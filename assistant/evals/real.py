"""Suite 2, known causes, real: public sets whose masks and guilty channels are known.

Pictures (MVTec transistor, magnetic tile): does the peak of the map lie in the mask, how far do the named regions and
the mask overlap. Series (SMD, ASD): is the channel named first one of those that experts named, beside PCA's. Both:
does repairing what is named make a finding normal, and do places of equal size. Labels and masks serve the figures
alone.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from assistant.config import Config
from assistant.evals.generated import in_mask, peak_of, repairs
from assistant.evals.table import Job, Line, counted, summed
from assistant.keeping import region_mask
from assistant.pipeline import Workspace, fit_model, run_detection
from assistant.records import Finding, Run
from detectors.errors import AnomalyError

TITLE = "known causes, real"
PICTURES = ("transistor", "tile")
SERIES = ("asd", "smd")
ALPHA = {"image": 0.05, "series": 0.01}
POINTING = 0.03  # share of the longer side that a peak may lie beside a mask
TESTED = 15  # explanations of a set that are tested


def run(job: Job) -> list[Line]:
    """All sets that are there.

    Raises:
        AnomalyError: no folder of the public sets is named.
    """
    if job.data is None or not job.data.is_dir():
        raise AnomalyError("The real causes need the public sets: name their folder with --data.")
    lines: list[Line] = []
    names = (*SERIES, *PICTURES)[: 1 if job.quick else None]
    for number, name in enumerate(names):
        job.tell(number / len(names), name)
        lines += _series(name, job) if name in SERIES else _pictures(name, job)
    return [*lines, *summed(lines)]


def _scored(normal: Any, test: Any, modality: str, settings: dict[str, Any], folder: Path) -> tuple[Workspace, Run]:
    fit_model(normal, folder / "model", modality, settings={"device": "cpu", **settings})
    workspace = Workspace.open(Config(store=str(folder / "store"), pictures=0), create=True)
    return workspace, run_detection(workspace, test, folder / "model", ALPHA[modality])


# --- pictures -----------------------------------------------------------------------------------------------------


def _pictures(name: str, job: Job) -> Iterator[Line]:
    from detectors.bench.images import load_case

    assert job.data is not None
    case = load_case(job.data, name)
    beside = job.data.resolve().parent / "models" / "mobilenet_v2"
    settings = {"backbone": str(beside)} if beside.is_dir() else {}
    folder = Path(tempfile.mkdtemp(prefix="anomaly-eval-"))
    try:
        workspace, found = _scored(list(case.train), list(case.test), "image", settings, folder)
        truth = case.truth()
        findings = workspace.store.findings(found.id, limit=None)
        defects = [(f, truth[f.index]) for f in findings if truth[f.index] is not None]
        yield Line(name, "defects flagged", len(defects), sum(case.labels))
        yield Line(name, "normals flagged", len(findings) - len(defects), len(case.labels) - sum(case.labels))
        yield counted(
            name, "place right (pointing game)", [(_points(f, m), f.sample) for f, m in defects if m is not None]
        )
        overlaps = [_overlap(finding, mask) for finding, mask in defects if mask is not None]
        yield Line(name, "overlap of named and true place (mean IoU)", float(np.mean(overlaps)) if overlaps else 0.0)
        yield from repairs(name, workspace, [f for f, _ in defects][:: max(1, len(defects) // TESTED)])
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _points(finding: Finding, mask: np.ndarray) -> bool:
    return in_mask(peak_of(finding), mask, round(POINTING * max(mask.shape)))


def _overlap(finding: Finding, mask: np.ndarray) -> float:
    """Intersection over union of all named regions and the mask."""
    named = np.any([region_mask(finding.folder, finding.regions, i) for i in range(len(finding.regions))], axis=0)
    return float((named & mask).sum() / max(1, (named | mask).sum()))


# --- series -------------------------------------------------------------------------------------------------------


def _series(name: str, job: Job) -> Iterator[Line]:
    from detectors.bench.series import load_cases, pca

    assert job.data is not None
    first, beside, events, flagged = [], [], 0, 0
    tests: list[Line] = []
    for case in load_cases(job.data, name)[: 1 if job.quick else None]:
        folder = Path(tempfile.mkdtemp(prefix="anomaly-eval-"))
        try:
            workspace, found = _scored(_named(case.train), _named(case.test), "series", {}, folder)
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
            tests += list(repairs(name, workspace, _some(hits)))
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    yield Line(name, "labelled events flagged", flagged, events)
    yield counted(name, "channel named first is guilty", first)
    yield counted(name, "channel with PCA's largest residual is guilty", beside)
    yield from summed(tests, name)


def _named(values: np.ndarray) -> Any:
    import pandas as pd

    return pd.DataFrame(values.astype(np.float64), columns=[f"c{i}" for i in range(values.shape[1])])


def _some(hits: Sequence[Finding]) -> list[Finding]:
    unique = list({hit.id: hit for hit in hits}.values())
    return unique[:: max(1, len(unique) // max(1, TESTED // 3))]


def _overlaps(finding: Finding, start: int, end: int) -> bool:
    region = finding.regions[0]
    return bool(region["start"] < end and region["end"] > start)
