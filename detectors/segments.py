"""Turns series in a person's form into one block of numbers and back. Knows frames and arrays, not models or windows.

A person gives a data frame (its index may hold time stamps), an array (time, channel) or (time,), a pandas Series, or a
list of these. All are read into one `Block`: the pieces one after the other, with the places where one ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from detectors.errors import AnomalyError


@dataclass
class Block:
    """All pieces of a series as one.

    values: (time, channel) float32, gaps filled along time; missing: bool of the same shape, or None where nothing is
    missing; stamps: the time of each row (datetime64), or None; pieces: half-open row intervals of the given pieces;
    spans: the same, cut further at long silences of the clock; given: the samples as they came.
    """

    values: np.ndarray
    missing: np.ndarray | None
    stamps: pd.DatetimeIndex | None
    names: tuple[str, ...]
    named: bool  # names are the data's own, not numbers given here
    pieces: tuple[tuple[int, int], ...]
    spans: tuple[tuple[int, int], ...]
    given: Any

    def __len__(self) -> int:
        return len(self.values)

    def time(self, row: int) -> str | None:
        """ISO time of a row, where the clock is known."""
        if self.stamps is None:
            return None
        stamp = self.stamps[row]
        return None if pd.isna(stamp) else stamp.isoformat()


def read_block(samples: Any, expected: Sequence[str] | None = None) -> Block:
    """Read samples; with `expected` channel names (those of the fit), bring columns into their order.

    NaN and infinite values count as missing. Raises AnomalyError: no rows, no numeric values, other channels than
    expected, a clock that goes backwards.
    """
    many = _many(samples)
    frames = [_frame(piece, number if many else None) for number, piece in enumerate(samples if many else [samples])]
    named = all(isinstance(p, pd.DataFrame) for p in (samples if many else [samples]))
    first = tuple(expected) if expected is not None else tuple(frames[0].columns)
    frames = [_ordered(frame, first, named) for frame in frames]
    raw = np.concatenate([frame.to_numpy(np.float64) for frame in frames])
    bounds = np.cumsum([0, *map(len, frames)]).tolist()
    pieces = tuple(pairwise(bounds))
    missing = ~np.isfinite(raw)
    if missing.all():
        raise AnomalyError("The series holds no finite value at all; check the file and its delimiter.")
    stamps = _clock(frames)
    values = _filled(raw, missing, pieces) if missing.any() else raw.astype(np.float32)
    spans = pieces if stamps is None else tuple(s for piece in pieces for s in _cut(stamps, piece))
    return Block(values, missing if missing.any() else None, stamps, first, named, pieces, spans, samples)


def give_back(block: Block, changed: np.ndarray, where: np.ndarray) -> Any:
    """The samples in their own form with rows and channels `where` (time, channel) replaced by `changed`.

    Everything else is a copy of what came in. Whole numbers become floats only in columns that changed.
    """
    many = _many(block.given)
    out = [
        _replaced(piece, block.names, changed[start:end], where[start:end])
        for piece, (start, end) in zip(block.given if many else [block.given], block.pieces, strict=True)
    ]
    return type(block.given)(out) if many else out[0]


def own_shape(block: Block, values: np.ndarray) -> Any:
    """(time, channel) values in the shape of the samples: a list for several pieces."""
    if _many(block.given):
        return [values[start:end] for start, end in block.pieces]
    return values


def _many(samples: Any) -> bool:
    """Whether samples are several pieces: a list of frames, series or arrays, not a list of numbers."""
    own = isinstance(samples, list | tuple) and len(samples) > 0
    return own and all(isinstance(p, pd.DataFrame | pd.Series | np.ndarray) and np.ndim(p) > 0 for p in samples)


def _frame(piece: Any, number: int | None) -> pd.DataFrame:
    """A piece as a numeric frame with text column names."""
    where = "The series" if number is None else f"Series {number + 1} of the list"
    if isinstance(piece, pd.Series):
        piece = piece.to_frame()
    if isinstance(piece, pd.DataFrame):
        frame = piece.copy(deep=False)
        frame.columns = [str(name) for name in frame.columns]
        if frame.columns.duplicated().any():
            name = frame.columns[frame.columns.duplicated()][0]
            raise AnomalyError(f"{where} has two channels named {name!r}; give each channel a name of its own.")
        bad = [n for n in frame.columns if not (pd.api.types.is_numeric_dtype(frame[n]) or frame[n].dtype == bool)]
        if bad:
            raise AnomalyError(
                f"{where} has a channel that is not numeric: {bad[0]!r} ({len(bad)} such); "
                "drop it, turn it into numbers, or make the time stamps the index."
            )
    else:
        try:
            array = np.asarray(piece, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise AnomalyError(f"{where} is neither a data frame nor a numeric array: {error}.") from error
        if array.ndim not in (1, 2):
            raise AnomalyError(f"{where} has shape {array.shape}; give (time, channel) or (time,).")
        array = array[:, None] if array.ndim == 1 else array
        frame = pd.DataFrame(array, columns=[f"channel {i + 1}" for i in range(array.shape[1])])
    if frame.empty:
        raise AnomalyError(f"{where} is empty: it has {frame.shape[0]} rows and {frame.shape[1]} channels.")
    return frame


def _ordered(frame: pd.DataFrame, names: tuple[str, ...], named: bool) -> pd.DataFrame:
    """Columns as `names`; arrays are taken by position."""
    if not named:
        if frame.shape[1] != len(names):
            raise AnomalyError(
                f"The series has {frame.shape[1]} channels, but {len(names)} were fitted: {_few(names)}."
            )
        return frame.set_axis(list(names), axis=1)
    lacking = [n for n in names if n not in frame.columns]
    extra = [n for n in frame.columns if n not in names]
    if lacking and len(lacking) == len(names) == frame.shape[1] and all(n.startswith("channel ") for n in names):
        return frame.set_axis(list(names), axis=1)  # fitted on a plain array
    if lacking or extra:
        said = ([f"it lacks {_few(lacking)}"] if lacking else []) + ([f"it also has {_few(extra)}"] if extra else [])
        raise AnomalyError(f"The series has other channels than the {len(names)} fitted: {' and '.join(said)}.")
    return frame[list(names)]


def _few(names: Sequence[str], limit: int = 5) -> str:
    shown = ", ".join(repr(n) for n in names[:limit])
    return shown if len(names) <= limit else f"{shown} and {len(names) - limit} more"


def _clock(frames: list[pd.DataFrame]) -> pd.DatetimeIndex | None:
    """The time stamps, where every piece has them; each piece's must not go backwards."""
    if not all(isinstance(f.index, pd.DatetimeIndex) for f in frames):
        return None
    for frame in frames:
        index = frame.index
        if index.hasnans:
            raise AnomalyError(f"Row {int(np.argmax(index.isna()))} has no time stamp; drop it or give it one.")
        if not index.is_monotonic_increasing:
            steps = np.diff(index.to_numpy().astype("datetime64[ns]").astype(np.int64))
            raise AnomalyError(f"Time goes backwards at row {int(np.argmax(steps < 0)) + 1}; sort the rows by time.")
    clock = frames[0].index
    return clock if len(frames) == 1 else clock.append([f.index for f in frames[1:]])  # type: ignore[return-value]


def _cut(stamps: pd.DatetimeIndex, piece: tuple[int, int], factor: float = 20.0) -> list[tuple[int, int]]:
    """A piece cut where the clock is silent for more than `factor` usual steps."""
    start, end = piece
    steps = np.diff(stamps[start:end].to_numpy().astype("datetime64[ns]").astype(np.float64))
    usual = float(np.median(steps)) if len(steps) else 0.0
    breaks = np.flatnonzero(steps > factor * usual) + 1 + start if usual > 0 else np.zeros(0, int)
    edges = [start, *breaks.tolist(), end]
    return list(pairwise(edges))


def _filled(raw: np.ndarray, missing: np.ndarray, pieces: tuple[tuple[int, int], ...]) -> np.ndarray:
    """Gaps filled by straight lines inside each piece, by the nearest value at its ends; empty channels by 0."""
    values = np.where(missing, 0.0, raw).astype(np.float32)
    for start, end in pieces:
        for channel in np.flatnonzero(missing[start:end].any(0)):
            seen = np.flatnonzero(~missing[start:end, channel])
            if len(seen):
                values[start:end, channel] = np.interp(np.arange(end - start), seen, raw[start + seen, channel])
    return values


def _replaced(piece: Any, names: tuple[str, ...], changed: np.ndarray, where: np.ndarray) -> Any:
    if isinstance(piece, pd.DataFrame):
        out = piece.copy()
        at = {str(name): i for i, name in enumerate(piece.columns)}
        for channel in np.flatnonzero(where.any(0)):
            column = at[names[channel]] if names[channel] in at else int(channel)
            series = piece.iloc[:, column].to_numpy(np.float64, copy=True)
            series[where[:, channel]] = changed[where[:, channel], channel]
            kind = piece.dtypes.iloc[column]
            out.isetitem(column, series.astype(kind) if pd.api.types.is_float_dtype(kind) else series)
        return out
    if isinstance(piece, pd.Series):
        values = piece.to_numpy(np.float64, copy=True)
        values[where[:, 0]] = changed[where[:, 0], 0]
        return pd.Series(values, index=piece.index, name=piece.name)
    array = np.array(piece, copy=True)
    if not np.issubdtype(array.dtype, np.floating):
        array = array.astype(np.float64)
    flat = array[:, None] if array.ndim == 1 else array
    flat[where] = changed[where]
    return array
