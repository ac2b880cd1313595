"""What a finding over several aligned parts keeps: a stretch of each part around the event, enough to score it again.

Knows files and plain samples (frames, arrays, lists of pictures); not detectors, the store or pages.

    parts.json         {"start", "event", "parts": {name: {"modality", "file"}}}
    part_0.parquet     a series or a table; part_0.npz: pictures, `step_0`, `step_1`, ... (an absent one: not there)
    window.npz         all channels and columns that are numbers side by side, as of a series (see `keeping.Stretch`)

A run keeps usual.npz: `values` (n, channel) of steps that were not flagged, evenly taken, and their `channels`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from assistant.keeping.folder import keep_json, load_frame, load_json, lost, write

FILE = "parts.json"
USUAL = "usual.npz"
STEPS = 3_000  # unflagged steps kept of a run


@dataclass(frozen=True)
class Excerpt:
    """Parts around an event; `event` are its steps, half-open, `start` the first step kept (of the whole run)."""

    parts: Mapping[str, Any]  # name -> frame, array (step, channel), or list of pictures with None where absent
    kinds: Mapping[str, str]
    start: int
    event: tuple[int, int]

    @property
    def rows(self) -> slice:
        """The event's steps within the excerpt."""
        return slice(self.event[0] - self.start, self.event[1] - self.start)


def stretch_of(samples: Any, first: int, last: int, open_image: Any) -> Any:
    """Steps of one part: a frame, an array, or pictures."""
    if hasattr(samples, "iloc"):
        return samples.iloc[first:last]
    if hasattr(samples, "frame"):  # a clip
        return [samples.frame(step) for step in range(first, last)]
    if isinstance(samples, np.ndarray):
        return samples[first:last] if samples.ndim <= 2 else list(samples[first:last])
    return [None if one is None else open_image(one) for one in samples[first:last]]


def numbers(parts: Mapping[str, Any], rows: int) -> tuple[np.ndarray, list[tuple[str, str]]]:
    """((step, channel) float64, [(part, channel)]): everything in the parts that is a number."""
    columns, names = [], []
    for part, samples in parts.items():
        if isinstance(samples, np.ndarray):
            if samples.ndim > 2:  # frames
                continue
            flat = samples.reshape(rows, -1)
            columns += list(flat.T)
            names += [(part, f"channel {i + 1}") for i in range(flat.shape[1])]
        elif hasattr(samples, "columns"):
            for name in samples.columns:
                if samples[name].dtype.kind in "fiu":
                    columns.append(samples[name].to_numpy(np.float64, na_value=np.nan))
                    names.append((part, str(name)))
    return (np.stack(columns, 1).astype(float) if columns else np.zeros((rows, 0))), names


def keep_usual(folder: Path, recordings: Sequence[Mapping[str, Any]], calm: np.ndarray) -> None:
    """Write usual.npz: the numbers of the steps `calm`, counted through all recordings."""
    calm, first = calm[:: max(1, -(-len(calm) // STEPS))], 0
    values, channels = [], None
    for parts in recordings:
        steps = len(next(iter(parts.values())))
        inside, first = calm[(calm >= first) & (calm < first + steps)] - first, first + steps
        found, labels = numbers(parts, steps)
        channels = labels if channels is None else channels
        if labels == channels:
            values.append(found[inside].astype(np.float32))
    if channels and values:
        arrays: dict[str, Any] = {"values": np.concatenate(values), "channels": np.array(names_of(channels), str)}
        write(folder / USUAL, lambda file: np.savez_compressed(file, **arrays))


def keep_parts(folder: Path, excerpt: Excerpt) -> None:
    """Write the parts and parts.json."""
    folder.mkdir(parents=True, exist_ok=True)
    told = {}
    for number, (name, samples) in enumerate(excerpt.parts.items()):
        kind = excerpt.kinds[name]
        if hasattr(samples, "to_parquet"):
            file = f"part_{number}.parquet"
            frame = samples.rename(columns=str)
            write(folder / file, lambda out, frame=frame: frame.to_parquet(out))  # type: ignore[misc]
        else:
            file = f"part_{number}.npz"
            steps = {f"step_{i}": one for i, one in enumerate(samples) if one is not None}
            write(folder / file, lambda out, steps=steps: np.savez_compressed(out, **steps))  # type: ignore[misc]
        told[name] = {"modality": kind, "file": file, "steps": len(samples)}
    keep_json(folder / FILE, {"start": excerpt.start, "event": list(excerpt.event), "parts": told})


def load_parts(folder: Path) -> Excerpt:
    """Read what `keep_parts` wrote.

    Raises:
        AnomalyError: the folder lost its files.
    """
    told = load_json(folder / FILE)
    parts = {name: _load(folder / one["file"], one) for name, one in told["parts"].items()}
    kinds = {name: one["modality"] for name, one in told["parts"].items()}
    first, last = told["event"]
    return Excerpt(parts, kinds, int(told["start"]), (int(first), int(last)))


def _load(path: Path, told: Mapping[str, Any]) -> Any:
    if path.suffix == ".parquet":
        return load_frame(path)
    try:
        with np.load(path, allow_pickle=False) as file:
            steps = [file[f"step_{i}"] if f"step_{i}" in file.files else None for i in range(int(told["steps"]))]
    except (OSError, ValueError) as error:
        raise lost(path) from error
    if told["modality"] == "image":
        return steps
    return np.stack([one for one in steps if one is not None])


def picture_at(samples: Any, row: int) -> np.ndarray | None:
    """The picture of a part at a step, where it has pictures."""
    if hasattr(samples, "columns") or (isinstance(samples, np.ndarray) and samples.ndim <= 2):
        return None
    return samples[row]


def names_of(labels: Sequence[tuple[str, str]]) -> list[str]:
    """What channels of parts are called in findings: "acc total"."""
    return [f"{part} {channel}" for part, channel in labels]
