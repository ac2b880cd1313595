"""Multimodal bench: falls seen by three sensors (URFD), and faults of services in metrics, logs and traces (Nezha).

Fits see normal data only: the daily activities of URFD, the minutes of Nezha that no fault label covers. Nezha's logs
and traces exist almost only in labelled minutes, so they say which pod is to blame and never whether a minute is odd.
"""

from __future__ import annotations

import zipfile
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from detectors import make_detector
from detectors.bench.fusion import BASELINES
from detectors.bench.meter import Cost, Metered, parse_method
from detectors.bench.services import APPS, Service, blamed, cross_scored, load_service, local_evidence, near_auroc
from detectors.errors import AnomalyError
from detectors.readers.videos import ArrayClip
from detectors.training import Run

IGNORED = 15  # frames at 30 a second after the onset of a fall: the person still stands
METHODS: dict[str, tuple[str, dict[str, Any]]] = {
    "default": ("default", {}),
    "part_conditioned": ("part_conditioned", {}),
    "multi_start": ("multi_start", {}),
    "partial": ("partial", {}),
    "diffusion_time": ("diffusion_time", {}),
    "smoothed_density": ("smoothed_density", {}),
}
LEFT_OUT = {"all": (), "no_depth": ("depth",), "only_video": ("acc", "depth"), "only_acc": ("video", "depth"),
            "only_depth": ("video", "acc")}  # fmt: skip


@dataclass(frozen=True)
class Row:
    """One method on one set: figures by name."""

    dataset: str
    method: str
    seed: int
    figures: dict[str, float]
    cost: Cost | None = None  # not told of a service, which is fitted in turns


# --- URFD ------------------------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Falls:
    """Recordings as dicts of parts at 15 frames a second; `keep` leaves out the frames that are neither."""

    normal: list[dict[str, Any]]
    test: list[dict[str, Any]]
    labels: np.ndarray
    keep: np.ndarray


def load_falls(root: Path) -> Falls:
    """URFD: fitted on the even activities of daily living, tested on the odd ones and on the falls.

    Raises AnomalyError where the set is not there.
    """
    folder = root / "mm_urfd"
    names = sorted(path.stem for path in (folder / "seq").glob("*.npz"))
    if not names:
        raise AnomalyError(f"There is no URFD set in {folder}.")
    calm = [name for name in names if name.startswith("adl")]
    fit = set(calm[::2])
    normal, test, labels, keep = [], [], [], []
    for name in names:
        recording, label, kept = _recording(folder, name)
        if name in fit:
            normal.append(recording)
            continue
        test.append(recording)
        labels.append(label)
        keep.append(kept)
    return Falls(normal, test, np.concatenate(labels), np.concatenate(keep))


def _recording(folder: Path, name: str) -> tuple[dict[str, Any], np.ndarray, np.ndarray]:
    import pandas as pd

    with np.load(folder / "seq" / f"{name}.npz") as arrays:
        frames, label = arrays["frame_idx"], arrays["label"].astype(int)
        acc, depth, ms = arrays["acc"], arrays["depth_feat"], arrays["time_ms"]
    with zipfile.ZipFile(folder / "frames" / f"{name}.zip") as archive:
        files = sorted(n for n in archive.namelist() if n.endswith(".jpg"))
        video = np.stack([np.asarray(Image.open(BytesIO(archive.read(n))).convert("L")) for n in files])
    steps = min(len(frames), len(video))
    frames = frames[:steps]
    onset = int(np.flatnonzero(label)[0]) if label.any() else len(label)
    clock = pd.to_datetime(ms[frames], unit="ms")
    parts = {
        "video": ArrayClip(video[:steps], name),
        "acc": pd.DataFrame(acc[frames], columns=["total", "x", "y", "z"], index=clock),
        "depth": pd.DataFrame(depth[frames], columns=["ratio", "height", "floor", "p40"], index=clock),
    }
    return parts, label[frames], (frames < onset) | (frames >= onset + IGNORED)


# --- runs ------------------------------------------------------------------------------------------------------------
def measure(
    root: str | Path,
    methods: Sequence[str] = tuple(METHODS),
    baselines: Sequence[str] = tuple(BASELINES),
    seeds: Sequence[int] = (0,),
    progress: Callable[[str], None] = lambda _: None,
) -> list[Row]:
    """Every method (and a hybrid's members, as "default/member") and baseline on URFD and both services of Nezha."""
    root = Path(root)
    rows: list[Row] = []
    falls = load_falls(root)
    for seed in seeds:
        for name in methods:
            rows += _fall_rows(falls, name, seed)
            progress(f"urfd: {name}")
    rows += _fall_baselines(falls, baselines)
    for dataset, app in APPS.items():
        service = load_service(root / "mm_nezha", app)
        for name in baselines:
            rows.append(_service_baseline(service, dataset, name))
        for seed in seeds:
            for name in methods:
                rows.append(_service_row(service, dataset, name, seed))
                progress(f"{dataset}: {name}")
    return rows


def _fall_rows(falls: Falls, name: str, seed: int) -> list[Row]:
    method, settings = parse_method(name, METHODS)
    metered = Metered("multimodal", method, falls.normal, seed=seed, **settings)
    figures: dict[str, dict[str, float]] = defaultdict(dict)
    costs: dict[str, Cost] = {}
    for case, left_out in LEFT_OUT.items():
        samples = [{p: v for p, v in one.items() if p not in left_out} for one in falls.test]
        for member in (None, *metered.detector.members):
            shown = name if member is None else f"{name}/{member}"
            scores, cost = metered.score(samples, member)
            figures[shown][case] = _frame_auroc(falls, scores)
            costs.setdefault(shown, cost)  # of the first case: all parts
    return [Row("urfd", shown, seed, told, costs[shown]) for shown, told in figures.items()]


def _frame_auroc(falls: Falls, scores: np.ndarray) -> float:
    """One threshold over all frames; a frame of which nothing was seen is as normal as can be."""
    from sklearn.metrics import roc_auc_score

    scores = np.where(np.isfinite(scores), scores, np.nanmin(scores))
    return float(roc_auc_score(falls.labels[falls.keep], scores[falls.keep]))


def _fall_baselines(falls: Falls, names: Sequence[str]) -> list[Row]:
    """On the same features of a step that the detectors get, part by part."""
    modality = make_detector("multimodal").modality
    items = modality.open(falls.normal)
    modality.fit(items, range(len(items)), Run())
    told = [_features(items), _features(modality.open(falls.test))]
    rows = []
    for name in names:
        figures = {}
        for case, left_out in LEFT_OUT.items():
            train, test = ({p: v for p, v in one.items() if p not in left_out} for one in told)
            figures[case] = _frame_auroc(falls, BASELINES[name](train, test))
        rows.append(Row("urfd", name, 0, figures))
    return rows


def _features(items: Any) -> dict[str, np.ndarray]:
    out = {}
    for number, (part, reader) in enumerate(items.data.readers.items()):
        values = reader.features(items.data.seen[part]).astype(float)
        out[part] = np.where(items.data.present[:, number, None], values, np.nan)
    return out


# --- services --------------------------------------------------------------------------------------------------------
def _service_row(service: Service, dataset: str, name: str, seed: int) -> Row:
    method, settings = parse_method(name, METHODS)
    evidence = np.zeros((len(service.time), len(service.pods)))

    def score(fit: np.ndarray, held: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        seen = np.isfinite(service.metrics[fit]).any(0)
        detector = make_detector("multimodal", method, seed=seed, window=1, components=6, **settings)
        detector.fit(service.parts(fit, seen))
        found = service.parts(held, seen)
        maps = detector.anomaly_map(found)
        for place, pod in enumerate(service.pods):
            evidence[held, place] = maps[pod].max(1)
        return detector.decision_function(found), detector.calibrations[None].scores

    scores = cross_scored(service, score)
    figures = {"minute_auroc_15": near_auroc(service, scores)}
    local = local_evidence(np.log1p(np.maximum(evidence, 0)))
    figures |= blamed(service, local, True)
    figures |= {f"{key}_metrics": value for key, value in blamed(service, local, False).items()}
    return Row(dataset, name, seed, figures)


def _service_baseline(service: Service, dataset: str, name: str) -> Row:
    evidence = np.zeros((len(service.time), len(service.pods)))

    def score(fit: np.ndarray, held: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        train, test = (_as_arrays(service, rows) for rows in (fit, held))
        for place, pod in enumerate(service.pods):
            evidence[held, place] = BASELINES[name]({pod: train[pod]}, {pod: test[pod]})
        return BASELINES[name](train, test), BASELINES[name](train, train)

    scores = cross_scored(service, score)
    figures = {"minute_auroc_15": near_auroc(service, scores), **blamed(service, evidence, False)}
    return Row(dataset, name, 0, figures)


def _as_arrays(service: Service, rows: np.ndarray) -> dict[str, np.ndarray]:
    pods = {pod: service.metrics[rows][:, k] for k, pod in enumerate(service.pods)}
    return {**{p: v[:, np.isfinite(v).any(0)] for p, v in pods.items()}, "front": service.front[rows]}


# --- out -------------------------------------------------------------------------------------------------------------
def as_json(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Rows as plain values."""
    return [asdict(row) for row in rows]


def as_markdown(rows: Sequence[Row]) -> str:
    """One table a set: means over seeds."""
    blocks = []
    for dataset in dict.fromkeys(row.dataset for row in rows):
        own = [row for row in rows if row.dataset == dataset]
        columns = list(dict.fromkeys(key for row in own for key in row.figures))
        lines = [f"| {dataset} | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
        for method in dict.fromkeys(row.method for row in own):
            same = [row.figures for row in own if row.method == method]
            cells = [f"{np.mean([f[c] for f in same]):.3f}" if c in same[0] else "" for c in columns]
            lines.append(f"| {method} | {' | '.join(cells)} |")
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)
