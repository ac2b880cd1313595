"""One-step scores against a chain of 1000 steps with the same denoiser: what the chain's calls buy.

On one set of pictures (in pixel space), one series and one table; every method but the default trains the same network
from the same seed, so what differs is only how it is asked. A chain is dear, so that the network on pictures is small.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from detectors.bench import images, series, tables
from detectors.bench.meter import Cost, Metered, parse_method
from detectors.metrics import auroc

CHAIN = {"sampler": "ddpm", "repeats": 1}
METHODS: dict[str, tuple[str, Mapping[str, Any]]] = {  # all but the last ask the same network denoiser
    "chain of 1000 steps": ("partial", {**CHAIN, "start": 999, "num_inference_steps": 1000}),
    "chain from step 250": ("partial", {**CHAIN, "start": 250, "num_inference_steps": 250}),
    "partial": ("partial", {}),
    "distilled": ("distilled", {}),
    "multi_start": ("multi_start", {}),
    "one step": ("multi_start", {"times": (300,)}),
    "anytime": ("anytime", {}),
    "default": ("default", {}),
}
REFERENCE = "chain of 1000 steps"
PICTURES, SERIES, TABLE = "transistor", ("ucr", "135_UCR_Anomaly_InternalBleeding16_1200_4187_4199"), "6_cardio"
SMALL = {"width": 64, "depth": 2}  # of the network on pictures


@dataclass(frozen=True)
class Row:
    """What one method reached and cost on one set."""

    name: str
    method: str
    seed: int
    auroc: float
    cost: Cost


@dataclass(frozen=True)
class Task:
    """Normal samples to fit on, samples to score, whether those are anomalous, and settings of every method."""

    name: str
    modality: str
    train: Any
    test: Any
    labels: np.ndarray
    settings: Mapping[str, Any] = field(default_factory=dict)


def tasks(root: Path) -> list[Task]:
    """The three sets. Raises AnomalyError where one is not there."""
    table = tables.load_case(root, TABLE)
    collection, name = SERIES
    stamps = next(case for case in series.load_cases(root, collection) if case.name == name)
    pictures = images.load_case(root, PICTURES)
    return [
        Task(TABLE, "table", table.train, table.test, table.labels),
        Task(name, "series", stamps.train, stamps.test, stamps.labels),
        Task(PICTURES, "image", list(pictures.train), list(pictures.test), np.array(pictures.labels), SMALL),
    ]


def measure(
    root: str | Path,
    methods: Sequence[str] = tuple(METHODS),
    seeds: Sequence[int] = (0,),
    progress: Callable[[str], None] = lambda _: None,
) -> list[Row]:
    """Every method on every set, beside the chain."""
    rows = []
    for task in tasks(Path(root)):
        for seed in seeds:
            for name in dict.fromkeys((REFERENCE, *methods)):
                progress(f"{task.name}: {name}")
                rows.append(_row(task, name, seed))
    return rows


def _row(task: Task, name: str, seed: int) -> Row:
    method, settings = parse_method(name, METHODS)
    metered = Metered(task.modality, method, task.train, seed=seed, **{**task.settings, **settings})
    scores, cost = metered.score(task.test)
    return Row(task.name, name, seed, auroc(task.labels, scores), cost)


def as_json(rows: Sequence[Row]) -> list[dict]:
    """Plain JSON values."""
    return [asdict(row) for row in rows]


def as_markdown(rows: Sequence[Row]) -> str:
    """A line a method; for each set AUROC, calls a sample, and how many times fewer than the chain's."""
    sets = list(dict.fromkeys(row.name for row in rows))
    lines = [
        "| method | " + " | ".join(f"{name}: AUROC | calls | fewer | ms" for name in sets) + " |",
        "|---" * (4 * len(sets) + 1) + "|",
    ]
    for method in dict.fromkeys(row.method for row in rows):
        cells = []
        for name in sets:
            own, chain = ([r for r in rows if (r.name, r.method) == (name, m)] for m in (method, REFERENCE))
            value, calls, ms = (
                float(np.mean(v))
                for v in zip(*((r.auroc, r.cost.calls, r.cost.ms_per_sample) for r in own), strict=True)
            )
            whole = float(np.mean([r.cost.calls for r in chain]))
            less = f"{whole / calls:.0f} x" if calls else "all"
            cells.append(f"{value:.3f} | {calls:.4g} | {less} | {ms:.3g}")
        lines.append(f"| {method} | " + " | ".join(cells) + " |")
    return "\n".join(lines)
