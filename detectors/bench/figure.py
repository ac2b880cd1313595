"""Draws accuracy against cost: one panel a topic, a point a method. Knows summaries, not detectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from detectors.errors import AnomalyError

KINDS = (".png", ".svg", ".pdf")
COLOURS = {"closed form": "#2a6f97", "network": "#c8553d"}


def draw(costs: Mapping[str, Sequence[Mapping[str, Any]]], path: Path) -> None:
    """Write the picture of `costs` (topic -> entries of `summarised`) to `path`.

    Raises AnomalyError for a kind of file that is not drawn, or where nothing was measured with its cost.
    """
    if path.suffix.lower() not in KINDS:
        raise AnomalyError(f"--figure {path} must end with one of: {', '.join(KINDS)}.")
    panels = {topic: [e for e in entries if e["ms_per_sample"] and e["figures"]] for topic, entries in costs.items()}
    panels = {topic: entries for topic, entries in panels.items() if entries}
    if not panels:
        raise AnomalyError("Nothing was measured together with its cost, so there is nothing to draw.")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4 * len(panels), 4.8), layout="constrained")
    for place, (topic, entries) in zip(figure.subplots(1, len(panels), squeeze=False)[0], panels.items(), strict=True):
        _panel(place, topic, entries)
    figure.savefig(path, dpi=130)


def _panel(place: Any, topic: str, entries: Sequence[Mapping[str, Any]]) -> None:
    headline = next(iter(entries[0]["figures"]))
    entries = [entry for entry in entries if headline in entry["figures"]]
    seen: set[str] = set()
    for entry in entries:
        kind = "network" if entry["calls"] else "closed form"
        value = entry["figures"][headline]
        place.errorbar(
            entry["ms_per_sample"], value["mean"], yerr=value["spread"] or None, fmt="o", color=COLOURS[kind],
            label=kind if kind not in seen else None, markersize=6,
        )  # fmt: skip
        seen.add(kind)
    _log_axis(place, [entry["ms_per_sample"] for entry in entries])
    place.margins(y=0.12)
    _name_points(place, [(e["ms_per_sample"], e["figures"][headline]["mean"], e["method"]) for e in entries])
    place.set(title=topic, xlabel="milliseconds a sample (log)", ylabel=headline.replace("_", " "))
    place.grid(color="#dddddd", linewidth=0.6)
    place.spines[["top", "right"]].set_visible(False)
    place.legend(frameon=False, loc="lower right", fontsize=8)


def _log_axis(place: Any, values: Sequence[float]) -> None:
    """Milliseconds at 1, 2, 5 of each decade in plain numbers, with room on the right for the last name."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    low, high = min(values), max(values)
    place.set_xscale("log")
    place.set_xlim(low / 1.5, 1.5 * high * (1.5 * high / low) ** 0.6)
    place.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0) if high < 30 * low else (1.0,)))
    place.xaxis.set_minor_locator(NullLocator())
    place.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def _name_points(place: Any, points: Sequence[tuple[float, float, str]]) -> None:
    """Names beside the points, moved up or down where two would overlap."""
    place.figure.canvas.draw()
    dots = [place.transData.transform((x, y)) for x, y, _ in points]
    taken = [(x - 4, y - 4, x + 4, y + 4) for x, y in dots]  # left, bottom, right, top in pixels
    for x, y, name in sorted(points, key=lambda point: -point[1]):
        left, middle = place.transData.transform((x, y))
        width, height = 6.0 * len(name), 11.0
        left, shift = left + 9, -height / 2
        while any(_overlap((left, middle + shift, left + width, middle + shift + height), box) for box in taken):
            shift -= 2.0
        taken.append((left, middle + shift, left + width, middle + shift + height))
        place.annotate(
            name, (x, y), xytext=(6, shift * 72 / place.figure.dpi + 1), textcoords="offset points", fontsize=8
        )


def _overlap(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
