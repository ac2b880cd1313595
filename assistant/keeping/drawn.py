"""Places that a person draws: a box in the picture of a finding, or rows of the stretch that an event keeps.

Turns numbers that came from outside into masks and slices, or says what is wrong with them. Knows kept files; not
detectors, the store or pages.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from assistant.keeping.folder import Stretch
from assistant.modalities import kind
from assistant.records import Finding
from detectors.errors import AnomalyError


def box_in(finding: Finding, box: Sequence[int]) -> tuple[int, int, int, int]:
    """A drawn box (left, top, right, bottom) in pixels, half-open, cut to the picture.

    Raises:
        AnomalyError: no picture, not four numbers, or nothing of the box lies in the picture.
    """
    if not kind(finding.modality).pictured or not (finding.folder / "map.npy").is_file():
        raise AnomalyError(f"{finding.id} has no picture of its own, so no box can be drawn in it.")
    height, width = np.load(finding.folder / "map.npy", mmap_mode="r", allow_pickle=False).shape
    if len(box) != 4:
        raise AnomalyError(f"A box has four numbers, left, top, right and bottom in pixels; {list(box)[:6]} is none.")
    left, top, right, bottom = (int(v) for v in box)
    cut = (max(0, left), max(0, top), min(width, right), min(height, bottom))
    if cut[0] >= cut[2] or cut[1] >= cut[3]:
        raise AnomalyError(
            f"The box {list(box)} holds no pixel of {finding.id}, which is {width} x {height} px; left must be less "
            "than right, and top less than bottom."
        )
    return cut


def filled_box(finding: Finding, box: Sequence[int]) -> np.ndarray:
    """(h, w) bool: the pixels of a drawn box."""
    left, top, right, bottom = box_in(finding, box)
    mask = np.zeros(np.load(finding.folder / "map.npy", mmap_mode="r", allow_pickle=False).shape, bool)
    mask[top:bottom, left:right] = True
    return mask


def kept_rows(finding: Finding, stretch: Stretch, rows: Sequence[int]) -> slice:
    """Rows first..last (both included, counted in the run) as a slice of the stretch that was kept.

    Raises:
        AnomalyError: not two numbers in order, or none of the rows was kept.
    """
    if len(rows) != 2 or rows[0] > rows[1]:
        raise AnomalyError(f"Rows are two numbers, the first and the last; {list(rows)[:4]} is no such pair.")
    end = stretch.start + len(stretch.observed)
    if rows[1] < stretch.start or rows[0] >= end:
        raise AnomalyError(
            f"{finding.id} keeps rows {stretch.start} to {end - 1} of its run; {rows[0]} to {rows[1]} are not among "
            "them."
        )
    return slice(max(0, rows[0] - stretch.start), min(end, rows[1] + 1) - stretch.start)
