"""How well image scores and maps match labels and masks: image AUROC, pixel AUROC, AUPRO.

Knows arrays, not detectors. Higher scores mean more anomalous; labels and masks are true where anomalous.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import ndimage
from scipy.stats import rankdata

from detectors.errors import AnomalyError

BINS = 20_000  # thresholds that pixel curves are taken at, dense among the highest values


def auroc(labels: np.ndarray, scores: np.ndarray) -> float:
    """Area under the ROC curve; ties count half. Raises AnomalyError unless both classes occur, all finite."""
    y, s = np.asarray(labels).astype(bool).ravel(), np.asarray(scores, np.float64).ravel()
    if len(y) != len(s):
        raise AnomalyError(f"{len(y)} labels and {len(s)} scores do not belong together.")
    if y.all() or not y.any():
        raise AnomalyError("AUROC needs normal and anomalous samples; only one kind is there.")
    if not np.isfinite(s).all():
        raise AnomalyError("AUROC needs finite scores.")
    positives = int(y.sum())
    ranks = rankdata(s)
    return float((ranks[y].sum() - positives * (positives + 1) / 2) / (positives * (len(y) - positives)))


def pixel_metrics(
    maps: Sequence[np.ndarray], masks: Sequence[np.ndarray | None], fpr_limit: float = 0.3
) -> dict[str, float]:
    """Pixel AUROC and AUPRO (Bergmann et al. 2021) over a whole set, in one pass and little memory.

    maps, masks: (h, w) an image; None is a mask of nothing. AUPRO: area under the mean overlap with each connected
    component of the ground truth (8-connected), over the false-positive rate up to `fpr_limit`, divided by it.
    Thresholds are BINS quantiles of the maps, so values are exact to about 1e-4.
    Raises AnomalyError where sizes differ or no mask has an anomalous pixel.
    """
    edges = _edges(maps)
    size = len(edges) + 1
    normal, anomalous, overlap, regions = np.zeros(size), np.zeros(size), np.zeros(size), 0
    for map_, mask in zip(maps, masks, strict=True):
        where = np.zeros(np.shape(map_), bool) if mask is None else np.asarray(mask).astype(bool)
        if where.shape != np.shape(map_):
            raise AnomalyError(f"A map of shape {np.shape(map_)} does not fit its mask of shape {where.shape}.")
        bins = np.searchsorted(edges, np.ravel(map_)).reshape(where.shape)
        normal += np.bincount(bins[~where], minlength=size)
        anomalous += np.bincount(bins[where], minlength=size)
        labels, count = ndimage.label(where, structure=np.ones((3, 3)))
        for region in range(1, count + 1):
            inside = labels == region
            overlap += np.bincount(bins[inside], minlength=size) / inside.sum()
        regions += count
    if not regions or not normal.sum():
        raise AnomalyError("Pixel metrics need normal and anomalous pixels; only one kind is there.")
    fpr, tpr, pro = _curve(normal), _curve(anomalous), np.concatenate([[0], np.cumsum(overlap[::-1]) / regions])
    return {"pixel_auroc": float(np.trapezoid(tpr, fpr)), "aupro": _area_up_to(fpr, pro, fpr_limit)}


def _edges(maps: Sequence[np.ndarray]) -> np.ndarray:
    """Thresholds: quantiles of a sample of all map values, every tenth of them in the lower 90 %."""
    step = max(1, sum(np.size(m) for m in maps) // 4_000_000)
    values = np.concatenate([np.ravel(m)[::step] for m in maps])
    if not np.isfinite(values).all():
        raise AnomalyError("Pixel metrics need finite maps.")
    levels = np.concatenate([np.linspace(0, 0.9, BINS // 10), np.linspace(0.9, 1, BINS - BINS // 10)[1:]])
    return np.unique(np.quantile(values, levels))


def _curve(histogram: np.ndarray) -> np.ndarray:
    """Share of a histogram's mass at or above each threshold, from the highest threshold down."""
    return np.concatenate([[0], np.cumsum(histogram[::-1]) / histogram.sum()])


def _area_up_to(x: np.ndarray, y: np.ndarray, limit: float) -> float:
    below = x < limit
    x, y = np.append(x[below], limit), np.append(y[below], np.interp(limit, x, y))
    return float(np.trapezoid(y, x) / limit)
