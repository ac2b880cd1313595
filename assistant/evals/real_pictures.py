"""Real causes in pictures (MVTec transistor, magnetic tile): does the peak of the map lie in the mask, how far do the
named regions and the mask overlap, and does repairing what is named make a finding normal.

A sample of each set, drawn without a look at labels other than to keep both classes, so that it ends in minutes.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from assistant.evals.generated import in_mask, peak_of, repairs
from assistant.evals.real import TESTED, scored, some
from assistant.evals.table import Job, Line, counted
from assistant.keeping import region_mask
from assistant.records import Finding

ALPHA = 0.05
POINTING = 0.03  # share of the longer side that a peak may lie beside a mask
NORMALS = 240  # fitted on, at most
SCORED = {0: 40, 1: 80}  # normal and defective pictures scored, at most


def places(name: str, job: Job) -> Iterator[Line]:
    """One set. Raises AnomalyError where it is not there."""
    from detectors.bench.images import load_case

    assert job.data is not None
    case = load_case(job.data, name)
    beside = job.data.resolve().parent / "models" / "mobilenet_v2"
    settings = {"backbone": str(beside)} if beside.is_dir() else {}
    chosen = [
        i for label, most in SCORED.items() for i in some(np.flatnonzero(np.equal(case.labels, label)).tolist(), most)
    ]
    masks, labels = case.truth(), [case.labels[i] for i in chosen]
    normals = some(case.train, NORMALS)
    yield Line(name, "normals fitted on", len(normals))
    with scored(name, normals, [case.test[i] for i in chosen], "image", ALPHA, job, settings) as (workspace, found):
        findings = workspace.store.findings(found.id, limit=None)
        truth = [(finding, masks[chosen[finding.index]]) for finding in findings]
        defects = [(finding, mask) for finding, mask in truth if mask is not None]
        yield Line(name, "defects flagged", len(defects), sum(labels))
        yield Line(name, "normals flagged", len(findings) - len(defects), len(labels) - sum(labels))
        yield counted(name, "place right (pointing game)", [(_points(f, m), f.sample) for f, m in defects])
        overlaps = [_overlap(finding, mask) for finding, mask in defects]
        yield Line(name, "overlap of named and true place (mean IoU)", float(np.mean(overlaps)) if overlaps else 0.0)
        yield from repairs(name, workspace, [finding for finding, _ in some(defects, TESTED)])


def _points(finding: Finding, mask: np.ndarray) -> bool:
    return in_mask(peak_of(finding), mask, round(POINTING * max(mask.shape)))


def _overlap(finding: Finding, mask: np.ndarray) -> float:
    """Intersection over union of all named regions and the mask."""
    named = np.any([region_mask(finding.folder, finding.regions, i) for i in range(len(finding.regions))], axis=0)
    return float((named & mask).sum() / max(1, (named | mask).sum()))
