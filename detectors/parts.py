"""One part of a multimodal sample: its steps as vectors, and back to maps, places and normal versions in its own form.

Knows series and tables (pictures: `parts_pictures`), and how long each recording is; not the other parts, methods or
thresholds. A step whose part is absent is not `known`; its vector is nobody's evidence.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import torch

from detectors.detection import Part, Region
from detectors.errors import AnomalyError
from detectors.localization_series import channel_shares, guilty_channels, odd_cells
from detectors.method import Learned
from detectors.modalities.series import channel_scale
from detectors.modalities.table import Table
from detectors.segments import give_back, read_block
from detectors.training import Run

CLIP = 5.0  # deviations beyond it grow by logarithm only
FAINT = 0.02  # deviations of the normals; a channel that moves less stands still
LEARN_ROWS = 4000  # steps that a basis is learned from


@dataclass
class Seen:
    """A part of opened samples: what was given, one piece a recording (None: it lacks the part), and what is known."""

    pieces: list[Any]
    lengths: list[int]
    known: np.ndarray  # (step,) bool
    data: Any = None  # the reader's own
    kept: dict[str, Any] = field(default_factory=dict)  # worked out once

    @property
    def bounds(self) -> list[tuple[int, int]]:
        """Half-open steps of each recording."""
        return list(pairwise(np.cumsum([0, *self.lengths]).tolist()))


class Reader(Learned, ABC):
    """From one part's own form to vectors and back. `settings` are those of the multimodal modality.

    Features are put on unit deviation; where there are more than `components` of them, their principal components
    stand for them. Each feature belongs to a place: a channel, a column, a cell of the picture.
    """

    kind: ClassVar[str] = ""
    own: ClassVar[int] = 0  # features, the last ones, that keep a dimension of their own
    scales: ClassVar[bool] = True  # whether each feature is divided by its own deviation
    center: torch.Tensor  # (feature,)
    spread: torch.Tensor  # (feature,)
    basis: torch.Tensor  # (feature, dimension)

    def __init__(self, name: str, settings: Mapping[str, Any]) -> None:
        super().__init__()
        self.name, self.settings = name, settings
        self.fitted = False

    # --- in ----------------------------------------------------------------------------------------------------------
    @abstractmethod
    def length(self, piece: Any) -> int:
        """Steps in a piece. Raises AnomalyError where it cannot be read."""

    @abstractmethod
    def open(self, pieces: Sequence[Any], lengths: Sequence[int]) -> Seen:
        """Validated pieces; None where a recording lacks the part."""

    @abstractmethod
    def learn_features(self, seen: Seen, rows: np.ndarray, run: Run) -> None:
        """Learn what `features` needs from these steps."""

    @abstractmethod
    def features(self, seen: Seen) -> np.ndarray:
        """(step, feature) float32; anything where the part is not known."""

    @property
    @abstractmethod
    def owners(self) -> np.ndarray:
        """(feature,) the place that each feature belongs to."""

    @property
    @abstractmethod
    def places(self) -> int:
        """How many places a step has."""

    def fit(self, seen: Seen, rows: Sequence[int], run: Run) -> None:
        """Learn features, their scale and, where they are many, their principal components."""
        picked = np.asarray(rows, int)[seen.known[np.asarray(rows, int)]]
        if len(picked) < 8:
            raise AnomalyError(f"The part {self.name!r} has {len(picked)} normal steps; give at least 8.")
        self.learn_features(seen, picked, run)
        self.fitted = True
        seen.kept.pop("scaled", None)
        f = self.features(seen)[picked[:: max(1, len(picked) // LEARN_ROWS)]].astype(np.float64)
        center, spread = channel_scale(f)
        if not self.scales:  # contents keep their weights: what hardly varies says little
            content = slice(0, f.shape[1] - self.own)
            spread[content] = max(float(np.sqrt((spread[content] ** 2).mean())), 1e-6)
        self.learn(center=torch.from_numpy(center).float(), spread=torch.from_numpy(spread).float())
        z = _bent((f - center) / spread)
        self.learn(basis=torch.from_numpy(self._components(z)).float())

    def _components(self, z: np.ndarray) -> np.ndarray:
        """(feature, dimension): principal components of all but the last `own` features, which stay themselves."""
        most, own = int(self.settings["components"]), self.own
        content = z[:, : z.shape[1] - own]
        if content.shape[1] <= most:
            return np.eye(z.shape[1])
        _, weight, vectors = np.linalg.svd(content - content.mean(0), full_matrices=False)
        kept = vectors[: min(most, int((weight > 1e-6 * weight[0]).sum()))].T
        basis = np.zeros((z.shape[1], kept.shape[1] + own))
        basis[: len(kept), : kept.shape[1]] = kept / np.sqrt(max((content @ kept).var(0).mean(), 1e-9))
        basis[len(kept) :, kept.shape[1] :] = np.eye(own)
        return basis

    @property
    def size(self) -> int:
        """Dimensions of a step."""
        return int(self.basis.shape[1])

    def _scaled(self, seen: Seen) -> np.ndarray:
        if "scaled" not in seen.kept:
            f = self.features(seen)
            seen.kept["scaled"] = _bent((f - self.center.numpy()) / self.spread.numpy()).astype(np.float32)
        return seen.kept["scaled"]

    def encode(self, seen: Seen) -> np.ndarray:
        """(step, dimension) float32."""
        return self._scaled(seen) @ self.basis.numpy()

    def expected_features(self, x: np.ndarray) -> np.ndarray:
        """Vectors (n, dimension) back as features, in their own units."""
        basis = self.basis.numpy()
        z = x @ np.linalg.pinv(basis)
        beyond = np.minimum(np.maximum(np.abs(z) - CLIP, 0), 20)
        z = np.where(np.abs(z) > CLIP, np.sign(z) * (CLIP + np.expm1(beyond)), z)
        return z * self.spread.numpy() + self.center.numpy()

    # --- maps --------------------------------------------------------------------------------------------------------
    def spread_out(self, seen: Seen, rows: np.ndarray, maps: np.ndarray) -> np.ndarray:
        """Evidence by dimension (m, dimension) of these steps as evidence by place (m, place), of the same sum."""
        basis = self.basis.numpy()
        if not np.array_equal(basis, np.eye(len(basis), basis.shape[1], dtype=basis.dtype)):
            weight = np.abs(self._scaled(seen)[rows])[:, :, None] * np.abs(basis) + 1e-9  # (m, feature, dimension)
            maps = np.einsum("mfd,md->mf", weight / weight.sum(1, keepdims=True), maps)
        out = np.zeros((len(maps), self.places), np.float32)
        np.add.at(out.T, self.owners, maps.T)
        return out

    @abstractmethod
    def full(self, seen: Seen, maps: np.ndarray) -> list[Any]:
        """Maps (step, place) in the part's own form, one a recording."""

    @abstractmethod
    def where(self, seen: Seen, maps: np.ndarray) -> list[Any]:
        """The odd places as own-form bool masks, one a recording."""

    @abstractmethod
    def dimensions(self, seen: Seen, masks: Sequence[Any]) -> np.ndarray:
        """Own-form masks as bool (step, dimension). Raises AnomalyError where shapes do not fit."""

    @abstractmethod
    def decode(self, seen: Seen, x: np.ndarray, masks: Sequence[Any]) -> list[Any]:
        """Normal versions x (step, dimension) in own form, exactly as given outside the masks."""

    @abstractmethod
    def region(self, seen: Seen, steps: slice, maps: np.ndarray, share: float) -> Region:
        """Where in these steps of the part the oddity lies; maps (step, place) of them."""

    @abstractmethod
    def carriers(self, seen: Seen, steps: slice, maps: np.ndarray, expected: list[Any], share: float) -> list[Part]:
        """Its places with observed and expected values; their shares sum to `share` at most."""

    # --- saving ------------------------------------------------------------------------------------------------------
    @abstractmethod
    def config(self) -> dict[str, Any]:
        """What was learned besides arrays, as JSON values."""

    @abstractmethod
    def restore(self, config: Mapping[str, Any]) -> None:
        """Take `config` back."""

    def _held(self, step: int, seen: Seen) -> tuple[int, int]:
        """(recording, step in it) of a step."""
        for number, (start, end) in enumerate(seen.bounds):
            if start <= step < end:
                return number, step - start
        raise IndexError(step)


class SeriesReader(Reader):
    """Channels of a series. Features of a step, for each channel: its value, its change since the step before, and
    the mean and (log) deviation of the `window` steps around it."""

    kind = "series"
    location: torch.Tensor  # (channel,)
    scale: torch.Tensor

    def __init__(self, name: str, settings: Mapping[str, Any]) -> None:
        super().__init__(name, settings)
        self.names: tuple[str, ...] = ()

    def length(self, piece: Any) -> int:
        return len(read_block(piece)) if not hasattr(piece, "__len__") else len(piece)

    def open(self, pieces: Sequence[Any], lengths: Sequence[int]) -> Seen:
        names = self.names or None
        blocks = []
        for piece in pieces:
            blocks.append(None if piece is None or _empty(piece) else _block(piece, names, self.name))
            names = names or (blocks[-1].names if blocks[-1] is not None else None)
        if names is None:
            raise AnomalyError(f"The part {self.name!r} holds no finite value at all; leave it out.")
        width = len(names)
        values = [np.zeros((n, width), np.float32) if b is None else b.values
                  for b, n in zip(blocks, lengths, strict=True)]  # fmt: skip
        missing = [np.ones((n, width), bool) if b is None else _missing(b)
                   for b, n in zip(blocks, lengths, strict=True)]  # fmt: skip
        gaps = np.concatenate(missing)
        data = {"values": np.concatenate(values), "missing": gaps, "blocks": blocks, "names": names}
        known = np.asarray(~gaps.all(axis=1))
        return Seen(list(pieces), list(lengths), known, data)

    def learn_features(self, seen: Seen, rows: np.ndarray, run: Run) -> None:
        self.names = tuple(seen.data["names"])
        values = np.where(seen.data["missing"], np.nan, seen.data["values"])[rows].astype(np.float64)
        location, scale = channel_scale(values)
        self.learn(location=torch.from_numpy(location), scale=torch.from_numpy(scale))

    def features(self, seen: Seen) -> np.ndarray:
        values = (seen.data["values"] - self.location.numpy()) / self.scale.numpy()
        return windowed(values, seen.bounds, int(self.settings["window"]))

    @property
    def owners(self) -> np.ndarray:
        return np.tile(np.arange(self.places), 4 if int(self.settings["window"]) > 1 else 1)

    @property
    def places(self) -> int:
        return len(self.names)

    def spread_out(self, seen: Seen, rows: np.ndarray, maps: np.ndarray) -> np.ndarray:
        out = super().spread_out(seen, rows, maps)
        lost = seen.data["missing"][rows]
        total = out.sum(1, keepdims=True)
        out[lost] = 0.0
        return out * total / np.where(out.sum(1, keepdims=True) == 0, 1.0, out.sum(1, keepdims=True))

    def full(self, seen: Seen, maps: np.ndarray) -> list[Any]:
        return [None if p is None else maps[a:b] for p, (a, b) in zip(seen.pieces, seen.bounds, strict=True)]

    def where(self, seen: Seen, maps: np.ndarray) -> list[Any]:
        return [None if p is None else odd_cells(maps[a:b], 2)
                for p, (a, b) in zip(seen.pieces, seen.bounds, strict=True)]  # fmt: skip

    def _mask(self, seen: Seen, masks: Sequence[Any]) -> np.ndarray:
        """(step, channel) bool."""
        out = np.zeros(seen.data["missing"].shape, bool)
        for mask, (start, end) in zip(masks, seen.bounds, strict=True):
            if mask is None:
                continue
            given = np.asarray(mask, bool)
            given = np.repeat(given[:, None], self.places, 1) if given.ndim == 1 else given
            if given.shape != (end - start, self.places):
                raise AnomalyError(f"The mask of {self.name!r} has shape {given.shape}; "
                                   f"it must be (time, channel) = {(end - start, self.places)}.")  # fmt: skip
            out[start:end] = given
        return out

    def dimensions(self, seen: Seen, masks: Sequence[Any]) -> np.ndarray:
        mask = self._mask(seen, masks)
        if self.size == len(self.owners):
            return mask[:, self.owners]
        return np.repeat(np.any(mask, axis=1, keepdims=True), self.size, 1)

    def decode(self, seen: Seen, x: np.ndarray, masks: Sequence[Any]) -> list[Any]:
        mask = self._mask(seen, masks)
        normal = self.expected_features(x)[:, : self.places] * self.scale.numpy() + self.location.numpy()
        out = []
        for piece, block, (start, end) in zip(seen.pieces, seen.data["blocks"], seen.bounds, strict=True):
            hole = mask[start:end]
            out.append(piece if block is None or not hole.any() else give_back(block, normal[start:end], hole))
        return out

    def region(self, seen: Seen, steps: slice, maps: np.ndarray, share: float) -> Region:
        number, first = self._held(steps.start, seen)
        block = seen.data["blocks"][number]
        guilty = guilty_channels(maps)
        last = first + (steps.stop - steps.start) - 1
        return Region(
            self.name, "interval", share, float(maps.max()), start=steps.start, end=steps.stop,
            start_time=block.time(first) if block is not None else None,
            end_time=block.time(last) if block is not None else None,
            channels=tuple(self.names[c] for c in guilty),
        )  # fmt: skip

    def carriers(self, seen: Seen, steps: slice, maps: np.ndarray, expected: list[Any], share: float) -> list[Part]:
        number, first = self._held(steps.start, seen)
        if seen.pieces[number] is None:
            return []
        own = seen.data["values"][steps]
        normal = read_block(expected[number], self.names).values[first : first + len(own)]
        shares, gap = channel_shares(maps), np.abs(own - normal)
        found = []
        for c in range(self.places):
            at = int(np.argmax(gap[:, c] if gap[:, c].max() > 0 else maps[:, c]))
            lost = bool(seen.data["missing"][steps][at, c])
            found.append(Part(f"{self.name} {self.names[c]}", share * float(shares[c]),
                              None if lost else float(own[at, c]), float(normal[at, c])))  # fmt: skip
        return found

    def config(self) -> dict[str, Any]:
        return {"channels": list(self.names)}

    def restore(self, config: Mapping[str, Any]) -> None:
        self.names, self.fitted = tuple(config["channels"]), True


class TableReader(Reader):
    """Columns of a table, as the table modality reads them; a row of gaps alone counts as absent."""

    kind = "table"
    scales = False  # columns come on unit deviation

    def __init__(self, name: str, settings: Mapping[str, Any]) -> None:
        super().__init__(name, settings)
        self.table = Table()

    def length(self, piece: Any) -> int:
        return len(piece)

    def open(self, pieces: Sequence[Any], lengths: Sequence[int]) -> Seen:
        given = [p for p in pieces if p is not None]
        if not all(isinstance(p, pd.DataFrame) for p in given) and not all(isinstance(p, np.ndarray) for p in given):
            raise AnomalyError(f"The part {self.name!r} is a table: give data frames or arrays, all of one kind.")
        joined = pd.concat(given) if isinstance(given[0], pd.DataFrame) else np.concatenate(given)
        items = self.table.open(joined)
        places = np.full(sum(lengths), -1)
        bounds = pairwise(np.cumsum([0, *lengths]).tolist())
        steps = [np.arange(a, b) for p, (a, b) in zip(pieces, bounds, strict=True) if p is not None]
        places[np.concatenate(steps)] = np.arange(len(items))
        known = np.asarray(places >= 0)
        known[known] = ~items.data.frame.isna().all(axis=1).to_numpy()
        return Seen(list(pieces), list(lengths), known, {"items": items, "places": places})

    def learn_features(self, seen: Seen, rows: np.ndarray, run: Run) -> None:
        self.table.fit(seen.data["items"], seen.data["places"][rows].tolist(), run)

    def features(self, seen: Seen) -> np.ndarray:
        items, places = seen.data["items"], seen.data["places"]
        x = self.table.encode(items, range(len(items))).numpy()
        out = np.zeros((len(places), x.shape[1]), np.float32)
        out[places >= 0] = x[places[places >= 0]]
        return out

    @property
    def owners(self) -> np.ndarray:
        return np.asarray(self.table._owners())

    @property
    def places(self) -> int:
        return len(self.table.columns)

    def _order(self, seen: Seen) -> list[int]:
        return self.table._given_order(seen.data["items"])

    def full(self, seen: Seen, maps: np.ndarray) -> list[Any]:
        order = self._order(seen)
        return [None if p is None else maps[a:b][:, order] for p, (a, b) in zip(seen.pieces, seen.bounds, strict=True)]

    def where(self, seen: Seen, maps: np.ndarray) -> list[Any]:
        odd = maps > 1
        strongest = (maps > 0.5) & (maps == maps.max(1, keepdims=True))
        return self.full(seen, odd | strongest)

    def dimensions(self, seen: Seen, masks: Sequence[Any]) -> np.ndarray:
        order = self._order(seen)
        out = np.zeros((len(seen.known), self.places), bool)
        for mask, (start, end) in zip(masks, seen.bounds, strict=True):
            if mask is None:
                continue
            if np.shape(mask) != (end - start, self.places):
                raise AnomalyError(f"The mask of {self.name!r} has shape {np.shape(mask)}; "
                                   f"it must be (row, feature) = {(end - start, self.places)}.")  # fmt: skip
            out[start:end, order] = np.asarray(mask, bool)
        if self.size == len(self.owners):
            return out[:, self.owners]
        return np.repeat(np.any(out, axis=1, keepdims=True), self.size, 1)

    def decode(self, seen: Seen, x: np.ndarray, masks: Sequence[Any]) -> list[Any]:
        items, places = seen.data["items"], seen.data["places"]
        where = np.concatenate([
            np.zeros((b - a, self.places), bool) if m is None else np.asarray(m, bool)
            for p, m, (a, b) in zip(seen.pieces, masks, seen.bounds, strict=True) if p is not None
        ])  # fmt: skip
        normal = torch.from_numpy(self.expected_features(x)[places >= 0]).float()
        whole = self.table.decode([normal], items, where)
        out, first = [], 0
        for piece in seen.pieces:
            size = 0 if piece is None else len(piece)
            part = whole.iloc[first : first + size] if isinstance(whole, pd.DataFrame) else whole[first : first + size]
            out.append(None if piece is None else part)
            first += size
        return out

    def region(self, seen: Seen, steps: slice, maps: np.ndarray, share: float) -> Region:
        guilty = [self.table.columns[c].name for c in guilty_channels(maps)]
        return Region(self.name, "interval", share, float(maps.max()), start=steps.start, end=steps.stop,
                      channels=tuple(guilty))  # fmt: skip

    def carriers(self, seen: Seen, steps: slice, maps: np.ndarray, expected: list[Any], share: float) -> list[Part]:
        from detectors.modalities.table import _value

        number, first = self._held(steps.start, seen)
        if seen.pieces[number] is None:
            return []
        shares = channel_shares(maps)
        at = int(np.argmax(maps.sum(1)))
        own, normal = (_row(t, first + at) for t in (seen.pieces[number], expected[number]))
        found = []
        for c, column in enumerate(self.table.columns):
            place = self._order(seen).index(c)
            found.append(Part(f"{self.name} {column.name}", share * float(shares[c]),
                              _value(own.iloc[place]), _value(normal.iloc[place])))  # fmt: skip
        return found

    def config(self) -> dict[str, Any]:
        return self.table.config()

    def restore(self, config: Mapping[str, Any]) -> None:
        self.table.restore(config)
        self.fitted = True


# --- helpers ---------------------------------------------------------------------------------------------------------
def windowed(values: np.ndarray, bounds: Sequence[tuple[int, int]], window: int) -> np.ndarray:
    """Scaled values (step, channel) -> (step, 4 x channel): value, change since the step before, mean and log deviation
    of the `window` steps around it, within its recording; the value alone where window is 1."""
    if window <= 1:
        return values.astype(np.float32)
    blocks = []
    for start, end in bounds:
        v = values[start:end].astype(np.float64)
        mean, square = (moving_mean(a, window) for a in (v, v**2))
        deviation = np.sqrt(np.maximum(square - mean**2, 0))
        change = np.diff(v, axis=0, prepend=v[:1])
        blocks.append(np.concatenate([v, change, mean, np.log(deviation + FAINT)], 1))
    return np.concatenate(blocks).astype(np.float32)


def moving_mean(v: np.ndarray, window: int) -> np.ndarray:
    """Centred moving mean over time, shorter at the ends."""
    sums = np.concatenate([np.zeros((1, v.shape[1])), np.cumsum(v, 0)])
    at = np.arange(len(v))
    low, high = np.maximum(at - window // 2, 0), np.minimum(at + (window + 1) // 2, len(v))
    return (sums[high] - sums[low]) / (high - low)[:, None]


def _bent(z: np.ndarray) -> np.ndarray:
    """Linear up to CLIP deviations, logarithmic beyond."""
    beyond = np.maximum(np.abs(z) - CLIP, 0)
    return np.where(np.abs(z) > CLIP, np.sign(z) * (CLIP + np.log1p(beyond)), z)


def _empty(piece: Any) -> bool:
    """Whether a series has steps but not one value: as good as absent."""
    values = piece.to_numpy() if isinstance(piece, pd.DataFrame | pd.Series) else np.asarray(piece)
    return values.size > 0 and values.dtype.kind == "f" and bool(np.isnan(values).all())


def _block(piece: Any, names: Any, part: str) -> Any:
    try:
        return read_block(piece, names)
    except AnomalyError as error:
        raise AnomalyError(f"In the part {part!r}: {error}") from error


def _missing(block: Any) -> np.ndarray:
    return np.zeros(block.values.shape, bool) if block.missing is None else block.missing


def _row(table: Any, number: int) -> pd.Series:
    return table.iloc[number] if isinstance(table, pd.DataFrame) else pd.Series(table[number])
