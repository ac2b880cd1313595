"""Frames of a clip, of a folder that a camera writes into, or of a camera itself.

A video model judges them as one stream, a picture model each by itself. Clips and folders are gone on with where a
watch stopped; of a camera, what was not seen is gone, untold. Knows frames; not stores.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from assistant import pipeline
from assistant.watch.folder import NewFiles, natural
from assistant.watch.judge import ROLL, Edge, Judge
from assistant.watch.ledger import Dealt, Step
from assistant.watch.waiting import Waiter
from detectors.errors import AnomalyError

CHUNK = 48  # frames judged together
CAMERA = "camera:"  # how a camera is named: camera:DEVICE, or camera:FORMAT:DEVICE for PyAV
FORMATS = {"linux": "v4l2", "darwin": "avfoundation", "win32": "dshow"}


class Frames(ABC):
    """Frames in order, numbered from 0."""

    place: Path | None = None  # where a wait makes sense
    remarks: list[str]

    def __init__(self) -> None:
        self.remarks = []

    @abstractmethod
    def more(self, number: int, most: int) -> list[np.ndarray]:
        """Up to `most` frames (h, w[, 3]) uint8 from `number` on; none: none yet."""

    def behind(self, number: int, count: int) -> list[np.ndarray]:
        """The `count` frames before `number`."""
        return self.more(max(0, number - count), min(count, number))

    def over(self, number: int) -> bool:
        """Whether there will be none from `number` on, ever."""
        return False

    def rested(self, idle: float) -> bool:
        """Whether none has come for `idle` seconds."""
        return False

    @property
    def busy(self) -> bool:
        """Whether some are on their way."""
        return False


def _good(read: Callable[[Any], np.ndarray], which: Sequence[Any]) -> list[np.ndarray]:
    """Frames up to the first that cannot be read. Raises AnomalyError where that is the first of all."""
    found: list[np.ndarray] = []
    for one in which:
        try:
            found.append(read(one))
        except AnomalyError:
            if found:
                break
            raise
    return found


class ClipFrames(Frames):
    """A video file or a zip of frames."""

    def __init__(self, path: Path) -> None:
        """Raises AnomalyError where it cannot be read as a clip."""
        super().__init__()
        self.clip = pipeline.read(path, "video").samples[0]

    def more(self, number: int, most: int) -> list[np.ndarray]:
        return _good(self.clip.frame, range(number, min(len(self.clip), number + most)))

    def over(self, number: int) -> bool:
        return number >= len(self.clip)


class FolderFrames(Frames):
    """Pictures that are written into a folder one after the other, in the order of their names, and stay there."""

    def __init__(self, folder: Path, settle: float) -> None:
        super().__init__()
        self.place, self.latest = folder, 0.0
        self.files = NewFiles(folder, "image", {}, settle)
        self.paths: list[Path] = []

    def more(self, number: int, most: int) -> list[np.ndarray]:
        if number + most > len(self.paths):
            new = self.files.ready(10**9)
            last = natural(self.paths[-1].name) if self.paths else []
            new = [one for one in new if natural(one.path.name) > last]
            self.files.done(new)
            self.paths += [one.path for one in new]
            self.latest = max([self.latest, *(one.written for one in new)])
        return _good(pipeline.picture, self.paths[number : number + most])

    def rested(self, idle: float) -> bool:
        return time.time() - self.latest >= idle

    @property
    def busy(self) -> bool:
        return self.files.writing > 0


class CameraFrames(Frames):
    """A camera, through PyAV: at most `fps` frames a second, each judged or, where judging is slower, not taken."""

    def __init__(self, name: str, fps: float) -> None:
        """Raises AnomalyError where PyAV is not there or the camera cannot be opened."""
        super().__init__()
        self.stream, self.step = _opened(name), 1.0 / fps
        self.count, self.last, self.ended = 0, -np.inf, False

    def more(self, number: int, most: int) -> list[np.ndarray]:
        found: list[np.ndarray] = []
        began = time.monotonic()
        while len(found) < most and time.monotonic() - began < 2.0:  # whatever came is judged every other second
            frame = next(self.stream, None)
            if frame is None:
                self.ended = True
                break
            if frame.time is not None and frame.time - self.last < 0.99 * self.step:
                continue
            self.last = frame.time if frame.time is not None else self.last
            found.append(frame.to_ndarray(format="gray" if "gray" in frame.format.name else "rgb24"))
        self.count += len(found)
        return found

    def behind(self, number: int, count: int) -> list[np.ndarray]:
        return []

    def over(self, number: int) -> bool:
        return self.ended


def _opened(name: str) -> Iterator[Any]:
    import sys

    try:
        import av
    except ImportError:
        raise AnomalyError("A camera is read with PyAV: pip install 'anomaly-assistant[video]'.") from None
    form, _, device = name.removeprefix(CAMERA).rpartition(":") if not Path(name[7:]).exists() else ("", "", name[7:])
    form = form or ("" if Path(device).is_file() else FORMATS.get(sys.platform, ""))
    device = f"/dev/video{device}" if form == "v4l2" and device.isdigit() else device
    try:
        container = av.open(device, format=form or None)
        return iter(container.decode(container.streams.video[0]))
    except (av.FFmpegError, IndexError, OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise AnomalyError(
            f"The camera {device!r} cannot be opened ({why}); plug it in, or name another: camera:DEVICE."
        ) from None


class FramesFeed:
    """Steps from frames: a stretch at a time, with those before it that its evidence reaches back to."""

    def __init__(self, judge: Judge, frames: Frames, resumable: bool, idle: float) -> None:
        """Raises AnomalyError for a model of rows."""
        if judge.modality not in ("image", "video"):
            raise AnomalyError(f"The source shows pictures, but the model is one of {judge.unit()}.")
        self.judge, self.frames, self.remarks = judge, frames, frames.remarks
        self.ended, self.idle = False, idle
        if not resumable:
            judge.run = None
        self.number = int(judge.ledger.cursor.get("frame", 0)) if resumable else 0
        self.kept: list[np.ndarray] = []  # the latest frames that were judged
        if judge.modality == "video" and judge.run is not None:
            edge = judge.edge(judge.ledger.cursor)
            self.kept = frames.behind(self.number, judge.run.n_samples - max(0, edge.settled - judge.before()))

    def next(self) -> Step | None:
        """The next stretch, judged; at the end, what was held back.

        Raises:
            AnomalyError: the frames cannot be read, or the first ones do not fit the model.
        """
        try:
            new = self.frames.more(self.number, CHUNK)
        except AnomalyError as error:
            self.number += 1
            cursor = {**self.judge.ledger.cursor, "frame": self.number}
            return Step(cursor=cursor, dealt=[Dealt(f"frame {self.number - 1}", "", str(error))])
        over = self.frames.over(self.number + len(new))
        self.ended = over
        final = over or (not new and self.frames.rested(self.idle))
        if not new and not (final and self.judge.modality == "video" and self._unsettled()):
            return None
        cursor = {**self.judge.ledger.cursor, "frame": self.number + len(new)}
        try:
            step = self._pictures(new, cursor) if self.judge.modality == "image" else self._clip(new, cursor, final)
        except AnomalyError as error:
            if self.judge.ledger.run is None:
                raise
            name = f"frames {self.number} to {self.number + len(new) - 1}"
            self.kept, self.judge.run = [], None  # what follows may be of another size: a new run
            step = Step(cursor=cursor, dealt=[Dealt(name, "", str(error))])
        self.number += len(new)
        return step

    def _unsettled(self) -> bool:
        run = self.judge.run
        return run is not None and bool(self.kept) and self.judge.edge(self.judge.ledger.cursor).settled < run.n_samples

    def _pictures(self, new: list[np.ndarray], cursor: dict[str, Any]) -> Step:
        data = pipeline.read(new, "image")
        names = [f"frame {self.number + int(name.split()[-1])}" for name in data.names]
        return self.judge.grow(replace(data, names=names), cursor)

    def _clip(self, new: list[np.ndarray], cursor: dict[str, Any], final: bool) -> Step:
        judge = self.judge
        if judge.run is not None and judge.run.n_samples >= ROLL:
            judge.run = None
        count = judge.run.n_samples if judge.run else 0
        first, edge = count - len(self.kept), judge.edge(judge.ledger.cursor)
        full = count + len(new) >= ROLL  # the next one begins a new run
        data = pipeline.read([*self.kept, *new], "video")
        step = judge.stream(data, first, edge, cursor, final=final or full)
        after = Edge(**(step.cursor or {})["edge"])
        self.kept = [] if full else [*self.kept, *new][max(0, after.settled - judge.before() - first) :]
        return step

    @property
    def busy(self) -> bool:
        """Whether frames are on their way."""
        return self.frames.busy

    def wait(self, waiter: Waiter) -> None:
        """Until there may be more frames."""
        waiter.wait(self.frames.place)
