"""Denoiser for table rows: a residual MLP."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from detectors.networks.time import TimeEmbedding

CHUNK = 4096  # rows at once when scoring: what lies between the layers stays in the cache


class ResidualMLP(nn.Module):
    """(n, d), time (n,) -> (n, outputs)."""

    def __init__(self, size: int, width: int, depth: int, outputs: int) -> None:
        super().__init__()
        self.inward, self.outward = nn.Linear(size, width), nn.Linear(width, outputs)
        self.time = TimeEmbedding(width)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(width), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))
            for _ in range(depth)
        )
        nn.init.zeros_(self.outward.weight)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        if len(x) > CHUNK and not torch.is_grad_enabled():
            return torch.cat([self(*part) for part in zip(x.split(CHUNK), time.split(CHUNK), strict=True)])
        alike = len(time) > 1 and bool((time == time[0]).all())  # when scoring: one time for all rows
        h, when = self.inward(x), self.time(time[:1] if alike else time)
        for block in self.blocks:
            h = h + block(h + when)
        return self.outward(h)
