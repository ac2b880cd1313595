"""How things move between two frames: a light dense optical flow, and what of it a cell of the picture holds.

Knows grey frames as tensors (n, h, w) in 0..1; not clips, features or anomalies. Everything is deterministic.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

LEVELS = 3  # sizes of the pyramid: 1, 1/2, 1/4
ROUNDS = 2  # refinements a size
WINDOW = 7  # pixels a side of the patch that is taken to move as one
STILL = 2e-4  # squared slopes below it say nothing about motion: the flow there is drawn to zero


def flow(before: Tensor, after: Tensor) -> Tensor:
    """Displacement in pixels from `before` to `after`, both (n, h, w) in 0..1: (n, 2, h, w), x then y.

    Lucas and Kanade (1981) over a pyramid (Bouguet 2000), each pixel's patch solved at once; without texture it is 0.
    """
    pyramid = [(before[:, None], after[:, None])]
    for _ in range(LEVELS - 1):
        if min(pyramid[-1][0].shape[2:]) < 4 * WINDOW:
            break
        pyramid.append((F.avg_pool2d(pyramid[-1][0], 2), F.avg_pool2d(pyramid[-1][1], 2)))
    motion = before.new_zeros(len(before), 2, *pyramid[-1][0].shape[2:])
    for first, second in reversed(pyramid):
        if motion.shape[2:] != first.shape[2:]:
            grown = F.interpolate(motion, size=first.shape[2:], mode="bilinear", align_corners=False)
            motion = 2 * grown
        for _ in range(ROUNDS):
            motion = motion + _step(first, _shifted(second, motion))
    return motion


def _step(first: Tensor, second: Tensor) -> Tensor:
    """One Lucas-Kanade solve: (n, 2, h, w), at most a pixel."""
    mean = (first + second) / 2
    padded = F.pad(mean, (1, 1, 1, 1), mode="replicate")
    dx = (padded[:, :, 1:-1, 2:] - padded[:, :, 1:-1, :-2]) / 2
    dy = (padded[:, :, 2:, 1:-1] - padded[:, :, :-2, 1:-1]) / 2
    dt = second - first
    moments = torch.cat([dx * dx, dx * dy, dy * dy, dx * dt, dy * dt], 1)
    xx, xy, yy, xt, yt = F.avg_pool2d(moments, WINDOW, 1, WINDOW // 2, count_include_pad=False).unbind(1)
    xx, yy = xx + STILL, yy + STILL
    det = xx * yy - xy * xy
    return torch.stack([-(yy * xt - xy * yt) / det, -(xx * yt - xy * xt) / det], 1).clamp(-1, 1)


def _shifted(picture: Tensor, motion: Tensor) -> Tensor:
    """picture (n, 1, h, w) read at each pixel's place plus motion (n, 2, h, w)."""
    height, width = picture.shape[2:]
    y, x = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    to_x = (2 * (x.to(motion) + motion[:, 0]) + 1) / width - 1
    to_y = (2 * (y.to(motion) + motion[:, 1]) + 1) / height - 1
    return F.grid_sample(picture, torch.stack([to_x, to_y], 3), padding_mode="border", align_corners=False)


CHANNELS = ("speed", "sweep", "right", "down", "figure")  # of a cell
DEPARTS = 0.06  # mean departure of a small patch from the still scene, from which something is there
CHANGES = 0.03  # the same for the change between two frames, where there is no still scene
THERE = 0.02  # share of a neighbourhood added to what is there, so that specks tell little
OWN = 0.1  # share of figure in the cell itself from which the motion around it is the cell's
FULL = 0.3  # share of a neighbourhood from which more figure does not count as more sweep
MOVING = 0.15  # pixels a frame from which a cell counts as moving
FILLED = 0.3  # share of the cell that must be figure for it
FEWEST = 50  # moving cells that a slope over the picture is believed from


def grey(picture: np.ndarray, size: tuple[int, int]) -> Tensor:
    """A frame (h, w[, 3]) uint8 as grey values 0..1 of the given size (h, w)."""
    image = Image.fromarray(picture).convert("L")
    if image.size != (size[1], size[0]):
        image = image.resize((size[1], size[0]), Image.Resampling.BOX)
    return torch.from_numpy(np.asarray(image, np.float32) / 255)


def cell_motion(before: Tensor, after: Tensor, grid: tuple[int, int], still: Tensor | None) -> Tensor:
    """What moves in and around the cells between two frames (n, h, w): (n, len(CHANNELS), h', w').

    figure: share of the cell where something is that the still scene (h, w) lacks (None, a moving camera: where
    something changes). The others are means over the figure in 3 x 3 cells, as a thing is mostly larger than a cell,
    in pixels; a still or flickering ground says nothing of what moves on it. speed; sweep: speed times the share of
    figure, up to FULL: much that is fast counts for more than a little; right, down: displacement.
    """
    motion = flow(before, after)
    departure = ((after - before) if still is None else (after - still)).abs()[:, None]
    figure = (F.avg_pool2d(departure, 5, 1, 2) > (CHANGES if still is None else DEPARTS)).float()
    moving = torch.cat([motion.square().sum(1, keepdim=True).sqrt(), motion, torch.ones_like(figure)], 1) * figure
    cells = F.adaptive_avg_pool2d(moving, grid)
    around = F.avg_pool2d(cells, 3, 1, 1, count_include_pad=False)
    share = around[:, 3:]
    here = (cells[:, 3:] / OWN).clamp_max(1)
    speed, direction = (part / (share + THERE) * here for part in (around[:, :1], around[:, 1:3]))
    return torch.cat([speed, speed * share.clamp_max(FULL) / FULL, direction, cells[:, 3:]], 1)


def perspective(motion: Tensor) -> Tensor:
    """Usual speed of what moves, by row of cells: (h',), from normals' cell motion (n, channel, h', w').

    A straight line over the rows, fitted to the moving cells; level where too few move to tell.
    """
    speed = motion[:, 0]
    moving = (speed > MOVING) & (motion[:, CHANNELS.index("figure")] > FILLED)
    rows = torch.arange(speed.shape[1], dtype=torch.float32)
    if int(moving.sum()) < FEWEST:
        return torch.ones(len(rows))
    weight = moving.sum((0, 2)).float()
    mean = (speed * moving).sum((0, 2)) / weight.clamp_min(1)
    overall = float((weight * mean).sum() / weight.sum())
    centre = (weight * rows).sum() / weight.sum()
    slope = (weight * (rows - centre) * (mean - overall)).sum() / (weight * (rows - centre) ** 2).sum().clamp_min(1e-6)
    return (overall + slope * (rows - centre)).clamp(overall / 3, overall * 3)
