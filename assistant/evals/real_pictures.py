"""Real causes in pictures (MVTec transistor, magnetic tile, DeepPCB): does the peak of the map lie in the mask, how far
do the named regions and the mask overlap, and does repairing what is named make a finding normal.

A sample of each set, drawn without a look at labels other than to keep both classes, so that it ends in minutes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from assistant.evals.generated import in_mask, peak_of, repairs
from assistant.evals.real import TESTED, scored, some
from assistant.evals.table import Job, Line, counted
from assistant.keeping import region_mask
from assistant.records import Finding
from detectors.errors import AnomalyError

ALPHA = 0.05
POINTING = 0.03  # share of the longer side that a peak may lie beside a mask
NORMALS = 240  # fitted on, at most
SCORED = {0: 40, 1: 80}  # normal and defective pictures scored, at most
BOARDS = 100  # pairs of a template and a board
EVERY = 0.999  # an alpha at which every picture is looked into


def places(name: str, job: Job) -> Iterator[Line]:
    """One set of products. Raises AnomalyError where it is not there."""
    from detectors.bench.images import load_case

    assert job.data is not None
    case = load_case(job.data, name)
    chosen = [
        i for label, most in SCORED.items() for i in some(np.flatnonzero(np.equal(case.labels, label)).tolist(), most)
    ]
    masks = case.truth()
    yield from _measured(name, job, some(case.train, NORMALS), [(case.test[i], masks[i]) for i in chosen], {})


def boards(name: str, job: Job) -> Iterator[Line]:
    """Printed boards (DeepPCB): each beside its flawless template, which is among the normals that are fitted on, so
    that places mean the same although every board has a layout of its own. All boards are looked into, flagged or not:
    p-values come from templates that a fit has not seen, and to it any new layout is odd. Raises AnomalyError where
    the set is not there."""
    import pandas as pd

    assert job.data is not None
    folder = job.data / "pair_deeppcb"
    if not (folder / "trainval_boxes.csv").is_file():
        raise AnomalyError(f"There is no set of boards at {folder}.")
    by_board = dict(tuple(pd.read_csv(folder / "trainval_boxes.csv", dtype={"id": str}).groupby("id")))
    chosen = some(sorted(by_board), BOARDS)
    tested = [
        (folder / "trainval" / f"{board}_test.png", _boxed(by_board[board][["x1", "y1", "x2", "y2"]].to_numpy()))
        for board in chosen
    ]
    templates = [folder / "trainval" / f"{board}_temp.png" for board in chosen]
    yield from _measured(name, job, templates, tested, {"aligned": True}, EVERY)


def _boxed(boxes: np.ndarray, side: int = 320) -> np.ndarray:
    mask = np.zeros((side, side), bool)
    for left, top, right, bottom in boxes:
        mask[top : bottom + 1, left : right + 1] = True
    return mask


def _measured(
    name: str,
    job: Job,
    normals: Sequence[Path],
    tested: Sequence[tuple[Path, np.ndarray | None]],
    settings: dict[str, Any],
    alpha: float = ALPHA,
) -> Iterator[Line]:
    """Fit on the normals, score the others, and hold what is named against the masks (None: nothing is wrong)."""
    assert job.data is not None
    beside = job.data.resolve().parent / "models" / "mobilenet_v2"
    settings = settings | ({"backbone": str(beside)} if beside.is_dir() else {})
    odd = sum(mask is not None for _, mask in tested)
    yield Line(name, "normals fitted on", len(normals))
    with scored(name, list(normals), [path for path, _ in tested], "image", alpha, job, settings) as (workspace, found):
        findings = workspace.store.findings(found.id, limit=None)
        truth = [(finding, tested[finding.index][1]) for finding in findings]
        defects = [(finding, mask) for finding, mask in truth if mask is not None]
        if alpha < EVERY:
            yield Line(name, "defects flagged", len(defects), odd)
        if odd < len(tested):
            yield Line(name, "normals flagged", len(findings) - len(defects), len(tested) - odd)
        yield counted(name, "place right (pointing game)", [(_points(f, m), f.sample) for f, m in defects])
        named = [(finding, mask, _named(finding)) for finding, mask in defects]
        yield counted(
            name,
            "single defects that a named region touches",
            [(bool(region[spot].any()), f.sample) for f, mask, region in named for spot in _spots(mask)],
        )
        overlaps = [float((region & mask).sum() / max(1, (region | mask).sum())) for _, mask, region in named]
        yield Line(name, "overlap of named and true place (mean IoU)", float(np.mean(overlaps)) if overlaps else 0.0)
        if alpha < EVERY:
            yield from repairs(name, workspace, [finding for finding, _ in some(defects, TESTED)])


def _named(finding: Finding) -> np.ndarray:
    """The pixels of all named regions."""
    masks = [region_mask(finding.folder, finding.regions, i) for i in range(len(finding.regions))]
    return np.any(masks, axis=0)


def _spots(mask: np.ndarray) -> list[np.ndarray]:
    """Each connected place of a mask, as a mask."""
    from scipy.ndimage import label

    numbered, count = label(mask)
    return [numbered == number for number in range(1, count + 1)]


def _points(finding: Finding, mask: np.ndarray) -> bool:
    return in_mask(peak_of(finding), mask, round(POINTING * max(mask.shape)))
