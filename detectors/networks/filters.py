"""Features of pictures with nothing pretrained: cosine cells of pixels, and a bank of Gabor filters.

Turns pictures (n, c, h, w) into cells (n, channel, h', w'). Knows no files, methods or places.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

PATCH = 4  # of pixels: a cell is 4x4 pixels in the cosine basis, so a cell's numbers are its grey, slopes, grain
FILTERS = "filters"  # the name that stands for the bank where a backbone is named
OCTAVES = 5
ORIENTATIONS = 6
TAPS = 7  # side of a filter
FLOOR = 0.02  # added to a magnitude (of pictures in 0..1) before its logarithm: sensor noise is no contrast


class FilterBank(nn.Module):
    """Magnitudes of Gabor filters in octaves, as cells: a first-order scattering (Bruna & Mallat 2013) with maxima.

    At each octave the grey picture is filtered in six orientations; a cell holds the mean and the highest magnitude
    within it, each plain (a crack is one strong edge) and as a logarithm (texture changes by factors), beside the mean
    colour. Cells are averaged over 3 x 3, as a backbone's are. It stands where a backbone stands: backbone="filters".
    """

    multiple = 16  # input sides must be multiples of it

    def __init__(self) -> None:
        super().__init__()
        self.layers: list[int] = []  # has none to choose from
        self.fine = 0  # all of one scale
        self.register_buffer("bank", _gabors(), persistent=False)

    def grid(self, height: int, width: int) -> tuple[int, int]:
        """Cells of the feature map for an input size: 8 pixels a cell, 4 in small pictures."""
        return height // _cell(height, width), width // _cell(height, width)

    def choose_layers(self, height: int, width: int) -> None:
        """Nothing to choose."""

    @torch.inference_mode()
    def forward(self, pictures: Tensor) -> Tensor:
        """pictures (n, 3, h, w) in 0..1 -> (n, channel, h', w') float32."""
        height, width = pictures.shape[2:]
        grid, cell = self.grid(height, width), _cell(height, width)
        found = [4 * F.adaptive_avg_pool2d(pictures, grid)]
        grey = pictures.mean(1, keepdim=True)
        for octave in range(OCTAVES):
            for cells in _pooled(self._magnitudes(grey), grid, cell // 2**octave):
                found += [torch.log(cells + FLOOR), 10 * cells]
            if min(grey.shape[2:]) < 2 * TAPS:
                break
            grey = F.avg_pool2d(grey, 2)
        return F.avg_pool2d(torch.cat(found, 1), 3, 1, 1, count_include_pad=False)

    def _magnitudes(self, grey: Tensor) -> Tensor:
        """(n, 1, h, w) -> (n, orientation, h, w)."""
        waves = F.conv2d(F.pad(grey, (TAPS // 2,) * 4, mode="reflect"), self.get_buffer("bank"))
        pairs = waves.view(len(grey), ORIENTATIONS, 2, *waves.shape[2:])
        return (pairs.square().sum(2) + 1e-12).sqrt()

    def describe(self) -> dict[str, Any]:
        """JSON that stands for it in a saved model."""
        return {FILTERS: True}


def _cell(height: int, width: int) -> int:
    return 8 if height * width >= 96**2 else 4


def _pooled(magnitudes: Tensor, grid: tuple[int, int], step: int) -> list[Tensor]:
    """Magnitudes on the grid of cells: means and, where a cell holds several, maxima."""
    if step >= 2:
        return [F.adaptive_avg_pool2d(magnitudes, grid), F.adaptive_max_pool2d(magnitudes, grid)]
    return [F.interpolate(magnitudes, size=grid, mode="bilinear", align_corners=False)]


def _gabors() -> Tensor:
    """(2 * ORIENTATIONS, 1, TAPS, TAPS): cosine and sine of each orientation, of mean 0 and unit energy a pair."""
    axis = torch.arange(TAPS) - (TAPS - 1) / 2
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    window = torch.exp(-(x**2 + y**2) / (2 * 1.6**2))
    waves = []
    for number in range(ORIENTATIONS):
        angle = math.pi * number / ORIENTATIONS
        phase = 0.375 * math.pi * (x * math.cos(angle) + y * math.sin(angle))
        even, odd = window * torch.cos(phase), window * torch.sin(phase)
        even = even - window * even.sum() / window.sum()
        energy = (even.square().sum() + odd.square().sum()).sqrt()
        waves += [even / energy, odd / energy]
    return torch.stack(waves)[:, None]


def _cosines() -> Tensor:
    """(PATCH, PATCH) orthonormal cosine basis, a row a wave."""
    k, i = torch.meshgrid(torch.arange(PATCH), torch.arange(PATCH), indexing="ij")
    basis = torch.cos(torch.pi * (i + 0.5) * k / PATCH) * (2 / PATCH) ** 0.5
    basis[0] /= 2**0.5
    return basis


def to_cells(pictures: Tensor) -> Tensor:
    """(n, c, h, w) -> (n, c * PATCH^2, h / PATCH, w / PATCH), orthonormal."""
    n, c, h, w = pictures.shape
    blocks = pictures.view(n, c, h // PATCH, PATCH, w // PATCH, PATCH)
    waves = torch.einsum("ncapbq,kp,lq->ncklab", blocks, _cosines(), _cosines())
    return waves.reshape(n, c * PATCH * PATCH, h // PATCH, w // PATCH)
