"""Measures video detectors beside simple baselines on the same cells, on UCSD Ped2, in one run.

Fits on the normal clips, scores the test clips: frame AUROC with one threshold over all frames (no scaling by clip),
pixel AUROC, seconds. Labels and masks are used for the figures and for nothing else.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from detectors.detector import make_detector
from detectors.errors import AnomalyError
from detectors.metrics import auroc, pixel_metrics
from detectors.modalities.base import Items
from detectors.modalities.video import VideoModality
from detectors.training import Run

SETS = {"ped2": "vid_ucsd_ped2"}
METHODS = (
    "default",
    "cell_mixture",
    "frame_conditioned",
    "likelihood",
    "multi_start",
    "diffusion_time",
    "score_matching",
    "partial",
)


@dataclass(frozen=True)
class Case:
    """One set: folders of clips, and the truth of the test clips, frame by frame in the order of their names."""

    name: str
    train: Path
    test: Path
    labels: np.ndarray  # (frame,) 1 = abnormal
    masks: np.ndarray  # (frame, h, w) bool


@dataclass(frozen=True)
class Row:
    """What one method reached on one set."""

    name: str
    method: str
    seed: int
    frame_auroc: float
    pixel_auroc: float
    fit_seconds: float
    frames_per_second: float
    ms_per_sample: float = 0.0
    calls: float | None = None  # network calls a frame, the backbone's not counted


def load_case(root: str | Path, name: str) -> Case:
    """A set below `root`. Raises AnomalyError where it is not there."""
    folder = Path(root) / SETS.get(name, name)
    if not (folder / "test_labels.npz").is_file():
        raise AnomalyError(f"There is no set of clips {name!r} at {folder}; known: {', '.join(SETS)}.")
    labels = np.load(folder / "test_labels.npz")
    packed = np.load(folder / "test_masks_packbits.npz")
    clips = sorted(labels.files)
    masks = [np.unpackbits(packed[clip], axis=-1)[:, :, :180].astype(bool) for clip in clips]
    truth = np.concatenate([labels[clip] for clip in clips])
    return Case(name, folder / "train", folder / "test", truth, np.concatenate(masks))


# --- baselines: (channels by name, normal cells, new cells) -> cell maps (n, h, w) ---------------------------------
Groups = dict[str, slice]


def flow_speed(groups: Groups, normal: Tensor, new: Tensor) -> Tensor:
    """The mean speed of what is in the cell, told in what is usual in its row."""
    return new[:, groups["motion"].start]


def sweep(groups: Groups, normal: Tensor, new: Tensor) -> Tensor:
    """Speed times how much of the neighbourhood moves."""
    return new[:, groups["motion"].start + 1]


def patch_knn(groups: Groups, normal: Tensor, new: Tensor) -> Tensor:
    """Distance of appearance and motion to the nearest of 300 normals' cells within one cell of the place."""
    first = groups["appearance"].start
    return _nearest(normal[:: max(1, len(normal) // 300), first:], new[:, first:])


def knn_flow(groups: Groups, normal: Tensor, new: Tensor) -> Tensor:
    """Nearest-neighbour distance of appearance, and speed, each in the spread of normals, added."""
    bank, held = normal[:: max(1, len(normal) // 300)], normal[1 :: max(1, len(normal) // 60)]
    look = [_nearest(bank[:, groups["appearance"]], x[:, groups["appearance"]]) for x in (held, new)]
    speed = [flow_speed(groups, bank, x) for x in (held, new)]
    return sum(((b - a.mean()) / a.std() for a, b in (look, speed)), torch.zeros(()))


def _nearest(normal: Tensor, new: Tensor) -> Tensor:
    height, width = new.shape[2:]
    padded = F.pad(normal, (1, 1, 1, 1), mode="replicate")
    maps = torch.empty(len(new), height, width)
    for row in range(height):
        for column in range(width):
            bank = padded[:, :, row : row + 3, column : column + 3].permute(0, 2, 3, 1).reshape(-1, normal.shape[1])
            maps[:, row, column] = torch.cdist(new[:, :, row, column], bank).min(1).values
    return maps


BASELINES: dict[str, Callable[[Groups, Tensor, Tensor], Tensor]] = {
    "flow-speed": flow_speed,
    "flow-speed x size": sweep,
    "patch-knn+motion": patch_knn,
    "knn+flow": knn_flow,
}


# --- the measurement ----------------------------------------------------------------------------------------------
def measure(
    root: str | Path,
    sets: Sequence[str] = tuple(SETS),
    backbone: str | Path | None = None,
    methods: Sequence[str] = METHODS,
    baselines: Sequence[str] = tuple(BASELINES),
    seeds: Sequence[int] = (0,),
    progress: Callable[[str], None] = lambda _: None,
) -> list[Row]:
    """Every method (and a hybrid's members, as "method/member") beside the baselines, in the backbone's feature space.

    backbone: a folder or hub id; None: `models/mobilenet_v2` beside the folder of the sets, or pixels.
    """
    beside = Path(root).resolve().parent / "models" / "mobilenet_v2"
    space = backbone or (str(beside) if beside.is_dir() else None)
    rows: list[Row] = []
    for name in sets:
        case = load_case(root, name)
        cells = Once(backbone=space)
        for seed in seeds:
            for method in methods:
                rows += _detector_rows(case, method, cells, seed)
                progress(f"{name}: {method}")
            if seed == seeds[0]:  # no baseline has any randomness
                rows += _baseline_rows(case, cells, baselines)
    return rows


class Once(VideoModality):
    """Encodes each clip once for all methods: they see the same cells, and a run takes minutes rather than hours."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.opened: dict[str, Items] = {}
        self.encoded: dict[tuple[int, int], Tensor] = {}
        self.seconds = 0.0  # spent on encoding
        self.fitted = False

    def open(self, samples: Any) -> Items:
        key = str(samples)
        if key not in self.opened:
            self.opened[key] = super().open(samples)
        return self.opened[key]

    def fit(self, items: Items, rows: Sequence[int], run: Run) -> None:
        if not self.fitted:
            super().fit(items, rows, run)
            self.fitted = True

    def encode(self, items: Items, rows: Sequence[int]) -> Tensor:
        missing = [row for row in rows if (id(items), row) not in self.encoded]
        began = time.perf_counter()
        if missing:
            fresh = super().encode(items, missing).half()
            self.encoded.update({(id(items), row): x for row, x in zip(missing, fresh, strict=True)})
            self.seconds += time.perf_counter() - began
        return torch.stack([self.encoded[id(items), row] for row in rows]).float()


def _baseline_rows(case: Case, cells: Once, baselines: Sequence[str]) -> list[Row]:
    train, test = cells.open(case.train), cells.open(case.test)
    normal, new = (
        torch.cat([cells.encode(items, range(a, min(a + 32, len(items)))) for a in range(0, len(items), 32)])
        for items in (train, test)
    )
    groups = {name: cells.space.channels(name) for name, _ in cells.space.groups}
    rows = []
    for baseline in baselines:
        began = time.perf_counter()
        maps = BASELINES[baseline](groups, normal, new).numpy()
        took = time.perf_counter() - began
        rows.append(_row(case, baseline, 0, cells, test, maps, took, 0.0))
    return rows


def _detector_rows(case: Case, method: str, cells: Once, seed: int) -> list[Row]:
    """Rows of a method and its members. Seconds are the method's own; frames a second count the encoding as well."""
    name, _, form = method.partition(":")
    detector = make_detector("video", name, seed=seed, **({"form": form} if form else {}))
    detector.modality = cells
    before, began = cells.seconds, time.perf_counter()
    detector.fit(case.train)
    fitted = time.perf_counter() - began - (cells.seconds - before)
    test, rows = cells.open(case.test), []
    before = cells.seconds
    list(detector._encoded(test, range(len(test))))
    dear = cells.seconds - before or cells.seconds / (len(cells.encoded) or 1) * len(test)
    for member in (None, *detector.members):
        began = time.perf_counter()
        maps = detector._assembled(test, member)
        rate = len(test) / (time.perf_counter() - began + dear)
        shown = method if member is None else f"{method}/{member}"
        row = _row(case, shown, seed, cells, test, maps, fitted, rate)
        calls = (detector._fitted() if member is None else detector._fitted().members[member]).calls
        rows.append(replace(row, ms_per_sample=round(1000 / rate, 1), calls=float(calls)))
    return rows


def _row(
    case: Case, method: str, seed: int, cells: Once, test: Items, maps: np.ndarray, fitted: float, rate: float
) -> Row:
    scores = cells.steady(cells.score(maps), test, range(len(test)))
    full = [frame for clip in cells.full_maps(maps, test) for frame in clip]
    pixel = pixel_metrics(full, list(case.masks))["pixel_auroc"]
    return Row(case.name, method, seed, auroc(case.labels, scores), pixel, round(fitted, 1), round(rate, 1))


def as_json(rows: Sequence[Row]) -> list[dict]:
    """Plain JSON values."""
    return [asdict(row) for row in rows]


def as_markdown(rows: Sequence[Row]) -> str:
    """A line a method, a cell a set: frame AUROC / pixel AUROC, means over seeds; who won is in bold."""
    sets = list(dict.fromkeys(row.name for row in rows))
    lines = [
        "| method | " + " | ".join(f"{name}: frame / pixel AUROC" for name in sets) + " |",
        "|---" * (len(sets) + 1) + "|",
    ]
    for method in dict.fromkeys(row.method for row in rows):
        cells = []
        for name in sets:
            own = _means(rows, method, name)
            best = [max(_means(rows, row.method, name)[k] for row in rows if row.name == name) for k in (0, 1)]
            cells.append(" / ".join(f"**{v:.3f}**" if v >= b else f"{v:.3f}" for v, b in zip(own, best, strict=True)))
        lines.append(f"| {method} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _means(rows: Sequence[Row], method: str, name: str) -> tuple[float, float]:
    own = [(row.frame_auroc, row.pixel_auroc) for row in rows if row.method == method and row.name == name]
    return (float(np.mean([v[0] for v in own])), float(np.mean([v[1] for v in own]))) if own else (0.0, 0.0)
