"""What a finding in a clip keeps beside its peak frame, and how it is read back and drawn.

Knows frames, numbers and files; not detectors or the database. In the finding's folder, beside what an image keeps:
    clip.npz    `frames` (n, h, w[, 3]) uint8 around the peak, enough to score it again; `first` and `peak`: numbers in
                the clip; `strip` (k, h', w'[, 3]) small frames through the event, `strip_frames` their numbers;
                `scores` and `p_values` of the frames from `begin` on, around the event; `event` first and last + 1;
                `maps` (m, h", w") float16: the detector's own small maps of the frames `map_frames`, calibrated
    strip.png   the strip over the curve of scores, when made
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from assistant.keeping.folder import lost, write

STRIP = 8  # frames of a strip
STRIP_HEIGHT = 72  # pixels
AROUND = 40  # frames whose scores are kept on either side of an event
FILE = "clip.npz"
MAP_BYTES = 400_000  # of a finding's small maps; of more, evenly fewer are kept


@dataclass(frozen=True)
class Excerpt:
    """A finding's frames and scores; numbers count frames of its clip."""

    frames: np.ndarray  # (n, h, w[, 3]) uint8 around the peak
    first: int  # number of the first of them
    peak: int
    event: tuple[int, int]  # half-open
    strip: np.ndarray  # (k, h', w'[, 3]) uint8
    strip_frames: np.ndarray  # (k,)
    begin: int  # number of the first frame in `scores`
    scores: np.ndarray
    p_values: np.ndarray
    maps: np.ndarray = field(default_factory=lambda: np.zeros((0, 1, 1), np.float16))  # none in older findings
    map_frames: np.ndarray = field(default_factory=lambda: np.zeros(0, int))


def moved(excerpt: Excerpt, offset: int) -> Excerpt:
    """An excerpt with its frames counted from `offset` on."""
    return replace(
        excerpt,
        first=excerpt.first + offset,
        peak=excerpt.peak + offset,
        event=(excerpt.event[0] + offset, excerpt.event[1] + offset),
        strip_frames=excerpt.strip_frames + offset,
        begin=excerpt.begin + offset,
        map_frames=excerpt.map_frames + offset,
    )


def strip_numbers(event: tuple[int, int], peak: int) -> list[int]:
    """Frames that show an event: evenly spread over it, its peak among them."""
    start, end = event
    spread = {int(n) for n in np.linspace(start, end - 1, min(STRIP, end - start)).round()}
    nearest = min(spread, key=lambda n: abs(n - peak))
    return sorted(spread - {nearest} | {peak})


def small_maps(maps: np.ndarray, frames: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """The maps (n, h, w) of a clip at some of its frames, as far as MAP_BYTES reach, with the numbers of the frames."""
    numbers = np.unique(np.asarray(frames, int))
    most = max(1, MAP_BYTES // max(1, 2 * int(np.prod(maps.shape[1:]))))
    numbers = numbers[:: -(-len(numbers) // most)]
    return maps[numbers].astype(np.float16), numbers


def small(frame: np.ndarray) -> np.ndarray:
    """A frame at the height of a strip."""
    height, width = frame.shape[:2]
    size = (max(8, round(width * STRIP_HEIGHT / height)), STRIP_HEIGHT)
    return np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.BILINEAR))


def keep_excerpt(folder: Path, excerpt: Excerpt) -> None:
    """Write clip.npz."""
    folder.mkdir(parents=True, exist_ok=True)
    arrays: dict[str, Any] = {one.name: np.asarray(getattr(excerpt, one.name)) for one in fields(Excerpt)}
    write(folder / FILE, lambda file: np.savez_compressed(file, **arrays))


def load_excerpt(folder: Path) -> Excerpt:
    """Read clip.npz.

    Raises:
        AnomalyError: the folder lost its files.
    """
    try:
        with np.load(folder / FILE, allow_pickle=False) as file:
            kept: dict[str, Any] = {name: file[name] for name in file.files}
    except (OSError, ValueError) as error:
        raise lost(folder / FILE) from error
    kept.pop("fitted_p", None)  # see assistant/feedback/repricing.py
    for name in ("first", "peak", "begin"):
        kept[name] = int(kept[name])
    kept["event"] = tuple(int(v) for v in kept["event"])
    return Excerpt(**kept)


def keep_strip(folder: Path, threshold: float | None) -> Path:
    """Draw the strip over the curve of scores, once."""
    path = folder / "strip.png"
    if not path.is_file():
        from assistant.figures.clips import strip_png

        picture = strip_png(load_excerpt(folder), threshold)
        write(path, lambda file: file.write(picture))
    return path
