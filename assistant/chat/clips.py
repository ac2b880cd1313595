"""The player of the page: an event's pictures step by step, with the score of each step under them.

Turns what a clip's or a several-part finding keeps into the values of the `player` macro. Knows kept files and
figures; not gradio, the store or detectors.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from PIL import Image

from assistant import figures
from assistant.evidence import format_number
from assistant.keeping import Stretch, load_stretch, plain
from assistant.keeping.clips import Excerpt, load_excerpt
from assistant.keeping.parts import Excerpt as Parts
from assistant.keeping.parts import load_parts, picture_at
from assistant.records import Finding
from assistant.words import when

Encode = Callable[[Image.Image], str]  # a picture as an address inside the page
MOST = 96  # pictures of one player; longer events are thinned evenly
_HEAT = 180  # pixels, the width of a small map


def clip_player(finding: Finding, level: float | None, heat: np.ndarray, encode: Encode) -> dict[str, Any]:
    """A clip's event: its frames around the peak, a few small ones further away, and the scores of all."""
    kept = load_excerpt(finding.folder)
    frames = {int(number): tile for number, tile in zip(kept.strip_frames, kept.strip, strict=True)}
    frames |= {kept.first + i: frame for i, frame in enumerate(kept.frames)}
    height, width = kept.frames.shape[1:3]
    pictures = [(number, Image.fromarray(frames[number])) for number in sorted(frames)]
    return {
        **_curve(finding, kept.scores, kept.p_values, kept.begin, level),
        "title": f"Frames of {finding.sample}",
        "unit": "frame",
        "peak": kept.peak,
        "times": json.dumps([]),
        "frames": _encoded(pictures, kept.peak, encode),
        "heats": _heats(kept, heat, (width, height), encode),
        "width": width,
        "height": height,
    }


def parts_player(finding: Finding, level: float | None, encode: Encode) -> dict[str, Any] | None:
    """An event of several parts: pictures of its first part that has some, over the scores; None without pictures."""
    kept, stretch = load_parts(finding.folder), load_stretch(finding.folder)
    part, found = _pictures(kept, len(stretch.scores))
    if not found:
        return None
    peak = stretch.start + stretch.rows.start + int(np.nanargmax(stretch.scores[stretch.rows]))
    pictures = [(number, Image.fromarray(np.asarray(one, np.uint8).squeeze())) for number, one in found]
    width, height = pictures[0][1].size
    return {
        **_curve(finding, stretch.scores, stretch.p_values, stretch.start, level),
        "title": f"{part}, step by step",
        "unit": "step",
        "peak": peak,
        "times": json.dumps(_times(stretch)),
        "frames": _encoded(pictures, peak, encode),
        "heats": [],
        "width": width,
        "height": height,
    }


def _heats(kept: Excerpt, heat: np.ndarray, size: tuple[int, int], encode: Encode) -> list[dict[str, Any]]:
    """The map of each frame that has kept one; of the peak at its full size, of the others as small as they are."""
    small = (max(1, min(size[0], _HEAT)), max(1, round(size[1] * min(size[0], _HEAT) / size[0])))
    layers = {int(n): figures.heat_layer(one, small) for n, one in zip(kept.map_frames, kept.maps, strict=True)}
    layers[kept.peak] = figures.heat_layer(heat, size)
    return [{"number": number, "picture": encode(layers[number])} for number in sorted(layers)]


def _pictures(kept: Parts, steps: int) -> tuple[str, list[tuple[int, Any]]]:
    """The first part that has pictures, and they with the numbers of their steps."""
    for name, samples in kept.parts.items():
        if hasattr(samples, "columns"):
            continue
        found = [(kept.start + i, one) for i in range(steps) if (one := picture_at(samples, i)) is not None]
        if found:
            return name, found
    return "", []


def _times(stretch: Stretch) -> list[str]:
    return [when(str(time.astype("datetime64[s]"))) for time in stretch.times]


def _encoded(pictures: Sequence[tuple[int, Image.Image]], peak: int, encode: Encode) -> list[dict[str, Any]]:
    """At most MOST of the pictures, the peak's among them."""
    step = -(-len(pictures) // MOST)
    chosen = [pair for i, pair in enumerate(pictures) if i % step == 0 or pair[0] == peak]
    return [{"number": number, "picture": encode(picture)} for number, picture in chosen]


def _curve(
    finding: Finding, scores: np.ndarray, p_values: np.ndarray, first: int, level: float | None
) -> dict[str, Any]:
    """The scores (n,) as a line in a field of 1000 x 100, flagged steps shaded, and what is told of each."""
    seen = scores[np.isfinite(scores)]
    top = max(float(seen.max()) if len(seen) else 1.0, level or 0.0) * 1.05 or 1.0
    low = min(float(seen.min()) if len(seen) else 0.0, 0.0)
    x = np.linspace(0, 1000, len(scores)) if len(scores) > 1 else np.array([500.0])
    y = 100 - 100 * (np.nan_to_num(scores, nan=low) - low) / (top - low)
    last = first + len(scores) - 1
    return {
        "finding": finding.id,
        "alpha": finding.alpha,
        "first": first,
        "last": last,
        "from": str(first),
        "to": str(last),
        "scores": json.dumps(plain(np.round(scores.astype(float), 6))),
        "p_values": json.dumps(plain(p_values.astype(float))),
        "points": " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True)),
        "shaded": _shaded(p_values <= finding.alpha),
        "level": None if level is None else f"{100 - 100 * (level - low) / (top - low):.1f}",
        "level_words": "" if level is None else f"flagged from {format_number(level)} on",
    }


def _shaded(flagged: np.ndarray) -> list[tuple[str, str]]:
    """(left, width) of each run of flagged steps, in thousandths of the width."""
    edges = np.flatnonzero(np.diff(np.r_[0, flagged.astype(int), 0]))
    count = max(1, len(flagged) - 1)
    runs = [(max(0.0, a - 0.5), min(len(flagged) - 1.0, b - 0.5)) for a, b in zip(edges[::2], edges[1::2], strict=True)]
    return [(f"{1000 * a / count:.1f}", f"{1000 * (b - a) / count:.1f}") for a, b in runs]
