"""Puts maps of different origin on one scale: z-scores against normals that the fit did not see."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from detectors.method import Space


def normal_scale(maps: Tensor, space: Space) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of normals' maps (n, channel, *position), shaped to broadcast over them.

    Rows: by feature. Windows: by channel. Pictures: by position where these are aligned (smoothed over neighbours,
    since few normals make a noisy spread), over all positions elsewhere.
    """
    if maps.ndim == 2:
        mean, std = maps.mean(0), maps.std(0)
    elif maps.ndim == 3:
        mean, std = maps.mean((0, 2))[:, None], maps.std((0, 2))[:, None]
    elif space.aligned:
        mean = _smooth(maps.mean(0, keepdim=True))[0]
        std = _smooth(((maps - mean) ** 2).mean(0, keepdim=True))[0].sqrt()
    else:
        mean, std = maps.mean((0, 2, 3))[:, None, None], maps.std((0, 2, 3))[:, None, None]
    floor = 0.2 * maps.std() + 1e-8  # a place that never varies must not turn dust into a mountain
    return mean, (std**2 + floor**2).sqrt()


def _smooth(maps: Tensor) -> Tensor:
    return F.avg_pool2d(F.pad(maps, (2, 2, 2, 2), mode="replicate"), 5, stride=1)


def share_of(score: Tensor, evidence: Tensor) -> Tensor:
    """Spread a score (n,) over channels in proportion to evidence (n, channel[, window]); windows get it at every step.

    The sum over channels is the score again, so a score without a map of its own stays additive.
    """
    total = evidence if evidence.ndim == 2 else evidence.sum(2)
    share = total / total.sum(1, keepdim=True).clamp_min(torch.finfo(total.dtype).tiny)
    spread = score[:, None] * share
    return spread if evidence.ndim == 2 else spread[:, :, None].expand_as(evidence)
