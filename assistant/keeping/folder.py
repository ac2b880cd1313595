"""What a finding keeps in its folder, and how it is read back. Knows files and arrays; not detectors or the database.

    image    input.png             the input as the detector saw it
             map.npy               (h, w) float16, calibrated: 1.0 is the level that few normals exceed
             masks.npz             mask_0, mask_1, ... bool, cropped to the boxes of `Finding.regions`, in their order
             overlay.png           the input under its map, when made
             counterfactual.png    the nearest normal version, when made
    series   window.npz            the stretch around the event, see `Stretch`
             counterfactual.npz    `expected` (n, channel): that stretch, normal in the event's places, when made
    table    row.json              {"values": {feature: value}, "map": {feature: calibrated value}}
             counterfactual.json   {feature: value}, when made
    several  see `assistant/keeping/parts.py`; part.png, the picture of the guiltiest part that has some
    all      explanation.json      {"score", "p_value"} of the nearest normal version, when made
             measures.json         descriptors of the leading parts: [{"part", "name", "value", "unit"}, ...]
             test.json             how the explanation stood its test, when made (see assistant/specimens/trials.py)

A run keeps what was scored: series.parquet with scores.npz (`scores`, `p_values`, one a stamp), or table.parquet.
Files are written whole or not at all, so that a reader never meets half of one.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from detectors.errors import AnomalyError

if TYPE_CHECKING:
    import pandas as pd

CONTEXT = 4  # windows kept on either side of an event, enough to score it again


@dataclass(frozen=True)
class Stretch:
    """An event of a series with its surroundings; rows count from `start` of the series."""

    start: int
    event: tuple[int, int]  # rows of the event in the series, half-open
    observed: np.ndarray  # (n, channel) float64
    channels: tuple[str, ...]
    times: np.ndarray  # (n,) datetime64[ns]; empty where no time stamps are known
    scores: np.ndarray  # (n,)
    p_values: np.ndarray  # (n,)
    map: np.ndarray  # (event stamp, channel), calibrated
    expected: np.ndarray | None = None  # (n, channel), when made

    @property
    def rows(self) -> slice:
        """The event's rows within the stretch."""
        return slice(self.event[0] - self.start, self.event[1] - self.start)


def around(event: tuple[int, int], window: int, length: int, grid: int = 1) -> tuple[int, int]:
    """First row and one past the last of the stretch kept for an event of a series of `length` rows.

    The first row is a multiple of `grid`, so that windows lie as they lay when the whole series was scored.
    """
    first = max(0, event[0] - CONTEXT * window)
    return first - first % grid, min(length, event[1] + CONTEXT * window)


# --- images -------------------------------------------------------------------------------------------------------


def keep_image(folder: Path, picture: np.ndarray, anomaly_map: np.ndarray, masks: Sequence[np.ndarray | None]) -> None:
    """picture (h, w[, 3]) uint8; anomaly_map (h, w); masks as in `Detection.regions`."""
    from PIL import Image

    folder.mkdir(parents=True, exist_ok=True)
    write(folder / "input.png", lambda file: Image.fromarray(picture).save(file, "PNG", compress_level=3))
    write(folder / "map.npy", lambda file: np.save(file, np.asarray(anomaly_map, np.float16)))
    named = {f"mask_{i}": np.asarray(mask, bool) for i, mask in enumerate(masks) if mask is not None}
    write(folder / "masks.npz", lambda file: np.savez_compressed(file, **named))  # type: ignore[arg-type]


def keep_part_picture(folder: Path, picture: np.ndarray, part: str, box: tuple[int, int, int, int]) -> None:
    """part.png: the picture of a part of several, with the place in it; picture (h, w[, 3]) uint8."""
    from assistant import figures

    drawn = figures.overlay(picture, None, [figures.Box(part, *box)])
    write(folder / "part.png", lambda file: drawn.save(file, "PNG", compress_level=3))


def region_mask(folder: Path, regions: Sequence[Mapping[str, Any]], number: int) -> np.ndarray:
    """(h, w) bool: where region `number` of an image lies; its whole box where no mask was kept."""
    shape = np.load(folder / "map.npy", mmap_mode="r", allow_pickle=False).shape
    full = np.zeros(shape, bool)
    left, top, right, bottom = regions[number]["box"]
    with np.load(folder / "masks.npz", allow_pickle=False) as masks:
        key = f"mask_{number}"
        full[top:bottom, left:right] = masks[key] if key in masks.files else True
    return full


def keep_overlay(folder: Path, regions: Sequence[dict[str, Any]]) -> Path:
    """Draw the input under its map, once."""
    path = folder / "overlay.png"
    if not path.is_file():
        from assistant import figures

        level = np.load(folder / "map.npy", allow_pickle=False).astype(np.float32)
        picture = figures.overlay(folder / "input.png", level, figures.boxes_of(regions))
        write(path, lambda file: picture.save(file, "PNG", compress_level=3))
    return path


# --- series -------------------------------------------------------------------------------------------------------


def keep_stretch(folder: Path, stretch: Stretch) -> None:
    """Write window.npz (without what was expected)."""
    folder.mkdir(parents=True, exist_ok=True)
    arrays = {
        "start": np.array(stretch.start),
        "event": np.array(stretch.event),
        "observed": np.asarray(stretch.observed, np.float64),
        "channels": np.array(stretch.channels, str),
        "times": stretch.times,
        "scores": stretch.scores,
        "p_values": stretch.p_values,
        "map": np.asarray(stretch.map, np.float32),
    }
    write(folder / "window.npz", lambda file: np.savez_compressed(file, **arrays))  # type: ignore[arg-type]


def load_stretch(folder: Path) -> Stretch:
    """Read window.npz and, where made, counterfactual.npz.

    Raises:
        AnomalyError: the folder lost its files.
    """
    try:
        with np.load(folder / "window.npz", allow_pickle=False) as file:
            kept = {name: file[name] for name in file.files}
    except (OSError, ValueError) as error:
        raise lost(folder / "window.npz") from error
    kept.pop("fitted_p", None)  # see assistant/feedback/repricing.py
    first, last = kept.pop("event").tolist()
    channels = tuple(kept.pop("channels").tolist())
    stretch = Stretch(start=int(kept.pop("start")), event=(first, last), channels=channels, **kept)
    expected = folder / "counterfactual.npz"
    if not expected.is_file():
        return stretch
    with np.load(expected, allow_pickle=False) as file:
        return replace(stretch, expected=file["expected"])


# --- text, tables -------------------------------------------------------------------------------------------------


def keep_json(path: Path, value: Any) -> None:
    """Write plain JSON; NaN becomes null."""
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps(plain(value), ensure_ascii=False, allow_nan=False)
    write(path, lambda file: file.write(text.encode()))


def load_json(path: Path) -> Any:
    """Read what `keep_json` wrote.

    Raises:
        AnomalyError: the file is lost or damaged.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise lost(path) from error


def keep_measures(folder: Path, measures: Sequence[Mapping[str, Any]]) -> None:
    """Write the descriptors of a finding."""
    keep_json(folder / "measures.json", list(measures))


def load_measures(folder: Path) -> list[dict[str, Any]]:
    """The descriptors of a finding; none where nothing was measured (findings of older runs)."""
    path = folder / "measures.json"
    return list(load_json(path)) if path.is_file() else []


def keep_frame(path: Path, frame: pd.DataFrame) -> None:
    """Write scored data as Parquet."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write(path, lambda file: frame.to_parquet(file))


def load_frame(path: Path) -> pd.DataFrame:
    """Read scored data.

    Raises:
        AnomalyError: the file is lost or damaged.
    """
    import pandas as pd

    try:
        return pd.read_parquet(path)
    except (OSError, ValueError) as error:
        raise lost(path) from error


def plain(value: Any) -> Any:
    """NumPy and pandas values as JSON's own; what is not a number (NaN, NaT, infinite) becomes None."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set):
        return [plain(item) for item in value]
    if isinstance(value, np.ndarray):
        return plain(value.tolist())
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return value if np.isfinite(value) else None
    if value is None or isinstance(value, str | int | bool):
        return value
    return None if value != value else str(value)  # NaT and pandas' NA are not equal to themselves


def write(path: Path, save: Callable[[IO[bytes]], object]) -> None:
    """Write a file beside its place, then move it there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    with draft.open("wb") as file:
        save(file)
    draft.replace(path)


def lost(path: Path) -> AnomalyError:
    """What to say where a kept file is gone."""
    return AnomalyError(f"The store lost {path} or it is damaged; run `anomaly detect` again.")
