"""The normal samples nearest to a finding: rows and stretches of its run that were not flagged, or pictures that the
model remembers. Knows frames, kept files and the detector it is handed; not the store, tools or language models.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from assistant.keeping import load_stretch, write
from assistant.records import Finding

if TYPE_CHECKING:
    import pandas as pd

JUDGED = 2000  # normal samples that are looked at


@dataclass(frozen=True)
class Nearest:
    """Normal samples with their distances, the nearest first."""

    found: list[tuple[str, float]]  # (name, distance)
    usual: float  # median distance of a normal sample to its own nearest one
    unit: str = ""
    pictures: list[Path] = field(default_factory=list)


def nearest_rows(finding: Finding, frame: pd.DataFrame, names: list[str], normal: np.ndarray, count: int) -> Nearest:
    """Rows of a table. Distance: mean over features of the difference, in ranges of the middle 90 %, 1 for another
    word or a missing cell (Gower 1971)."""
    chosen = np.flatnonzero(normal)
    chosen = chosen[:: max(1, len(chosen) // JUDGED)]
    read = (_column(frame.iloc[:, i], chosen) for i in range(frame.shape[1]))
    columns = [column for column in read if column is not None]
    own = _gower(columns, finding.index, chosen)
    order = np.argsort(own, kind="stable")[:count]
    sample = chosen[:: max(1, len(chosen) // 60)]
    usual = [float(np.sort(_gower(columns, int(row), chosen))[1]) for row in sample] if len(chosen) > 1 else [0.0]
    return Nearest([(names[chosen[i]], float(own[i])) for i in order], float(np.median(usual)))


def _column(cells: pd.Series, rows: np.ndarray) -> tuple[np.ndarray, float] | None:
    """(values, range) of a number; (codes, 0) of words; None for a text of its own in each row."""
    from pandas.api.types import is_bool_dtype, is_numeric_dtype

    if is_numeric_dtype(cells) and not is_bool_dtype(cells):
        values = cells.to_numpy(np.float64, na_value=np.nan)
        seen = values[rows][np.isfinite(values[rows])]
        low, high = np.quantile(seen, [0.05, 0.95]) if len(seen) else (0.0, 1.0)
        return values, float(high - low) or 1.0
    codes, levels = cells.astype(str).factorize()
    return None if len(levels) > 0.5 * len(cells) else (codes.astype(np.float64), 0.0)


def _gower(columns: list[tuple[np.ndarray, float]], row: int, rows: np.ndarray) -> np.ndarray:
    total = np.zeros(len(rows))
    for values, width in columns:
        apart = np.abs(values[rows] - values[row])
        apart = np.minimum(apart / width, 3.0) if width else (apart > 0).astype(float)
        total += np.where(np.isfinite(apart), apart, np.isnan(values[rows]) != np.isnan(values[row]))
    return total / max(1, len(columns))


def nearest_stretches(finding: Finding, frame: pd.DataFrame, normal: np.ndarray, count: int, window: int) -> Nearest:
    """Stretches of the series of a window's length, none overlapping another. Distance: root mean square over channels
    and stamps, in standard deviations of the normal stamps."""
    stretch = load_stretch(finding.folder)
    values = frame[list(stretch.channels)].to_numpy(np.float64, na_value=np.nan)
    values = (values - np.nanmean(values[normal], 0)) / (np.nanstd(values[normal], 0) + 1e-9)
    values = np.nan_to_num(values)
    middle = stretch.start + stretch.rows.start + int(np.nanargmax(stretch.scores[stretch.rows]))
    first = int(np.clip(middle - window // 2, 0, len(values) - window))
    whole = np.convolve(normal, np.ones(window), "valid") == window
    starts = np.flatnonzero(whole)
    starts = starts[:: max(1, len(starts) // JUDGED)]
    view = np.lib.stride_tricks.sliding_window_view(values, window, axis=0)
    found: list[tuple[str, float]] = []
    apart = _apart(view, first, starts)
    taken: list[int] = []
    for i in np.argsort(apart, kind="stable"):
        if all(abs(starts[i] - other) >= window for other in taken):
            taken.append(int(starts[i]))
            found.append((_named(frame, int(starts[i])), float(apart[i])))
        if len(found) == count:
            break
    usual = []
    for start in starts[:: max(1, len(starts) // 40)]:
        others = starts[np.abs(starts - start) >= window]
        if len(others):
            usual.append(float(_apart(view, int(start), others).min()))
    return Nearest(found, float(np.median(usual)) if usual else 0.0, "sd")


def _apart(view: np.ndarray, first: int, starts: np.ndarray) -> np.ndarray:
    return np.array([np.sqrt(((view[s] - view[first]) ** 2).mean()) for s in starts])


def _named(frame: pd.DataFrame, row: int) -> str:
    return str(frame.index[row].isoformat()) if frame.index.dtype.kind == "M" else str(row)


def nearest_pictures(finding: Finding, detector: Any, count: int) -> Nearest:
    """Pictures that the model remembers. Distance: root mean square over the cells of its feature space."""
    from PIL import Image

    pictures, distances, usual = detector.modality.remembered(finding.folder / "input.png", count)
    paths = []
    for number, picture in enumerate(pictures, 1):
        path = finding.folder / f"normal_{number}.png"
        image = Image.fromarray(picture)
        write(path, lambda file, image=image: image.save(file, "PNG"))  # type: ignore[misc]
        paths.append(path)
    return Nearest([(f"normal {i + 1}", d) for i, d in enumerate(distances)], usual, "", paths)
