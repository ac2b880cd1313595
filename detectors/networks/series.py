"""Denoiser for windows of a series: 1-D convolutional blocks over time."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from detectors.networks.time import TimeEmbedding


class SeriesNet(nn.Module):
    """(n, channel, window), time (n,) -> the same shape."""

    def __init__(self, channels: int, window: int, width: int, depth: int) -> None:
        super().__init__()
        self.inward, self.outward = nn.Conv1d(channels, width, 1), nn.Conv1d(width, channels, 1)
        self.place = nn.Parameter(torch.zeros(1, width, window))
        self.time = TimeEmbedding(width)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.Conv1d(width, width, 7, padding=3, groups=width), nn.GroupNorm(1, width),
                nn.Conv1d(width, 2 * width, 1), nn.GELU(), nn.Conv1d(2 * width, width, 1),
            )
            for _ in range(depth)
        )
        nn.init.zeros_(self.outward.weight)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        h, when = self.inward(x) + self.place, self.time(time)[:, :, None]
        for block in self.blocks:
            h = h + block(h + when)
        return self.outward(h)
