"""Takes uploads in: files, folders and zips become a source in the store's folder, or one sentence says what is wrong.

Knows files, names and archives; not detectors, gradio or the database. Names come from outside: nothing is written
outside the folder of its upload, a zip is unpacked only within `Limits`, and links in it are not followed.
"""

from __future__ import annotations

import shutil
import stat
import uuid
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath

from detectors.errors import AnomalyError

UPLOAD_BYTES = 2 * 1024**3  # of one uploaded file; the server refuses larger ones while they arrive
CHUNK = 1 << 20


@dataclass(frozen=True)
class Limits:
    """How much one upload may hold."""

    files: int = 50_000
    total: int = 8 * 1024**3  # bytes, unpacked
    ratio: float = 200.0  # unpacked bytes for each packed byte, in all of a zip
    slack: int = 64 * 1024**2  # unpacked bytes from which the ratio counts; small texts pack well
    depth: int = 16  # folders within folders


@dataclass(frozen=True)
class Upload:
    """A file as it arrived: where it lies, and what its sender called it ("parts/good/001.png")."""

    path: Path
    name: str


def take_in(root: Path, uploads: Sequence[Upload], limits: Limits | None = None) -> Path:
    """Put uploads in a folder of their own under `root`/uploads; the source to read: a file where there is just one.

    Raises:
        AnomalyError: nothing came, a name leads elsewhere, a zip is damaged, empty, locked or too large, or the disk
            is full. Nothing is kept then.
    """
    limits = limits or Limits()
    if not uploads:
        raise AnomalyError("There is no data yet: drop files, a folder or a zip.")
    if len(uploads) > limits.files:
        raise AnomalyError(f"{len(uploads):,} files are too many for one upload; {limits.files:,} are taken.")
    folder = root / "uploads" / f"{datetime.now(UTC):%Y-%m-%d_%H-%M-%S}_{uuid.uuid4().hex[:6]}"
    try:
        folder.mkdir(parents=True)
        left = _Budget(limits)
        for upload in uploads:
            _take(upload, folder, left)
        return _source(folder)
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise AnomalyError(f"The upload cannot be kept: {error.strerror or error}.") from error
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


class _Budget:
    """What is left of the limits."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.files, self.bytes = limits.files, limits.total

    def file(self, what: str) -> None:
        self.files -= 1
        if self.files < 0:
            raise AnomalyError(f"{what!r} holds more than {self.limits.files:,} files; give fewer at a time.")

    def take(self, count: int, what: str) -> None:
        self.bytes -= count
        if self.bytes < 0:
            most = self.limits.total / 1024**3
            raise AnomalyError(f"{what!r} is larger than {most:.3g} GB unpacked; give less at a time.")


def _take(upload: Upload, folder: Path, left: _Budget) -> None:
    name = safe_name(upload.name, left.limits.depth)
    if upload.path.suffix.lower() == ".zip" or name.suffix.lower() == ".zip":
        unpack(upload.path, folder / name.with_suffix(""), left)
        return
    left.file(upload.name)
    left.take(upload.path.stat().st_size, upload.name)
    target = _free(folder / name)
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(upload.path, target)


def safe_name(name: str, depth: int = Limits.depth) -> PurePosixPath:
    """A name from outside as a path inside a folder.

    Raises:
        AnomalyError: it leads out of the folder, is empty, or lies too deep.
    """
    plain = PurePosixPath(name.replace("\\", "/"))
    parts = [part for part in plain.parts if part not in (".", "")]
    bad = plain.is_absolute() or ".." in parts or any(":" in part or "\0" in part for part in parts)
    if bad or not parts:
        raise AnomalyError(f"The name {name[:80]!r} leads out of its folder; nothing of this upload was kept.")
    if len(parts) > depth:
        raise AnomalyError(f"{name[:80]!r} lies more than {depth} folders deep; give a flatter folder.")
    if any(len(part.encode()) > 255 for part in parts):
        raise AnomalyError(f"The name {name[:80]!r} is too long for a file.")
    return PurePosixPath(*parts)


def unpack(archive: Path, folder: Path, left: _Budget) -> None:
    """Unpack a zip into `folder`.

    Raises:
        AnomalyError: it is no zip, damaged, empty, locked, or holds more than it may.
    """
    what = archive.name
    try:
        with zipfile.ZipFile(archive) as opened:
            members = [one for one in opened.infolist() if not one.is_dir() and not _is_noise(one.filename)]
            if not members:
                raise AnomalyError(f"The zip {what!r} is empty.")
            _check(members, archive.stat().st_size, what, left)
            for member in members:
                _write(opened, member, folder, left)
    except (zipfile.BadZipFile, zipfile.LargeZipFile, NotImplementedError, EOFError) as error:
        raise AnomalyError(f"{what!r} cannot be unpacked: it is damaged or no zip.") from error
    except RuntimeError as error:  # how zipfile tells of a password
        raise AnomalyError(f"The zip {what!r} is locked with a password; unlock it first.") from error


def _check(members: Sequence[zipfile.ZipInfo], packed: int, what: str, left: _Budget) -> None:
    """What a zip says of itself, before a byte of it is written; while it is written it is counted again."""
    unpacked = sum(member.file_size for member in members)
    if len(members) > left.files:
        raise AnomalyError(f"{what!r} holds {len(members):,} files; {left.limits.files:,} are taken at a time.")
    if unpacked > left.limits.slack and unpacked > left.limits.ratio * max(1, packed):
        raise AnomalyError(f"{what!r} would unpack to {unpacked / max(1, packed):.0f} times its size; it is not taken.")
    for member in members:
        if stat.S_ISLNK(member.external_attr >> 16):
            raise AnomalyError(f"The zip {what!r} holds a link ({member.filename[:80]!r}); links are not taken.")
        if member.filename.lower().endswith(".zip"):
            raise AnomalyError(f"The zip {what!r} holds another zip ({member.filename[:80]!r}); unpack it first.")
        safe_name(member.filename, left.limits.depth)
    if unpacked > left.bytes:
        left.take(unpacked, what)


def _write(opened: zipfile.ZipFile, member: zipfile.ZipInfo, folder: Path, left: _Budget) -> None:
    left.file(str(opened.filename))
    target = _free(folder / safe_name(member.filename, left.limits.depth))
    target.parent.mkdir(parents=True, exist_ok=True)
    with opened.open(member) as source, target.open("wb") as kept:
        while piece := source.read(CHUNK):
            left.take(len(piece), Path(str(opened.filename)).name)
            kept.write(piece)


def _free(path: Path) -> Path:
    """The path, or one beside it where two files have the same name."""
    number, free = 2, path
    while free.exists():
        free = path.with_name(f"{path.stem}_{number}{path.suffix}")
        number += 1
    return free


def _is_noise(name: str) -> bool:
    """What systems add to archives by themselves."""
    return any(part == "__MACOSX" or part in (".DS_Store", "Thumbs.db") for part in PurePosixPath(name).parts)


def _source(folder: Path) -> Path:
    """What there is to read: the one file or folder that came, or the folder of all."""
    while True:
        inside = list(folder.iterdir())
        if len(inside) != 1:
            return folder
        if inside[0].is_file():
            return inside[0]
        folder = inside[0]
