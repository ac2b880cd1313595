"""Accuracy and cost of each method in the same columns, whatever a topic measures.

Turns the JSON rows of a topic into one entry a method: figures with their spread over seeds, seconds to fit,
milliseconds and network calls a sample, memory. Knows rows, not detectors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

NOT_FIGURES = {"seed", "n_rows"}
COSTS = {"fit_seconds": "fit s", "ms_per_sample": "ms a sample", "calls": "calls a sample", "peak_mb": "peak MB"}
SETS = ("name", "collection", "dataset")  # what a topic calls the set that a row is about


def summarised(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """One entry a method, in the order of the rows: {"method", "figures": {name: {"mean", "spread"}}, costs}.

    A figure is the mean over sets, and its spread the deviation of that mean over seeds; a cost is the mean over rows,
    memory the highest, and None where a topic did not measure it.
    """
    return [_entry(method, [row for row in rows if row["method"] == method]) for method in _names(rows)]


def _names(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(row["method"] for row in rows))


def _entry(method: str, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    figures = {}
    for name in dict.fromkeys(name for row in rows for name in figures_of(row)):
        figures[name] = _figure(name, rows)
    costs = {name: _cost(name, rows) for name in COSTS}
    return {"method": method, "figures": figures, **costs}


def figures_of(row: Mapping[str, Any]) -> dict[str, float]:
    """The accuracy figures of a row, those nested under "figures" included."""
    flat = {**row, **row.get("figures", {})}
    left_out = {*NOT_FIGURES, *COSTS, "score_seconds", "cells_per_second", "images_per_second", "frames_per_second"}
    return {k: float(v) for k, v in flat.items() if isinstance(v, int | float) and k not in left_out}


def _figure(name: str, rows: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    by_seed: dict[int, list[float]] = {}
    for row in rows:
        if name in figures_of(row):
            by_seed.setdefault(row.get("seed", 0), []).append(figures_of(row)[name])
    means = [float(np.mean(values)) for values in by_seed.values()]
    return {"mean": float(np.mean(means)), "spread": float(np.std(means))}


def _cost(name: str, rows: Sequence[Mapping[str, Any]]) -> float | None:
    found = [{**row, **(row.get("cost") or {})}.get(name) for row in rows]
    known = [float(value) for value in found if value is not None]
    if not known:
        return None
    return round(float(max(known) if name == "peak_mb" else np.mean(known)), 4)


def costs_table(costs: Sequence[Mapping[str, Any]]) -> str:
    """The entries as Markdown."""
    figures = list(dict.fromkeys(name for entry in costs for name in entry["figures"]))
    lines = [
        "| method | " + " | ".join([*figures, *COSTS.values()]) + " |",
        "|---" * (1 + len(figures) + len(COSTS)) + "|",
    ]
    for entry in costs:
        cells = [_spread(entry["figures"].get(name)) for name in figures]
        cells += ["" if entry[name] is None else f"{entry[name]:.3g}" for name in COSTS]
        lines.append(f"| {entry['method']} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _spread(figure: Mapping[str, float] | None) -> str:
    if figure is None:
        return ""
    return f"{figure['mean']:.3f}" + (f" ± {figure['spread']:.3f}" if figure["spread"] else "")
