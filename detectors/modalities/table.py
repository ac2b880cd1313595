"""Tables: rows of mixed columns to vectors and back; the map says which cells of a row are at odds with the others.

Knows data frames and arrays; not methods or thresholds. A missing cell stands as what the other cells of its row make
likely, so that it is neither an error nor evidence; a level, a word or a size never seen before is evidence.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from detectors.descriptors.tables import describe_number, describe_word
from detectors.detection import Measure, Part, Region, Value
from detectors.errors import AnomalyError
from detectors.gaps import fill, learn_gaussian
from detectors.method import Space
from detectors.modalities.base import Event, Items, Modality
from detectors.modalities.columns import LEVEL_FLOOR, Column, from_config
from detectors.training import Run

SCALES = ("quantile", "standard")
MEASURED = 3  # leading features of a row that are described


@dataclass
class Rows:
    """A table as given: `frame` in the given order of columns, `array` where it came as an array."""

    frame: pd.DataFrame
    array: np.ndarray | None = None
    encoded: Tensor | None = None  # the whole table, kept after its first encoding


class Table(Modality):
    """Data frame (numbers, categories, booleans, moments, missing cells) or array (row, feature).

    Settings: scale "standard" (numbers as z-scores) or "quantile" (as normal scores of their ranks).
    """

    name = "table"
    defaults: ClassVar[Mapping[str, Any]] = {"scale": "standard"}
    batch_size = 32_768
    min_normals = 20

    mean: Tensor  # (d,) and
    covariance: Tensor  # (d, d) of the encoded normals: what a missing cell is filled from

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        if self.settings["scale"] not in SCALES:
            raise AnomalyError(f"scale={self.settings['scale']!r} is unknown; known: {', '.join(SCALES)}.")
        self.columns: list[Column] = []

    # --- samples in ------------------------------------------------------------------------------------------------
    def open(self, samples: Any) -> Items:
        rows = _rows(samples)
        frame = rows.frame
        if self.columns:
            self._check_columns(frame, rows.array is not None)
        numbered = isinstance(frame.index, pd.RangeIndex)
        names = [f"row {i}" for i in range(len(frame))] if numbered else [str(v) for v in frame.index]
        return Items(rows, len(frame), len(frame), names)

    def _check_columns(self, frame: pd.DataFrame, plain: bool) -> None:
        known, given = [c.name for c in self.columns], [str(c) for c in frame.columns]
        if plain and len(known) != len(given):
            raise AnomalyError(f"The array has {len(given)} columns; the detector was fitted on {len(known)}.")
        missing = [name for name in known if name not in given]
        extra = [name for name in given if name not in known]
        if missing or extra:
            said = [f"lacks {_quoted(missing)}"] * bool(missing)
            said += [f"has {_quoted(extra)}, unknown at the fit"] * bool(extra)
            raise AnomalyError(f"The table {' and '.join(said)}; give the columns {_quoted(known)}.")

    def select(self, items: Items, samples: Sequence[int]) -> Items:
        chosen = list(samples)
        rows: Rows = items.data
        part = Rows(
            rows.frame.iloc[chosen],
            None if rows.array is None else rows.array[chosen],
            None if rows.encoded is None else rows.encoded[chosen],
        )
        names = None if items.names is None else [items.names[i] for i in chosen]
        return Items(part, len(chosen), len(chosen), names)

    def fit(self, items: Items, rows: Sequence[int], run: Run) -> None:
        frame = items.data.frame.iloc[list(rows)]
        items.data.encoded = None
        self.columns = []
        for number, name in enumerate(frame.columns):
            column, curve = Column.learn(str(name), frame[name], self.settings["scale"])
            self.columns.append(column)
            self.learn(**{f"curve_{number}": torch.from_numpy(curve)})
            run.progress((number + 1) / frame.shape[1], "learning the columns")
        if not any(c.width for c in self.columns):
            raise AnomalyError("No column can be used: every one holds a text of its own in each row.")
        x, known = self._raw(frame)
        mean, covariance = learn_gaussian(x, known)
        self.learn(mean=torch.from_numpy(mean), covariance=torch.from_numpy(covariance))

    @property
    def space(self) -> Space:
        groups = tuple((c.name, c.width) for c in self.columns if c.width)
        return Space("table", (sum(width for _, width in groups),), aligned=True, groups=groups)

    def encode(self, items: Items, rows: Sequence[int]) -> Tensor:
        data: Rows = items.data
        if data.encoded is None:
            x, known = self._raw(data.frame)
            data.encoded = torch.from_numpy(self._filled(x, known)).float()
        return data.encoded[list(rows)]

    def _raw(self, frame: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
        """(n, d) dimensions in the fit's order of columns, and which of them are known."""
        by_name = {str(name): i for i, name in enumerate(frame.columns)}
        pairs = [
            column.encode(frame.iloc[:, by_name[column.name]], self._curve(number))
            for number, column in enumerate(self.columns)
        ]
        return np.column_stack([b for b, _ in pairs]), np.column_stack([k for _, k in pairs])

    def _curve(self, number: int) -> np.ndarray:
        return self.get_buffer(f"curve_{number}").numpy()

    def _filled(self, x: np.ndarray, known: np.ndarray) -> np.ndarray:
        return fill(x, known, self.mean.numpy(), self.covariance.numpy())

    # --- maps out --------------------------------------------------------------------------------------------------
    def assemble(self, batches: Iterable[Tensor], items: Items, rows: Sequence[int]) -> np.ndarray:
        """(row, feature): the evidence of a feature is the sum over its dimensions."""
        owner = torch.tensor(self._owners())
        parts = [maps.new_zeros(len(maps), len(self.columns)).index_add_(1, owner, maps) for maps in batches]
        return torch.cat(parts).numpy() if parts else np.zeros((0, len(self.columns)), np.float32)

    def _owners(self) -> list[int]:
        """The feature number of each dimension."""
        return [number for number, column in enumerate(self.columns) for _ in range(column.width)]

    def score(self, maps: np.ndarray) -> np.ndarray:
        return maps.sum(1)

    def level(self, maps: np.ndarray) -> float:
        return float(np.quantile(maps.max(1), 0.95)) if len(maps) else 1.0

    def _given_order(self, items: Items) -> list[int]:
        """For each given column, the number of the fitted feature."""
        by_name = {c.name: i for i, c in enumerate(self.columns)}
        return [by_name[str(name)] for name in items.data.frame.columns]

    def full_maps(self, maps: np.ndarray, items: Items) -> np.ndarray:
        return maps[:, self._given_order(items)]

    # --- places and normal versions ---------------------------------------------------------------------------------
    def events(self, flags: np.ndarray, scores: np.ndarray, maps: np.ndarray, items: Items) -> list[Event]:
        names = items.names or []
        return [
            Event(names[i], i, i, self.full_maps(maps[i : i + 1], items)[0], self._regions(maps[i]))
            for i in np.flatnonzero(flags).tolist()
        ]

    def _regions(self, row: np.ndarray) -> tuple[Region, ...]:
        shares = _shares(row)
        return tuple(
            Region(self.columns[j].name, "feature", float(shares[j]), float(row[j]))
            for j in np.argsort(-row, kind="stable").tolist()
            if self._guilty(row)[j]
        )

    def _guilty(self, row: np.ndarray) -> np.ndarray:
        """(feature,) bool: above the level of normals; the oddest feature at least."""
        guilty = row > 1
        guilty[int(row.argmax())] = True
        return guilty

    def where(self, maps: np.ndarray, items: Items) -> np.ndarray:
        own = np.array([self._guilty(row) for row in maps], bool).reshape(maps.shape)
        return own[:, self._given_order(items)]

    def holes(self, where: Any, items: Items, rows: Sequence[int]) -> Tensor:
        mask = np.asarray(where)
        shape = items.data.frame.shape
        if mask.shape != shape or mask.dtype != bool:
            raise AnomalyError(
                f"`where` must be a bool mask of the table's shape {shape}; it is {mask.dtype} {mask.shape}."
            )
        given = {str(name): i for i, name in enumerate(items.data.frame.columns)}
        order = [given[c.name] for c in self.columns]
        return torch.from_numpy(mask[np.ix_(list(rows), order)][:, self._owners()])

    def decode(self, batches: Iterable[Tensor], items: Items, where: Any) -> Any:
        x = torch.cat(list(batches)).double().numpy() if len(items) else np.zeros((0, self.space.size))
        mask, data = np.asarray(where), items.data
        frame: pd.DataFrame = data.frame.copy()
        given = {str(name): i for i, name in enumerate(frame.columns)}
        ends = np.cumsum([c.width for c in self.columns])
        for number, column in enumerate(self.columns):
            place = given[column.name]
            rows = np.flatnonzero(mask[:, place])
            if not len(rows) or column.kind == "ignored":
                continue
            cells = frame.iloc[rows, place]
            block = x[rows, ends[number] - column.width : ends[number]]
            values = column.decode(block, cells, self._curve(number))
            frame.isetitem(place, _replaced(frame.iloc[:, place], rows, values).array)
        return frame if data.array is None else _as_array(frame, data.array)

    def describe(self, event: Event, items: Items, expected: Any) -> tuple[tuple[Part, ...], np.ndarray]:
        observed = items.data.frame.iloc[event.index]
        normal = expected.iloc[event.index] if isinstance(expected, pd.DataFrame) else pd.Series(expected[event.index])
        shares, names = _shares(event.map), [str(n) for n in items.data.frame.columns]
        replaced = {region.name for region in event.regions}
        parts = tuple(
            Part(name, float(shares[j]), _value(observed.iloc[j]), _value(normal.iloc[j]) if name in replaced else None)
            for j, name in ((j, names[j]) for j in np.argsort(-shares, kind="stable").tolist())
            if shares[j] >= 0.01 or name in replaced
        )
        signature = shares * np.array([_direction(a, b) for a, b in zip(observed, normal, strict=True)])
        return parts, (signature / max(float(np.linalg.norm(signature)), 1e-12)).astype(np.float32)

    def measure(self, event: Event, items: Items, expected: Any) -> tuple[Measure, ...]:
        """Descriptors of the features that lead a row, each given all the others."""
        row = items.data.frame.iloc[[event.index]]
        normal = expected.iloc[event.index] if isinstance(expected, pd.DataFrame) else pd.Series(expected[event.index])
        normal.index = row.columns
        x = self.encode(items, [event.index])[0].double().numpy()
        numbers = {c.name: i for i, c in enumerate(self.columns)}
        found = []
        for region in event.regions[:MEASURED]:
            told = self._measured(numbers[region.name], row, normal, x)
            found += [Measure(region.name, name, value, unit) for name, (value, unit) in told.items()]
        return tuple(found)

    def _measured(
        self, number: int, row: pd.DataFrame, normal: pd.Series, x: np.ndarray
    ) -> dict[str, tuple[float | int | str | None, str]]:
        column, curve = self.columns[number], self._curve(number)
        place = next(i for i, name in enumerate(row.columns) if str(name) == column.name)
        cell: Any = row.iloc[0, place]
        likely: Any = normal.iloc[place]
        given, deviation = self._given(number, x)
        told: dict[str, tuple[float | int | str | None, str]] = {
            "missing": (100.0 * bool(pd.isna(cell)), "%"),
            "usual_missing": (100.0 * column.gaps, "%"),
        }
        if column.kind == "number" and curve.shape[1]:
            value, expected = (_number(v) for v in (cell, likely))
            distance = abs(float(x[given.start] - deviation[0])) / deviation[1]
            seen = float(curve[0, 0]), float(curve[0, -1])
            told |= describe_number(value, expected, seen, distance)
        elif column.kind == "category":
            shares = dict(zip(column.levels, column.shares, strict=True))
            here = column.decode(np.atleast_2d(x[given]), row.iloc[:, place], curve)[0]
            held = shares.get(str(cell), 0.0)
            beside = float(np.clip(self._beside(number, str(cell), x), 0, 1)) if held else 0.0
            told |= describe_word(held, shares.get(str(likely if str(likely) != str(cell) else here), 0.0), beside)
        return told

    def _given(self, number: int, x: np.ndarray) -> tuple[slice, tuple[float, float]]:
        """The dimensions of a feature; mean and deviation of its first one given the row's other features."""
        ends = np.cumsum([c.width for c in self.columns])
        own = slice(int(ends[number]) - self.columns[number].width, int(ends[number]))
        if own.stop == own.start:
            return own, (0.0, 1.0)
        mean, covariance = self.mean.numpy(), self.covariance.numpy()
        rest = np.ones(len(mean), bool)
        rest[own] = False
        gain = np.linalg.solve(covariance[np.ix_(rest, rest)], covariance[rest, own.start])
        likely = mean[own.start] + gain @ (x[rest] - mean[rest])
        variance = covariance[own.start, own.start] - gain @ covariance[rest, own.start]
        return own, (float(likely), float(np.sqrt(max(variance, 1e-6))))

    def _beside(self, number: int, level: str, x: np.ndarray) -> float:
        """The share of a category beside the row's other features, by the Gaussian over all dimensions."""
        column = self.columns[number]
        own, _ = self._given(number, x)
        mean, covariance = self.mean.numpy(), self.covariance.numpy()
        rest = np.ones(len(mean), bool)
        rest[own] = False
        gain = np.linalg.solve(covariance[np.ix_(rest, rest)], covariance[np.ix_(rest, ~rest)])
        likely = mean[~rest] + (x[rest] - mean[rest]) @ gain
        place = min(column.levels.index(level), len(column.levels) - 1)
        share = column.shares[place]
        spread = max(float(np.sqrt(2 * share * (1 - share))), LEVEL_FLOOR)
        return float(likely[min(place, len(likely) - 2)] * spread + share)

    # --- saving ----------------------------------------------------------------------------------------------------
    def config(self) -> dict[str, Any]:
        return {"features": [c.name for c in self.columns], "columns": [c.config() for c in self.columns]}

    def restore(self, config: Mapping[str, Any]) -> None:
        self.columns = [from_config(c) for c in config["columns"]]


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if np.isfinite(number) else None


# --- reading and writing tables ---------------------------------------------------------------------------------------
def _rows(samples: Any) -> Rows:
    """A data frame, or an array (row, feature), as a table. Raises AnomalyError in one sentence for all else."""
    if isinstance(samples, pd.DataFrame):
        frame, array = samples, None
    elif isinstance(samples, np.ndarray) and samples.ndim == 2:
        frame, array = pd.DataFrame(samples, columns=[f"x{i}" for i in range(samples.shape[1])]), samples
    else:
        shape = f" of shape {samples.shape}" if isinstance(samples, np.ndarray) else ""
        raise AnomalyError(
            f"A table is a data frame or an array (row, feature), not {type(samples).__name__}{shape}; "
            "one row is frame.iloc[[i]] or array[None]."
        )
    if isinstance(frame.columns, pd.MultiIndex):
        raise AnomalyError("The table has several header rows; give it one name a column.")
    names = [str(c) for c in frame.columns]
    twice = sorted({n for n in names if names.count(n) > 1})
    if twice:
        raise AnomalyError(f"The table has several columns called {_quoted(twice)}; give each its own name.")
    if not len(frame) or not len(names):
        raise AnomalyError(f"The table has no {'rows' if names else 'columns'}.")
    if array is not None and array.dtype.kind in "cV":
        raise AnomalyError(f"An array of type {array.dtype} is no table; give numbers or text.")
    return Rows(frame, array)


def _replaced(cells: pd.Series, rows: np.ndarray, values: list[Any]) -> pd.Series:
    """`cells` with some replaced, in their own type."""
    if isinstance(cells.dtype, pd.CategoricalDtype):
        own = {str(c): c for c in cells.cat.categories}
        fresh = sorted({v for v in values if v not in own})
        cells = cells.cat.add_categories(fresh) if fresh else cells
        values = [own.get(v, v) for v in values]
    elif pd.api.types.is_bool_dtype(cells.dtype):
        values = [v == "True" for v in values]
    elif pd.api.types.is_integer_dtype(cells.dtype):
        values = [round(v) for v in values]
    elif not pd.api.types.is_numeric_dtype(cells.dtype) and not pd.api.types.is_datetime64_any_dtype(cells.dtype):
        values = [_like(v, cells) for v in values]
    out = cells.copy()
    out.iloc[rows] = values
    return out


def _like(value: Any, cells: pd.Series) -> Any:
    """A value in the form that an untyped column holds: text stays text, numbers and booleans become themselves."""
    present = cells.dropna()
    first = present.iloc[0] if len(present) else value
    if isinstance(first, str):
        return f"{value:g}" if isinstance(value, float) else str(value)
    if isinstance(first, bool | np.bool_):
        return value == "True"
    if isinstance(first, int | float | np.number) and isinstance(value, str):
        return next((v for v in present if str(v) == value), value)
    return value


def _as_array(frame: pd.DataFrame, like: np.ndarray) -> np.ndarray:
    return frame.to_numpy().astype(like.dtype)


def _shares(row: np.ndarray) -> np.ndarray:
    positive = np.maximum(np.nan_to_num(row), 0).astype(np.float64)
    return positive / max(float(positive.sum()), 1e-12)


def _value(value: Any) -> Value:
    """A cell as a fact: a number, a text, or None where it is missing."""
    if pd.isna(value):
        return None
    if isinstance(value, bool | np.bool_):
        return str(bool(value))
    if isinstance(value, int | np.integer):
        return int(value)
    return float(value) if isinstance(value, float | np.floating) else str(value)


def _direction(observed: Any, normal: Any) -> float:
    """-1 where a number lies below what is expected, else 1."""
    numbers = isinstance(observed, int | float | np.number) and isinstance(normal, int | float | np.number)
    return -1.0 if numbers and observed < normal else 1.0


def _quoted(names: Sequence[str]) -> str:
    shown = ", ".join(repr(n[:60]) for n in names[:8])
    return shown + (f" and {len(names) - 8} more" if len(names) > 8 else "")
