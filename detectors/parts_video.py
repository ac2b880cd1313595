"""The part of a multimodal sample that is a clip: its frames as what moves in them, not as the room they show.

Knows frames and motion; not the other parts, methods or thresholds. A still room gives the same numbers whatever stands
in it; a person or a machine that moves gives how much, how fast, where to, how tall and how wide.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from detectors.errors import AnomalyError
from detectors.motion import flow
from detectors.parts import Seen, windowed
from detectors.parts_pictures import PictureReader, oddness
from detectors.readers.videos import Clip, open_clips
from detectors.repair import mend
from detectors.training import Run

SIDE = 112  # pixels of the longer side that motion is read at
CELL = 8  # pixels a cell of the map
BATCH = 64  # frames a call
MOVES = 0.06  # change of brightness (0..1) from which a pixel counts as moving
BACKGROUND = 40  # frames, spread over a clip, whose median is its background


class VideoReader(PictureReader):
    """Frames of a clip. Features of a step: how much moves, how fast, in which direction, where and over what height
    and width (of what differs from the clip's median frame), each with its change and its course over `window` steps.
    """

    kind = "video"
    own = 2
    usual: Tensor  # (2,) what the motion and the change of a normal's cell hardly exceed

    def length(self, piece: Any) -> int:
        return len(self._clip(piece))

    def _clip(self, piece: Any) -> Clip:
        try:
            clips, single = open_clips(piece)
        except AnomalyError as error:
            raise AnomalyError(f"In the part {self.name!r}: {error}") from error
        if not single:
            raise AnomalyError(f"The part {self.name!r} holds {len(clips)} clips; one recording has one clip.")
        return clips[0]

    def open(self, pieces: Sequence[Any], lengths: Sequence[int]) -> Seen:
        clips = [None if p is None else self._clip(p) for p in pieces]
        known = np.concatenate([np.full(n, c is not None) for c, n in zip(clips, lengths, strict=True)])
        return Seen(list(pieces), list(lengths), known, {"clips": clips})

    def learn_features(self, seen: Seen, rows: np.ndarray, run: Run) -> None:
        self.grid = next(s.shape[1:3] for s in self._moving(seen)[1] if s is not None)
        cells = np.concatenate([np.zeros((n, *self.grid, 2)) if c is None else c
                                for c, n in zip(self._moving(seen)[1], seen.lengths, strict=True)])[rows]  # fmt: skip
        self.learn(usual=torch.from_numpy(np.quantile(cells.reshape(len(cells), -1, 2).max(1), 0.5, 0)).float())

    def _moving(self, seen: Seen) -> tuple[np.ndarray, list[Any]]:
        """(step, number) what moves, and each clip's cells (frame, h', w', 2); worked out once."""
        if "moving" not in seen.kept:
            told = [(np.zeros((n, NUMBERS), np.float32), None) if c is None else describe_clip(c)
                    for c, n in zip(seen.data["clips"], seen.lengths, strict=True)]  # fmt: skip
            seen.kept["moving"] = np.concatenate([t for t, _ in told]), [c for _, c in told]
        return seen.kept["moving"]

    def cells(self, seen: Seen) -> np.ndarray:
        if "cells" not in seen.kept:
            usual = self.usual.numpy() + 1e-6
            found = [np.zeros((n, *self.grid), np.float32) if c is None else self._resampled((c / usual).max(3))
                     for c, n in zip(self._moving(seen)[1], seen.lengths, strict=True)]  # fmt: skip
            seen.kept["cells"] = np.concatenate(found)
        return seen.kept["cells"]

    def _resampled(self, cells: np.ndarray) -> np.ndarray:
        """Cells of a clip of another size on the grid of the fit."""
        if cells.shape[1:] == tuple(self.grid):
            return cells
        return F.interpolate(torch.from_numpy(cells)[:, None].float(), size=self.grid)[:, 0].numpy()

    def features(self, seen: Seen) -> np.ndarray:
        numbers = windowed(self._moving(seen)[0], seen.bounds, int(self.settings["window"]))
        return np.concatenate([numbers, oddness(self.cells(seen))], 1).astype(np.float32)

    def size_of(self, seen: Seen, step: int) -> tuple[int, int]:
        clip = seen.data["clips"][self._held(step, seen)[0]]
        return clip.size if clip is not None else (self.grid[0] * CELL, self.grid[1] * CELL)

    def picture(self, seen: Seen, step: int) -> np.ndarray:
        number, place = self._held(step, seen)
        return seen.data["clips"][number].frame(place)

    def full(self, seen: Seen, maps: np.ndarray) -> list[Any]:
        return [None if c is None else np.stack([self.enlarged(seen, t, maps[t]) for t in range(a, b)])
                for c, (a, b) in zip(seen.data["clips"], seen.bounds, strict=True)]  # fmt: skip

    def where(self, seen: Seen, maps: np.ndarray) -> list[Any]:
        return [None if c is None else np.stack([self.mask_of(seen, t, maps[t]) for t in range(a, b)])
                for c, (a, b) in zip(seen.data["clips"], seen.bounds, strict=True)]  # fmt: skip

    def decode(self, seen: Seen, x: np.ndarray, masks: Sequence[Any]) -> list[Any]:
        """Masked places take what the clip shows there most of the time."""
        flat = self._flat_masks(seen, masks)
        out: list[Any] = []
        for clip, (start, end) in zip(seen.data["clips"], seen.bounds, strict=True):
            if clip is None:
                out.append(None)
                continue
            frames = [clip.frame(t) for t in range(end - start)]
            usual = None
            for t, mask in enumerate(flat[start:end]):
                if mask is not None and np.any(mask):
                    usual = background(clip) if usual is None else usual
                    frames[t] = mend(frames[t], usual, np.asarray(mask, bool))
            out.append(np.stack(frames))
        return out

    def config(self) -> dict[str, Any]:
        return {"grid": list(self.grid)}

    def restore(self, config: Mapping[str, Any]) -> None:
        self.grid, self.fitted = (int(config["grid"][0]), int(config["grid"][1])), True


# --- what moves ------------------------------------------------------------------------------------------------------
NUMBERS = 12


def background(clip: Clip) -> np.ndarray:
    """The median of frames spread over a clip, uint8."""
    chosen = np.unique(np.linspace(0, len(clip) - 1, min(BACKGROUND, len(clip))).round().astype(int))
    return np.median(np.stack([clip.frame(int(i)) for i in chosen]), axis=0).astype(np.uint8)


_told: WeakKeyDictionary[Clip, tuple[np.ndarray, np.ndarray]] = WeakKeyDictionary()


def describe_clip(clip: Clip) -> tuple[np.ndarray, np.ndarray]:
    """((frame, NUMBERS), (frame, h', w', 2)): what moves in each frame, and each cell's motion and change; worked out
    once for a clip, however often it is scored with other parts."""
    if clip not in _told:
        _told[clip] = _described(clip)
    return _told[clip]


def _described(clip: Clip) -> tuple[np.ndarray, np.ndarray]:
    still = _small(background(clip))
    grey = torch.stack([_small(clip.frame(t)) for t in range(len(clip))])  # (frame, h, w), at most SIDE
    numbers, cells = [], []
    for first in range(0, len(grey), BATCH):
        now = grey[first : first + BATCH]
        before = grey[[max(0, t - 1) for t in range(first, first + len(now))]]
        motion = flow(before, now)
        changed = (now - before).abs()
        apart = (now - still).abs()
        numbers.append(_numbers(motion, changed, apart))
        fields = torch.stack([motion.norm(dim=1), changed], 1)
        cells.append(F.avg_pool2d(fields, CELL, ceil_mode=True).permute(0, 2, 3, 1))
    told = torch.cat(numbers)
    if len(told) > 1:
        told[0] = told[1]  # the first frame has none before it
    return told.numpy(), torch.cat(cells).numpy()


def _small(frame: np.ndarray) -> Tensor:
    """(h, w) in 0..1, longer side at most SIDE."""
    grey = torch.from_numpy(np.array(frame)).float() / 255
    grey = grey.mean(2) if grey.ndim == 3 else grey
    shrink = max(grey.shape) / SIDE
    if shrink <= 1:
        return grey
    size = (round(grey.shape[0] / shrink), round(grey.shape[1] / shrink))
    return F.interpolate(grey[None, None], size=size, mode="area")[0, 0]


def _numbers(motion: Tensor, changed: Tensor, apart: Tensor) -> Tensor:
    """(n, NUMBERS) from flow (n, 2, h, w), change since the frame before and difference from the background (n, h, w).
    Lengths are shares of the frame's height."""
    _, height, width = changed.shape
    y = torch.arange(height, dtype=torch.float32).view(1, -1, 1) / height
    x = torch.arange(width, dtype=torch.float32).view(1, 1, -1) / height
    speed = motion.norm(dim=1) / height
    weight = speed * (changed > MOVES)  # what moves for certain
    mass = weight.flatten(1).sum(1)
    sure = mass + 1e-3
    down, across = ((motion[:, i] / height * (changed > MOVES)).flatten(1).sum(1) for i in (1, 0))
    moving = (changed > MOVES).float().flatten(1).mean(1)
    body = (apart > 2 * MOVES).float() * apart
    body_mass = body.flatten(1).sum(1) + 1e-2
    at_y, at_x = ((body * g).flatten(1).sum(1) / body_mass for g in (y, x))
    tall = ((body * (y - at_y.view(-1, 1, 1)) ** 2).flatten(1).sum(1) / body_mass).clamp_min(1e-5).sqrt()
    wide = ((body * (x - at_x.view(-1, 1, 1)) ** 2).flatten(1).sum(1) / body_mass).clamp_min(1e-5).sqrt()
    fastest = torch.quantile(speed.flatten(1), 0.99, dim=1)
    move_y = (weight * y).flatten(1).sum(1) / sure
    spread_y = ((weight * (y - move_y.view(-1, 1, 1)) ** 2).flatten(1).sum(1) / sure).clamp_min(1e-6).sqrt()
    return torch.stack([
        (mass + 1e-3).log(), (moving + 1e-3).log(), (fastest + 1e-3).log(), down / sure * 10, across.abs() / sure * 10,
        at_y, tall, wide, (tall / wide).log(), (body_mass).log(), move_y, spread_y,
    ], 1)  # fmt: skip
