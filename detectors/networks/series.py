"""Denoiser for windows of a series: patches of time as tokens, mixed over time and over channels by small layers.

A mixer (Tolstikhin et al. 2021) instead of convolutions: on a CPU its matrix products are many times faster.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from detectors.networks.time import TimeEmbedding

PATCH = 4  # stamps a token


class SeriesNet(nn.Module):
    """(n, channel, window), time (n,) -> (n, outputs, window)."""

    def __init__(self, channels: int, window: int, width: int, depth: int, outputs: int) -> None:
        super().__init__()
        self.outputs = outputs
        self.pad = -window % PATCH
        self.tokens = (window + self.pad) // PATCH
        self.inward, self.outward = nn.Linear(channels * PATCH, width), nn.Linear(width, outputs * PATCH)
        self.time = TimeEmbedding(width)
        self.over_time = nn.ModuleList(_mixer(self.tokens) for _ in range(depth))
        self.over_width = nn.ModuleList(_mixer(width) for _ in range(depth))
        nn.init.zeros_(self.outward.weight)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        n, channels, window = x.shape
        x = F.pad(x, (0, self.pad), mode="replicate") if self.pad else x
        patches = x.view(n, channels, self.tokens, PATCH).transpose(1, 2).flatten(2)  # (n, token, channel * patch)
        h, when = self.inward(patches), self.time(time)[:, None]
        for over_time, over_width in zip(self.over_time, self.over_width, strict=True):
            h = h + over_time((h + when).transpose(1, 2)).transpose(1, 2)
            h = h + over_width(h + when)
        out = self.outward(h).view(n, self.tokens, self.outputs, PATCH).transpose(1, 2).reshape(n, self.outputs, -1)
        return out[:, :, :window]


def _mixer(size: int) -> nn.Sequential:
    return nn.Sequential(nn.LayerNorm(size), nn.Linear(size, 2 * size), nn.GELU(), nn.Linear(2 * size, size))
