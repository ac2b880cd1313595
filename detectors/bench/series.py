"""Measures series detectors beside simple baselines, in one run: VUS-PR, AUC-PR, hit rate, cost.

Reads the public collections (folders ts_*), fits on their train parts only, scores their test parts. Labels are used
for the figures and for nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from detectors.bench.meter import Cost, Metered, metered_baseline, parse_method
from detectors.errors import AnomalyError
from detectors.localization_series import runs
from detectors.metrics_series import auc_pr, mean_hit_rate, parse_interpretation, vus_pr

COLLECTIONS = ("asd", "smd", "msl", "smap", "nab", "skab", "ucr")
BASELINES = ("kmeans-ad", "window-knn", "sub-pca", "pca", "z-score", "iforest")
WINDOW = 32
CLOSED = {"denoiser": "gaussian", "shrinkage": 0.001}
NAMED: dict[str, tuple[str, dict]] = {  # methods with other settings than their own defaults
    f"{name}-gaussian": (name, CLOSED) for name in ("multi_start", "imputation", "trend")
}
METHODS = ("default", *NAMED)
Scored = tuple[np.ndarray, np.ndarray | None]  # scores (time,), map (time, channel) where there is one


@dataclass(frozen=True)
class Case:
    """One series: train and test (time, channel), labels (time,), labelled events with their channels or none."""

    collection: str
    name: str
    train: np.ndarray
    test: np.ndarray
    labels: np.ndarray
    events: tuple[tuple[int, int, tuple[int, ...]], ...] = ()


@dataclass(frozen=True)
class Row:
    """What one method reached on one series."""

    collection: str
    name: str
    method: str
    seed: int
    vus_pr: float  # buffers up to twice the median event, at most 100 stamps
    vus_pr_100: float  # buffers up to 200 stamps
    auc_pr: float
    hit_100: float | None
    hit_150: float | None
    cells_per_second: float  # stamps x channels scored a second
    cost: Cost


def load_cases(root: str | Path, collection: str) -> list[Case]:
    """The labelled series of a collection below `root`. Raises AnomalyError where the folder is not there."""
    folders = {"smap": "ts_smap_msl", "msl": "ts_smap_msl", "ucr": "ts_ucr_internalbleeding"}
    folder = Path(root) / folders.get(collection, f"ts_{collection}")
    if not folder.is_dir():
        raise AnomalyError(f"There is no collection {collection!r} at {folder}; known: {', '.join(COLLECTIONS)}.")
    pattern = f"{collection.upper()}_*.npz" if collection in ("smap", "msl") else "*.npz"
    cases = [_case(collection, path) for path in sorted(folder.glob(pattern)) if "anomaly-free" not in path.name]
    return [case for case in cases if case.labels.any()]


def _case(collection: str, path: Path) -> Case:
    with np.load(path, allow_pickle=False) as z:
        if collection == "nab":
            values, labels, cut = z["value"][:, None], z["label_window"], int(z["probation"])
        elif collection == "skab":
            values, labels, cut = z["x"], z["label"], 400
        else:
            events = parse_interpretation(str(z["interpretation"])) if "interpretation" in z.files else []
            train, test = (a[:, None] if a.ndim == 1 else a for a in (z["train"], z["test"]))
            return Case(collection, path.stem, train, test, z["test_label"], tuple(events))
        return Case(collection, path.stem, values[:cut], values[cut:], labels[cut:])


# --- baselines: (train, test, seed) -> scores and, where a method has one, a map over channels --------------------
def _standard(train: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    mean, std = train.mean(0), train.std(0)
    std = np.where(std < 1e-6, 1.0, std)
    return ((train - mean) / std).astype(np.float32), ((test - mean) / std).astype(np.float32)


def _windows(x: np.ndarray, width: int) -> np.ndarray:
    return np.lib.stride_tricks.sliding_window_view(x, width, axis=0).reshape(len(x) - width + 1, -1)


def _to_stamps(window_scores: np.ndarray, width: int, length: int) -> np.ndarray:
    """Mean of the scores of all windows over each stamp."""
    sums = np.concatenate([[0.0], np.cumsum(window_scores)])
    at = np.arange(length)
    low, high = np.maximum(at - width + 1, 0), np.minimum(at + 1, len(window_scores))
    return (sums[high] - sums[low]) / np.maximum(high - low, 1)


def _by_windows(train: np.ndarray, test: np.ndarray, seed: int, make: Callable[[np.ndarray], Callable]) -> Scored:
    train, test = _standard(train, test)
    width = min(WINDOW, len(train) // 4)
    known, asked = _windows(train, width), _windows(test, width)
    rows = np.random.default_rng(seed).permutation(len(known))[:5000]
    judge = make(known[rows])
    scores = np.concatenate([judge(asked[i : i + 2048]) for i in range(0, len(asked), 2048)])
    return _to_stamps(scores, width, len(test)), None


def kmeans_ad(train: np.ndarray, test: np.ndarray, seed: int) -> Scored:
    """Distance of a window to its cluster centre (30 clusters)."""
    from sklearn.cluster import KMeans

    def make(known: np.ndarray) -> Callable:
        model = KMeans(min(30, len(known) // 2), n_init=1, random_state=seed).fit(known)
        return lambda asked: model.transform(asked).min(1)

    return _by_windows(train, test, seed, make)


def window_knn(train: np.ndarray, test: np.ndarray, seed: int) -> Scored:
    """Mean distance of a window to its 5 nearest training windows."""
    from sklearn.neighbors import NearestNeighbors

    def make(known: np.ndarray) -> Callable:
        model = NearestNeighbors(n_neighbors=5, algorithm="brute").fit(known)
        return lambda asked: model.kneighbors(asked)[0].mean(1)

    return _by_windows(train, test, seed, make)


def sub_pca(train: np.ndarray, test: np.ndarray, seed: int) -> Scored:
    """What a PCA of windows (90 % of the variance) leaves over."""
    from sklearn.decomposition import PCA

    def make(known: np.ndarray) -> Callable:
        model = PCA(0.9, svd_solver="full").fit(known)
        return lambda asked: np.linalg.norm(asked - model.inverse_transform(model.transform(asked)), axis=1)

    return _by_windows(train, test, seed, make)


def pca(train: np.ndarray, test: np.ndarray, seed: int) -> Scored:
    """What a PCA of stamps (90 % of the variance) leaves over, averaged over 10 stamps."""
    from sklearn.decomposition import PCA

    train, test = _standard(train, test)
    model = PCA(0.9, svd_solver="full").fit(train)
    left = (test - model.inverse_transform(model.transform(test))) ** 2
    return _smooth(left.sum(1)), left


def z_score(train: np.ndarray, test: np.ndarray, seed: int) -> Scored:
    """Mean absolute z-score over channels, averaged over 10 stamps."""
    size = np.abs(_standard(train, test)[1])
    return _smooth(size.mean(1)), size


def iforest(train: np.ndarray, test: np.ndarray, seed: int) -> Scored:
    """Isolation forest on stamps, averaged over 10 stamps."""
    from sklearn.ensemble import IsolationForest

    train, test = _standard(train, test)
    return _smooth(-IsolationForest(random_state=seed).fit(train).score_samples(test)), None


def _smooth(scores: np.ndarray, width: int = 10) -> np.ndarray:
    padded = np.pad(scores, (width // 2, width - 1 - width // 2), mode="edge")
    return np.convolve(padded, np.ones(width) / width, "valid")


JUDGES: dict[str, Callable[[np.ndarray, np.ndarray, int], Scored]] = dict(
    zip(BASELINES, (kmeans_ad, window_knn, sub_pca, pca, z_score, iforest), strict=True)
)


# --- the run ---------------------------------------------------------------------------------------------------------
def measure(
    root: str | Path,
    collections: Iterable[str] = COLLECTIONS,
    methods: Sequence[str] = METHODS[:1],
    baselines: Sequence[str] = BASELINES,
    seeds: Sequence[int] = (0,),
    progress: Callable[[str], None] = lambda _: None,
) -> list[Row]:
    """Every method (and a hybrid's members, as "method/member") and baseline on every series."""
    rows: list[Row] = []
    for collection in collections:
        for case in load_cases(root, collection):
            for seed in seeds:
                rows += [_baseline_row(case, name, seed) for name in baselines]
                for method in methods:
                    rows += _detector_rows(case, method, seed)
            progress(f"{collection} {case.name}")
    return rows


def _baseline_row(case: Case, name: str, seed: int) -> Row:
    scored, cost = metered_baseline(lambda: JUDGES[name](case.train, case.test, seed), len(case.test))
    return _row(case, name, seed, scored, cost)


def _detector_rows(case: Case, method: str, seed: int) -> list[Row]:
    name, settings = parse_method(method, NAMED)
    metered = Metered("series", name, case.train, seed=seed, **settings)
    detector, rows = metered.detector, []
    for member in (None, *detector.members):
        scores, cost = metered.score(case.test, member)
        channel_map = detector.anomaly_map(case.test, member=member) if case.events else None
        shown = method if member is None else f"{method}/{member}"
        rows.append(_row(case, shown, seed, (scores, channel_map), cost))
    return rows


def _row(case: Case, method: str, seed: int, scored: Scored, cost: Cost) -> Row:
    scores, channel_map = scored
    usual = int(np.median([end - start for start, end in runs(case.labels)]))
    hits: list[float | None] = [None, None]
    if channel_map is not None and case.events:
        hits = [mean_hit_rate(channel_map, case.events, percent) for percent in (100, 150)]
    return Row(
        case.collection,
        case.name,
        method,
        seed,
        vus_pr(case.labels, scores, min(50, usual)),
        vus_pr(case.labels, scores, 100),
        auc_pr(case.labels, scores),
        hits[0],
        hits[1],
        round(1000 * case.test.shape[1] / max(cost.ms_per_sample, 1e-4)),
        cost,
    )


def as_json(rows: Sequence[Row]) -> list[dict]:
    """Plain JSON values."""
    return [asdict(row) for row in rows]


def as_markdown(rows: Sequence[Row], figure: str = "vus_pr") -> str:
    """Means over the series of each collection (and over seeds): one line a method, one column a collection."""
    collections = list(dict.fromkeys(row.collection for row in rows))
    lines = [f"| {figure} | " + " | ".join(collections) + " | mean |", "|---" * (len(collections) + 2) + "|"]
    for method in dict.fromkeys(row.method for row in rows):
        cells = []
        for collection in collections:
            found = [getattr(r, figure) for r in rows if (r.method, r.collection) == (method, collection)]
            known = [v for v in found if v is not None]
            cells.append(float(np.mean(known)) if known else float("nan"))
        shown = ["" if np.isnan(v) else f"{v:.3f}" for v in cells]
        whole = "" if np.isnan(cells).any() else f"{np.mean(cells):.3f}"
        lines.append(f"| {method} | " + " | ".join(shown) + f" | {whole} |")
    return "\n".join(lines)
