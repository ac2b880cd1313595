"""Turns flagged frames into runs, a run's peak frame into boxes, and what is odd there into named parts.

Knows numbers of frames, (h, w) maps and pictures; not models, thresholds of scores or files.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from torch import Tensor

from detectors.detection import Part, Region
from detectors.localization import image_regions


def runs(flags: np.ndarray, frames: np.ndarray, offsets: np.ndarray, gap: int) -> list[tuple[int, int]]:
    """Half-open runs of flagged items, in order; up to `gap` unflagged frames are bridged, never between clips.

    flags: (n,) bool; frames: (n,) their numbers through all clips; offsets: (clip + 1,) first number of each clip.
    """
    found: list[tuple[int, int]] = []
    clip = np.searchsorted(offsets, frames, side="right")
    for at in np.flatnonzero(flags).tolist():
        last = found[-1][1] - 1 if found else -1
        near = found and clip[last] == clip[at] and 0 < frames[at] - frames[last] <= gap + 1
        if near:
            found[-1] = (found[-1][0], at + 1)
        else:
            found.append((at, at + 1))
    return found


def spans(map_: np.ndarray, start: int, end: int, peak: int, fps: float | None) -> tuple[Region, ...]:
    """Regions of the peak frame's map (h, w), each with the run [start, end) of frames that it stands for."""
    times = (clock(start, fps), clock(end - 1, fps))
    return tuple(
        replace(region, start=start, end=end, start_time=times[0], end_time=times[1], frame=peak)
        for region in image_regions(map_)
    )


def clock(frame: int, fps: float | None) -> str | None:
    """Where a frame lies in its clip: "0:05.70" (minutes, seconds); None where the frame rate is not known."""
    if not fps:
        return None
    minutes, seconds = divmod(frame / fps, 60)
    return f"{int(minutes)}:{seconds:05.2f}"


def carriers(
    looks: tuple[float, float], speeds: tuple[float, float], evidence: tuple[float, float]
) -> tuple[Part, ...]:
    """The two things that carry a clip's score, most guilty first: "appearance" (mean grey level, 0..255) and "motion"
    (pixels a frame), each as (observed, expected); evidence: what departs from normal in each."""
    total = max(sum(evidence), 1e-12)
    parts = [
        Part("appearance", round(evidence[0] / total, 4), round(looks[0], 2), round(looks[1], 2)),
        Part("motion", round(evidence[1] / total, 4), round(speeds[0], 2), round(speeds[1], 2)),
    ]
    return tuple(sorted(parts, key=lambda part: -part.share))


def descriptor(look: Tensor, motion: Tensor, region: Region, shape: tuple[int, int]) -> np.ndarray:
    """(k,) float32: how odd cells look and move, each of unit length, and where the first region lies."""
    left, top, right, bottom = region.box or (0, 0, 1, 1)
    place = [(left + right) / shape[1] - 1, (top + bottom) / shape[0] - 1]
    size = [np.log((right - left) * (bottom - top) / (shape[0] * shape[1])) / 10]
    unit = [(v / v.norm().clamp_min(1e-6)).numpy() for v in (look, motion)]
    return np.concatenate([*unit, 0.3 * np.array(place + size)]).astype(np.float32)
