"""A place in a picture, observed against expected: brightness, colour, texture, edges, contrast, and its shape.

Turns two pictures of the same size and a mask into named numbers. Knows numpy and scipy; not models, thresholds or
names of anomalies. Grey levels are 0..255; lengths are pixels of the picture.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

Described = dict[str, tuple[float | int | str | None, str]]  # name -> (value, unit)
FINE = 1.0  # pixels of blur under which the grain of a surface counts as texture
REACH = 20  # pixels within which something that is missing at one place may be found at another
GREY = np.array([0.299, 0.587, 0.114])


def describe_place(observed: np.ndarray, expected: np.ndarray, mask: np.ndarray) -> Described:
    """Descriptors of one place.

    observed, expected: (h, w) or (h, w, 3) uint8; mask: (h, w) bool, where the place lies.
    """
    window = _window(mask)
    before, after = (_colours(p[window]) for p in (observed, expected))
    mask = mask[window]
    grey, plain = before @ GREY, after @ GREY
    change = np.sqrt(((_blurred(before) - _blurred(after)) ** 2).sum(2))
    fine = _fine(change, mask)
    found = _light(grey, plain, before, after, fine)
    found |= _texture(grey, plain, fine)
    found |= _shape(change, fine, observed.shape[0] * observed.shape[1])
    found |= _structure(grey, plain, mask)
    found |= _surroundings(before, after, fine, mask)
    return found


def _window(mask: np.ndarray) -> tuple[slice, slice]:
    """The box of a mask with a margin."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    margin = REACH
    return (
        slice(max(0, int(rows[0]) - margin), int(rows[-1]) + 1 + margin),
        slice(max(0, int(columns[0]) - margin), int(columns[-1]) + 1 + margin),
    )


def _colours(picture: np.ndarray) -> np.ndarray:
    """(h, w, 3) float."""
    picture = picture.astype(np.float64)
    return np.repeat(picture[..., None], 3, 2) if picture.ndim == 2 else picture


def _blurred(picture: np.ndarray) -> np.ndarray:
    return ndimage.gaussian_filter(picture, (FINE, FINE, 0))


def _fine(change: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Where inside the mask the pictures really differ: above the threshold that parts the changes best (Otsu 1979)."""
    inside = change[mask]
    threshold = _otsu(inside)
    fine = mask & (change >= threshold)
    labels, count = ndimage.label(fine, np.ones((3, 3)))
    if count > 1:  # specks apart from the body are grain
        weight = ndimage.sum_labels(change, labels, np.arange(1, count + 1))
        fine = np.isin(labels, 1 + np.flatnonzero(weight >= 0.15 * weight.max()))
    return fine if fine.any() else mask


def _otsu(values: np.ndarray) -> float:
    counts, edges = np.histogram(values, 64)
    middle = (edges[:-1] + edges[1:]) / 2
    low = np.cumsum(counts).astype(float)
    high = low[-1] - low
    sums = np.cumsum(counts * middle)
    with np.errstate(divide="ignore", invalid="ignore"):
        between = low * high * (sums / low - (sums[-1] - sums) / high) ** 2
    return float(edges[1:][np.nanargmax(np.where(np.isfinite(between), between, -1))])


def _light(grey: np.ndarray, plain: np.ndarray, before: np.ndarray, after: np.ndarray, fine: np.ndarray) -> Described:
    chroma = [_chroma(picture[fine].mean(0)) for picture in (before, after)]
    return {
        "observed_brightness": (float(grey[fine].mean()), "grey levels"),
        "expected_brightness": (float(plain[fine].mean()), "grey levels"),
        "brightness_difference": (float(grey[fine].mean() - plain[fine].mean()), "grey levels"),
        "brightness_size": (abs(float(grey[fine].mean() - plain[fine].mean())), "grey levels"),
        "darkest": (float(np.quantile(grey[fine], 0.1)), "grey levels"),
        "observed_contrast": (float(grey[fine].std()), "grey levels"),
        "expected_contrast": (float(plain[fine].std()), "grey levels"),
        "colour_difference": (float(np.hypot(*(chroma[0] - chroma[1]))), "grey levels"),
    }


def _chroma(colour: np.ndarray) -> np.ndarray:
    """(2,) blue and red against brightness."""
    level = colour @ GREY
    return np.array([0.564 * (colour[2] - level), 0.713 * (colour[0] - level)])


def _texture(grey: np.ndarray, plain: np.ndarray, fine: np.ndarray) -> Described:
    """How strong the grain is: what a small blur takes away."""
    grain = [float(np.abs(p - ndimage.gaussian_filter(p, 1.2))[fine].mean()) for p in (grey, plain)]
    return {
        "observed_texture": (grain[0], "grey levels"),
        "expected_texture": (grain[1], "grey levels"),
        "texture_ratio": (grain[0] / max(grain[1], 0.5), ""),
    }


def _shape(change: np.ndarray, fine: np.ndarray, total: int) -> Described:
    """Size, elongation and direction of what differs, from second moments."""
    y, x = np.nonzero(fine)
    weight = change[fine]
    points = np.stack([x, y]).astype(float)
    centre = (points * weight).sum(1) / weight.sum()
    spread = (weight * (points - centre[:, None])) @ (points - centre[:, None]).T / weight.sum()
    values, vectors = np.linalg.eigh(spread + np.eye(2) / 12)
    length, width = 4 * np.sqrt(values[1]), 4 * np.sqrt(values[0])
    return {
        "area_share": (100.0 * float(fine.sum()) / total, "%"),
        "length": (float(length), "px"),
        "thickness": (float(fine.sum() / max(length, 1.0)), "px"),
        "elongation": (float(length / width), ""),
        "slenderness": (float(length / max(1.0, fine.sum() / max(length, 1.0))), ""),
        "orientation": (float(np.degrees(np.arctan2(-vectors[1, 1], vectors[0, 1])) % 180), "degrees"),
    }


def _structure(grey: np.ndarray, plain: np.ndarray, mask: np.ndarray) -> Described:
    """Edges that are gone, edges that are new, and whether the new ones are the old ones elsewhere."""
    one, two = (ndimage.gaussian_gradient_magnitude(p, 1.3) for p in (grey, plain))
    wide = ndimage.binary_dilation(mask, iterations=2)
    gained, lost = np.where(wide, np.maximum(one - two, 0), 0), np.where(wide, np.maximum(two - one, 0), 0)
    floor = 0.15 * max(gained.max(), lost.max(), 1e-9)
    gained, lost = np.where(gained > floor, gained, 0), np.where(lost > floor, lost, 0)
    match, shift = _moved(gained, lost)
    return {
        "observed_edges": (float(one[wide].mean()), "grey levels"),
        "expected_edges": (float(two[wide].mean()), "grey levels"),
        "edges_lost": (100.0 * float(lost.sum() / max(gained.sum() + lost.sum(), 1e-9)), "%"),
        "moved_match": (match, ""),
        "moved_by": (shift, "px"),
    }


def _moved(gained: np.ndarray, lost: np.ndarray) -> tuple[float, float]:
    """(correlation, shift) of the lost edges with the gained ones at the shift that fits best."""
    norm = float(np.sqrt((gained**2).sum() * (lost**2).sum()))
    if norm <= 0:
        return 0.0, 0.0
    size = [n + REACH for n in gained.shape]
    spectrum = np.fft.rfft2(gained, size) * np.conj(np.fft.rfft2(lost, size))
    match = np.fft.irfft2(spectrum, size)
    dy, dx = (np.abs((np.arange(n) + n // 2) % n - n // 2) for n in size)
    match[np.hypot(dy[:, None], dx[None]) > REACH] = -1
    at = np.unravel_index(match.argmax(), match.shape)
    return float(match[at] / norm), float(np.hypot(dy[at[0]], dx[at[1]]))


def _surroundings(before: np.ndarray, after: np.ndarray, fine: np.ndarray, mask: np.ndarray) -> Described:
    """How far the place's colour is from that of what lies around it, as observed and as expected."""
    near = ndimage.binary_dilation(mask, iterations=8) & ~ndimage.binary_dilation(mask, iterations=1)
    if near.sum() < 8:
        return {}
    ring = _blurred(before)[near]
    core = ndimage.binary_erosion(fine, iterations=1)
    core = core if core.sum() >= 6 else fine
    found: Described = {}
    for name, picture in (("observed", before), ("expected", after)):
        colour = np.median(_blurred(picture)[core], axis=0)
        gap = np.sqrt(((ring - colour) ** 2).sum(1))
        found[f"{name}_stands_out"] = (float(np.quantile(gap, 0.1)), "grey levels")
    return found
