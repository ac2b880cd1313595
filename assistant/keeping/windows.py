"""Turns what a series finding keeps into the stretch that figures draw. Knows kept files and records; not pictures."""

from __future__ import annotations

import numpy as np

from assistant.figures.plots import SeriesView
from assistant.keeping.folder import Stretch, load_stretch
from assistant.records import Finding


def series_view(finding: Finding, level: float | None = None) -> SeriesView:
    """The event of a finding with its surroundings, its channels ranked by guilt.

    Args:
        level: the score at which stamps were flagged; read off the stretch where it is not known.

    Raises:
        AnomalyError: the store lost the finding's files.
    """
    stretch = load_stretch(finding.folder)
    ranked = ranking(finding, stretch.channels)
    shares = {str(part["name"]): float(part["share"]) for part in finding.parts}
    names = tuple(stretch.channels[i] for i in ranked)
    rows = len(stretch.observed)
    return SeriesView(
        x=stretch.times if len(stretch.times) else np.arange(stretch.start, stretch.start + rows),
        channels=names,
        observed=stretch.observed[:, ranked],
        expected=None if stretch.expected is None else stretch.expected[:, ranked],
        score=stretch.scores,
        threshold=threshold(stretch, finding.alpha) if level is None else level,
        intervals=intervals(finding, stretch),
        shares=tuple(shares.get(name, 0.0) for name in names),
        start=stretch.start,
    )


def leading_signal(finding: Finding) -> tuple[np.ndarray, tuple[int, int]]:
    """The guiltiest channel (n,) and the rows of the event in it."""
    stretch = load_stretch(finding.folder)
    rows = stretch.rows
    return stretch.observed[:, ranking(finding, stretch.channels)[0]], (rows.start, rows.stop)


def ranking(finding: Finding, channels: tuple[str, ...]) -> list[int]:
    """Positions of all channels, the most guilty first; those without guilt keep their order."""
    place = {str(part["name"]): rank for rank, part in enumerate(finding.parts)}
    return sorted(range(len(channels)), key=lambda i: place.get(channels[i], len(place)))


def threshold(stretch: Stretch, alpha: float) -> float | None:
    """The score at which alpha flags, read off the stretch: between the highest kept and the lowest flagged stamp."""
    flagged = stretch.p_values <= alpha
    if not flagged.any():
        return None
    lowest = float(stretch.scores[flagged].min())
    below = stretch.scores[~flagged]
    below = below[below < lowest]
    return (lowest + float(below.max())) / 2 if len(below) else lowest


def intervals(finding: Finding, stretch: Stretch) -> tuple[tuple[int, int, str], ...]:
    """The finding's intervals within the stretch; the whole event where it has none."""
    rows = stretch.rows
    found = [
        (max(0, r["start"] - stretch.start), r["end"] - stretch.start, str(r["name"]))
        for r in finding.regions
        if r.get("start") is not None
    ]
    return tuple(found) or ((rows.start, rows.stop, "event"),)
