"""Turns an image's calibrated map into regions: boxes with masks, ranked, and their place in words.

Knows (h, w) maps whose level 1.0 few normals exceed; not models, thresholds of scores or files.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from detectors.detection import Region

MAX_REGIONS = 8
FAINT = 0.1  # a region with less than this share of the strongest one's evidence is not worth a name


def position_words(box: tuple[int, int, int, int], height: int, width: int) -> str:
    """The ninth of the picture that the middle of a box (left, top, right, bottom) lies in: "upper left", "centre"."""
    left, top, right, bottom = box
    row = min(2, int(3 * (top + bottom) / 2 / max(1, height)))
    column = min(2, int(3 * (left + right) / 2 / max(1, width)))
    words = ("upper", "centre", "lower")[row], ("left", "centre", "right")[column]
    return "centre" if words == ("centre", "centre") else " ".join(words)


def odd_places(map_: np.ndarray) -> np.ndarray:
    """(h, w) bool: where a map lies above the level; around its peak where it nowhere does.

    In a strong anomaly the blurred flanks also exceed the level: there a quarter of the peak is asked for, at most 2.
    """
    peak = float(map_.max())
    if peak <= 0:
        return map_ >= peak
    threshold = min(max(1.0, 0.25 * peak), 2.0) if peak > 1.0 else 0.8 * peak
    return map_ >= threshold


def image_regions(map_: np.ndarray) -> tuple[Region, ...]:
    """Connected places of `odd_places`, most guilty first, at most MAX_REGIONS; never none.

    map_: (h, w) calibrated. A region's share is its part of the picture's evidence above half the level.
    """
    height, width = map_.shape
    mask = odd_places(map_)
    labels, count = ndimage.label(mask, structure=np.ones((3, 3)))
    evidence = np.maximum(map_ - min(0.5, 0.5 * float(map_.max())), 0)
    index = np.arange(1, count + 1)
    sums = ndimage.sum_labels(evidence, labels, index)
    total = max(float(evidence.sum()), 1e-12)
    areas = ndimage.sum_labels(mask, labels, index)
    least = max(4.0, 2e-4 * height * width)
    order = [i for i in np.argsort(-sums, kind="stable") if sums[i] >= FAINT * sums.max()]
    order = [i for rank, i in enumerate(order) if rank == 0 or areas[i] >= least][:MAX_REGIONS]
    boxes = ndimage.find_objects(labels)
    found = []
    for rank, i in enumerate(order):
        rows, columns = boxes[i]
        box = (int(columns.start), int(rows.start), int(columns.stop), int(rows.stop))
        inside = labels[rows, columns] == i + 1
        found.append(
            Region(
                f"region {rank + 1}",
                "box",
                float(sums[i] / total),
                float(map_[rows, columns][inside].max()),
                position_words(box, height, width),
                box,
                int(inside.sum()),
                inside,
            )
        )
    return tuple(found)


def regions_mask(regions: tuple[Region, ...], height: int, width: int, margin: int = 0) -> np.ndarray:
    """(h, w) bool: all pixels of the regions, with `margin` pixels around them."""
    mask = np.zeros((height, width), bool)
    for region in regions:
        if region.box is not None and region.mask is not None:
            left, top, right, bottom = region.box
            mask[top:bottom, left:right] |= region.mask
    if margin > 0:
        mask = ndimage.distance_transform_edt(~mask) <= margin
    return mask
