"""Measures table detectors beside simple baselines, in one run: AUROC, AUC-PR, cost.

One class: the first half of the normal rows, in file order, is fitted on; the other half and all anomalies are scored
(the split of the published figures: 5-NN under it reproduces their KNN column). Labels are used for the figures and for
nothing else. Reads the folder tab_adbench of the public sets.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from detectors.bench.meter import Cost, Metered, metered_baseline, parse_method
from detectors.errors import AnomalyError

METHODS: dict[str, tuple[str, Mapping[str, Any]]] = {  # shown name -> method and its settings
    "default": ("default", {}),
    "DTE-NP": ("diffusion_time", {}),
    "DTE-C": ("diffusion_time", {"form": "categorical"}),
    "DTE-IG": ("diffusion_time", {"form": "inverse_gamma"}),
    "multi_start": ("multi_start", {}),
    "partial": ("partial", {}),
}
SMALL = 20_000  # rows; tables below are also averaged on their own


@dataclass(frozen=True)
class Case:
    """One table: normals to fit on, rows to score, and whether those are anomalous."""

    name: str
    train: np.ndarray
    test: np.ndarray
    labels: np.ndarray

    @property
    def n_rows(self) -> int:
        return len(self.train) + len(self.test)


@dataclass(frozen=True)
class Row:
    """What one method reached on one table."""

    name: str
    n_rows: int
    method: str
    seed: int
    auroc: float
    auc_pr: float
    cost: Cost


def load_cases(root: str | Path) -> list[Case]:
    """The tables below `root`, smallest first. Raises AnomalyError where the folder is not there."""
    folder = Path(root) / "tab_adbench"
    paths = sorted(folder.glob("*.npz"))
    if not paths:
        raise AnomalyError(f"There are no tables at {folder}.")
    return sorted((_case(path) for path in paths), key=lambda case: case.n_rows)


def load_case(root: str | Path, name: str) -> Case:
    """One table below `root`. Raises AnomalyError where it is not there."""
    path = Path(root) / "tab_adbench" / f"{name}.npz"
    if not path.is_file():
        raise AnomalyError(f"There is no table at {path}.")
    return _case(path)


def _case(path: Path) -> Case:
    with np.load(path, allow_pickle=False) as z:
        x, y = z["X"].astype(np.float64), z["y"].astype(int)
    normals, half = x[y == 0], int((y == 0).sum()) // 2
    labels = np.r_[np.zeros(len(normals) - half, int), np.ones(int(y.sum()), int)]
    return Case(path.stem, normals[:half], np.concatenate([normals[half:], x[y == 1]]), labels)


# --- baselines: (train, test, seed) -> scores, on standardised columns -----------------------------------------------
def knn(train: np.ndarray, test: np.ndarray, seed: int) -> np.ndarray:
    """Distance to the fifth nearest normal."""
    from sklearn.neighbors import NearestNeighbors

    return NearestNeighbors(n_neighbors=5).fit(train).kneighbors(test)[0][:, -1]


def gmm(train: np.ndarray, test: np.ndarray, seed: int) -> np.ndarray:
    """Negative log-likelihood of a Gaussian mixture of at most 5 components."""
    from sklearn.mixture import GaussianMixture

    count = max(1, min(5, len(train) // 50))
    return -GaussianMixture(count, reg_covar=1e-3, random_state=seed).fit(train).score_samples(test)


def iforest(train: np.ndarray, test: np.ndarray, seed: int) -> np.ndarray:
    """Isolation forest."""
    from sklearn.ensemble import IsolationForest

    return -IsolationForest(random_state=seed).fit(train).score_samples(test)


def lof(train: np.ndarray, test: np.ndarray, seed: int) -> np.ndarray:
    """Local outlier factor among 20 neighbours."""
    from sklearn.neighbors import LocalOutlierFactor

    return -LocalOutlierFactor(n_neighbors=min(20, len(train) - 1), novelty=True).fit(train).score_samples(test)


def pca(train: np.ndarray, test: np.ndarray, seed: int) -> np.ndarray:
    """What a PCA that keeps 90 % of the variance leaves over."""
    from sklearn.decomposition import PCA

    model = PCA(0.9, svd_solver="full").fit(train)
    return ((test - model.inverse_transform(model.transform(test))) ** 2).sum(1)


BASELINES: dict[str, Callable[[np.ndarray, np.ndarray, int], np.ndarray]] = {
    "5-NN": knn,
    "GMM": gmm,
    "IForest": iforest,
    "LOF": lof,
    "PCA": pca,
}


# --- the run ---------------------------------------------------------------------------------------------------------
def measure(
    root: str | Path,
    methods: Sequence[str] = tuple(METHODS),
    baselines: Sequence[str] = tuple(BASELINES),
    seeds: Sequence[int] = (0,),
    max_rows: int | None = None,
    progress: Callable[[str], None] = lambda _: None,
) -> list[Row]:
    """Every method (and a hybrid's members, as "default/member") and baseline on every table under `max_rows` rows."""
    rows: list[Row] = []
    for case in load_cases(root):
        if max_rows is not None and case.n_rows >= max_rows:
            continue
        for seed in seeds:
            rows += [_baseline_row(case, name, seed) for name in baselines]
            for name in methods:
                rows += _detector_rows(case, name, seed)
        progress(f"{case.name}: {case.n_rows} rows")
    return rows


def _baseline_row(case: Case, name: str, seed: int) -> Row:
    from sklearn.preprocessing import StandardScaler

    def judge() -> np.ndarray:
        scale = StandardScaler().fit(case.train)
        return BASELINES[name](scale.transform(case.train), scale.transform(case.test), seed)

    scores, cost = metered_baseline(judge, len(case.test))
    return _row(case, name, seed, scores, cost)


def _detector_rows(case: Case, name: str, seed: int) -> list[Row]:
    method, settings = parse_method(name, METHODS)
    metered = Metered("table", method, case.train, seed=seed, **settings)
    rows = []
    for member in (None, *metered.detector.members):
        shown = name if member is None else f"{name}/{member}"
        rows.append(_row(case, shown, seed, *metered.score(case.test, member)))
    return rows


def _row(case: Case, method: str, seed: int, scores: np.ndarray, cost: Cost) -> Row:
    from sklearn.metrics import average_precision_score, roc_auc_score

    auroc, auc_pr = roc_auc_score(case.labels, scores), average_precision_score(case.labels, scores)
    return Row(case.name, case.n_rows, method, seed, float(auroc), float(auc_pr), cost)


def as_json(rows: Sequence[Row]) -> list[dict]:
    """Plain JSON values."""
    return [asdict(row) for row in rows]


def as_markdown(rows: Sequence[Row]) -> str:
    """Means over tables, all and those under 20,000 rows, with the deviation of these means over the seeds."""
    tables = len({row.name for row in rows})
    small = len({row.name for row in rows if row.n_rows < SMALL})
    lines = [
        f"| method | AUROC ({tables} tables) | AUC-PR | AUROC ({small} under 20,000 rows) | AUC-PR |",
        "|---|---|---|---|---|",
    ]
    for method in dict.fromkeys(row.method for row in rows):
        own = [row for row in rows if row.method == method]
        groups = own, [row for row in own if row.n_rows < SMALL]
        cells = [_mean(group, figure) for group in groups for figure in ("auroc", "auc_pr")]
        lines.append(f"| {method} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _mean(rows: Sequence[Row], figure: str) -> str:
    by_seed = [
        float(np.mean([getattr(r, figure) for r in rows if r.seed == seed])) for seed in sorted({r.seed for r in rows})
    ]
    if not by_seed:
        return ""
    spread = f" ± {np.std(by_seed):.4f}" if len(by_seed) > 1 else ""
    return f"{np.mean(by_seed):.4f}{spread}"
