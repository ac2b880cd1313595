"""Puts one picture's content into a region of another so that the seam does not show.

Knows uint8 pictures and masks; not where either comes from. Outside the mask the picture is returned untouched.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

RING = 6.0  # pixels around the mask from which light and colour are matched
FADE = 12.0  # pixels over which the match at the seam fades to the match of the whole ring


def mend(picture: np.ndarray, content: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """`picture` with `content` inside `mask`, matched in brightness and colour to what surrounds it.

    picture: (h, w) or (h, w, 3) uint8; content: the same shape, uint8 or float 0..255; mask: (h, w) bool.
    The difference of the two on a ring around the mask is carried inside: fully at the seam, as its median deep within.
    """
    if not mask.any():
        return picture.copy()
    image = picture.astype(np.float32).reshape(*mask.shape, -1)
    inner = np.asarray(content, np.float32).reshape(image.shape)
    offset = _offset(image - inner, mask)
    mended = picture.copy().reshape(image.shape)
    mended[mask] = np.clip(np.rint(inner + offset), 0, 255).astype(np.uint8)[mask]
    return mended.reshape(picture.shape)


def _offset(difference: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """What to add to the content inside the mask: (h, w, c)."""
    outside = ndimage.distance_transform_edt(~mask)
    ring = (outside > 0) & (outside <= RING)
    if not ring.any():
        return np.zeros_like(difference)
    median = np.median(difference[ring], axis=0)
    local = np.empty_like(difference)
    weight = ndimage.gaussian_filter(ring.astype(np.float32), RING) + 1e-4
    for channel in range(difference.shape[2]):
        known = np.where(ring, difference[..., channel] - median[channel], 0.0)
        local[..., channel] = ndimage.gaussian_filter(known, RING) / weight
    inside = ndimage.distance_transform_edt(mask)
    return median + local * np.exp(-inside / FADE)[..., None]
