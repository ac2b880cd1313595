"""Reads what a person points at - a folder, files, arrays, a data frame - into samples that a detector takes.

Knows sources and modalities; knows nothing of models. Whatever was left out, changed or guessed on the way is said in
`Source.notes` and `Source.skipped`; what cannot be read at all is an AnomalyError of one sentence. No pickle is opened.
"""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from detectors.errors import AnomalyError
from detectors.readers.columns import as_series, as_table, guess_modality
from detectors.readers.files import DATA_SUFFIXES, Raw, counted, from_array, read_raw
from detectors.readers.images import IMAGE_SUFFIXES, LIKE_A_MASK, as_uint8, black_and_white, check_images, open_image
from detectors.readers.multimodal import looks_multimodal, read_parts
from detectors.readers.videos import VIDEO_SUFFIXES, natural, open_clips

__all__ = ["MODALITIES", "Source", "open_image", "read_source"]

MODALITIES = ("image", "series", "table", "video", "multimodal")
_NEVER = {
    (".pkl", ".pickle", ".joblib", ".pt", ".pth"): "pickled files can run code and are never opened; save it as CSV",
    (".xls", ".xlsx", ".ods"): "spreadsheets are not read; save the sheet as CSV",
    (".zip",): "a zip is only read as a clip of frames, with modality video; else unpack it first",
    (".gz", ".bz2", ".xz", ".tar", ".7z"): "archives are not read; unpack it first",
}


@dataclass(frozen=True)
class Source:
    """Samples as a detector takes them, with their names and what was said on the way in."""

    modality: str  # "image" | "series" | "table" | "video"
    samples: Any  # image: list of paths (or uint8 arrays); series and table: data frame (series: index = time stamps);
    # video: list of clips
    names: list[str] | None  # one name a sample; None for a series and for clips
    skipped: list[tuple[str, str]] = field(default_factory=list)  # (file, reason)
    origin: str = ""  # what was read, as the person named it
    digest: str = ""  # sha256 over names and sizes (files) or over the values (in memory), for provenance
    notes: list[str] = field(default_factory=list)  # sentences: guesses, columns left out, gaps, missing values

    def __len__(self) -> int:
        return len(self.samples)


def read_source(source: Any, modality: str | None = None) -> Source:
    """Reads `source` as `modality`, guessed (and said in `notes`) when None.

    source: a folder (images at any depth, or one data file), a path or list of paths, an .npz array as
    "file.npz::name", an array, a list of arrays, a data frame, or a Source (returned as it is). Clips are asked for
    (modality "video": folders or zips of frames, arrays) but for video files, which can be nothing else.
    Raises AnomalyError when nothing usable is there; single bad images are only listed in `skipped`.
    """
    if modality is not None and modality not in MODALITIES:
        raise AnomalyError(f"The modality {modality!r} is unknown; known: {', '.join(MODALITIES)}.")
    if isinstance(source, Source):
        if modality not in (None, source.modality):
            raise AnomalyError(f"{source.origin} was read as {source.modality}, not as {modality}.")
        return source
    if modality == "multimodal" or (modality is None and _has_parts(source)):
        return _from_parts(source)
    if modality == "video" or (modality is None and _are_videos(source)):
        return _from_clips(source)
    if isinstance(source, str | os.PathLike):
        return _read_path(os.fspath(source), modality)
    if isinstance(source, pd.DataFrame | pd.Series):
        frame = source.to_frame() if isinstance(source, pd.Series) else source
        return _from_raw(Raw(frame), modality, "The data frame", "data frame", _digest_values(frame))
    if isinstance(source, np.ndarray):
        return _from_numpy(source, modality)
    if isinstance(source, Iterable) and not isinstance(source, dict | bytes):
        return _read_list(list(source), modality)
    raise AnomalyError(f"A source of type {type(source).__name__} is not read; give a path, an array or a data frame.")


# ---------------------------------------------------------------- paths


def _read_path(text: str, modality: str | None) -> Source:
    plain, _, key = (text, "", "") if os.path.lexists(text) else text.partition("::")
    path = Path(plain).expanduser()
    if not os.path.lexists(path):
        raise AnomalyError(f"There is no file or folder {plain!r}.")
    try:
        is_folder = path.is_dir()
        path.stat()
    except OSError as error:
        raise AnomalyError(f"{plain!r} cannot be opened: {error.strerror or error}.") from None
    if is_folder:
        return _read_folder(path, modality)
    _refuse_kinds(path)
    if path.suffix.lower() in IMAGE_SUFFIXES:
        if modality not in (None, "image"):
            raise AnomalyError(f"{path.name!r} is an image; it cannot be read as {modality}.")
        return _from_images([path], [path.name], text)
    if path.suffix.lower() not in DATA_SUFFIXES:
        raise AnomalyError(f"{path.name!r} is of no kind that can be read; readable: {_readable()}.")
    raw = read_raw(path, key or None)
    return _from_raw(raw, modality, repr(path.name), text, _digest([(text, path.stat().st_size)]))


def _read_folder(folder: Path, modality: str | None) -> Source:
    files = _walk(folder)
    images = [path for path in files if path.suffix.lower() in IMAGE_SUFFIXES]
    tables = [path for path in files if path.suffix.lower() in DATA_SUFFIXES]
    if images and modality in (None, "image"):
        names = [_name(path.relative_to(folder)) for path in images]
        others = [(_name(p.relative_to(folder)), _why_not_image(p)) for p in files if p not in set(images)]
        return _from_images(images, names, str(folder), others)
    if modality == "image" or not tables:
        raise AnomalyError(f"The folder {str(folder)!r} holds no {'images' if modality == 'image' else 'data'}: "
                           f"{_what_is_there(files)}; readable: {_readable(modality)}.")  # fmt: skip
    if len(tables) > 1:
        shown = ", ".join(repr(_name(p.relative_to(folder))) for p in tables[:5])
        more = f" and {len(tables) - 5} more" if len(tables) > 5 else ""
        raise AnomalyError(f"The folder {str(folder)!r} holds {len(tables)} data files, name one: {shown}{more}.")
    return _read_path(str(tables[0]), modality)


def _walk(folder: Path) -> list[Path]:
    """Files at any depth, in natural order; hidden ones left out; a folder reached twice (a link loop) entered once."""
    found: list[Path] = []
    seen: set[tuple[int, int]] = set()
    for root, folders, files in os.walk(folder, followlinks=True):
        status = Path(root).stat()
        if (status.st_dev, status.st_ino) in seen:
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        folders[:] = sorted(name for name in folders if not name.startswith((".", "__MACOSX")))
        found += [Path(root) / name for name in files if not name.startswith(".")]
    return sorted(found, key=lambda path: natural(str(path.relative_to(folder))))


def _read_list(items: list[Any], modality: str | None) -> Source:
    if not items:
        raise AnomalyError("The list of samples is empty.")
    if all(isinstance(item, str | os.PathLike) for item in items):
        paths = [Path(item).expanduser() for item in items]
        if len(paths) == 1:
            return _read_path(os.fspath(items[0]), modality)
        odd = [p for p in paths if p.suffix.lower() in DATA_SUFFIXES]
        if odd or modality not in (None, "image"):
            raise AnomalyError(f"A list of files is read as images; give {(odd or paths)[0].name!r} on its own.")
        return _from_images(paths, _short_names(paths), f"{len(paths)} files")
    if all(isinstance(item, np.ndarray) for item in items) and modality in (None, "image"):
        return _from_pictures(items, f"{len(items)} arrays")
    if modality == "image":
        raise AnomalyError("A list of images holds paths or arrays (height, width[, channel]), all of one kind.")
    try:
        return _from_numpy(np.asarray(items), modality)
    except ValueError as error:
        if isinstance(error, AnomalyError):
            raise
        raise AnomalyError("The rows of the list have different lengths; give equal rows or a data frame.") from None


# ---------------------------------------------------------------- images


def _from_images(
    paths: Sequence[Path], names: list[str], origin: str, skipped: Sequence[tuple[str, str]] = ()
) -> Source:
    kept: list[int] = []
    out = list(skipped)
    remarks: Counter[str] = Counter()
    looks = check_images(paths)
    shades = any(look.shades for look in looks if not look.problem)
    for i, look in enumerate(looks):
        # among pictures with shades one of two tones is a mask; a set of nothing else is of drawings or boards
        problem = look.problem or LIKE_A_MASK * (shades and not look.shades)
        if problem:
            out.append((names[i], problem))
            continue
        kept.append(i)
        if look.remark:
            remarks[look.remark] += 1
    if not kept:
        name, reason = out[len(skipped)]
        if len(paths) == 1:
            raise AnomalyError(f"The image {name!r} {reason}.")
        raise AnomalyError(f"None of the {len(paths)} images in {origin!r} can be used; the first, {name!r}, {reason}.")
    notes = [f"{count} of {len(kept)} images: {remark}." for remark, count in remarks.items()]
    if out:
        notes.append(f"{counted(len(out), 'file')} skipped (the first: {out[0][0]!r} {out[0][1]}).")
    digest = _digest([(names[i], paths[i].stat().st_size) for i in kept])
    return Source("image", [paths[i] for i in kept], [names[i] for i in kept], out, origin, digest, notes)


def _from_pictures(arrays: Sequence[np.ndarray], origin: str) -> Source:
    pictures, names, skipped = [], [], []
    for i, array in enumerate(arrays):
        try:
            pictures.append(as_uint8(np.asarray(array), f"image {i}"))
            names.append(f"image {i}")
        except AnomalyError as error:
            skipped.append((f"image {i}", str(error).rstrip(".")))
    two_toned = [black_and_white(picture) for picture in pictures]
    if not all(two_toned):
        skipped += [(name, LIKE_A_MASK) for name, two in zip(names, two_toned, strict=True) if two]
        pictures = [picture for picture, two in zip(pictures, two_toned, strict=True) if not two]
        names = [name for name, two in zip(names, two_toned, strict=True) if not two]
    if not pictures:
        raise AnomalyError(f"None of the {len(arrays)} arrays is an image: {skipped[0][1]}.")
    digest = hashlib.sha256(b"".join(hashlib.sha256(p.tobytes()).digest() for p in pictures)).hexdigest()
    return Source("image", pictures, names, skipped, origin, digest)


# ---------------------------------------------------------------- clips


def _has_parts(source: Any) -> bool:
    """Whether a source is a dict of parts, or a folder that says so."""
    return isinstance(source, Mapping) or (
        isinstance(source, str | os.PathLike) and looks_multimodal(Path(source).expanduser())
    )


def _from_parts(source: Any) -> Source:
    """Aligned parts, of one recording or of several."""
    if not isinstance(source, str | os.PathLike):
        return Source("multimodal", source, None, [], "parts", "")
    path = Path(source).expanduser()
    if not os.path.lexists(path):
        raise AnomalyError(f"There is no file or folder {str(source)!r}.")
    samples, notes, skipped = read_parts(path, read_source)
    files = [path] if path.is_file() else _walk(path)
    digest = _digest([(str(p.relative_to(path.parent)), p.stat().st_size) for p in files])
    return Source("multimodal", samples, None, skipped, str(source), digest, notes)


def _are_videos(source: Any) -> bool:
    """Whether a source is a video file, several of them, or a folder that holds only such."""
    if isinstance(source, str | os.PathLike):
        path = Path(source).expanduser()
        if path.is_dir():
            return _are_videos(_walk(path))
        return path.suffix.lower() in VIDEO_SUFFIXES
    some = list(source) if isinstance(source, list | tuple) else []
    return (
        bool(some)
        and all(isinstance(one, str | os.PathLike) and not Path(one).is_dir() for one in some)
        and all(Path(one).suffix.lower() in VIDEO_SUFFIXES for one in some)
    )


def _from_clips(source: Any) -> Source:
    clips, one = open_clips(source)
    origin = os.fspath(source) if isinstance(source, str | os.PathLike) else counted(len(clips), "clip")
    frames = sum(len(clip) for clip in clips)
    digest = _digest([(f"{clip.name} {clip.size} {clip.fingerprint()}", len(clip)) for clip in clips])
    notes = [] if one else [f"Read as {counted(len(clips), 'clip')} with {frames} frames."]
    return Source("video", clips, None, [], origin, digest, notes)


# ---------------------------------------------------------------- series and tables


def _from_numpy(array: np.ndarray, modality: str | None) -> Source:
    if modality == "image" and array.ndim == 2:
        return _from_pictures([array], "array")
    if modality in (None, "image") and array.ndim in (3, 4):
        return _from_pictures([array] if array.ndim == 3 and array.shape[2] in (3, 4) else list(array), "array")
    return _from_raw(from_array(array, "The array"), modality, "The array", "array", _digest_values(array))


def _from_raw(raw: Raw, modality: str | None, what: str, origin: str, digest: str) -> Source:
    """A frame as series or table; `what` names it in messages, `origin` in the record."""
    if raw.array is not None:
        if modality not in (None, "image"):
            raise AnomalyError(f"{what} holds pictures of shape {raw.array.shape}; it cannot be read as {modality}.")
        pictures = _from_pictures(list(raw.array), origin)
        return Source("image", pictures.samples, pictures.names, pictures.skipped, origin, digest, raw.notes)
    if modality == "image":
        raise AnomalyError(f"{what} is a table, not an image; images are {', '.join(IMAGE_SUFFIXES)}.")
    assert raw.frame is not None
    notes = list(raw.notes)
    if modality is None:
        modality, reason = ("series", raw.series_like) if raw.series_like else guess_modality(raw.frame)
        notes.insert(0, f"Read as {'a series' if modality == 'series' else 'a table'}, as {reason}.")
    read = (as_series if modality == "series" else as_table)(raw.frame, what)
    names = read.names
    if modality == "table" and names is None:
        names = [f"row {i}" for i in range(len(read.frame))]
    return Source(modality, read.frame, names, [], origin, digest, notes + read.notes)


# ---------------------------------------------------------------- words


def _refuse_kinds(path: Path) -> None:
    for suffixes, sentence in _NEVER.items():
        if path.suffix.lower() in suffixes:
            raise AnomalyError(f"{path.name!r} is not read: {sentence}.")


def _why_not_image(path: Path) -> str:
    return f"is no image ({path.suffix or 'no ending'})"


def _what_is_there(files: Sequence[Path]) -> str:
    if not files:
        return "it is empty"
    kinds = Counter(path.suffix.lower() or "no ending" for path in files).most_common(5)
    return "found " + ", ".join(f"{count} x {kind}" for kind, count in kinds)


def _readable(modality: str | None = None) -> str:
    return ", ".join(IMAGE_SUFFIXES if modality == "image" else (*IMAGE_SUFFIXES, *DATA_SUFFIXES))


def _name(path: Path) -> str:
    """A relative path as text that any output can carry: bytes that are no UTF-8 are shown as \\xNN."""
    return path.as_posix().encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def _short_names(paths: Sequence[Path]) -> list[str]:
    """File names where they tell the files apart, else their paths below the folder that all share."""
    names = [path.name for path in paths]
    if len(set(names)) == len(names):
        return [_name(Path(name)) for name in names]
    common = Path(os.path.commonpath([path.absolute().parent for path in paths]))
    return [_name(path.absolute().relative_to(common)) for path in paths]


def _digest(entries: Sequence[tuple[str, int]]) -> str:
    text = "\n".join(f"{name}\t{size}" for name, size in entries)
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def _digest_values(values: pd.DataFrame | np.ndarray) -> str:
    if isinstance(values, np.ndarray):
        return hashlib.sha256(repr((values.shape, str(values.dtype))).encode() + values.tobytes()).hexdigest()
    try:
        rows = pd.util.hash_pandas_object(values).to_numpy().tobytes()
    except TypeError:  # cells that hold lists cannot be hashed; their text can
        rows = values.to_csv().encode("utf-8", "backslashreplace")
    return hashlib.sha256(repr(list(values.columns)).encode() + rows).hexdigest()
