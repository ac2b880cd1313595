"""How what was not flagged in a run is spread: behind the value of a row's feature, and around an event's channels.

Turns a run's kept data into counts and bands. Knows arrays, files and the store's list of flagged rows; not detectors
or pages. Nothing here enters a score: it shows a reader what ordinary values look like beside the one in hand.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import numpy as np

from assistant.keeping import load_frame
from assistant.keeping.parts import USUAL
from assistant.store import Store

ROWS = 20_000  # of a table, evenly taken
STAMPS = 3_000  # of a series, evenly taken
BINS = 24
NAMES = 6  # categories drawn
ALIKE = 60  # stamps that are most alike in the other channels
BAND = (5.0, 95.0)  # percent of those
POINTS = 160  # stamps of a stretch at which a band is worked out
_KEPT = 64


@dataclass(frozen=True)
class Spread:
    """Values of one feature in rows that were not flagged: numbers (bins between edges) or names, with how many."""

    counts: tuple[int, ...]
    edges: tuple[float, ...] = ()  # one more than counts; empty where the values are names
    names: tuple[str, ...] = ()
    values: np.ndarray | None = None  # the numbers themselves, sorted
    rows: int = 0

    def words(self, observed: Any) -> str:
        """Where an observed value stands among them, in a few words."""
        if observed is None:
            return ""
        if self.values is None:
            at = self.names.index(str(observed)) if str(observed) in self.names else None
            return f"in {self.counts[at] if at is not None else 0:,} of {self.rows:,} rows"
        value = _number(observed)
        if value is None or not len(self.values):
            return ""
        below = 100.0 * float(np.searchsorted(self.values, value)) / len(self.values)
        above = 100.0 * (1.0 - float(np.searchsorted(self.values, value, side="right")) / len(self.values))
        return f"above {below:.1f} % of them" if below >= above else f"below {above:.1f} % of them"


def spread_of(values: Any) -> Spread:
    """The spread of a column (a pandas Series): bins for numbers, counts of the most frequent for everything else."""
    known = values.dropna()
    if known.dtype.kind in "iuf" and known.nunique() > 2:
        numbers = np.sort(known.to_numpy(float))
        low, high = np.quantile(numbers, [0.005, 0.995]) if len(numbers) else (0.0, 1.0)
        counts, edges = np.histogram(numbers, BINS, (float(low), float(high) if high > low else float(low) + 1.0))
        return Spread(tuple(counts.tolist()), tuple(edges.tolist()), values=numbers, rows=len(numbers))
    found = known.astype(str).value_counts()
    return Spread(tuple(int(n) for n in found), names=tuple(str(name) for name in found.index), rows=len(known))


def band_around(normal: np.ndarray, query: np.ndarray, columns: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper edge (m, len(columns)) of what each channel does in stamps that are alike in the others.

    Args:
        normal: (n, channel) stamps that were not flagged.
        query: (m, channel) the stretch, as it was expected where that is known.
        columns: the channels asked for.
    """
    scale = np.maximum(np.nanstd(normal, 0), 1e-12)
    known, asked = np.nan_to_num(normal / scale), np.nan_to_num(query / scale)
    low, high = np.empty((len(query), len(columns))), np.empty((len(query), len(columns)))
    for place, column in enumerate(columns):
        others = [c for c in range(normal.shape[1]) if c != column]
        alike = _nearest(known[:, others], asked[:, others]) if others else np.arange(len(known))[None]
        edges = np.nanpercentile(normal[alike, column], BAND, axis=1)
        low[:, place], high[:, place] = edges[0], edges[1]
    return low, high


def usual(normal: np.ndarray, query: np.ndarray, shown: int) -> tuple[np.ndarray, np.ndarray]:
    """`band_around` for the first `shown` channels of a stretch, worked out at POINTS stamps and drawn between them."""
    at = np.unique(np.linspace(0, len(query) - 1, min(len(query), POINTS)).astype(int))
    low, high = band_around(normal, query[at], list(range(min(shown, query.shape[1]))))
    whole = np.arange(len(query))
    lines = [np.stack([np.interp(whole, at, edge[:, c]) for c in range(edge.shape[1])], 1) for edge in (low, high)]
    return lines[0], lines[1]


def _nearest(known: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """(m, ALIKE) positions of the nearest rows."""
    away = (asked**2).sum(1)[:, None] - 2 * asked @ known.T + (known**2).sum(1)[None]
    count = min(ALIKE, known.shape[0])
    return np.argpartition(away, count - 1, axis=1)[:, :count]


def _number(value: Any) -> float | None:
    try:
        return float(value)
    except (TypeError, ValueError):
        return None


class Spreads:
    """The spreads of one store's runs; what was worked out once is kept."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._kept: OrderedDict[tuple[str, str], Any] = OrderedDict()
        self._lock = threading.Lock()

    def of_features(self, run: str, features: list[str]) -> dict[str, Spread]:
        """The spread of some features of a run's rows; features or runs whose data are gone are left out."""
        missing = [name for name in features if self._known(run, name) is None]
        path = self.store.run_folder(run) / "table.parquet"
        if missing and path.is_file():
            table = load_frame(path)
            table = table.drop(index=table.index[self.store.flagged_rows(run)])
            table = table.iloc[:: max(1, -(-len(table) // ROWS))]
            for name in missing:
                if name in table.columns:
                    self._keep(run, name, spread_of(table[name]))
        return {name: found for name in features if (found := self._known(run, name)) is not None}

    def around(
        self, finding: str, run: str, channels: tuple[str, ...], expected: np.ndarray, shown: int
    ) -> tuple[np.ndarray, np.ndarray] | None:
        """The usual range of the first channels of an event, as it was expected; None where its run's data are gone."""
        known = self._known(run, f"around {finding}")
        if known is None:
            normal = self.of_channels(run, channels)
            if normal is None:
                return None
            known = usual(normal, expected, shown)
            self._keep(run, f"around {finding}", known)
        low, high = known
        return low, high

    def of_channels(self, run: str, channels: tuple[str, ...]) -> np.ndarray | None:
        """(n, channel) unflagged stamps or steps of a run, evenly taken; None where its data are gone."""
        known = self._known(run, "\n".join(channels))
        if known is not None:
            return np.asarray(known)
        values = self._calm(run, channels)
        if values is None or not len(values):
            return None
        self._keep(run, "\n".join(channels), values)
        return np.asarray(values)

    def _calm(self, run: str, channels: tuple[str, ...]) -> np.ndarray | None:
        folder = self.store.run_folder(run)
        if (folder / USUAL).is_file():
            with np.load(folder / USUAL, allow_pickle=False) as kept:
                names, values = kept["channels"].tolist(), kept["values"].astype(float)
            return values[:, [names.index(name) for name in channels]] if set(channels) <= set(names) else None
        if not (folder / "series.parquet").is_file() or not (folder / "scores.npz").is_file():
            return None
        frame = load_frame(folder / "series.parquet")
        if any(name not in frame.columns for name in channels):
            return None
        with np.load(folder / "scores.npz", allow_pickle=False) as kept:
            calm = np.flatnonzero(kept["p_values"] > self.store.run(run).alpha)
        return np.asarray(frame.iloc[calm[:: max(1, -(-len(calm) // STAMPS))]][list(channels)].to_numpy(float))

    def _known(self, run: str, name: str) -> Any:
        with self._lock:
            return self._kept.get((run, name))

    def _keep(self, run: str, name: str, made: Any) -> None:
        with self._lock:
            self._kept[run, name] = made
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
