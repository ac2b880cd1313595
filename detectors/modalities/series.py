"""Series: sensor streams of many channels, cut into windows; every time stamp is a sample.

Turns frames and arrays (time, channel) into windows (channel, window) and maps of windows back into stamps. Knows
clocks, gaps and channel names; not methods, thresholds or p-values. Missing values are filled for the model's sake,
carry no evidence of their own, and a stamp without any value is never flagged.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from detectors.descriptors.series import describe_channel
from detectors.detection import Measure, Part, Region
from detectors.errors import AnomalyError
from detectors.levels import moving_mean, standing_level
from detectors.localization_series import channel_shares, guilty_channels, merged_runs, odd_cells, tightened
from detectors.method import Space
from detectors.modalities.base import Event, Items, Modality
from detectors.segments import Block, give_back, own_shape, read_block
from detectors.training import Run

SHORTEST = 8  # stamps in a window
MAX_WINDOWS = 20_000  # windows that a fit sees
MEASURED = 3  # leading channels of an event that are described
MAX_SCALE_ROWS = 200_000


@dataclass
class Windows:
    """A block with the windows that look at it."""

    block: Block
    window: int
    starts: np.ndarray  # (item,) first row of each window


class SeriesModality(Modality):
    """Windows of `window` stamps (None: 32, fewer in short series), `overlap` of them over each stamp.

    Settings: window; overlap; clip: scaled values beyond it grow by logarithm only, so that one wild channel does not
    drown the others; shared: weight of the mean of the channels' roots of evidence, which many raise together, beside
    the root of their mean evidence, which one can raise alone; smooth: widths, in windows, of the averages over
    neighbouring stamps that make up a score, and their weights (short faults and long ones both count); horizon:
    evidence that a channel carries most of the time over so many windows both before and after a stamp is drift and is
    taken off (0: never).
    """

    name = "series"
    defaults = {
        "window": None,
        "overlap": 4,
        "clip": 7.0,
        "shared": 0.2,
        "smooth": ((0.1, 0.1), (0.25, 0.4), (1.0, 0.3), (4.0, 0.2)),
        "horizon": 64,
    }
    batch_size = 512
    min_normals = 2
    location: Tensor
    scale: Tensor

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.window = 0
        self.names: tuple[str, ...] = ()
        self.named = False
        if self.settings["window"] is not None and self.settings["window"] < SHORTEST:
            raise AnomalyError(f"window={self.settings['window']} is too short; use at least {SHORTEST} or None.")

    # --- samples in ------------------------------------------------------------------------------------------------
    def open(self, samples: Any) -> Items:
        fitted = bool(self.names)
        block = read_block(samples, self.names if fitted else None)
        window = self.window if fitted else self._choose_window(block)
        for number, (start, end) in enumerate(block.pieces):
            if end - start < window:
                which = "The series" if len(block.pieces) == 1 else f"Series {number + 1}"
                raise AnomalyError(f"{which} has {end - start} rows; this detector needs at least {window}.")
        stride = max(1, window // self.settings["overlap"]) if fitted else max(1, len(block) // MAX_WINDOWS)
        starts = _starts(block, window, stride)
        return Items(Windows(block, window, starts), len(starts), len(block))

    def _choose_window(self, block: Block) -> int:
        """The setting, or 32 stamps, or a twelfth of a short series."""
        longest = max(end - start for start, end in block.pieces)
        least = 5 * SHORTEST
        if longest < least:
            raise AnomalyError(f"The series has {longest} rows; a fit needs at least {least}, better some thousands.")
        if self.settings["window"] is not None:
            if longest < 5 * self.settings["window"]:
                raise AnomalyError(
                    f"The series has {longest} rows, too few for window={self.settings['window']}: "
                    f"give at least {5 * self.settings['window']} or a shorter window."
                )
            return int(self.settings["window"])
        return int(np.clip(len(block) // 12, SHORTEST, 32))

    def select(self, items: Items, samples: Sequence[int]) -> Items:
        return items

    def split(self, items: Items, generator: torch.Generator) -> tuple[list[int], list[int]]:
        """Blocks spread over the series are held out, the last stamps among them; windows that touch a held-out block
        or its surroundings are not fitted on."""
        data: Windows = items.data
        window, total = data.window, len(data.block)
        share = 0.25 if total > 100 * window else 0.3
        blocks = int(np.clip(total * share // (6 * window), 1, 8))
        length = min(int(total * share / blocks), MAX_WINDOWS * window // (4 * blocks))
        lasts = np.linspace(total / blocks, total, blocks).astype(int)
        held = np.zeros(total, bool)
        for last in lasts:
            held[max(0, last - length) : last] = True
        near = np.convolve(held, np.ones(window), "same") > 0  # half a window around
        counts = np.concatenate([[0], np.cumsum(near)]), np.concatenate([[0], np.cumsum(held)])
        touching, inside = (c[data.starts + window] - c[data.starts] for c in counts)
        stride = max(1, window // self.settings["overlap"])
        fit_rows = np.flatnonzero(touching == 0)
        held_rows = np.flatnonzero((inside == window) & (data.starts % stride == 0))
        return fit_rows.tolist(), held_rows.tolist()

    def fit(self, items: Items, rows: Sequence[int], run: Run) -> None:
        data: Windows = items.data
        block = data.block
        seen = np.zeros(len(block), bool)
        for start in data.starts[np.asarray(rows)]:
            seen[start : start + data.window] = True
        picked = np.flatnonzero(seen)
        picked = picked[:: max(1, len(picked) // MAX_SCALE_ROWS)]
        values = block.values[picked].astype(np.float64)
        if block.missing is not None:
            values[block.missing[picked]] = np.nan
        location, scale = channel_scale(values)
        self.learn(location=torch.from_numpy(location), scale=torch.from_numpy(scale))
        self.window, self.names, self.named = data.window, block.names, block.named

    @property
    def space(self) -> Space:
        return Space("series", (len(self.names), self.window))

    def encode(self, items: Items, rows: Sequence[int]) -> Tensor:
        data: Windows = items.data
        view = np.lib.stride_tricks.sliding_window_view(data.block.values, data.window, axis=0)
        x = torch.from_numpy(np.ascontiguousarray(view[data.starts[np.asarray(rows, int)]]))  # (n, channel, window)
        z = (x - self.location.view(1, -1, 1)) / self.scale.view(1, -1, 1)
        clip = self.settings["clip"]
        return torch.where(z.abs() > clip, z.sign() * (clip + (z.abs() - clip).clamp_min(0).log1p()), z)

    def _unscaled(self, x: np.ndarray) -> np.ndarray:
        """Model values (channel, ...) back in the series' own units."""
        clip = self.settings["clip"]
        beyond = np.minimum(np.maximum(np.abs(x) - clip, 0), 50)
        z = np.where(np.abs(x) > clip, np.sign(x) * (clip + np.expm1(beyond)), x)
        return z * self.scale.cpu().numpy()[:, None] + self.location.cpu().numpy()[:, None]

    # --- maps out --------------------------------------------------------------------------------------------------
    def assemble(self, batches: Iterable[Tensor], items: Items, rows: Sequence[int]) -> np.ndarray:
        data: Windows = items.data
        total = np.zeros(data.block.values.shape, np.float32)
        count = np.zeros(len(data.block), np.float32)
        starts = data.starts[np.asarray(rows, int)]
        done = 0
        for batch in batches:
            maps: Any = batch.numpy()
            here = starts[done : done + len(maps)]
            done += len(maps)
            share = 1.0 if maps.shape[1] == len(self.names) else 1.0 / len(self.names)
            for k in range(data.window):
                total[here + k] += maps[:, :, k] * share
                count[here + k] += 1
        total[count > 0] /= count[count > 0, None]
        if self.settings["horizon"] and len(rows) == len(items):  # not for held-out parts
            total[count == 0] = np.nan
            total -= standing_level(total, data.block.pieces, self.settings["horizon"] * data.window)
        if data.block.missing is not None:
            total[data.block.missing] = 0.0
            count[data.block.missing.all(1)] = 0
        total[count == 0] = np.nan
        return total

    def score(self, maps: np.ndarray) -> np.ndarray:
        """The evidence over channels as one (see `shared`), averaged over neighbourhoods of several widths."""
        seen, shared = np.isfinite(maps[:, 0]), self.settings["shared"]
        evidence = np.maximum(np.where(seen[:, None], maps, 0.0), 0.0)
        row = (1 - shared) * np.sqrt(evidence.mean(1, dtype=np.float64)) + shared * np.sqrt(evidence).mean(1)
        scores = np.zeros(len(row))
        for width, weight in self.settings["smooth"]:
            scores += weight * moving_mean(row, seen, max(1, round(width * self.window)))
        return np.where(seen, scores, np.nan)

    def calibration_block(self, scores: np.ndarray) -> float:
        return autocorrelation_time(scores, 2 * self.window)

    def level(self, maps: np.ndarray) -> float:
        cells = maps[np.isfinite(maps)]
        return float(np.quantile(cells, 0.998)) if len(cells) else 1.0

    def full_maps(self, maps: np.ndarray, items: Items) -> Any:
        return own_shape(items.data.block, np.nan_to_num(maps))

    # --- places and normal versions ---------------------------------------------------------------------------------
    def events(self, flags: np.ndarray, scores: np.ndarray, maps: np.ndarray, items: Items) -> list[Event]:
        block: Block = items.data.block
        return [
            self._event(start, end, scores, maps[start:end], block)
            for start, end in _trimmed(merged_runs(flags, self.window // 2, block.pieces), maps)
        ]

    def _event(self, start: int, end: int, scores: np.ndarray, event_map: np.ndarray, block: Block) -> Event:
        peak = start + int(np.nanargmax(scores[start:end]))
        region = Region(
            name="interval 1",
            kind="interval",
            share=1.0,
            peak=float(np.nanmax(event_map)),
            start=start,
            end=end,
            start_time=block.time(start),
            end_time=block.time(end - 1),
            channels=tuple(self.names[c] for c in guilty_channels(event_map)),
        )
        return Event(f"{start}..{end}", start, peak, event_map, (region,))

    def where(self, maps: np.ndarray, items: Items) -> Any:
        return own_shape(items.data.block, odd_cells(maps, max(2, self.window // 4)))

    def holes(self, where: Any, items: Items, rows: Sequence[int]) -> Tensor:
        data: Windows = items.data
        mask = self._mask(where, data.block)
        view = np.lib.stride_tricks.sliding_window_view(mask, data.window, axis=0)
        return torch.from_numpy(np.ascontiguousarray(view[data.starts[np.asarray(rows, int)]]))

    def _mask(self, where: Any, block: Block) -> np.ndarray:
        """Own-form masks as (time, channel) bool; a mask (time,) means all channels."""
        pieces = where if isinstance(where, list | tuple) and len(where) == len(block.pieces) else [where]
        masks = [np.asarray(p, bool) for p in pieces]
        mask = np.concatenate([np.repeat(m[:, None], len(self.names), 1) if m.ndim == 1 else m for m in masks])
        if mask.shape != block.values.shape:
            raise AnomalyError(
                f"where has shape {mask.shape}; it must be (time, channel) = {block.values.shape}, as anomaly_map."
            )
        return mask

    def decode(self, batches: Iterable[Tensor], items: Items, where: Any) -> Any:
        data: Windows = items.data
        mask = self._mask(where, data.block)
        total = np.zeros(mask.shape, np.float32)
        weight = np.zeros(mask.shape, np.float32)
        slope = np.minimum(np.arange(1, data.window + 1), np.arange(data.window, 0, -1)).astype(np.float32)
        done = 0
        for batch in batches:
            here = data.starts[done : done + len(batch)]
            done += len(batch)
            for start, x in zip(here, batch.numpy(), strict=True):
                hole = mask[start : start + data.window]
                if not hole.any():
                    continue
                trust = slope * (1.05 - hole.mean())  # windows that see more of the rest know better
                total[start : start + data.window] += self._unscaled(x).T * trust[:, None]
                weight[start : start + data.window] += trust[:, None]
        return give_back(data.block, total / np.maximum(weight, 1e-9), mask & (weight > 0))

    def describe(self, event: Event, items: Items, expected: Any) -> tuple[tuple[Part, ...], np.ndarray]:
        block: Block = items.data.block
        normal = read_block(expected, self.names).values
        start, end = event.index, event.index + len(event.map)
        shares = channel_shares(event.map)
        gap = np.nan_to_num(block.values[start:end] - normal[start:end])
        parts = []
        for c in np.argsort(-shares, kind="stable"):
            departs = np.abs(gap[:, c]).max() > 0  # told where the channel departs most from what was expected
            at = start + int(np.argmax(np.abs(gap[:, c]) if departs else np.nan_to_num(event.map[:, c])))
            lost = block.missing is not None and block.missing[at, c]
            parts.append(
                Part(
                    name=self.names[c],
                    share=float(shares[c]),
                    observed=None if lost else float(block.values[at, c]),
                    expected=float(normal[at, c]),
                )
            )
        pull = (gap / self.scale.cpu().numpy()).mean(0)
        signature = np.concatenate([shares, pull / (np.linalg.norm(pull) + 1e-9)])
        return tuple(parts), signature.astype(np.float32)

    def measure(self, event: Event, items: Items, expected: Any) -> tuple[Measure, ...]:
        """Descriptors of the channels that lead an event."""
        block: Block = items.data.block
        observed = block.values if block.missing is None else np.where(block.missing, np.nan, block.values)
        normal = read_block(expected, self.names).values
        shares = channel_shares(event.map)
        piece = next((p for p in block.pieces if p[0] <= event.index < p[1]), (0, len(block)))
        rows = event.index - piece[0], event.index - piece[0] + len(event.map)
        cut = slice(*piece)
        found = []
        for c in np.argsort(-shares, kind="stable")[:MEASURED].tolist():
            if shares[c] <= 0.05:
                continue
            told = describe_channel(observed[cut], normal[cut], rows, c, float(self.scale[c]))
            if "tied_channel" in told:
                told["tied_channel"] = (self.names[int(told["tied_channel"][0] or 0)], "")
            found += [Measure(self.names[c], name, value, unit) for name, (value, unit) in told.items()]
        return tuple(found)

    # --- saving ----------------------------------------------------------------------------------------------------
    def config(self) -> dict[str, Any]:
        return {"channels": list(self.names), "window": self.window, "named": self.named}

    def restore(self, config: Mapping[str, Any]) -> None:
        self.names = tuple(str(n) for n in config["channels"])
        self.window, self.named = int(config["window"]), bool(config["named"])


def channel_scale(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Location and scale (channel,) of normal values (time, channel), NaN = missing: mean and standard deviation.

    A channel that never varied gets a tenth of its size, at least 0.1. Measured: robust scales (quantiles, range) lose,
    once values far out are compressed.
    """
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # channels without any value
        location, scale = np.nan_to_num(np.nanmean(values, 0)), np.nan_to_num(np.nanstd(values, 0))
    size = np.maximum(1.0, np.abs(location))
    still = scale <= 1e-6 * size
    scale[still] = 0.1 * size[still]
    return location.astype(np.float32), scale.astype(np.float32)


def autocorrelation_time(scores: np.ndarray, longest: int) -> float:
    """How many neighbouring scores (time,) carry what one independent score would: 1 + 2 x the sum of autocorrelations
    up to the first below 0.05 (NaN breaks are closed up)."""
    x = scores[np.isfinite(scores)]
    x = np.minimum(x, np.quantile(x, 0.99)) if len(x) else x  # one burst must not set the pace
    x = x - x.mean() if len(x) else x
    power = float(x @ x)
    total = 1.0
    for lag in range(1, min(longest, len(x) // 4)):
        rho = float(x[:-lag] @ x[lag:]) / power if power > 0 else 0.0
        if rho < 0.05:
            break
        total += 2 * rho
    return total


def _trimmed(intervals: list[tuple[int, int]], maps: np.ndarray) -> list[tuple[int, int]]:
    """Intervals without the margins that are flagged only because a fault is near, told by their guilty channels."""
    cut = []
    for start, end in intervals:
        evidence = np.maximum(np.nan_to_num(maps[start:end]), 0.0)
        if evidence.any():
            first, last = tightened(np.sqrt(evidence[:, guilty_channels(evidence)].mean(1)))
            start, end = start + first, start + last
        cut.append((start, end))
    return cut


def _starts(block: Block, window: int, stride: int) -> np.ndarray:
    """First rows of windows: every `stride` stamps of each span, and one flush with its end."""
    starts: list[np.ndarray] = []
    for first, last in block.pieces:
        for start, end in block.spans:
            if first <= start and end <= last:
                final = min(max(end - window, first), last - window)
                regular = np.arange(start, max(final, start), stride)
                starts.append(np.unique(np.r_[regular[regular + window <= end], final]))
    return np.unique(np.concatenate(starts)).astype(np.int64)
