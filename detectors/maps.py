"""Small operations on maps and masks that hold for rows, windows and pictures alike. Knows shapes, not methods."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


def residual(x: Tensor, back: Tensor) -> Tensor:
    """Squared difference of items (n, channel, *position); pictures' channels are summed: (n, 1, h, w)."""
    squares = (x - back).square()
    return squares.sum(1, keepdim=True) if x.ndim == 4 else squares


def turned(x: Tensor, back: Tensor) -> Tensor:
    """How far the cells of pictures point another way, 1 - cosine of their 3 x 3 means: (n, 1, h, w) in 0..2."""
    one, two = (F.avg_pool2d(v, 3, 1, 1, count_include_pad=False) for v in (x, back))
    return 1 - F.cosine_similarity(one, two, dim=1)[:, None]


def dilated(mask: Tensor, reach: int = 1) -> Tensor:
    """A mask, bool or 0..1, grown by `reach` neighbours along each position axis; rows have no neighbours."""
    if mask.ndim == 2:
        return mask
    pool = F.max_pool1d if mask.ndim == 3 else F.max_pool2d
    grown = pool(mask.float(), 2 * reach + 1, 1, reach)
    return grown > 0.5 if mask.dtype == torch.bool else grown
