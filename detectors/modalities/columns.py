"""Turns one column of a table into numbers of about unit variance and back: numbers, categories, moments in time.

Knows values of a column, not rows, models or scores. Every kind has `width` dimensions, `encode` and `decode`; what it
learned is plain JSON (`config`) but for a number's knots, which are an array.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import ndtri

KNOTS = 512  # most points of a number's curve from values to normal scores
MAX_LEVELS = 40  # categories with a dimension of their own; rarer ones share one
UNSEEN = 3.0  # how far out a level lies that the fit never saw, in standard deviations
WORD = 8.0  # how far out a word lies where a number belongs
LEARNED_GAPS = 0.05  # least share of missing cells at fit from which missing can be evidence; a rarer gap is chance
LEVEL_FLOOR = 0.2  # least deviation of an indicator: a rare level is odd, not infinitely odd
DIAL = 2.0  # radius of the day's circle: hours that work shifts keep apart stay apart under noise
FAR = 30.0  # standard deviations beyond the seen range after which distance counts logarithmically


@dataclass
class Column:
    """What is known of one column. `kind`: "number" | "category" | "moment" | "ignored" (a text of its own in each
    row says nothing about a row)."""

    name: str
    kind: str
    levels: list[Any] = field(default_factory=list)  # category: the levels seen; number: the values if there are few
    shares: list[float] = field(default_factory=list)  # category: how often each level was seen
    rare: int = 0  # category: how many of `levels`, at the end, share one dimension
    gaps: float = 0.0  # share of missing cells at fit
    whole: bool = False  # number: only whole numbers were seen
    scale: str = "quantile"

    @property
    def value_width(self) -> int:
        """Dimensions of the value; one more tells "missing" where that was seen often enough to be learned."""
        if self.kind == "category":
            return len(self.levels) - max(0, self.rare - 1) + 1  # levels, the rare ones as one, "unseen"
        return {"number": 1, "moment": 9, "ignored": 0}[self.kind]

    @property
    def width(self) -> int:
        return self.value_width + (1 if self.gaps >= LEARNED_GAPS and self.kind != "ignored" else 0)

    def config(self) -> dict[str, Any]:
        return asdict(self)

    # --- reading ---------------------------------------------------------------------------------------------------
    def read(self, cells: pd.Series) -> tuple[np.ndarray, np.ndarray]:
        """(values, known): number: float64 with NaN for words and missing; category: text; moment: datetime64[ns]."""
        if self.kind == "number":
            values = as_number(cells)
            return values, ~(np.isnan(values) & cells.isna().to_numpy(bool))
        if self.kind == "moment":
            moments = pd.to_datetime(cells, errors="coerce", utc=True).dt.tz_localize(None).to_numpy("datetime64[ns]")
            return moments, ~np.isnat(moments)
        return as_text(cells), ~cells.isna().to_numpy(bool)

    # --- learning --------------------------------------------------------------------------------------------------
    @classmethod
    def learn(cls, name: str, cells: pd.Series, scale: str) -> tuple[Column, np.ndarray]:
        """The column as `cells` show it, and a number's knots (2, k): values and their scores."""
        column = cls(name, kind_of(cells), scale=scale)
        values, known = column.read(cells)
        column.gaps = float(1 - known.mean())
        nothing = np.zeros((2, 0))
        if column.kind == "category":
            column._learn_levels(values[known])
        if column.kind != "number":
            return column, nothing
        finite = values[np.isfinite(values)]
        column.whole = bool(np.all(finite == np.round(finite)))
        distinct = np.unique(finite)
        column.levels = distinct.tolist() if len(distinct) <= 20 else []
        return column, knots(finite, scale)

    def _learn_levels(self, text: np.ndarray) -> None:
        names, counts = np.unique(text, return_counts=True)
        if len(names) > 20 and len(names) > 0.5 * len(text):
            self.kind, self.gaps = "ignored", 0.0
            return
        order = np.argsort(-counts, kind="stable")
        self.levels = [str(n) for n in names[order]]
        self.shares = (counts[order] / max(1, counts.sum())).tolist()
        self.rare = max(0, len(names) - MAX_LEVELS + 1) if len(names) > MAX_LEVELS else 0

    # --- values to dimensions --------------------------------------------------------------------------------------
    def encode(self, cells: pd.Series, curve: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(n, width) float64 and (n, width) bool: which dimensions are known. Unknown ones hold 0, the average."""
        values, known = self.read(cells)
        if self.kind == "number":
            block = to_scores(values, curve)[:, None]
            block[np.isnan(values) & known] = WORD
        elif self.kind == "moment":
            block = self._clock(values)
        else:
            block = self._indicators(values)
        block[~known] = 0.0
        sure = np.repeat(known[:, None], block.shape[1], 1)
        if self.width > self.value_width:
            deviation = max(np.sqrt(self.gaps * (1 - self.gaps)), LEVEL_FLOOR)
            block = np.column_stack([block, (~known - self.gaps) / deviation])
            sure = np.column_stack([sure, np.ones(len(known), bool)])
        return block, sure

    def _group_shares(self) -> np.ndarray:
        """Share of each indicator: single levels, then the rare ones together."""
        shares = np.asarray(self.shares)
        single = len(shares) - self.rare
        return np.append(shares[:single], shares[single:].sum()) if self.rare else shares

    def _indicators(self, text: np.ndarray) -> np.ndarray:
        if self.kind == "ignored":
            return np.zeros((len(text), 0))
        shares = self._group_shares()
        place = {level: min(i, len(shares) - 1) for i, level in enumerate(self.levels)}
        index = np.array([place.get(t, len(shares)) for t in text], int)
        hot = np.zeros((len(text), len(shares) + 1))
        hot[np.arange(len(text)), index] = 1.0
        deviation = np.maximum(np.sqrt(2 * shares * (1 - shares)), LEVEL_FLOOR)
        return np.column_stack([(hot[:, :-1] - shares) / deviation, hot[:, -1] * UNSEEN])

    def _clock(self, moments: np.ndarray) -> np.ndarray:
        """Hour of day on a circle, then the day of the week: a date itself never comes back."""
        stamps = pd.DatetimeIndex(np.where(np.isnat(moments), np.datetime64("2000-01-01"), moments))
        angle = 2 * np.pi * np.asarray(stamps.hour + stamps.minute / 60) / 24
        day = np.eye(7)[np.asarray(stamps.dayofweek)] - 1 / 7
        return np.column_stack([DIAL * np.sin(angle), DIAL * np.cos(angle), day / np.sqrt(2 / 7)])

    # --- dimensions to values --------------------------------------------------------------------------------------
    def decode(self, block: np.ndarray, cells: pd.Series, curve: np.ndarray) -> list[Any]:
        """The nearest valid value of each row of `block` (n, width); `cells` are the ones to be replaced."""
        if self.kind == "number":
            return self._numbers(block[:, 0], curve).tolist()
        if self.kind == "category":
            shares = self._group_shares()
            deviation = np.maximum(np.sqrt(2 * shares * (1 - shares)), LEVEL_FLOOR)
            hot = block[:, : len(shares)] * deviation + shares
            return [self.levels[i] for i in hot.argmax(1)] if self.levels else list(cells)
        return self._moments(block, cells) if self.kind == "moment" else list(cells)

    def _numbers(self, scores: np.ndarray, curve: np.ndarray) -> np.ndarray:
        values = np.interp(scores, curve[1], curve[0]) if curve.shape[1] else np.full(len(scores), np.nan)
        if self.levels:
            known = np.asarray(self.levels, float)
            return known[np.abs(values[:, None] - known).argmin(1)]
        return np.round(values) if self.whole else values

    def _moments(self, block: np.ndarray, cells: pd.Series) -> list[Any]:
        """The same day, or the nearest one with the expected weekday, at the expected hour."""
        stamps, _ = self.read(cells)
        days = pd.DatetimeIndex(np.where(np.isnat(stamps), np.datetime64("2000-01-03"), stamps)).normalize()
        minutes = np.round((np.arctan2(block[:, 0], block[:, 1]) % (2 * np.pi)) / (2 * np.pi) * 1440)
        shift = (block[:, 2:9].argmax(1) - np.asarray(days.dayofweek) + 3) % 7 - 3
        moved = days + pd.to_timedelta(shift, unit="D") + pd.to_timedelta(minutes, unit="min")
        zone = getattr(cells.dtype, "tz", None)
        return list(moved.tz_localize("UTC").tz_convert(zone) if zone is not None else moved)


# --- kinds ----------------------------------------------------------------------------------------------------------
def kind_of(cells: pd.Series) -> str:
    """What the cells of a column are."""
    if pd.api.types.is_datetime64_any_dtype(cells):
        return "moment"
    if pd.api.types.is_bool_dtype(cells) or isinstance(cells.dtype, pd.CategoricalDtype):
        return "category"
    if pd.api.types.is_numeric_dtype(cells) and not pd.api.types.is_complex_dtype(cells):
        return "number"
    present = cells.dropna()
    if not len(present):
        return "number"
    if all(isinstance(v, bool | np.bool_) for v in present):
        return "category"
    return "number" if np.isfinite(as_number(present)).mean() >= 0.9 else "category"


def as_number(cells: pd.Series) -> np.ndarray:
    """float64; NaN for what is no number."""
    if pd.api.types.is_numeric_dtype(cells) or pd.api.types.is_bool_dtype(cells):
        return cells.to_numpy(np.float64, na_value=np.nan)
    return pd.to_numeric(cells.astype(object), errors="coerce").to_numpy(np.float64, na_value=np.nan)


def as_text(cells: pd.Series) -> np.ndarray:
    """Levels as text, so that True, "True" and a saved model agree."""
    return np.array([str(v) for v in cells.astype(object)], dtype=object)


# --- numbers to normal scores ---------------------------------------------------------------------------------------
def knots(finite: np.ndarray, scale: str) -> np.ndarray:
    """A number's curve (2, k): seen values, ascending, and their scores; scale "quantile": normal scores of their
    mid-ranks, "standard": z-scores."""
    if not len(finite):
        return np.zeros((2, 0))
    values, counts = np.unique(finite, return_counts=True)
    if scale == "standard":
        deviation = float(finite.std()) or 1.0
        scores = (values - finite.mean()) / deviation
    else:
        middle = (np.cumsum(counts) - counts / 2 + 0.5) / (len(finite) + 1)
        scores = ndtri(middle)
    if len(values) > KNOTS:
        keep = np.unique(np.linspace(0, len(values) - 1, KNOTS).round().astype(int))
        values, scores = values[keep], scores[keep]
    return np.stack([values, scores])


def to_scores(values: np.ndarray, curve: np.ndarray) -> np.ndarray:
    """Scores of values: along the curve inside the seen range; outside it they go on growing, slower with distance.

    The step out of the range is in units of the curve's own spread. NaN gives NaN, infinity the far end.
    """
    if not curve.shape[1]:
        return np.zeros(len(values))
    x, z = curve
    clipped = np.clip(values, x[0], x[-1])
    beyond = np.clip((values - clipped) / _spread(x, z), -1e6, 1e6)
    if len(x) == 1:
        return np.where(np.abs(beyond) > 1e-6, np.sign(beyond) * (EDGE + 0.1 * np.log1p(np.abs(beyond))), 0.0)
    return np.interp(clipped, x, z) + np.sign(beyond) * FAR * np.log1p(np.abs(beyond) / FAR)


EDGE = 1.0  # a column that never changed has changed: this far out, since it has no deviation to measure by


def _spread(x: np.ndarray, z: np.ndarray) -> float:
    """Standard deviation of the values in units of x; a constant's own size where there is none."""
    if len(x) == 1:
        return float(abs(x[0])) or 1.0
    slope = np.polyfit(z, x, 1)[0] if len(x) > 2 else (x[-1] - x[0]) / max(z[-1] - z[0], 1e-9)
    return float(max(slope, (x[-1] - x[0]) * 0.01, 1e-300))


def from_config(config: Mapping[str, Any]) -> Column:
    """The inverse of `Column.config`."""
    return Column(**config)
