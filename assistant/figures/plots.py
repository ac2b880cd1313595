"""Draws a stretch of a series: guilty channels on top, what was expected under what was observed, the score below.

One description (`SeriesView`) gives the interactive Plotly figure of the page and the PNG of the report.
Knows arrays and names; knows nothing of stores, tools or detectors.
"""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from io import BytesIO
from itertools import pairwise
from typing import Any

import numpy as np

# Okabe and Ito's colours: told apart with every kind of colour vision, and readable on light and dark ground.
OBSERVED, EXPECTED, FLAGGED, SCORE = "#2f7fc1", "#e08a1e", "#d1495b", "#7a7f87"
CHANNELS = 4  # drawn of an event
BAND = "rgba(0,158,115,0.26)"
_POINTS = 4000  # per channel; longer stretches are thinned by the extremes of each bin


@dataclass(frozen=True)
class SeriesView:
    """A stretch of a series. `x` are indices or time stamps (n,); intervals index into it, half-open."""

    x: np.ndarray  # (n,) integers or datetime64
    channels: tuple[str, ...]  # most guilty first
    observed: np.ndarray  # (n, channels), in the channels' own units
    expected: np.ndarray | None  # (n, channels) the nearest normal version, or None
    score: np.ndarray | None  # (n,) score of each stamp
    threshold: float | None  # the score that alpha flags at
    intervals: tuple[tuple[int, int, str], ...]  # (start, end, name) within the stretch
    shares: tuple[float, ...] = ()  # share of the score by channel, 0..1
    start: int = 0  # the row of the run that x[0] is
    band: tuple[np.ndarray, np.ndarray] | None = None  # (n, channels) each: between them lies what is usual


def plotly_series(view: SeriesView, channels: int = CHANNELS, height: int = 0) -> Any:
    """An interactive `plotly.graph_objects.Figure`: one row a channel, the most guilty first, and the score below.

    Built from plain values and not checked again by Plotly: checking takes ten times as long as drawing.
    """
    import plotly.graph_objects as go

    shown = min(channels, len(view.channels))
    rows = shown + (view.score is not None)
    traces = [trace for row in range(shown) for trace in _traces(view, row)]
    if view.score is not None:
        traces.append(_score_trace(view, rows))
    layout = _layout(view, shown, rows, height or 92 * shown + 150)
    return go.Figure({"data": traces, "layout": layout}, _validate=False)


def _traces(view: SeriesView, channel: int) -> list[dict[str, Any]]:
    """The band, what was expected and what was observed of one channel, from below to above."""
    axes = {"type": "scatter", "mode": "lines", **_axes(channel)}
    first = channel == 0
    found: list[dict[str, Any]] = []
    if view.band is not None:
        edge = {**axes, "line": {"width": 0}, "hoverinfo": "skip", "legendgroup": "band", "showlegend": False}
        for low_high, more in ((0, {}), (1, {"fill": "tonexty", "fillcolor": BAND, "showlegend": first})):
            x, y = view.x, view.band[low_high][:, channel]
            found.append({**edge, "x": _plain(x), "y": _plain(y), "name": "usual range", **more})
    for name, values, colour, dash in _lines(view, channel):
        x, y = thin(view.x, values)
        line = {"color": colour, "width": 1.5 if dash == "solid" else 1.4, "dash": dash}
        told = {"name": name, "line": line, "showlegend": first, "legendgroup": name}
        found.append({**axes, "x": _plain(x), "y": _plain(y), **told})
    return found


def _score_trace(view: SeriesView, rows: int) -> dict[str, Any]:
    """The score; each point knows its row in the run, for what a reader brushes."""
    assert view.score is not None
    index, y = thin(np.arange(len(view.x)), view.score)
    return {
        "type": "scatter", "mode": "lines", "name": "score", **_axes(rows - 1),
        "x": _plain(view.x[index]), "y": _plain(y),
        "line": {"color": SCORE, "width": 1.3}, "showlegend": False, "customdata": (view.start + index).tolist(),
    }  # fmt: skip


def _axes(row: int) -> dict[str, str]:
    return {"xaxis": "x", "yaxis": "y" if row == 0 else f"y{row + 1}"}


def _plain(values: np.ndarray) -> list[Any]:
    """As JSON's own; times as text, gaps as None."""
    if np.issubdtype(values.dtype, np.datetime64):
        return np.datetime_as_string(values.astype("datetime64[ms]")).tolist()
    if values.dtype.kind in "iu":
        return values.tolist()
    return [None if not np.isfinite(v) else float(f"{v:.6g}") for v in values.astype(float)]


def _lines(view: SeriesView, channel: int) -> list[tuple[str, np.ndarray, str, str]]:
    lines = []
    if view.expected is not None:  # first, so that it lies under what was observed
        lines.append(("expected", view.expected[:, channel], EXPECTED, "dash"))
    return [*lines, ("observed", view.observed[:, channel], OBSERVED, "solid")]


def _layout(view: SeriesView, shown: int, rows: int, height: int) -> dict[str, Any]:
    clear = "rgba(0,0,0,0)"
    axis = {"gridcolor": "rgba(128,134,142,0.18)", "zeroline": False, "linecolor": "rgba(128,134,142,0.4)"}
    spike = {"showspikes": True, "spikemode": "across", "spikethickness": 1, "spikedash": "dot", "spikesnap": "cursor"}
    domains = _domains([1.0] * shown + [0.75] * (rows - shown), 0.11 / max(rows, 2) + 0.02)
    layout: dict[str, Any] = {
        "height": height, "margin": {"l": 54, "r": 14, "t": 46, "b": 30}, "paper_bgcolor": clear, "plot_bgcolor": clear,
        "font": {"family": "system-ui, sans-serif", "size": 11, "color": "#7a7f87"}, "hovermode": "x unified",
        "legend": {"orientation": "h", "x": 1, "xanchor": "right", "y": 1.035, "yanchor": "bottom"},
        "dragmode": "select", "selectdirection": "h",
        "modebar": {"orientation": "h", "bgcolor": clear, "remove": ["lasso2d"]},
        "newselection": {"line": {"color": OBSERVED, "width": 1}},
        "xaxis": {**axis, **spike, "anchor": "y" if rows == 1 else f"y{rows}"}, "shapes": _shapes(view, rows),
        "annotations": [],
    }  # fmt: skip
    for row, domain in enumerate(domains):
        name = "" if row == 0 else str(row + 1)
        layout[f"yaxis{name}"] = {**axis, "nticks": 4, "domain": domain, "anchor": "x"}
        layout["annotations"].append({
            "text": _title(view, row, shown), "xref": "paper", "x": 0, "yref": f"y{name} domain", "y": 1.0,
            "xanchor": "left", "yanchor": "bottom", "showarrow": False, "font": {"size": 11.5},
        })  # fmt: skip
    return layout


def _domains(weights: list[float], gap: float) -> list[list[float]]:
    """The heights of the rows, from above, as shares of the figure."""
    unit = (1.0 - gap * (len(weights) - 1)) / sum(weights)
    found, top = [], 1.0
    for weight in weights:
        found.append([max(0.0, top - weight * unit), top])
        top -= weight * unit + gap
    return found


def _shapes(view: SeriesView, rows: int) -> list[dict[str, Any]]:
    """The intervals on every row, and the threshold on the score's."""
    shapes = []
    for row in range(rows):
        name = "" if row == 0 else str(row + 1)
        for start, end in dict.fromkeys(span[:2] for span in view.intervals):  # parts may be odd in the same steps
            place = {"xref": "x", "yref": f"y{name} domain", "y0": 0, "y1": 1}
            look = {"fillcolor": FLAGGED, "opacity": 0.16, "line": {"width": 0}, "layer": "below"}
            shapes.append({"type": "rect", **place, "x0": _at(view, start), "x1": _at(view, end - 1), **look})
    if view.score is not None and view.threshold is not None:
        name = "" if rows == 1 else str(rows)
        line = {"color": FLAGGED, "width": 1, "dash": "dot"}
        level = {"y0": view.threshold, "y1": view.threshold}
        shapes.append({"type": "line", "xref": "x domain", "yref": f"y{name}", "x0": 0, "x1": 1, **level, "line": line})
    return shapes


def _title(view: SeriesView, row: int, shown: int) -> str:
    if row == shown:
        return "score" + (" and its threshold" if view.threshold is not None else "")
    share = f"  {100 * view.shares[row]:.0f} % of the score" if row < len(view.shares) else ""
    return f"<b>{escape(view.channels[row])}</b>{share}"  # plotly reads simple tags in its texts


def _at(view: SeriesView, index: int) -> Any:
    value = view.x[int(np.clip(index, 0, len(view.x) - 1))]
    return str(value) if np.issubdtype(np.asarray(view.x).dtype, np.datetime64) else value.item()


def thin(x: np.ndarray, y: np.ndarray, points: int = _POINTS) -> tuple[np.ndarray, np.ndarray]:
    """At most about `points` points of a line; the lowest and the highest of each bin stay, so spikes stay."""
    if len(y) <= points:
        return x, y
    edges = np.linspace(0, len(y), points // 2 + 1).astype(int)
    keep: set[int] = set()
    filled = np.nan_to_num(np.asarray(y, float))
    for start, end in pairwise(edges):
        keep.update((start + int(filled[start:end].argmin()), start + int(filled[start:end].argmax())))
    index = np.array(sorted(keep))
    return x[index], y[index]


def series_png(view: SeriesView, channels: int = 4, width: float = 8.6) -> bytes:
    """The same figure as PNG bytes on white, for reports; `width` in inches."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    shown = min(channels, len(view.channels))
    rows = shown + (view.score is not None)
    figure = Figure(figsize=(width, 1.15 * shown + 1.1 * (rows - shown) + 0.35), dpi=160, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, 1, sharex=True, squeeze=False)[:, 0]
    for row, axis in enumerate(axes):
        _draw_row(axis, view, row, shown)
    if view.expected is not None and shown:
        place = {"loc": "lower right", "bbox_to_anchor": (1.0, 1.0), "borderaxespad": 0.1}
        axes[0].legend(**place, ncols=2, frameon=False, fontsize=7.5)
    if np.issubdtype(np.asarray(view.x).dtype, np.datetime64):
        _short_dates(axes[-1])
    buffer = BytesIO()
    figure.savefig(buffer, format="png", facecolor="white")
    return buffer.getvalue()


def _short_dates(axis: Any) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator(minticks=3, maxticks=9)  # fewer than 3 fits no step between 3 and 5 of a unit
    axis.xaxis.set_major_locator(locator)
    axis.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    axis.xaxis.get_offset_text().set_fontsize(7)


def _draw_row(axis: Any, view: SeriesView, row: int, shown: int) -> None:
    title = _title(view, row, shown) if row == shown else view.channels[row]
    if row < shown:
        for name, values, colour, dash in _lines(view, row):
            style = "--" if dash == "dash" else "-"
            axis.plot(*thin(view.x, values), color=colour, linewidth=1.1, linestyle=style, label=name)
        title += f"   {100 * view.shares[row]:.0f} % of the score" if row < len(view.shares) else ""
    elif view.score is not None:
        axis.plot(*thin(view.x, view.score), color=SCORE, linewidth=1.0)
        if view.threshold is not None:
            axis.axhline(view.threshold, color=FLAGGED, linewidth=0.9, linestyle=":")
    for start, end in {span[:2] for span in view.intervals}:  # parts may be odd in the same steps
        axis.axvspan(view.x[start], view.x[min(end, len(view.x)) - 1], color=FLAGGED, alpha=0.15, linewidth=0)
    dress(axis, title)


def dress(axis: Any, title: str) -> None:
    """How every axis looks. Names come from data: a dollar sign in a title must not start a formula."""
    axis.set_title(title.replace("$", r"\$"), loc="left", fontsize=8, pad=3, color="#2b2f36")
    axis.tick_params(labelsize=7, colors="#5c626b", length=2.5)
    axis.grid(True, color="#e7e9ec", linewidth=0.6)
    axis.set_axisbelow(True)
    axis.margins(x=0.005)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axis.spines[side].set_color("#c4c9d0")
