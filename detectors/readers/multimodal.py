"""Turns a folder of parts, or an NPZ file of several arrays, into aligned parts, one entry a step in each.

Knows files, clocks and rates; not models. A folder holds one entry a part: a folder of pictures or frames, a clip, or a
data file; `parts.json` (or `parts.toml`) may say of each part its modality, its rate in steps a second, and the column
of its time stamps. A folder of such folders holds several recordings.

Parts of different rates are put on the clock of the slowest: pictures and rows by the nearest step (none within a
step: missing), channels of a faster series by their mean over each step, beside a channel of their range there.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from detectors.errors import AnomalyError
from detectors.readers.columns import parse_text_times
from detectors.readers.images import IMAGE_SUFFIXES

HEADS = ("parts.json", "parts.toml")
PARTS = ("series", "table", "image", "video")
KNOWN = {"modality", "rate", "time"}
Read = Callable[[str, str | None], Any]  # (path, modality) -> detectors.data.Source


class Aligned(dict[str, Any]):
    """Part name -> samples, with the modality of each part, as it was read."""

    def __init__(self, parts: Mapping[str, Any], kinds: Mapping[str, str]) -> None:
        super().__init__(parts)
        self.kinds = dict(kinds)


def looks_multimodal(path: Path) -> bool:
    """Whether a folder says by a `parts.json` or `parts.toml`, its own or its first recording's, that it has parts."""
    if not path.is_dir():
        return False
    inside = [path, *sorted(p for p in path.iterdir() if p.is_dir())[:1]]
    return any((folder / head).is_file() for folder in inside for head in HEADS)


def read_parts(path: Path, read: Read) -> tuple[Any, list[str], list[tuple[str, str]]]:
    """(an `Aligned`, or a list of them for several recordings; notes; what was skipped).

    Raises AnomalyError: nothing usable, an unknown setting of a part, or clocks that cannot be brought together.
    """
    if path.is_file():
        if path.suffix.lower() != ".npz":
            raise AnomalyError(f"{path.name!r} is one file; multimodal data are a folder of parts or an NPZ of arrays.")
        return _from_arrays(path), [], []
    entries = _entries(path)
    folders = [p for p in entries if p.is_dir() and _is_recording(p)]
    if folders and len(folders) == len(entries):
        head = _head(path)
        told = [_recording(folder, head, read) for folder in folders]
        notes = list(dict.fromkeys(note for _, own, _ in told for note in own))
        return [parts for parts, _, _ in told], notes, [one for _, _, skipped in told for one in skipped]
    return _recording(path, {}, read)


def _entries(folder: Path) -> list[Path]:
    found = sorted(p for p in folder.iterdir() if not p.name.startswith((".", "__MACOSX")) and p.name not in HEADS)
    if not found:
        raise AnomalyError(f"The folder {str(folder)!r} is empty; it should hold one entry a part.")
    return found


def _is_recording(folder: Path) -> bool:
    """Whether a folder holds parts, rather than the pictures of one part."""
    inside = [p for p in folder.iterdir() if not p.name.startswith(".")]
    return bool(inside) and not any(p.suffix.lower() in IMAGE_SUFFIXES for p in inside)


def _head(folder: Path) -> dict[str, dict[str, Any]]:
    """What `parts.json` or `parts.toml` says, by part."""
    for name in HEADS:
        path = folder / name
        if not path.is_file():
            continue
        try:
            text = path.read_text(encoding="utf-8")
            told = json.loads(text) if path.suffix == ".json" else tomllib.loads(text)
        except (OSError, ValueError) as error:
            raise AnomalyError(f"{name!r} in {str(folder)!r} cannot be read ({error}).") from None
        told = told.get("parts", told) if isinstance(told, dict) else told
        if not isinstance(told, dict) or not all(isinstance(one, dict) for one in told.values()):
            raise AnomalyError(f'{name!r} maps each part to its settings, e.g. {{"camera": {{"rate": 30}}}}.')
        for part, settings in told.items():
            _check(str(part), settings, name)
        return told
    return {}


def _check(part: str, settings: Mapping[str, Any], name: str) -> None:
    unknown = sorted(set(settings) - KNOWN)
    if unknown:
        raise AnomalyError(f"{name!r} says {unknown[0]!r} of {part!r}; known: {', '.join(sorted(KNOWN))}.")
    if settings.get("modality", "table") not in PARTS:
        raise AnomalyError(f"{name!r} says {part!r} is {settings['modality']!r}; known: {', '.join(PARTS)}.")
    rate = settings.get("rate", 1)
    if not isinstance(rate, int | float) or not rate > 0:
        raise AnomalyError(f"{name!r} gives {part!r} the rate {rate!r}; it must be a number of steps a second above 0.")


def _recording(
    folder: Path, outer: dict[str, dict[str, Any]], read: Read
) -> tuple[Aligned, list[str], list[tuple[str, str]]]:
    head = {**outer, **_head(folder)}
    parts: dict[str, Any] = {}
    kinds: dict[str, str] = {}
    notes: list[str] = []
    skipped: list[tuple[str, str]] = []
    for entry in _entries(folder):
        name = entry.name if entry.is_dir() else entry.stem
        if name in parts:
            raise AnomalyError(f"The folder {str(folder)!r} holds two entries for the part {name!r}; keep one.")
        source = read(str(entry), head.get(name, {}).get("modality"))
        parts[name], kinds[name] = source.samples, source.modality
        if kinds[name] == "video":
            parts[name] = source.samples[0]
        if (column := head.get(name, {}).get("time")) is not None:
            parts[name] = _stamped(parts[name], str(column), name)
            kinds[name] = "series"
        notes += [f"{name}: {note}" for note in source.notes]
        skipped += [(f"{name}/{file}", why) for file, why in source.skipped]
    lacking = [part for part in head if part not in parts and part not in outer]
    if lacking:
        raise AnomalyError(f"{str(folder)!r} names the part {lacking[0]!r}, but holds only: {', '.join(parts)}.")
    aligned, note = align(parts, kinds, {p: float(s["rate"]) for p, s in head.items() if "rate" in s})
    return Aligned(aligned, kinds), notes + ([note] if note else []), skipped


def _stamped(frame: Any, column: str, part: str) -> pd.DataFrame:
    if not isinstance(frame, pd.DataFrame):
        raise AnomalyError(f"The part {part!r} holds no columns, so that no time stamps can be read from {column!r}.")
    if str(frame.index.name) == column:
        return frame
    if column not in frame.columns:
        raise AnomalyError(f"The part {part!r} has no column {column!r}; it has: {', '.join(map(str, frame.columns))}.")
    given = frame[column]
    if pd.api.types.is_object_dtype(given) or pd.api.types.is_string_dtype(given):
        stamps = parse_text_times(given.astype("str").where(given.notna()))
    else:
        stamps = pd.to_datetime(given, errors="coerce")
    if stamps is None or stamps.isna().any():
        raise AnomalyError(f"The column {column!r} of {part!r} holds values that are no time stamps.")
    return frame.drop(columns=column).set_index(pd.DatetimeIndex(stamps, name=column))


def _from_arrays(path: Path) -> Aligned:
    """Arrays of an NPZ as parts: (step, channel) or (step,) are series, (step, h, w[, c]) clips."""
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except (OSError, ValueError) as error:
        raise AnomalyError(f"{path.name!r} cannot be read ({str(error).splitlines()[0][:80]}).") from None
    if not arrays:
        raise AnomalyError(f"{path.name!r} holds no arrays.")
    for name, array in arrays.items():
        if array.ndim not in (1, 2, 3, 4) or array.dtype.kind not in "fiub":
            raise AnomalyError(f"The array {name!r} of {path.name!r} has shape {array.shape} and type {array.dtype}; "
                               "parts are numbers (step, channel) or pictures (step, height, width).")  # fmt: skip
    return Aligned(arrays, {name: "video" if a.ndim > 2 else "series" for name, a in arrays.items()})


# --- clocks ----------------------------------------------------------------------------------------------------------
def align(
    parts: Mapping[str, Any], kinds: Mapping[str, str], rates: Mapping[str, float]
) -> tuple[dict[str, Any], str | None]:
    """Parts with one entry a step each, and a sentence on what was done (None: they had the same length).

    rates: steps a second, for parts without time stamps. Raises AnomalyError where lengths differ and a clock is
    unknown.
    """
    lengths = {part: len(samples) for part, samples in parts.items()}
    if len(set(lengths.values())) == 1:
        return dict(parts), None
    starts = [start for start in map(_start, parts.values()) if start is not None]
    first = min(starts) if starts else None
    clocks = {part: _clock(part, parts[part], rates, first, lengths) for part in parts}
    steps = {part: float(np.median(np.diff(c))) if len(c) > 1 else 0.0 for part, c in clocks.items()}
    slowest = max(steps, key=lambda part: steps[part])
    ticks, step = clocks[slowest], steps[slowest]
    out = {p: parts[p] if p == slowest else _onto(parts[p], kinds[p], clocks[p], ticks, step) for p in parts}
    return out, (f"Parts of different rates were put on the clock of {slowest!r}, one step every {step:g} s: "
                 "the nearest picture or row, the mean and range of faster channels.")  # fmt: skip


def _start(samples: Any) -> pd.Timestamp | None:
    own = isinstance(samples, pd.DataFrame) and isinstance(samples.index, pd.DatetimeIndex) and len(samples)
    return samples.index[0] if own else None


def _clock(part: str, samples: Any, rates: Mapping[str, float], start: Any, lengths: Mapping[str, int]) -> np.ndarray:
    """Seconds of each step since the first stamp of all parts."""
    if _start(samples) is not None:
        return (samples.index - start).total_seconds().to_numpy()
    if part in rates:
        return np.arange(len(samples)) / rates[part]
    told = ", ".join(f"{name!r} has {count}" for name, count in lengths.items())
    raise AnomalyError(f"The parts have different lengths ({told} steps) and {part!r} has no clock; "
                       f'give its rate in parts.json: {{"{part}": {{"rate": 30}}}}.')  # fmt: skip


def _onto(samples: Any, kind: str, clock: np.ndarray, ticks: np.ndarray, step: float) -> Any:
    """Samples of a part at the ticks of another clock."""
    if kind == "series" and isinstance(samples, pd.DataFrame):
        return _averaged(samples, clock, ticks, step)
    right = np.clip(np.searchsorted(clock, ticks), 1, max(1, len(clock) - 1))
    near = np.where(np.abs(ticks - clock[right - 1]) <= np.abs(clock[np.minimum(right, len(clock) - 1)] - ticks),
                    right - 1, np.minimum(right, len(clock) - 1))  # fmt: skip
    far = np.abs(clock[near] - ticks) > step
    if isinstance(samples, pd.DataFrame):
        picked = samples.iloc[near].reset_index(drop=True)
        picked.loc[far] = None
        return picked
    if kind == "video":
        return np.stack([samples.frame(int(n)) for n in near])  # a clip has a frame at each step
    return [None if lost else samples[int(n)] for n, lost in zip(near, far, strict=True)]


def _averaged(frame: pd.DataFrame, clock: np.ndarray, ticks: np.ndarray, step: float) -> pd.DataFrame:
    """Mean and range of each channel around each tick; NaN where there is no stamp."""
    bins = np.searchsorted(ticks, clock + step / 2, side="right") - 1
    grouped = frame.reset_index(drop=True).groupby(bins)
    rows = range(len(ticks))
    mean, spread = grouped.mean().reindex(rows), (grouped.max() - grouped.min()).reindex(rows)
    spread.columns = [f"{name} range" for name in spread.columns]
    start = frame.index[0] - pd.Timedelta(seconds=float(clock[0]))
    index = pd.DatetimeIndex(start + pd.to_timedelta(ticks, unit="s"), name=frame.index.name)
    return pd.concat([mean, spread], axis=1).set_index(index)
