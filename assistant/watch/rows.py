"""Rows appended to a CSV, TSV, JSON-lines or Parquet file, chunk by chunk: only whole lines, each once.

The cursor is a byte offset (Parquet: a row count) with a fingerprint of the file's beginning, so that a file that was
cut, or replaced by another of the same name, is noticed. Knows files and lines; not models or stores.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from assistant import pipeline
from assistant.watch.judge import Judge
from assistant.watch.ledger import Dealt, Step
from assistant.watch.waiting import Waiter
from detectors.errors import AnomalyError

CHUNK = 4 * 2**20  # bytes read at a time
HEAD = 4096  # bytes that tell a file from another
BEHIND = 32 * 2**10  # bytes of earlier rows read again, so that columns of a short chunk mean the same
LINES = (".csv", ".tsv", ".jsonl")


@dataclass
class Lot:
    """New rows."""

    data: Any  # detectors.data.Source
    cursor: dict[str, Any]
    skipped: list[tuple[str, str]] = field(default_factory=list)


class GrowingFile:
    """A file that rows are appended to."""

    def __init__(self, path: Path, modality: str, cursor: dict[str, Any]) -> None:
        """Raises AnomalyError for a file of another kind."""
        self.path, self.modality, self.cursor = path, modality, dict(cursor)
        self.remarks: list[str] = []
        self.seen: tuple[int, int] = (-1, -1)  # size and time when there was nothing more to read
        if path.suffix.lower() not in (*LINES, ".parquet"):
            raise AnomalyError(f"{path.name!r} is not watched for new rows; {', '.join((*LINES, '.parquet'))} are.")

    def look(self) -> Lot | None:
        """The next rows; None: no whole one yet. Raises AnomalyError where the file is gone or cannot be read."""
        try:
            state = self.path.stat()
            if (state.st_size, state.st_mtime_ns) == self.seen:
                return None
            lot = self._parquet() if self.path.suffix.lower() == ".parquet" else self._lines()
        except FileNotFoundError:
            raise AnomalyError(f"{self.path} is not there (any more).") from None
        except OSError as error:
            raise AnomalyError(f"{self.path} cannot be read: {error.strerror or error}.") from None
        if lot is None:
            self.seen = (state.st_size, state.st_mtime_ns)
        return lot

    def idle_since(self) -> float:
        """When the file was last written, in seconds since 1970."""
        return self.path.stat().st_mtime

    # --- lines ----------------------------------------------------------------------------------------------------

    def _lines(self) -> Lot | None:
        offset, path = int(self.cursor.get("offset", 0)), self.path
        if offset and not self._same():
            former = self._former(offset)
            if former is None:
                offset = 0
            path = former or path
        with path.open("rb") as file:
            head = b"" if self.path.suffix.lower() == ".jsonl" else file.readline()
            if head.startswith((b"\xff\xfe", b"\xfe\xff")):
                raise AnomalyError(f"{self.path.name!r} is UTF-16; a file that is watched must be UTF-8.")
            if head and not head.endswith(b"\n"):
                return None
            headless = _numeric(head)
            begin = offset or (0 if headless else len(head))
            file.seek(begin)
            chunk = file.read(CHUNK)
            last = path != self.path and len(chunk) < CHUNK  # of a file that nobody appends to any more
            chunk = chunk if last else _whole(chunk)
            if not chunk:
                return None
            earlier = self._earlier(file, begin, 0 if headless else len(head))
            file.seek(0)
            stop = begin + len(chunk)
            mark, inode = file.read(min(HEAD, stop)), os.fstat(file.fileno()).st_ino
        rows, number = chunk.splitlines(keepends=True), self._count(begin)
        skipped: list[tuple[str, str]] = []
        parsed = self._parsed(b"" if headless else head, earlier, rows, number, skipped)
        known = {"head": [len(mark), hashlib.sha256(mark).hexdigest()], "inode": inode}
        self.cursor = {"offset": stop, "lines": number + len(rows), **known}
        return Lot(parsed, self.cursor, skipped)

    def _count(self, begin: int) -> int:
        return int(self.cursor.get("lines", 0)) if begin == int(self.cursor.get("offset", 0)) else 0

    def _same(self) -> bool:
        """Whether the file still begins as it did, and holds what was read."""
        length, digest = self.cursor["head"]
        with self.path.open("rb") as file:
            begins = hashlib.sha256(file.read(length)).hexdigest()
            return begins == digest and os.fstat(file.fileno()).st_size >= int(self.cursor["offset"])

    def _former(self, offset: int) -> Path | None:
        """Where a file that was moved away lies now, as long as it holds rows that were not read; else the new file
        is begun, and that is told."""
        for other in self.path.parent.iterdir():
            state = other.stat()
            if state.st_ino == self.cursor.get("inode") and other != self.path and state.st_size > offset:
                return other
        what = "was cut short or replaced" if self.path.stat().st_size < offset else "was replaced by another file"
        self.remarks.append(f"{self.path.name} {what}; it is read from its beginning.")
        return None

    def _earlier(self, file: Any, begin: int, first: int) -> bytes:
        """Whole lines before the new ones, for a table's columns; a series has its own past in the run."""
        start = max(first, begin - BEHIND)
        if self.modality != "table" or start >= begin:
            return b""
        file.seek(start)
        behind = file.read(begin - start)
        return behind if start == first else behind[behind.find(b"\n") + 1 :]

    def _parsed(
        self, head: bytes, earlier: bytes, rows: list[bytes], number: int, skipped: list[tuple[str, str]]
    ) -> Any:
        """The rows as a source; of rows that cannot be read, halves, down to the line."""
        if not any(row.strip() for row in rows):
            return None
        try:
            return _named(self._read(head, earlier, rows), number)
        except AnomalyError as error:
            if len(rows) == 1:
                skipped.append((f"{self.path.name}, row {number}", str(error)))
                return None
        middle = len(rows) // 2
        halves = [
            self._parsed(head, earlier, rows[:middle], number, skipped),
            self._parsed(head, earlier, rows[middle:], number + middle, skipped),
        ]
        return _together([half for half in halves if half is not None])

    def _read(self, head: bytes, earlier: bytes, rows: list[bytes]) -> Any:
        data = self._source(head + earlier + b"".join(rows))
        known = len(self._source(head + earlier).samples) if earlier else 0
        names = data.names[known:] if data.names else None
        return replace(data, samples=data.samples.iloc[known:], names=names, origin=str(self.path))

    def _source(self, text: bytes) -> Any:
        with tempfile.TemporaryDirectory(prefix="anomaly-watch-") as folder:
            file = Path(folder) / self.path.name
            file.write_bytes(text)
            return pipeline.read(file, self.modality)

    # --- Parquet --------------------------------------------------------------------------------------------------

    def _parquet(self) -> Lot | None:
        import pandas as pd

        try:
            frame = pd.read_parquet(self.path)
        except (ValueError, OSError, KeyError):  # being written; the next look will tell
            return None
        known = int(self.cursor.get("rows", 0))
        first = hashlib.sha256(frame.head(1).to_csv().encode()).hexdigest()
        if known and (len(frame) < known or first != self.cursor.get("first")):
            self.remarks.append(f"{self.path.name} was replaced by another file; it is read from its beginning.")
            known = 0
        if len(frame) <= known:
            return None
        behind = min(known, 200) if self.modality == "table" else 0
        data = pipeline.read(frame.iloc[known - behind :], self.modality)
        names = data.names[behind:] if data.names else None
        data = replace(data, samples=data.samples.iloc[behind:], names=names, origin=str(self.path))
        self.cursor = {"rows": len(frame), "first": first}
        return Lot(_named(data, known), self.cursor)


def _whole(chunk: bytes) -> bytes:
    """Up to the last line that is complete, and not within quotes."""
    end = chunk.rfind(b"\n") + 1
    while end and chunk.count(b'"', 0, end) % 2:
        end = chunk.rfind(b"\n", 0, end - 1) + 1
    return chunk[:end]


def _numeric(line: bytes) -> bool:
    """Whether a first line is a row of numbers, so that the file has no header."""
    cells = line.decode("utf-8", "ignore").replace(";", ",").replace("\t", ",").replace("|", ",").split(",")
    try:
        return bool(line) and all(float(cell) == float(cell) for cell in cells)
    except ValueError:
        return False


def _named(data: Any, number: int) -> Any:
    """Rows without names of their own are numbered through the file."""
    if data.names is None or not all(name.startswith("row ") for name in data.names):
        return data
    return replace(data, names=[f"row {number + i}" for i in range(len(data.samples))])


def _together(parts: list[Any]) -> Any:
    import pandas as pd

    if not parts:
        return None
    names = None if parts[0].names is None else [name for part in parts for name in part.names]
    return replace(parts[0], samples=pd.concat([part.samples for part in parts]), names=names)


class RowsFeed:
    """Steps from a growing file. What the last rows are part of is judged once the file has rested for `idle` s."""

    ended = busy = False

    def __init__(self, judge: Judge, path: Path, idle: float) -> None:
        """Raises AnomalyError where the file is of another kind, or the model is for something else."""
        if judge.modality not in ("series", "table"):
            raise AnomalyError(f"{path.name!r} holds rows, but the model is one of {judge.unit()}.")
        self.judge, self.idle = judge, idle
        self.file = GrowingFile(path, judge.modality, judge.ledger.cursor.get("file", {}))
        self.remarks = self.file.remarks
        self.place = path.parent

    def next(self) -> Step | None:
        """The next rows, judged; or what waited, once no more came.

        Raises:
            AnomalyError: the file cannot be read, or its very first rows do not fit the model.
        """
        lot = self.file.look()
        if lot is None:
            return self.judge.rest() if time.time() - self.file.idle_since() >= self.idle else None
        dealt = [Dealt(f"{name} (byte {lot.cursor.get('offset')})", "", reason) for name, reason in lot.skipped]
        if lot.data is None:
            return Step(cursor={**self.judge.ledger.cursor, "file": lot.cursor}, dealt=dealt)
        cursor = {**self.judge.ledger.cursor, "file": lot.cursor}
        try:
            step = self._judged(lot.data, cursor)
        except AnomalyError as error:
            if self.judge.ledger.run is None:
                raise
            name = f"{self.file.path.name}, {len(lot.data.samples)} rows up to byte {lot.cursor.get('offset')}"
            return Step(cursor=cursor, dealt=[*dealt, Dealt(name, "", str(error))])
        step.dealt += dealt
        return step

    def _judged(self, data: Any, cursor: dict[str, Any]) -> Step:
        if self.judge.modality == "table":
            return self.judge.grow(data, cursor)
        return self.judge.stamps(data, cursor)

    def wait(self, waiter: Waiter) -> None:
        """Until the file has changed, or a while."""
        waiter.wait(self.place)
