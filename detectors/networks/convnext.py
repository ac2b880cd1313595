"""Denoiser for pictures and feature maps: patchified ConvNeXt-style blocks with a learned position."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from detectors.networks.time import TimeEmbedding


class ConvNeXt(nn.Module):
    """(n, channel, h, w), time (n,) -> (n, outputs, h, w). Large maps are cut into patches."""

    def __init__(self, shape: tuple[int, ...], width: int, depth: int, outputs: int) -> None:
        super().__init__()
        channels, height, breadth = shape
        patch = patch_of(shape)
        self.inward = nn.Conv2d(channels, width, patch, stride=patch)
        last = nn.Conv2d(width, outputs * patch * patch, 1)
        self.outward = nn.Sequential(last, nn.PixelShuffle(patch))
        self.place = nn.Parameter(torch.zeros(1, width, height // patch, breadth // patch))
        self.time = TimeEmbedding(width)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(width, width, 5, padding=2, groups=width),
                nn.GroupNorm(1, width),
                nn.Conv2d(width, 3 * width, 1),
                nn.GELU(),
                nn.Conv2d(3 * width, width, 1),
            )
            for _ in range(depth)
        )
        nn.init.zeros_(last.weight)

    def forward(self, x: Tensor, time: Tensor) -> Tensor:
        h, when = self.inward(x) + self.place, self.time(time)[:, :, None, None]
        for block in self.blocks:
            h = h + block(h + when)
        return self.outward(h)


def patch_of(shape: tuple[int, ...]) -> int:
    """Side of the patches an item is cut into: 4 for pixels, 2 for feature maps of more than 2,304 cells, else 1."""
    channels, height, breadth = shape
    wanted = 1 if height * breadth <= 48 * 48 else 4 if channels <= 4 else 2
    return wanted if height % wanted == 0 and breadth % wanted == 0 else 1
