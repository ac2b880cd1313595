"""Draws an event of a clip: a strip of its frames over the curve of their scores, for reports.

Knows frames, numbers and colours; knows nothing of stores, tools or detectors.
"""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from assistant.figures.plots import FLAGGED, SCORE, dress

if TYPE_CHECKING:
    from assistant.keeping.clips import Excerpt


def strip_image(excerpt: Excerpt, gap: int = 3) -> Image.Image:
    """The small frames side by side, the peak framed; RGB."""
    tiles = [np.asarray(Image.fromarray(tile).convert("RGB")) for tile in excerpt.strip]
    height, width = tiles[0].shape[:2]
    canvas = np.full((height + 2 * gap, len(tiles) * (width + gap) + gap, 3), 255, np.uint8)
    for number, tile in enumerate(tiles):
        left = gap + number * (width + gap)
        if int(excerpt.strip_frames[number]) == excerpt.peak:
            canvas[:, left - gap : left + width + gap] = tuple(int(FLAGGED[i : i + 2], 16) for i in (1, 3, 5))
        canvas[gap : gap + height, left : left + width] = tile
    return Image.fromarray(canvas)


def strip_png(excerpt: Excerpt, threshold: float | None, width: float = 8.6) -> bytes:
    """The strip above the curve of scores as PNG bytes on white; `width` in inches."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    strip = strip_image(excerpt)
    tall = width * strip.height / strip.width
    figure = Figure(figsize=(width, tall + 1.7), dpi=160, layout="constrained")
    FigureCanvasAgg(figure)
    top, bottom = figure.subplots(2, 1, height_ratios=[tall, 1.4])
    top.imshow(np.asarray(strip), aspect="equal", interpolation="nearest")
    top.set_axis_off()
    shown = ", ".join(str(n) for n in excerpt.strip_frames.tolist())
    top.set_title(f"frames {shown}; the peak is framed", loc="left", fontsize=8, pad=3, color="#2b2f36")
    _draw_scores(bottom, excerpt, threshold)
    buffer = BytesIO()
    figure.savefig(buffer, format="png", facecolor="white")
    return buffer.getvalue()


def _draw_scores(axis: Any, excerpt: Excerpt, threshold: float | None) -> None:
    x = excerpt.begin + np.arange(len(excerpt.scores))
    axis.plot(x, excerpt.scores, color=SCORE, linewidth=1.1)
    axis.axvspan(excerpt.event[0], excerpt.event[1] - 1, color=FLAGGED, alpha=0.15, linewidth=0)
    axis.axvline(excerpt.peak, color=FLAGGED, linewidth=1.0)
    if threshold is not None:
        axis.axhline(threshold, color=FLAGGED, linewidth=0.9, linestyle=":")
    dress(axis, _title(threshold))


def _title(threshold: float | None) -> str:
    return "score by frame" + (", and its threshold" if threshold is not None else "")
