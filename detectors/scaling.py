"""Puts maps of different origin on one scale: z-scores against normals that the fit did not see."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from detectors.method import Learned, Method, Space

BELIEVED = 0.5  # share of a picture's own level that is taken off its cells


def normal_scale(maps: Tensor, space: Space) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of normals' maps (n, channel, *position), shaped to broadcast over them.

    Rows: mean by feature, deviation of the row's total, so that no feature is weighed up. Windows: by channel.
    Pictures: by position where these are aligned (smoothed over neighbours, since few normals make a noisy spread),
    over all positions elsewhere.
    """
    if maps.ndim == 2:
        return maps.mean(0), (maps.sum(1).std() + 1e-8).expand(maps.shape[1]).clone()
    if maps.ndim == 3:
        mean, std = maps.mean((0, 2))[:, None], maps.std((0, 2))[:, None]
    elif space.aligned:
        mean = _smooth(maps.mean(0, keepdim=True))[0]
        std = _smooth(((maps - mean) ** 2).mean(0, keepdim=True))[0].sqrt()
    else:
        mean, std = maps.mean((0, 2, 3))[:, None, None], maps.std((0, 2, 3))[:, None, None]
    floor = 0.2 * maps.std() + 1e-8  # a place that never varies must not turn dust into a mountain
    return mean, (std**2 + floor**2).sqrt()


class NormalScale(Learned):
    """Remembers how normals' maps spread, and tells new ones in those terms."""

    mean: Tensor
    std: Tensor

    def see(self, maps: Tensor, space: Space) -> None:
        """Learn from maps of normals that the fit did not see."""
        mean, std = normal_scale(maps, space)
        self.learn(mean=mean, std=std)

    def z(self, maps: Tensor) -> Tensor:
        """Standard deviations above the normals' mean, by place or channel as `normal_scale` has it."""
        return (maps - self.mean) / self.std

    def share(self, maps: Tensor, deviations: float) -> Tensor:
        """Maps as a share of the level that lies `deviations` above the normals' mean."""
        return maps / (self.mean + deviations * self.std).clamp_min(1e-8)


class PictureScale(Learned):
    """Tells maps of pictures (n, 1, h, w) in terms of normals' maps: how high is a cell, given its place and how the
    picture reads as a whole?

    A dark or blurred picture lifts all of its cells. What normals' cells do with the level of their picture (its lower
    quartile over cells, so that a defect of half the picture does not hide itself) is learned by regression at each
    place; half of it is taken off, since a large defect lifts that level too. The level counts up to the 95 % quantile
    of normals. Then mean and deviation by place, smoothed; one for all places where pictures are not aligned.
    """

    usual: Tensor  # () mean level of normals, and
    cap: Tensor  # () how far one is believed
    slope: Tensor  # (1, h, w) or (1, 1, 1)
    scale: NormalScale

    def __init__(self) -> None:
        super().__init__()
        self.scale = NormalScale()

    def see(self, maps: Tensor, space: Space) -> None:
        """Learn from maps of normals that the fit did not see."""
        level = self._level(maps)
        self.learn(usual=level.mean(), cap=level.quantile(0.95))
        apart = (level - self.usual)[:, None, None, None]
        slope = (maps * apart).sum(0) / apart.square().sum().clamp_min(1e-12)
        slope = _smooth(slope[None])[0] if space.aligned else slope.mean((1, 2), keepdim=True)
        self.learn(slope=BELIEVED * slope)
        self.scale.see(self._levelled(maps), space)

    def z(self, maps: Tensor) -> Tensor:
        """Standard deviations above what is usual at a place of such a picture."""
        return self.scale.z(self._levelled(maps))

    def _level(self, maps: Tensor) -> Tensor:
        return maps.flatten(1).quantile(0.25, 1)

    def _levelled(self, maps: Tensor) -> Tensor:
        above = torch.minimum(self._level(maps), self.cap) - self.usual
        return maps - self.slope * above[:, None, None, None]


class ZScored(Method):
    """A method whose map is its evidence, told in terms of held-out normals."""

    def __init__(self, space: Space, **settings: Any) -> None:
        super().__init__(space, **settings)
        self.scale = NormalScale()

    def evidence(self, x: Tensor) -> Tensor:
        """Evidence against normality before it is set against normals': (n, channel or 1, *position)."""
        raise NotImplementedError(f"{type(self).__name__}.evidence")

    def calibrate(self, x: Tensor) -> None:
        self.scale.see(self.evidence(x), self.space)

    def maps(self, x: Tensor) -> Tensor:
        return self.scale.z(self.evidence(x))


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


def row_scale(maps: Tensor) -> Tensor:
    """What puts a score of rows on a common scale, from held-out normals' maps (n, channel): median, spread of the
    upper half, mean and deviation of the score after `row_evidence`'s bend: (4,)."""
    total = maps.sum(1).double()
    median = total.median()
    spread = (total.quantile(0.9) - median).clamp_min(1e-6)
    bent = torch.asinh((total - median) / spread)
    return torch.stack([median, spread, bent.mean(), bent.std().clamp_min(1e-3)]).float()


def row_z(maps: Tensor, scale: Tensor) -> Tensor:
    """(n,) z-scores of rows' bent totals, from maps (n, channel): linear among normals, logarithmic far out. Bending
    lets no heavy-tailed member outshout the others."""
    median, spread, mean, deviation = scale
    return (torch.asinh((maps.sum(1) - median) / spread) - mean) / deviation


def row_evidence(maps: Tensor, scale: Tensor) -> Tensor:
    """Rows' maps (n, channel) whose sum is `row_z`; shares follow the positive part of the maps."""
    return share_of(row_z(maps, scale), maps.clamp_min(0) + 1e-12)


def harmonic_rows(
    maps: Sequence[Tensor], scales: Sequence[Tensor], weights: Sequence[float], bounds: Sequence[float]
) -> Tensor:
    """Several members' maps of rows (n, channel each) as one: -log of the weighted harmonic mean of their p-values.

    The harmonic mean (Wilson, PNAS 2019) is small where one member alone is sure and where several are fairly sure; a
    mean of scores dilutes the first, a maximum forgets the second. A member's p is the Gaussian upper tail of `row_z`,
    whose -log is believed up to the member's bound.
    Members share the score out in proportion to their 1/p, each along its own map.
    """
    told = [-torch.special.log_ndtr(-row_z(m, s)) for m, s in zip(maps, scales, strict=True)]
    surprise = torch.stack([one.clamp_max(bound) for one, bound in zip(told, bounds, strict=True)])
    share = surprise.new_tensor(weights) / sum(weights)
    logs = surprise + share.log()[:, None]  # (member, n) of w / p
    score, voice = torch.logsumexp(logs, 0), logs.softmax(0)
    parts = [share_of(part, m.clamp_min(0) + 1e-12) for part, m in zip(voice, maps, strict=True)]
    return score[:, None] * torch.stack(parts).sum(0)
