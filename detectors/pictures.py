"""Small things about pictures: sizes, colours, resizing, and maps of cells at a picture's own size.

Knows arrays, files and cells; not features, methods or places.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from detectors.data import open_image
from detectors.errors import AnomalyError

SMALLEST = 8  # pixels a side


@dataclass
class Pictures:
    """Opened samples: where they are, their sizes (h, w), and the last encodings."""

    sources: list[Any]  # Path or uint8 array
    sizes: list[tuple[int, int]]
    cache: dict[int, Tensor] = field(default_factory=dict)

    def usual_size(self, rows: Sequence[int], side: int | None, most: int, multiple: int) -> tuple[int, int]:
        """(h, w) of the usual aspect of these pictures and an area of `side` squared, in whole multiples. side None:
        that of the pictures, at most `most`: small ones are not blown up."""
        sizes = [self.sizes[row] for row in rows]
        wanted = side or min(float(np.median([(h * w) ** 0.5 for h, w in sizes])), most)
        aspect = float(np.exp(np.median([np.log(h / w) for h, w in sizes])))
        aspect = 1.0 if 0.85 < aspect < 1.18 else min(max(aspect, 0.2), 5.0)
        height, width = (max(1, round(wanted * f / multiple)) * multiple for f in (aspect**0.5, aspect**-0.5))
        return height, width


def size_of(source: Any, name: str) -> tuple[int, int]:
    """(h, w) of a picture, from its header."""
    if isinstance(source, np.ndarray):
        shape = open_image(source).shape
        size = (shape[0], shape[1])
    elif isinstance(source, str | Path):
        size = _header_size(Path(source))
    else:
        raise AnomalyError(
            f"The image {name!r} is a {type(source).__name__}; give paths or arrays (height, width[, 3])."
        )
    if min(size) < SMALLEST:
        raise AnomalyError(f"The image {name!r} is only {size[1]} x {size[0]} pixels; at least 8 x 8 are needed.")
    return size


def _header_size(path: Path) -> tuple[int, int]:
    try:
        with Image.open(path) as image:
            turned = image.getexif().get(0x0112, 1) in (5, 6, 7, 8)
            width, height = image.size
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        shape = open_image(path).shape  # says in words what is wrong
        return shape[0], shape[1]
    return (width, height) if turned else (height, width)


def colour_spread(picture: np.ndarray) -> int:
    """How far the colour channels of a picture are apart, but for a few pixels."""
    if picture.ndim == 2:
        return 0
    sample = picture[:: max(1, picture.shape[0] // 128), :: max(1, picture.shape[1] // 128)].astype(np.int16)
    return int(np.quantile(sample.max(2) - sample.min(2), 0.995))


def resized(picture: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    if picture.shape[:2] == tuple(size):
        return picture
    return np.asarray(Image.fromarray(picture).resize((size[1], size[0]), Image.Resampling.BICUBIC))


def enlarged(map_: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A cell map (h', w') at a picture's own size."""
    tensor = torch.from_numpy(np.ascontiguousarray(map_, np.float32))[None, None]
    return F.interpolate(tensor, size=tuple(size), mode="bilinear", align_corners=False)[0, 0].numpy()


def cells_touched(mask: np.ndarray, grid: Sequence[int]) -> Tensor:
    """(h', w') bool: cells that hold a masked pixel."""
    return F.adaptive_max_pool2d(torch.from_numpy(mask).float()[None], (grid[0], grid[1]))[0] > 0


def grey_of(picture: np.ndarray) -> np.ndarray:
    return picture.astype(np.float64) if picture.ndim == 2 else picture @ np.array([0.299, 0.587, 0.114])


def principal(covariance: Tensor, most: int, fine: int) -> tuple[Tensor, int]:
    """At most `most` principal components (channel, component), and how many of them, which come first, are of the
    leading `fine` channels alone: up to half. 0: of all channels together."""
    if not 0 < fine < len(covariance):
        return torch.linalg.eigh(covariance)[1].flip(1)[:, :most], 0
    first = torch.linalg.eigh(covariance[:fine, :fine])[1].flip(1)[:, : most // 2]
    rest = torch.linalg.eigh(covariance[fine:, fine:])[1].flip(1)[:, : most - first.shape[1]]
    return torch.block_diag(first, rest), first.shape[1]
