"""Turns folders of frames, zips of frames, video files and arrays into clips whose frames are read one at a time.

Knows files and frames; knows nothing of features or detectors. Nothing is ever unpacked to disk, and a clip holds no
more than a few decoded frames, however long it is.
"""

from __future__ import annotations

import hashlib
import os
import re
import zipfile
from abc import ABC, abstractmethod
from collections import OrderedDict
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from detectors.errors import AnomalyError
from detectors.readers.images import IMAGE_SUFFIXES, MAX_IMAGE_BYTES, MAX_PIXELS, as_uint8, open_image

VIDEO_SUFFIXES = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v")
CLIP_SUFFIXES = (*VIDEO_SUFFIXES, ".zip")
KEPT = 16  # decoded frames that a clip holds, so that a frame and its recent past are decoded once
MAX_FRAMES = 1_000_000
MAX_RATIO = 200  # unpacked over packed bytes of a frame in a zip: pictures hardly compress, bombs do


class Clip(ABC):
    """Frames of one size in time order."""

    fps: float | None = None  # frames a second, where known

    def __init__(self, name: str, count: int) -> None:
        """Raises AnomalyError where there is no frame or there are too many."""
        if not 0 < count <= MAX_FRAMES:
            raise AnomalyError(f"The clip {name!r} has {count} frames; 1 to {MAX_FRAMES} can be read.")
        self.name, self.count = name, count
        self._kept: OrderedDict[int, np.ndarray] = OrderedDict()
        first = self.frame(0)
        self.size: tuple[int, int] = (first.shape[0], first.shape[1])
        if min(self.size) < 8:
            raise AnomalyError(f"The frames of {name!r} are only {self.size[1]} x {self.size[0]} pixels; give 8 x 8.")

    def __len__(self) -> int:
        return self.count

    def frame(self, number: int) -> np.ndarray:
        """One frame, (h, w) or (h, w, 3) uint8. Raises AnomalyError for a frame that is damaged or of another size."""
        if number in self._kept:
            self._kept.move_to_end(number)
            return self._kept[number]
        picture = self._read(number)
        if self._kept and picture.shape[:2] != self.size:
            raise AnomalyError(
                f"Frame {number} of {self.name!r} has {picture.shape[1]} x {picture.shape[0]} pixels, the first one "
                f"{self.size[1]} x {self.size[0]}; a clip's frames are of one size."
            )
        self._keep(number, picture)
        return picture

    def _keep(self, number: int, picture: np.ndarray) -> None:
        self._kept[number] = picture
        while len(self._kept) > KEPT:
            self._kept.popitem(last=False)

    def fingerprint(self) -> str:
        """A hash of the first, the middle and the last frame: tells clips of the same name and length apart."""
        digest = hashlib.sha256()
        for number in sorted({0, self.count // 2, self.count - 1}):
            digest.update(np.ascontiguousarray(self.frame(number)).tobytes())
        return digest.hexdigest()

    @abstractmethod
    def _read(self, number: int) -> np.ndarray:
        """Decode one frame."""


class ArrayClip(Clip):
    """Frames in memory: (frame, h, w[, c]), or a list of frames."""

    def __init__(self, frames: np.ndarray | Sequence[np.ndarray], name: str) -> None:
        self.frames = frames
        super().__init__(name, len(frames))

    def _read(self, number: int) -> np.ndarray:
        return as_uint8(np.asarray(self.frames[number]), f"frame {number} of {self.name}")


class FolderClip(Clip):
    """Image files in natural order of their names."""

    def __init__(self, paths: Sequence[Path], name: str) -> None:
        self.paths = list(paths)
        super().__init__(name, len(self.paths))

    def _read(self, number: int) -> np.ndarray:
        return open_image(self.paths[number])


class ZipClip(Clip):
    """Image files in a zip, read in memory: names in the zip are labels and never paths to write to."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self.archive = zipfile.ZipFile(path)
        except (zipfile.BadZipFile, OSError) as error:
            raise AnomalyError(f"{path.name!r} is no readable zip ({error}); zip the frames again.") from None
        inside = [i for i in self.archive.infolist() if i.filename.lower().endswith(IMAGE_SUFFIXES)]
        self.members = sorted((i for i in inside if not _hidden(i.filename)), key=lambda i: natural(i.filename))
        if not self.members:
            raise AnomalyError(f"The zip {path.name!r} holds no images; a clip's zip holds its frames.")
        if len({i.filename.rpartition("/")[0] for i in self.members}) > 1:
            raise AnomalyError(f"The zip {path.name!r} holds several folders of frames; make one zip a clip.")
        super().__init__(path.stem, len(self.members))

    def _read(self, number: int) -> np.ndarray:
        member = self.members[number]
        what = f"frame {number} of {self.path.name!r}"
        if member.file_size > MAX_IMAGE_BYTES or member.file_size > MAX_RATIO * max(1, member.compress_size) + 2**20:
            raise AnomalyError(f"The {what} would unpack to {member.file_size // 2**20} MB; that is no frame.")
        try:
            with Image.open(BytesIO(self.archive.read(member))) as image:
                if image.width * image.height > MAX_PIXELS:
                    raise AnomalyError(f"The {what} has more than {MAX_PIXELS // 10**6} million pixels.")
                return np.asarray(image if image.mode in ("L", "RGB") else image.convert("RGB"))
        except (zipfile.BadZipFile, UnidentifiedImageError, OSError, ValueError, RuntimeError, SyntaxError) as error:
            raise AnomalyError(f"The {what} cannot be read ({str(error).splitlines()[0][:80]}).") from None


class FileClip(Clip):
    """A video file, decoded with PyAV: forwards frame by frame, after a jump from the key frame before it."""

    def __init__(self, path: Path) -> None:
        try:
            import av
        except ImportError:
            raise AnomalyError(
                f"{path.name!r} is a video file; reading one needs PyAV: pip install 'anomaly-assistant[video]', "
                "or save its frames as images in a folder."
            ) from None
        self.path = path
        try:
            self.container: Any = av.open(str(path))
            self.stream: Any = self.container.streams.video[0]
            stamps = [packet.pts for packet in self.container.demux(self.stream) if packet.pts is not None]
        except (av.FFmpegError, IndexError, OSError) as error:
            raise AnomalyError(f"{path.name!r} cannot be read as a video ({error}).") from None
        self.stamps = sorted(stamps)
        self.fps = float(self.stream.average_rate) if self.stream.average_rate else None
        self.ahead: Any = None  # frames that follow the last one decoded
        self.next = -1  # number of the first of them
        if self.stream.width * self.stream.height > MAX_PIXELS:
            raise AnomalyError(f"The frames of {path.name!r} have more than {MAX_PIXELS // 10**6} million pixels.")
        super().__init__(path.stem, len(self.stamps))

    def _read(self, number: int) -> np.ndarray:
        import av

        try:
            if self.ahead is None or not self.next <= number <= self.next + 2 * KEPT:
                self.container.seek(self.stamps[number], stream=self.stream)
                self.ahead = self.container.decode(self.stream)
            for frame in self.ahead:
                at = int(np.searchsorted(self.stamps, frame.pts))
                self.next = at + 1
                if at >= number:
                    return frame.to_ndarray(format="gray" if "gray" in frame.format.name else "rgb24")
        except av.FFmpegError as error:
            raise AnomalyError(f"Frame {number} of {self.path.name!r} cannot be decoded ({error}).") from None
        raise AnomalyError(f"{self.path.name!r} ends before its frame {number}; it was cut short.")


# --- what a person gives -> clips ---------------------------------------------------------------------------------
def open_clips(samples: Any) -> tuple[list[Clip], bool]:
    """The clips, and whether the person gave one clip (rather than a list of them).

    samples: an array (frame, h, w[, c]), a folder of frames, a zip of frames, a video file; a list of these; a folder
    of clips; a list of frames (paths or arrays). Raises AnomalyError for what is none of it.
    """
    if isinstance(samples, Clip):
        return [samples], True
    if isinstance(samples, str | os.PathLike):
        return _from_path(Path(samples).expanduser())
    if isinstance(samples, np.ndarray):
        if samples.ndim == 5:
            return [ArrayClip(clip, f"clip {i}") for i, clip in enumerate(samples)], False
        return [_from_array(samples, "clip")], True
    if not isinstance(samples, Sequence) or isinstance(samples, bytes):
        raise AnomalyError(f"A clip of type {type(samples).__name__} is not read; give an array, a folder or a file.")
    items = list(samples)
    if not items:
        raise AnomalyError("The list of clips is empty.")
    if all(_is_frame(item) for item in items):
        if isinstance(items[0], np.ndarray):
            return [ArrayClip(items, "clip")], True
        return [FolderClip([Path(p) for p in items], Path(items[0]).parent.name or "clip")], True
    clips = []
    for number, item in enumerate(items):
        clips += [_from_array(item, f"clip {number}")] if isinstance(item, np.ndarray) else open_clips(item)[0]
    return clips, False


def _is_frame(item: Any) -> bool:
    """Whether an item of a list is a single frame: (h, w) or (h, w, c <= 4), or an image file."""
    if isinstance(item, np.ndarray):
        return item.ndim == 2 or (item.ndim == 3 and item.shape[2] <= 4)
    return isinstance(item, str | os.PathLike) and Path(item).suffix.lower() in IMAGE_SUFFIXES


def _from_array(array: np.ndarray, name: str) -> Clip:
    if array.ndim not in (3, 4) or 0 in array.shape or (array.ndim == 4 and array.shape[3] not in (1, 2, 3, 4)):
        raise AnomalyError(f"An array of shape {array.shape} is no clip; give (frame, height, width[, channel]).")
    return ArrayClip(array, name)


def _from_path(path: Path) -> tuple[list[Clip], bool]:
    if path.is_dir():
        return _from_folder(path)
    if not path.exists():
        raise AnomalyError(f"There is no file or folder {str(path)!r}.")
    return [_from_file(path)], True


def _from_file(path: Path) -> Clip:
    kind = path.suffix.lower()
    if kind == ".zip":
        return ZipClip(path)
    if kind in VIDEO_SUFFIXES:
        return FileClip(path)
    raise AnomalyError(f"{path.name!r} is no clip; clips are folders of frames and {', '.join(CLIP_SUFFIXES)}.")


def _from_folder(folder: Path) -> tuple[list[Clip], bool]:
    """A folder of frames is one clip; a folder of such folders, zips or video files is a list of clips."""
    inside = sorted((p for p in folder.iterdir() if not _hidden(p.name)), key=lambda p: natural(p.name))
    frames = [p for p in inside if p.suffix.lower() in IMAGE_SUFFIXES and p.is_file()]
    if frames:
        return [FolderClip(frames, folder.name)], True
    clips: list[Clip] = []
    for entry in inside:
        if entry.is_dir():
            own = sorted((p for p in entry.iterdir() if _is_picture(p)), key=lambda p: natural(p.name))
            clips += [FolderClip(own, entry.name)] if own else []
        elif entry.suffix.lower() in CLIP_SUFFIXES:
            clips.append(_from_file(entry))
    if not clips:
        raise AnomalyError(
            f"The folder {str(folder)!r} holds no clips; give a folder of frames ({', '.join(IMAGE_SUFFIXES[:3])}, "
            f"...) or of folders of frames or {', '.join(CLIP_SUFFIXES)} files."
        )
    return clips, False


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in IMAGE_SUFFIXES and not _hidden(path.name)


def _hidden(name: str) -> bool:
    """Files that systems leave behind, and names in a zip that point elsewhere."""
    parts = Path(name).parts
    return any(part.startswith((".", "__MACOSX")) for part in parts)


def natural(text: str) -> list[tuple[int, int, str]]:
    """Sort key under which frame_2 comes before frame_10."""
    return [(0, int(piece), "") if piece.isdecimal() else (1, 0, piece) for piece in re.split(r"(\d+)", text) if piece]
