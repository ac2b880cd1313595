"""How a network is told the diffusion time."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn


class TimeEmbedding(nn.Module):
    """Sinusoidal features of time (n,) in (0, 1], then two layers: (n, width)."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(64, width), nn.SiLU(), nn.Linear(width, width))

    def forward(self, time: Tensor) -> Tensor:
        frequencies = torch.exp(torch.linspace(0, math.log(1000), 32, device=time.device))
        angles = time.float()[:, None] * frequencies
        return self.layers(torch.cat([angles.sin(), angles.cos()], 1))
