"""New files of a folder, each once it is written to its end, and once only.

Pictures join one run that grows; files that are whole in themselves (clips, recordings, tables, series) become a run
each. A file is known by name, size and time: one that was written anew is judged anew. Knows files; not stores.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from assistant import pipeline
from assistant.watch.judge import Judge
from assistant.watch.ledger import Dealt, Step
from assistant.watch.waiting import Waiter
from detectors.errors import AnomalyError

BATCH = 32  # pictures judged together
UNFINISHED = (".tmp", ".part", ".partial", ".crdownload", ".filepart", "~")
UNITS = ("video", "multimodal")  # an entry of the folder, file or folder, is one of these


@dataclass(frozen=True)
class Found:
    """A file (or a folder that is one sample)."""

    path: Path
    name: str  # below the watched folder
    stamp: str  # size and time
    written: float  # seconds since 1970


class NewFiles:
    """Looks into a folder again and again."""

    def __init__(self, folder: Path, modality: str, known: dict[str, str], settle: float) -> None:
        self.folder, self.whole_entries, self.known, self.settle = folder, modality in UNITS, known, settle
        self._met: dict[str, tuple[str, float]] = {}  # name -> stamp, and since when it has not changed
        self.writing = 0  # files that are not at their end yet

    def ready(self, most: int) -> list[Found]:
        """Up to `most` files that nobody writes any more, in natural order.

        Raises:
            AnomalyError: the folder is gone.
        """
        found = [one for one in self._found() if self.known.get(one.name) != one.stamp]
        found.sort(key=lambda one: natural(one.name))
        at, self.writing = time.monotonic(), 0
        ready: list[Found] = []
        met, self._met = self._met, {}
        for one in found:
            stamp, since = met.get(one.name, ("", at))
            since = since if stamp == one.stamp else at
            self._met[one.name] = (one.stamp, since)
            rested = at - since >= self.settle or time.time() - one.written >= 2 * max(self.settle, 1.0)
            self.writing += not rested
            if rested and len(ready) < most:
                ready.append(one)
        return ready

    def done(self, found: list[Found]) -> None:
        """These have been kept."""
        self.known |= {one.name: one.stamp for one in found}

    def _found(self) -> Iterator[Found]:
        if not self.folder.is_dir():
            raise AnomalyError(f"The folder {self.folder} is not there (any more).")
        if self.whole_entries:
            for entry in sorted(self.folder.iterdir()):
                if not _passed(entry.name):
                    yield from self._met_at(entry)
            return
        for root, folders, files in os.walk(self.folder):
            folders[:] = [name for name in folders if not name.startswith(".")]
            for name in files:
                if not _passed(name):
                    yield from self._met_at(Path(root) / name)

    def _met_at(self, path: Path) -> Iterator[Found]:
        inside = sorted(path.rglob("*")) if path.is_dir() else [path]
        try:
            states = [one.stat() for one in inside if one.is_file()]
        except OSError:  # gone again
            return
        if states:
            size, latest = sum(s.st_size for s in states), max(s.st_mtime_ns for s in states)
            yield Found(path, path.relative_to(self.folder).as_posix(), f"{size} {len(states)} {latest}", latest / 1e9)


class FolderFeed:
    """Steps from the new files of a folder."""

    ended = False

    def __init__(self, judge: Judge, folder: Path, settle: float) -> None:
        self.judge, self.place = judge, folder
        self.files = NewFiles(folder, judge.modality, judge.ledger.dealt(), settle)
        self.remarks: list[str] = []

    def next(self) -> Step | None:
        """The next files, judged; what cannot be is among those dealt with, with the reason.

        Raises:
            AnomalyError: the folder is gone.
        """
        pictures = self.judge.modality == "image"
        found = self.files.ready(BATCH if pictures else 1)
        if not found:
            return None
        step = self._pictures(found) if pictures else self._whole(found[0])
        self.files.done(found)
        return step

    def _whole(self, one: Found) -> Step:
        try:
            data = pipeline.read(one.path, self.judge.modality)
            return self.judge.whole(data, None, [Dealt(one.name, one.stamp)])
        except AnomalyError as error:
            return Step(dealt=[Dealt(one.name, one.stamp, str(error))])

    def _pictures(self, found: list[Found]) -> Step:
        names, stamps = {str(one.path): one.name for one in found}, {one.name: one.stamp for one in found}
        skipped: dict[str, str] = {}
        data = self._read([one.path for one in found], names, skipped)
        step = Step()
        if data is not None:
            try:
                step = self.judge.grow(data, None)
            except AnomalyError as error:  # not one of them fits the model
                skipped |= dict.fromkeys(data.names, str(error))
        skipped |= {one.name: one.reason for one in step.dealt}
        step.dealt = [Dealt(name, stamp, skipped.get(name, "")) for name, stamp in stamps.items()]
        if step.run is not None:
            before = len(self.judge.run.skipped) if self.judge.run else 0
            kept = [*step.run.skipped[:before], *skipped.items()]
            step.run = replace(step.run, skipped=kept)
        return step

    def _read(self, paths: list[Path], names: dict[str, str], skipped: dict[str, str]) -> Any:
        """Pictures under their names below the folder; None: not one can be read."""
        try:
            data = pipeline.read(paths, "image")
        except AnomalyError as error:
            if len(paths) == 1:
                skipped[names[str(paths[0])]] = str(error)
                return None
            parts = [one for one in (self._read([path], names, skipped) for path in paths) if one is not None]
            joined = {key: [item for one in parts for item in getattr(one, key)] for key in ("samples", "names")}
            return replace(parts[0], **joined) if parts else None
        kept = {str(path) for path in data.samples}
        reasons = iter(reason for _, reason in data.skipped)
        skipped |= {names[str(p)]: next(reasons, "cannot be read") for p in paths if str(p) not in kept}
        return replace(data, names=[names[str(path)] for path in data.samples], skipped=[])

    @property
    def busy(self) -> bool:
        """Whether files are being written."""
        return self.files.writing > 0

    def wait(self, waiter: Waiter) -> None:
        """Until something has changed in the folder, or a while; a moment where files are being written."""
        waiter.wait(self.place)


def _passed(name: str) -> bool:
    """Hidden files, and those that programs call unfinished."""
    return name.startswith((".", "__MACOSX")) or name.lower().endswith(UNFINISHED)


def natural(text: str) -> list[tuple[int, int, str]]:
    """Sort key under which part_2 comes before part_10."""
    return [(0, int(piece), "") if piece.isdecimal() else (1, 0, piece) for piece in re.split(r"(\d+)", text) if piece]
