"""Latent codes learned on normals: patches of an item to a few numbers (principal components) or bits, and back.

Knows tensors (n, channel, *position); not diffusion or anomalies. Nothing here is pretrained.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from detectors.method import Learned


class Patches:
    """An item as a grid of patches: 2x2 cells of a picture, 4 stamps of a window (where sizes allow), the whole row."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        self.shape = shape
        sides = {1: (), 2: (4, 2), 3: (2,)}[len(shape)]
        self.side = next((s for s in sides if all(size % s == 0 for size in shape[1:])), 1)
        self.grid = tuple(size // self.side for size in shape[1:])
        self.size = shape[0] * self.side ** len(self.grid)  # numbers in a patch

    def cut(self, x: Tensor) -> Tensor:
        """x (n, channel, *position) -> (n, *grid, size)."""
        n, channels = x.shape[:2]
        if x.ndim == 2:
            return x
        if x.ndim == 3:
            return x.view(n, channels, *self.grid, self.side).permute(0, 2, 1, 3).reshape(n, *self.grid, self.size)
        rows, columns = self.grid
        blocks = x.reshape(n, channels, rows, self.side, columns, self.side)
        return blocks.permute(0, 2, 4, 1, 3, 5).reshape(n, rows, columns, self.size)

    def join(self, patches: Tensor) -> Tensor:
        """The inverse of `cut`."""
        n = len(patches)
        if len(self.shape) == 1:
            return patches
        if len(self.shape) == 2:
            return patches.view(n, *self.grid, self.shape[0], self.side).permute(0, 2, 1, 3).reshape(n, *self.shape)
        rows, columns = self.grid
        blocks = patches.view(n, rows, columns, self.shape[0], self.side, self.side)
        return blocks.permute(0, 3, 1, 4, 2, 5).reshape(n, *self.shape)

    def pooled(self, x: Tensor) -> Tensor:
        """The mean of each patch's numbers: (n, 1, *grid)."""
        return self.cut(x).mean(-1)[:, None]

    def spread(self, mask: Tensor) -> Tensor:
        """A value a patch (n, 1, *grid) at every position: (n, 1, *position)."""
        for axis in range(2, mask.ndim):
            mask = mask.repeat_interleave(self.side, axis)
        return mask


class PrincipalCode(Learned):
    """Principal components of patches: the linear autoencoder with the least error, of unit variance on average."""

    center: Tensor  # (size,)
    basis: Tensor  # (size, k), orthonormal
    scale: Tensor  # one number

    def __init__(self, shape: tuple[int, ...], share: float, most: int) -> None:
        """share: components kept, as a share of a patch's numbers; most: at most so many."""
        super().__init__()
        self.patches = Patches(shape)
        size = self.patches.size
        self.count = min(size, most, max(2, round(share * size)))

    @property
    def code_shape(self) -> tuple[int, ...]:
        """(k, *grid)."""
        return (self.count, *self.patches.grid)

    def fit(self, x: Tensor) -> None:
        """Learn the components from items (n, channel, *position)."""
        points = self.patches.cut(x.float()).reshape(-1, self.patches.size)
        center = points.mean(0)
        centred = points - center
        values, vectors = torch.linalg.eigh(centred.T @ centred / len(points))
        scale = values.flip(0)[: self.count].clamp_min(0).mean().sqrt().clamp_min(1e-6)
        self.learn(center=center, basis=vectors.flip(1)[:, : self.count].contiguous(), scale=scale)

    def encode(self, x: Tensor) -> Tensor:
        """(n, channel, *position) -> (n, k, *grid)."""
        z = (self.patches.cut(x) - self.center) @ self.basis / self.scale
        return z.movedim(-1, 1).contiguous()

    def decode(self, z: Tensor) -> Tensor:
        """(n, k, *grid) -> (n, channel, *position)."""
        return self.patches.join(z.movedim(1, -1) * self.scale @ self.basis.T + self.center)


class BinaryCode(nn.Module):
    """A small autoencoder of patches with bits between (straight-through gradients, Bengio et al. 2013)."""

    def __init__(self, shape: tuple[int, ...], bits: int, width: int) -> None:
        super().__init__()
        self.patches = Patches(shape)
        size = self.patches.size
        self.code_shape = (bits, *self.patches.grid)
        self.inward = nn.Sequential(nn.Linear(size, width), nn.GELU(), nn.Linear(width, bits), nn.Tanh())
        self.outward = nn.Sequential(nn.Linear(bits, 2 * width), nn.GELU(), nn.Linear(2 * width, size))

    def encode(self, x: Tensor) -> Tensor:
        """(n, channel, *position) -> bits as -1 and 1, (n, bits, *grid); differentiable, as if it were the identity."""
        soft = self.inward(self.patches.cut(x))
        hard = torch.where(soft >= 0, 1.0, -1.0).to(soft)
        return (soft + (hard - soft).detach()).movedim(-1, 1)

    def decode(self, bits: Tensor) -> Tensor:
        """(n, bits, *grid) -> (n, channel, *position)."""
        return self.patches.join(self.outward(bits.movedim(1, -1)))

    def forward(self, x: Tensor, time: Tensor | None = None) -> Tensor:
        return self.decode(self.encode(x))
