"""Measures image detectors beside PaDiM and a patch nearest-neighbour on the same backbone, in one run.

Reads the public sets (folders img_*), fits on their normal train pictures, scores their test pictures: image AUROC,
pixel AUROC, AUPRO at 30 % false positives, cost. Labels and masks are used for the figures and for nothing else.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from detectors.bench.meter import Cost, Metered, metered_baseline, parse_method
from detectors.errors import AnomalyError
from detectors.metrics import auroc, pixel_metrics
from detectors.modalities.image import ImageModality
from detectors.networks.filters import FILTERS

SETS = {"transistor": "img_mvtec_transistor", "kolektor": "img_kolektorsdd", "tile": "img_magnetic_tile"}


@dataclass(frozen=True)
class Case:
    """One set: normal pictures to fit on; pictures to score with labels and masks (None: nothing anomalous)."""

    name: str
    train: tuple[Path, ...]
    test: tuple[Path, ...]
    labels: tuple[int, ...]
    masks: tuple[Path | None, ...]

    def truth(self) -> list[np.ndarray | None]:
        """Masks as arrays, (h, w) bool each."""
        return [None if p is None else np.asarray(Image.open(p).convert("L")) > 127 for p in self.masks]


@dataclass(frozen=True)
class Row:
    """What one method reached on one set."""

    name: str
    method: str
    seed: int
    image_auroc: float
    pixel_auroc: float
    aupro: float
    cost: Cost


def load_case(root: str | Path, name: str) -> Case:
    """A set below `root`. Raises AnomalyError where it is not there."""
    folder = Path(root) / SETS.get(name, name)
    if not folder.is_dir():
        raise AnomalyError(f"There is no image set {name!r} at {folder}; known: {', '.join(SETS)}.")
    return _from_csv(name, folder) if (folder / "split.csv").is_file() else _mvtec(name, folder)


def _from_csv(name: str, folder: Path) -> Case:
    with (folder / "split.csv").open(newline="") as file:
        lines = list(csv.DictReader(file))
    test = [line for line in lines if line["split"] == "test"]
    return Case(
        name,
        tuple(folder / line["file"] for line in lines if line["split"] == "train"),
        tuple(folder / line["file"] for line in test),
        tuple(int(line["label"]) for line in test),
        tuple(folder / line["mask"] if line["mask"] else None for line in test),
    )


def _mvtec(name: str, folder: Path) -> Case:
    test = sorted((folder / "test").glob("*/*.*"))
    masks = [
        None if p.parent.name == "good" else folder / "ground_truth" / p.parent.name / f"{p.stem}_mask.png"
        for p in test
    ]
    train = tuple(sorted((folder / "train" / "good").glob("*.*")))
    return Case(name, train, tuple(test), tuple(int(m is not None) for m in masks), tuple(masks))


# --- baselines: (train features, test features, seed) -> cell maps (n, h, w) --------------------------------------
def padim(train: Tensor, test: Tensor, seed: int) -> Tensor:
    """A Gaussian at each place (Defard et al. 2021), with all channels."""
    maps = torch.empty(len(test), *test.shape[2:])
    for row in range(train.shape[2]):
        normal, new = (x[:, :, row].permute(2, 0, 1) for x in (train, test))  # (w, n, c)
        mean = normal.mean(1, keepdim=True)
        centred = normal - mean
        covariance = centred.transpose(1, 2) @ centred / (normal.shape[1] - 1) + 0.01 * torch.eye(normal.shape[2])
        factor = torch.linalg.cholesky(covariance)
        whitened = torch.linalg.solve_triangular(factor, (new - mean).transpose(1, 2), upper=False)
        maps[:, row] = whitened.square().sum(1).sqrt().T
    return maps


def patch_knn(train: Tensor, test: Tensor, seed: int) -> Tensor:
    """Distance to the nearest cell of any normal within one cell of its place (after PatchCore, Roth et al. 2022)."""
    height, width = test.shape[2:]
    padded = F.pad(train, (1, 1, 1, 1), mode="replicate")
    maps = torch.empty(len(test), height, width)
    for row in range(height):
        for column in range(width):
            bank = padded[:, :, row : row + 3, column : column + 3].permute(0, 2, 3, 1).reshape(-1, train.shape[1])
            maps[:, row, column] = torch.cdist(test[:, :, row, column], bank).min(1).values
    return maps


BASELINES: dict[str, Callable[[Tensor, Tensor, int], Tensor]] = {"padim": padim, "patch-knn": patch_knn}


# --- the measurement ----------------------------------------------------------------------------------------------
def measure(
    root: str | Path,
    sets: Iterable[str] = tuple(SETS),
    backbone: str | Path | None = None,
    methods: Sequence[str] = ("default",),
    baselines: Sequence[str] = tuple(BASELINES),
    seeds: Sequence[int] = (0,),
    progress: Callable[[str], None] = lambda _: None,
) -> list[Row]:
    """Every method (and a hybrid's members, as "method/member") in pixel space and, with a backbone, in its feature
    space beside the baselines.

    backbone: a folder or hub id; None: `models/mobilenet_v2` beside the folder of the sets, where it is there.
    """
    beside = Path(root).resolve().parent / "models" / "mobilenet_v2"
    backbone = backbone or (beside if beside.is_dir() else None)
    rows: list[Row] = []
    for name in sets:
        case = load_case(root, name)
        if backbone is not None:
            rows += _baseline_rows(case, backbone, baselines, seeds)
        for space in (backbone, FILTERS, None) if backbone is not None else (FILTERS, None):
            for seed in seeds:
                for method in methods:
                    rows += _detector_rows(case, method, space, seed)
        progress(f"{name}: {len(case.train)} normal, {len(case.test)} to score")
    return rows


def _baseline_rows(case: Case, name: str | Path, baselines: Sequence[str], seeds: Sequence[int]) -> list[Row]:
    modality = ImageModality(backbone=name)  # the same sizes, layers and cells as the detectors
    train, test = modality.open(list(case.train)), modality.open(list(case.test))
    modality.prepare(train, range(len(train)))
    normal, new = (torch.cat([modality.features(i, [r]) for r in range(len(i))]) for i in (train, test))
    rows = []
    for baseline in baselines:
        for seed in seeds[:1]:  # neither has any randomness
            judge = partial(BASELINES[baseline], normal, new, seed)
            cells, cost = metered_baseline(judge, len(case.test))
            scores = cells.flatten(1).topk(5).values.mean(1).numpy()
            maps = modality.full_maps(cells.numpy(), test)
            rows.append(_row(case, baseline, seed, scores, maps, cost))
    return rows


def _detector_rows(case: Case, method: str, backbone: str | Path | None, seed: int) -> list[Row]:
    name, settings = parse_method(method)
    metered = Metered("image", name, list(case.train), seed=seed, backbone=backbone, **settings)
    detector, rows = metered.detector, []
    space = " (pixels)" if backbone is None else " (filters)" if backbone == FILTERS else ""
    for member in (None, *detector.members):
        scores, cost = metered.score(list(case.test), member)
        maps = detector.anomaly_map(list(case.test), member=member)
        shown = method if member is None else f"{method}/{member}"
        rows.append(_row(case, shown + space, seed, scores, maps, cost))
    return rows


def _row(case: Case, method: str, seed: int, scores: np.ndarray, maps: Sequence[np.ndarray], cost: Cost) -> Row:
    pixel = pixel_metrics(maps, case.truth())
    image = auroc(np.array(case.labels), scores)
    return Row(case.name, method, seed, image, pixel["pixel_auroc"], pixel["aupro"], cost)


def as_json(rows: Sequence[Row]) -> list[dict]:
    """Plain JSON values."""
    return [asdict(row) for row in rows]


def as_markdown(rows: Sequence[Row]) -> str:
    """A line a method, a cell a set: image AUROC / pixel AUROC / AUPRO, means over seeds with their deviation."""
    sets = list(dict.fromkeys(row.name for row in rows))
    lines = ["| method | " + " | ".join(sets) + " |", "|---" * (len(sets) + 1) + "|"]
    for method in dict.fromkeys(row.method for row in rows):
        cells = [_cell([r for r in rows if r.method == method and r.name == name]) for name in sets]
        lines.append(f"| {method} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _cell(rows: Sequence[Row]) -> str:
    if not rows:
        return ""
    values = np.array([[r.image_auroc, r.pixel_auroc, r.aupro] for r in rows])
    spread = f" (± {values.std(0).max():.3f})" if len(rows) > 1 else ""
    return " / ".join(f"{v:.3f}" for v in values.mean(0)) + spread
