"""Noise for the forward process: Gaussian, multi-octave (simplex) and coarse. Knows shapes, not models."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from detectors.errors import AnomalyError

KINDS = ("gaussian", "simplex", "coarse")
_MODES = {1: "linear", 2: "bicubic", 3: "trilinear"}  # interpolation by number of position axes


def make_noise(kind: str, shape: tuple[int, ...], generator: torch.Generator, device: torch.device) -> Tensor:
    """Unit-variance noise of `shape` (n, channel, *position).

    `simplex` is AnoDDPM's multi-octave smooth noise (6 octaves, persistence 0.8), here as octaves of interpolated
    lattice noise, which has the same band-limited spectrum and needs no per-point gradients; `coarse` is one coarse
    lattice per item (Kascenas et al.). Without position axes (table rows) there is nothing to be smooth over, so all
    kinds are Gaussian there.
    Raises AnomalyError for an unknown kind.
    """
    if kind not in KINDS:
        raise AnomalyError(f"noise={kind!r} is unknown; known: {', '.join(KINDS)}.")
    if kind == "gaussian" or len(shape) == 2:
        return torch.randn(shape, generator=generator).to(device)
    scales = [2.0**octave for octave in range(6)] if kind == "simplex" else [max(2.0, min(shape[2:]) / 8)]
    total = torch.zeros(shape)
    for scale, weight in zip(scales, [0.8 ** (len(scales) - 1 - i) for i in range(len(scales))], strict=True):
        total += weight * _lattice(shape, scale, generator)
    flat = total.flatten(1)
    flat = (flat - flat.mean(1, keepdim=True)) / flat.std(1, keepdim=True).clamp_min(1e-6)
    return flat.view(shape).to(device)


def _lattice(shape: tuple[int, ...], scale: float, generator: torch.Generator) -> Tensor:
    """Gaussian noise on a lattice `scale` times coarser than the positions, interpolated up to `shape`."""
    coarse = tuple(max(2, min(size, round(size / scale))) for size in shape[2:])
    lattice = torch.randn((*shape[:2], *coarse), generator=generator)
    if coarse == tuple(shape[2:]):
        return lattice
    return F.interpolate(lattice, size=shape[2:], mode=_MODES[len(coarse)], align_corners=False)
