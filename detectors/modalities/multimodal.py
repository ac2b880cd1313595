"""Multimodal samples: parts (series, tables, images, clips) aligned step by step, as one vector a step and back.

Knows parts by their readers, which parts a step has, and recordings; not methods, thresholds or p-values. A part may be
absent: from a recording (no such key), or for a stretch (NaN rows, None in place of a picture). What is absent stands
as the other parts make likely, carries no evidence, and such steps are calibrated by normals that lack the same parts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import torch
from torch import Tensor, nn

from detectors.detection import Part
from detectors.errors import AnomalyError
from detectors.gaps import fill, learn_gaussian
from detectors.localization_series import merged_runs
from detectors.method import Space
from detectors.modalities.base import Event, Items, Modality
from detectors.modalities.series import autocorrelation_time
from detectors.parts import Reader, Seen, SeriesReader, TableReader, moving_mean
from detectors.parts_pictures import ImageReader
from detectors.parts_video import VideoReader
from detectors.readers.videos import Clip
from detectors.training import Run

READERS: dict[str, type[Reader]] = {r.kind: r for r in (SeriesReader, TableReader, ImageReader, VideoReader)}
TIMED = ("series", "video")  # parts whose steps follow one another in time
APART = 1_000_000  # between the steps of two recordings, in `order`


@dataclass
class Steps:
    """Opened samples."""

    seen: dict[str, Seen]  # those parts of which anything was given
    present: np.ndarray  # (step, part) bool
    order: np.ndarray  # (step,) recording and step in one growing number
    bounds: list[tuple[int, int]]  # steps of each recording
    single: bool  # one dict was given, not a list of them
    readers: dict[str, Reader] = field(default_factory=dict)
    kept: dict[str, Any] = field(default_factory=dict)  # worked out once


@dataclass
class StepEvent(Event):
    """An event with its assembled map (step, part + place)."""

    cells: np.ndarray = field(default_factory=lambda: np.zeros((0, 0)))
    shares: dict[str, float] = field(default_factory=dict)  # of each part


class MultimodalModality(Modality):
    """Parts joined into one vector a step.

    Settings: parts (name -> "series" | "table" | "image" | "video", where a guess from the data would be wrong);
    window (steps around a step that series and clips are told by); components (most numbers of a part's content);
    balance (0: every number counts alike; 1: every part does); smooth (steps over which evidence is averaged, where
    parts follow one another in time); backbone, size (of image parts, as for images).
    Steps follow one another in time where a part is a series or a clip; else each row stands for itself.
    """

    name = "multimodal"
    defaults: ClassVar[Mapping[str, Any]] = {
        "parts": None, "window": 16, "components": 24, "balance": 0.5, "smooth": 1, "backbone": None, "size": None,
    }  # fmt: skip
    batch_size = 2048
    min_normals = 20
    mean: Tensor  # (d,) and
    covariance: Tensor  # (d, d) of the encoded normals: what an absent part is filled from

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.kinds: dict[str, str] = {}
        self.readers = nn.ModuleDict()
        for part, kind in _told(self.settings["parts"]).items():
            if kind not in READERS:
                raise AnomalyError(f"The part {part!r} is said to be {kind!r}; known: {', '.join(READERS)}.")

    def reader(self, part: str) -> Reader:
        """The fitted reader of a part."""
        found = self.readers[f"part_{list(self.kinds).index(part)}"]
        assert isinstance(found, Reader)
        return found

    @property
    def timed(self) -> bool:
        """Whether steps follow one another in time."""
        return any(kind in TIMED for kind in self.kinds.values())

    # --- samples in ------------------------------------------------------------------------------------------------
    def open(self, samples: Any) -> Items:
        single = isinstance(samples, Mapping)
        recordings = _recordings(samples)
        kinds = self.kinds or self._guess(recordings)
        for recording in recordings:
            unknown = [str(name) for name in recording if name not in kinds]
            if unknown:
                raise AnomalyError(f"The part {unknown[0]!r} was not there at the fit; known: {', '.join(kinds)}.")
        readers = ({part: self.reader(part) for part in kinds} if self.kinds
                   else {part: READERS[kind](part, self.settings) for part, kind in kinds.items()})  # fmt: skip
        lengths = [_length(recording, readers, n if len(recordings) > 1 else None)
                   for n, recording in enumerate(recordings)]  # fmt: skip
        seen: dict[str, Seen] = {}
        present = np.zeros((sum(lengths), len(kinds)), bool)
        for number, (part, reader) in enumerate(readers.items()):
            pieces = [recording.get(part) for recording in recordings]
            if any(piece is not None for piece in pieces):
                seen[part] = reader.open(pieces, lengths)
                present[:, number] = seen[part].known
        if not present.any():
            raise AnomalyError("No step of these samples has any part: all are missing.")
        ends = np.cumsum([0, *lengths])
        bounds = list(pairwise(ends.tolist()))
        order = np.concatenate([np.arange(b - a) + n * APART for n, (a, b) in enumerate(bounds)])
        steps = Steps(seen, present, order, bounds, single, readers, {"kinds": kinds})
        return Items(steps, len(present), len(present), [f"step {i}" for i in range(len(present))])

    def _guess(self, recordings: Sequence[Mapping[str, Any]]) -> dict[str, str]:
        """The modality of each part, in the order in which the parts are first met."""
        told = _told(self.settings["parts"])
        kinds: dict[str, str] = {}
        for recording in recordings:
            told = {**getattr(recording, "kinds", {}), **told}
            for part, piece in recording.items():
                if piece is not None and part not in kinds:
                    kinds[str(part)] = told.get(part) or _kind(part, piece)
        extra = [part for part in _told(self.settings["parts"]) if part not in kinds]
        if extra:
            raise AnomalyError(f"The setting `parts` names {extra[0]!r}, which the samples lack: {', '.join(kinds)}.")
        return kinds

    def select(self, items: Items, samples: Sequence[int]) -> Items:
        return items

    def split(self, items: Items, generator: torch.Generator) -> tuple[list[int], list[int]]:
        """Rows: a random fifth is held out. In time: whole recordings where there are four or more, else five blocks of
        each, with the steps next to them in neither."""
        data: Steps = items.data
        if not any(data.kept["kinds"][part] in TIMED for part in data.seen):
            return super().split(items, generator)
        held = np.zeros(len(items), bool)
        near = np.zeros(len(items), bool)
        if len(data.bounds) >= 4:
            for number in torch.randperm(len(data.bounds), generator=generator).tolist():
                if held.mean() >= 0.22 and held.sum() >= 10:
                    break
                start, end = data.bounds[number]
                held[start:end] = near[start:end] = True
        else:
            window = int(self.settings["window"])
            for start, end in data.bounds:
                edges = np.linspace(start, end, 6).astype(int)
                for last, size in zip(edges[1:], np.diff(edges), strict=True):
                    held[last - size // 4 : last] = True
                    near[max(start, last - size // 4 - window // 2) : min(end, last + window // 2)] = True
        return np.flatnonzero(~near & ~held).tolist(), np.flatnonzero(held).tolist()

    def fit(self, items: Items, rows: Sequence[int], run: Run) -> None:
        data: Steps = items.data
        lacking = [part for part in data.readers if part not in data.seen]
        if lacking:
            raise AnomalyError(f"No normal recording has the part {lacking[0]!r}.")
        self.kinds = dict(data.kept["kinds"])
        self.readers = nn.ModuleDict({f"part_{n}": reader for n, reader in enumerate(data.readers.values())})
        for number, (part, reader) in enumerate(data.readers.items()):
            share = number / len(data.readers)
            reader.fit(data.seen[part], rows, run.part(share, share + 1 / len(data.readers), part))
        data.kept.pop("x", None)
        x, known = self._raw(data)
        mean, covariance = learn_gaussian(x[list(rows)], known[list(rows)])
        self.learn(mean=torch.from_numpy(mean), covariance=torch.from_numpy(covariance))

    @property
    def space(self) -> Space:
        groups = tuple((part, self.reader(part).size) for part in self.kinds)
        return Space("multimodal", (sum(size for _, size in groups),), True, groups)

    def _weights(self) -> np.ndarray:
        """(part,) factor of each part's numbers: parts of many numbers are turned down by `balance`."""
        sizes = np.array([size for _, size in self.space.groups], float)
        return (sizes.mean() / sizes) ** (float(self.settings["balance"]) / 2)

    def _owners(self) -> np.ndarray:
        """(d,) the number of the part that each dimension belongs to."""
        return np.repeat(np.arange(len(self.kinds)), [size for _, size in self.space.groups])

    def _raw(self, data: Steps) -> tuple[np.ndarray, np.ndarray]:
        """(step, d) with zeros for absent parts, and which numbers are known."""
        blocks = []
        for weight, (part, size) in zip(self._weights(), self.space.groups, strict=True):
            block = np.zeros((len(data.present), size))
            if part in data.seen:
                block = weight * self.reader(part).encode(data.seen[part]).astype(np.float64)
            blocks.append(block)
        known = data.present[:, self._owners()]
        return np.where(known, np.concatenate(blocks, 1), 0.0), known

    def encode(self, items: Items, rows: Sequence[int]) -> Tensor:
        data: Steps = items.data
        if "x" not in data.kept:
            data.kept["x"] = torch.from_numpy(self._filled(*self._raw(data))).float()
        return data.kept["x"][list(rows)]

    def _filled(self, x: np.ndarray, known: np.ndarray) -> np.ndarray:
        return fill(x, known, self.mean.numpy(), self.covariance.numpy())

    # --- absent parts ----------------------------------------------------------------------------------------------
    def presence(self, items: Items) -> np.ndarray:
        return items.data.present

    def order(self, items: Items) -> np.ndarray:
        return items.data.order

    def masked(self, x: Tensor, pattern: np.ndarray, order: np.ndarray) -> tuple[Tensor, Items]:
        known = np.repeat(pattern[self._owners()][None], len(x), 0)
        filled = self._filled(np.where(known, x.double().cpu().numpy(), 0.0), known)
        present = np.repeat(pattern[None], len(x), 0)
        steps = Steps({}, present, order, [], True)
        return torch.from_numpy(filled).float(), Items(steps, len(x), len(x))

    # --- maps out --------------------------------------------------------------------------------------------------
    @property
    def _columns(self) -> list[slice]:
        """Where each part's places lie in assembled maps, whose first columns are the parts' totals."""
        ends = len(self.kinds) + np.cumsum([0, *(self.reader(p).places for p in self.kinds)])
        return [slice(int(a), int(b)) for a, b in pairwise(ends)]

    def assemble(self, batches: Iterable[Tensor], items: Items, rows: Sequence[int]) -> np.ndarray:
        """(step, part + place): the evidence of each part, then that of its places; NaN where a step has no part."""
        data: Steps = items.data
        maps = [batch.numpy() for batch in batches]
        columns = self._columns
        out = np.zeros((len(rows), columns[-1].stop), np.float32)
        if not maps:
            return out
        evidence = np.concatenate(maps)
        at = np.asarray(rows, int)
        for number, part in enumerate(self.kinds):
            own = np.where(data.present[at, number, None], evidence[:, self.space.channels(part)], 0.0)
            out[:, number] = own.sum(1)
            if part in data.seen:
                out[:, columns[number]] = self.reader(part).spread_out(data.seen[part], at, own)
        out[~data.present[at].any(1)] = np.nan
        return out

    def score(self, maps: np.ndarray) -> np.ndarray:
        return maps[:, : len(self.kinds)].sum(1, dtype=np.float64)

    def steady(self, scores: np.ndarray, items: Items, rows: Sequence[int]) -> np.ndarray:
        width = int(self.settings["smooth"])
        if not self.timed or width <= 1:
            return scores
        breaks = np.flatnonzero(np.diff(items.data.order[np.asarray(rows, int)]) != 1) + 1
        return np.concatenate([_steadied(piece, width) for piece in np.split(scores, breaks)])

    def calibration_block(self, scores: np.ndarray) -> float:
        return autocorrelation_time(scores, 4 * int(self.settings["window"])) if self.timed else 1.0

    def level(self, maps: np.ndarray) -> np.ndarray:
        """By column: what a part's strongest place stays below in all but a fiftieth of normal steps."""
        maps = maps[np.isfinite(maps[:, 0])]
        parts = np.quantile(maps[:, : len(self.kinds)], 0.98, axis=0)
        places = [np.full(c.stop - c.start, np.quantile(maps[:, c].max(1), 0.98)) for c in self._columns]
        return np.concatenate([parts, *places])

    def full_maps(self, maps: np.ndarray, items: Items) -> Any:
        data: Steps = items.data
        clean = np.nan_to_num(maps)
        return self._own_form(data, {p: self.reader(p).full(s, clean[:, c]) for p, s, c in self._given(data)})

    def _given(self, data: Steps) -> list[tuple[str, Seen, slice]]:
        """(part, what was seen of it, its columns) of the parts that were given."""
        pairs = zip(self.kinds, self._columns, strict=True)
        return [(part, data.seen[part], columns) for part, columns in pairs if part in data.seen]

    def _own_form(self, data: Steps, parts: Mapping[str, Sequence[Any]]) -> Any:
        """Lists by part, one entry a recording, as one dict a recording."""
        out = [{part: pieces[n] for part, pieces in parts.items() if pieces[n] is not None}
               for n in range(len(data.bounds))]  # fmt: skip
        return out[0] if data.single else out

    # --- places and normal versions ---------------------------------------------------------------------------------
    def events(self, flags: np.ndarray, scores: np.ndarray, maps: np.ndarray, items: Items) -> list[Event]:
        data: Steps = items.data
        if self.timed:
            runs = merged_runs(flags, max(1, int(self.settings["window"]) // 2), data.bounds)
        else:
            runs = [(i, i + 1) for i in np.flatnonzero(flags).tolist()]
        return [self._event(start, end, scores, np.nan_to_num(maps[start:end]), data) for start, end in runs]

    def _event(self, start: int, end: int, scores: np.ndarray, cells: np.ndarray, data: Steps) -> Event:
        peak = start + int(np.nanargmax(scores[start:end]))
        shares = self._shares(cells)
        steps = slice(start, end)
        told = [(shares[p], self.reader(p).region(s, steps, cells[:, c], shares[p])) for p, s, c in self._given(data)
                if data.present[steps, list(self.kinds).index(p)].any()]  # fmt: skip
        regions = tuple(region for _, region in sorted(told, key=lambda pair: -pair[0]))
        name = f"{start}..{end}" if self.timed else f"step {start}"
        return StepEvent(name, start, peak, cells[:, : len(self.kinds)], regions, cells, shares)

    def reshared(self, event: Event, lost: np.ndarray) -> Event:
        assert isinstance(event, StepEvent)
        if not lost.sum() > 0:
            return event
        shares = dict(zip(self.kinds, (lost / lost.sum()).tolist(), strict=True))
        regions = sorted((replace(r, share=shares[r.name]) for r in event.regions), key=lambda r: -r.share)
        return replace(event, shares=shares, regions=tuple(regions))

    def _shares(self, cells: np.ndarray) -> dict[str, float]:
        """Each part's share of an event's evidence."""
        totals = np.maximum(cells[:, : len(self.kinds)], 0).sum(0)
        return dict(zip(self.kinds, (totals / max(float(totals.sum()), 1e-12)).tolist(), strict=True))

    def where(self, maps: np.ndarray, items: Items) -> Any:
        data: Steps = items.data
        clean = np.nan_to_num(maps)
        return self._own_form(data, {p: self.reader(p).where(s, clean[:, c]) for p, s, c in self._given(data)})

    def _masks(self, where: Any, data: Steps) -> dict[str, list[Any]]:
        """Masks by part, one a recording. Raises AnomalyError for other parts or another number of recordings."""
        given = _recordings(where, "where")
        if len(given) != len(data.bounds):
            raise AnomalyError(f"`where` has {len(given)} recordings; the samples have {len(data.bounds)}.")
        unknown = [str(p) for one in given for p in one if p not in data.seen]
        if unknown:
            raise AnomalyError(f"`where` masks the part {unknown[0]!r}, which the samples lack.")
        return {part: [one.get(part) for one in given] for part in data.seen}

    def holes(self, where: Any, items: Items, rows: Sequence[int]) -> Tensor:
        data: Steps = items.data
        if data.kept.get("where") is not where:
            masks = self._masks(where, data)
            blocks = [self.reader(p).dimensions(data.seen[p], masks[p]) if p in data.seen
                      else np.zeros((len(data.present), size), bool) for p, size in self.space.groups]  # fmt: skip
            data.kept |= {"where": where, "holes": torch.from_numpy(np.concatenate(blocks, 1))}
        return data.kept["holes"][list(rows)]

    def decode(self, batches: Iterable[Tensor], items: Items, where: Any) -> Any:
        data: Steps = items.data
        x, masks = torch.cat(list(batches)).numpy(), self._masks(where, data)
        weights = dict(zip(self.kinds, self._weights(), strict=True))
        return self._own_form(data, {
            part: self.reader(part).decode(seen, x[:, self.space.channels(part)] / weights[part], masks[part])
            for part, seen in data.seen.items()
        })  # fmt: skip

    def describe(self, event: Event, items: Items, expected: Any) -> tuple[tuple[Part, ...], np.ndarray]:
        assert isinstance(event, StepEvent)
        data: Steps = items.data
        normal = _recordings(expected)
        shares = event.shares
        steps = slice(event.index, event.index + len(event.cells))
        parts: list[Part] = []
        for part, seen, columns in self._given(data):
            pieces = [one.get(part) for one in normal]
            if data.present[steps, list(self.kinds).index(part)].any():
                parts += self.reader(part).carriers(seen, steps, event.cells[:, columns], pieces, shares[part])
        told = tuple(sorted((p for p in parts if p.share >= 0.005), key=lambda p: -p.share))
        return told, self._signature(event.cells, shares)

    def _signature(self, cells: np.ndarray, shares: Mapping[str, float]) -> np.ndarray:
        """The parts' shares, and how each part's evidence is spread over its places (pictures: over its ninths)."""
        blocks = [np.array(list(shares.values()))]
        for part, columns in zip(self.kinds, self._columns, strict=True):
            own = np.maximum(cells[:, columns], 0).mean(0)
            own = own if self.kinds[part] in ("series", "table") else _coarse(own)
            blocks.append(shares[part] * own / max(float(np.linalg.norm(own)), 1e-12))
        signature = np.concatenate(blocks)
        return (signature / max(float(np.linalg.norm(signature)), 1e-12)).astype(np.float32)

    # --- saving ----------------------------------------------------------------------------------------------------
    def config(self) -> dict[str, Any]:
        return {"parts": self.kinds, "timed": self.timed,
                "readers": {part: self.reader(part).config() for part in self.kinds}}  # fmt: skip

    def restore(self, config: Mapping[str, Any]) -> None:
        self.kinds = {str(part): str(kind) for part, kind in config["parts"].items()}
        made = {part: READERS[kind](part, self.settings) for part, kind in self.kinds.items()}
        for part, reader in made.items():
            reader.restore(config["readers"][part])
        self.readers = nn.ModuleDict({f"part_{n}": reader for n, reader in enumerate(made.values())})


# --- helpers ---------------------------------------------------------------------------------------------------------
def _recordings(samples: Any, what: str = "Multimodal samples") -> list[Mapping[str, Any]]:
    """One dict a recording. Raises AnomalyError for all else."""
    given = [samples] if isinstance(samples, Mapping) else samples
    if not isinstance(given, list | tuple) or not given or not all(isinstance(one, Mapping) for one in given):
        raise AnomalyError(f"{what}: give a dict, part name -> samples, or a list of such dicts, one a recording; "
                           f"not {type(samples).__name__}.")  # fmt: skip
    return list(given)


def _told(parts: Any) -> dict[str, str]:
    """The setting `parts` as a dict; "name:modality,name:modality" is understood as well."""
    if parts is None:
        return {}
    if isinstance(parts, Mapping):
        return {str(name): str(kind) for name, kind in parts.items()}
    pairs = [pair.split(":") for pair in str(parts).split(",")]
    if any(len(pair) != 2 for pair in pairs):
        raise AnomalyError(f"parts={parts!r} is not read; write name:modality,name:modality.")
    return {name.strip(): kind.strip() for name, kind in pairs}


def _kind(part: str, piece: Any) -> str:
    """What a part seems to be."""
    if isinstance(piece, pd.DataFrame | pd.Series):
        return "series" if isinstance(piece.index, pd.DatetimeIndex) else "table"
    if isinstance(piece, Clip) or (isinstance(piece, np.ndarray) and piece.ndim in (3, 4)):
        return "video"
    if isinstance(piece, np.ndarray) and piece.ndim in (1, 2):
        return "series"
    if isinstance(piece, list | tuple) and len(piece):
        return "image"
    raise AnomalyError(f"The part {part!r} is a {type(piece).__name__}; give a list of images, a data frame, an array "
                       "(time, channel) or a clip (frame, height, width).")  # fmt: skip


def _length(recording: Mapping[str, Any], readers: Mapping[str, Reader], number: int | None) -> int:
    """Steps of a recording. Raises AnomalyError where its parts differ."""
    which = "The samples" if number is None else f"Recording {number + 1}"
    sizes = {part: readers[part].length(piece) for part, piece in recording.items() if piece is not None}
    if not sizes:
        raise AnomalyError(f"{which} has no part at all: give at least one of {', '.join(readers)}.")
    if len(set(sizes.values())) > 1:
        told = ", ".join(f"{part!r} has {size}" for part, size in sizes.items())
        raise AnomalyError(f"The parts of {which.lower()} have different lengths: {told} steps; align them first "
                           "(one entry a step in each, NaN or None where a part is missing).")  # fmt: skip
    size = next(iter(sizes.values()))
    if size == 0:
        raise AnomalyError(f"{which} has no steps: its parts are empty.")
    return size


def _steadied(scores: np.ndarray, width: int) -> np.ndarray:
    """Centred moving mean over the steps that have a score."""
    seen = np.isfinite(scores)
    sums, counts = (moving_mean(v[:, None], width)[:, 0] for v in (np.where(seen, scores, 0.0), seen.astype(float)))
    return np.where(seen, sums / np.maximum(counts, 1e-9), np.nan)


def _coarse(cells: np.ndarray) -> np.ndarray:
    """Evidence of a picture's cells, row by row, as that of nine runs of them."""
    return np.array([piece.sum() for piece in np.array_split(cells, 9)])
