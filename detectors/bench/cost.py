"""One-step scores against a chain of 1000 steps with the same denoiser: what the chain's calls buy.

On one set of pictures (in pixel space) and one table; every method trains the same network from the same seed, so what
differs is only how it is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from detectors.bench import images, tables
from detectors.bench.meter import Cost, Metered, parse_method
from detectors.metrics import auroc

CHAIN = {"sampler": "ddpm", "repeats": 1}
METHODS: dict[str, tuple[str, Mapping[str, Any]]] = {  # all of them ask a network denoiser
    "chain of 1000 steps": ("partial", {**CHAIN, "start": 999, "num_inference_steps": 1000}),
    "chain from step 250": ("partial", {**CHAIN, "start": 250, "num_inference_steps": 250}),
    "partial": ("partial", {}),
    "distilled": ("distilled", {}),
    "multi_start": ("multi_start", {}),
    "one step": ("multi_start", {"times": (300,)}),
    "anytime": ("anytime", {}),
}
REFERENCE = "chain of 1000 steps"
PICTURES, TABLE = "transistor", "6_cardio"


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
    """Normal samples to fit on, samples to score, and whether those are anomalous."""

    name: str
    modality: str
    train: Any
    test: Any
    labels: np.ndarray


def tasks(root: Path) -> list[Task]:
    """The two sets. Raises AnomalyError where one is not there."""
    pictures = images.load_case(root, PICTURES)
    table = tables.load_case(root, TABLE)
    return [
        Task(TABLE, "table", table.train, table.test, table.labels),
        Task(PICTURES, "image", list(pictures.train), list(pictures.test), np.array(pictures.labels)),
    ]


def measure(
    root: str | Path,
    methods: Sequence[str] = tuple(METHODS),
    seeds: Sequence[int] = (0,),
    progress: Callable[[str], None] = lambda _: None,
) -> list[Row]:
    """Every method on both sets, beside the chain."""
    rows = []
    for task in tasks(Path(root)):
        for seed in seeds:
            for name in dict.fromkeys((REFERENCE, *methods)):
                progress(f"{task.name}: {name}")
                rows.append(_row(task, name, seed))
    return rows


def _row(task: Task, name: str, seed: int) -> Row:
    method, settings = parse_method(name, METHODS)
    metered = Metered(task.modality, method, task.train, seed=seed, **settings)
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
            less = float(np.mean([r.cost.calls for r in chain])) / max(calls, 1e-9)
            cells.append(f"{value:.3f} | {calls:.4g} | {less:.0f} x | {ms:.3g}")
        lines.append(f"| {method} | " + " | ".join(cells) + " |")
    return "\n".join(lines)
