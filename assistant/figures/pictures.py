"""Turns images, anomaly maps and short signals into pictures (PNG and WebP bytes, SVG text).

Knows pixels, colours and boxes; knows nothing of stores, tools, detectors or pages. Maps are calibrated: 1.0 is the
level that few normals exceed, so the colour of a place says the same thing in every picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

Picture = Image.Image | np.ndarray | str | Path

# Anchors of a ramp whose lightness rises steadily (after matplotlib's "inferno", van der Walt and Smith 2015): it reads
# the same with every kind of colour vision, and in grey.
_RAMP_HEX = ("#3d0a63", "#6a176e", "#932667", "#bc3754", "#dd513a", "#f37819", "#fca50a", "#f8c428")
_RAMP = np.array([[int(colour[i : i + 2], 16) for i in (1, 3, 5)] for colour in _RAMP_HEX], np.float32)
RAMP_ENDS = ("½", "32×")
RAMP_CSS = f"linear-gradient(90deg,{','.join(_RAMP_HEX[1:])})"
_FAINT = 0.5  # below half the level of normals a place stays uncoloured
_FULL = 32.0  # here the ramp ends; steps are even in the logarithm, since defects reach far above normal places
_LEGIBLE = 360  # pictures whose longer side is shorter are enlarged, so that lines and labels stay fine


@dataclass(frozen=True)
class Box:
    """A labelled rectangle in input pixels, half-open; `level` is the map value its outline is drawn at."""

    label: str
    left: int
    top: int
    right: int
    bottom: int
    level: float = 1.0


def boxes_of(regions: Sequence[dict[str, Any]]) -> list[Box]:
    """The boxes of a finding's regions, most guilty first; regions without a box (intervals, features) are left out."""
    found = [(r["name"], r["box"]) for r in regions if r.get("box")]
    return [Box(str(name), *(int(v) for v in box)) for name, box in found]


def load_picture(picture: Picture) -> Image.Image:
    """An RGB image from a file, an array (h, w[, c]) uint8 or an image; 16-bit grey is scaled to 8 bits."""
    if isinstance(picture, np.ndarray):
        picture = Image.fromarray(picture.squeeze() if picture.ndim == 3 and picture.shape[2] == 1 else picture)
    elif not isinstance(picture, Image.Image):
        with Image.open(picture) as opened:
            opened.load()
            picture = opened
    if picture.mode.startswith("I"):
        grey = np.asarray(picture, np.float64)
        picture = Image.fromarray(np.clip(grey * 255.0 / max(grey.max(), 1.0), 0, 255).astype(np.uint8))
    return picture.convert("RGB")


def png(image: Image.Image) -> bytes:
    """The image as PNG bytes."""
    buffer = BytesIO()
    image.save(buffer, "PNG", optimize=False, compress_level=6)
    return buffer.getvalue()


def colour_ramp(values: np.ndarray) -> np.ndarray:
    """Values in 0..1 of any shape to uint8 colours, shape (*values.shape, 3)."""
    place = np.clip(np.nan_to_num(values), 0.0, 1.0) * (len(_RAMP) - 1)
    low = np.minimum(place.astype(int), len(_RAMP) - 2)
    part = (place - low)[..., None]
    return np.asarray(np.rint(_RAMP[low] * (1 - part) + _RAMP[low + 1] * part), dtype=np.uint8)


def heat_layer(anomaly_map: np.ndarray, size: tuple[int, int] | None = None) -> Image.Image:
    """A calibrated map (h, w) as a transparent colour layer (RGBA) of `size` (width, height), to lie on the input."""
    level = np.nan_to_num(np.asarray(anomaly_map, np.float32))
    if size and size != level.shape[::-1]:
        level = np.asarray(Image.fromarray(level, "F").resize(size, Image.Resampling.BILINEAR))
    strength = np.clip(np.log(np.maximum(level, _FAINT) / _FAINT) / np.log(_FULL / _FAINT), 0.0, 1.0)
    colour = colour_ramp(0.1 + 0.9 * strength)
    alpha = 70 + 110 * np.minimum(strength * 2.0, 1.0)  # readable from the first step on, never hiding what lies below
    # The step at the faint end is softened over a quarter level, so no hard edge suggests a border that is not there.
    alpha = alpha * np.clip((level - _FAINT) / 0.25, 0.0, 1.0)
    return Image.fromarray(np.dstack([colour, alpha.astype(np.uint8)]), "RGBA")


def outlines(anomaly_map: np.ndarray, boxes: Sequence[Box]) -> list[np.ndarray]:
    """Closed lines (n, 2), (x, y) in input pixels, around the places in the boxes where the map reaches their level."""
    from contourpy import contour_generator

    found: list[np.ndarray] = []
    for box in boxes:
        inside = np.asarray(anomaly_map[box.top : box.bottom, box.left : box.right], np.float32)
        if inside.size == 0:
            continue
        framed = np.pad(np.nan_to_num(inside), 1)  # zero frame: lines close at the border of the box
        for line in contour_generator(z=framed).lines(box.level):
            if len(line) >= 4:
                found.append(np.asarray(line) + np.array([box.left - 0.5, box.top - 0.5]))
    return found


def overlay(
    picture: Picture, anomaly_map: np.ndarray | None, boxes: Sequence[Box] = (), opacity: float = 0.75
) -> Image.Image:
    """The input under its map, with the outline of each place and its numbered box; small inputs are enlarged."""
    image = load_picture(picture)
    canvas = legible(image)
    scale = canvas.width // image.width
    if anomaly_map is not None:
        layer = heat_layer(anomaly_map, canvas.size)
        layer.putalpha(layer.getchannel("A").point(lambda a: int(a * opacity)))
        canvas = Image.alpha_composite(canvas.convert("RGBA"), layer).convert("RGB")
        canvas = _stroke(canvas, [line * scale for line in outlines(anomaly_map, boxes)])
    return _frames(canvas, boxes, scale)


def legible(picture: Picture) -> Image.Image:
    """The picture, small ones enlarged by a whole number, so that those of one sample stay of one size."""
    image = load_picture(picture)
    scale = max(1, -(-_LEGIBLE // max(image.size)))
    return image.resize((image.width * scale, image.height * scale), Image.Resampling.BICUBIC)


def _stroke(canvas: Image.Image, lines: Sequence[np.ndarray]) -> Image.Image:
    """Lines in white on a dark halo: visible on every ground. Drawn at twice the size, since PIL does not smooth."""
    if not lines:
        return canvas
    layer = Image.new("RGBA", (canvas.width * 2, canvas.height * 2))
    draw = ImageDraw.Draw(layer)
    width = max(2, round(max(canvas.size) / 180))
    for colour, thick in (((16, 18, 22, 200), width * 2), ((255, 255, 255, 255), width)):
        for line in lines:
            draw.line([tuple(point) for point in line * 2], fill=colour, width=thick, joint="curve")
    layer = layer.resize(canvas.size, Image.Resampling.LANCZOS)
    return Image.alpha_composite(canvas.convert("RGBA"), layer).convert("RGB")


def _frames(canvas: Image.Image, boxes: Sequence[Box], scale: int) -> Image.Image:
    draw = ImageDraw.Draw(canvas)
    thick = max(1, round(max(canvas.size) / 320))
    font = ImageFont.load_default(max(11, round(max(canvas.size) / 34)))
    for number, box in reversed(list(enumerate(boxes, 1))):  # the most guilty last: it lies on top
        frame = (box.left * scale, box.top * scale, box.right * scale - 1, box.bottom * scale - 1)
        around = (frame[0] - thick, frame[1] - thick, frame[2] + thick, frame[3] + thick)
        draw.rectangle(around, outline="#10161d", width=thick)
        draw.rectangle(frame, outline="#ffffff", width=thick)
        left, top, right, bottom = draw.textbbox((0, 0), str(number), font=font)
        width, height = right - left + 8, bottom - top + 6
        x = min(frame[0], canvas.width - width)
        y = frame[1] - height if frame[1] >= height else min(frame[3] + 1, canvas.height - height)
        draw.rectangle((x, y, x + width, y + height), fill="#10161d")
        draw.text((x + 4 - left, y + 3 - top), str(number), fill="#ffffff", font=font)
    return canvas


def pair(observed: Picture, expected: Picture) -> Image.Image:
    """The input and its nearest normal version side by side, at the input's size, with a narrow gap."""
    left = load_picture(observed)
    right = load_picture(expected).resize(left.size, Image.Resampling.BICUBIC)
    gap = max(4, left.width // 50)
    canvas = Image.new("RGB", (left.width * 2 + gap, left.height), "#ffffff")
    canvas.paste(left, (0, 0))
    canvas.paste(right, (left.width + gap, 0))
    return canvas


def heat_thumbnail(picture: Picture, anomaly_map: np.ndarray, size: tuple[int, int] = (88, 66)) -> bytes:
    """The input under its map as a thumbnail, without boxes: they would hide what is small."""
    image = load_picture(picture)
    image.thumbnail((size[0] * 3, size[1] * 3))
    layer = heat_layer(anomaly_map, image.size)
    return thumbnail(Image.alpha_composite(image.convert("RGBA"), layer), size)


def thumbnail(picture: Picture, size: tuple[int, int] = (88, 66)) -> bytes:
    """A small WebP that fills `size` (width, height), cut at the longer side."""
    image = load_picture(picture)
    scale = max(size[0] / image.width, size[1] / image.height)
    image = image.resize((max(size[0], round(image.width * scale)), max(size[1], round(image.height * scale))))
    left, top = (image.width - size[0]) // 2, (image.height - size[1]) // 2
    buffer = BytesIO()
    image.crop((left, top, left + size[0], top + size[1])).save(buffer, "WEBP", quality=72)
    return buffer.getvalue()


def sparkline(
    values: np.ndarray, shaded: tuple[int, int] | None = None, size: tuple[int, int] = (88, 66), label: str = ""
) -> str:
    """A signal (n,) as a small SVG with the flagged stretch shaded; its colours come from the page (currentColor)."""
    width, height = size
    signal = np.asarray(values, float)
    columns = min(len(signal), width)
    if columns < 2 or not np.isfinite(signal).any():
        return f'<svg class="spark" viewBox="0 0 {width} {height}" role="img" aria-label="{escape(label)}"></svg>'
    low, high = float(np.nanmin(signal)), float(np.nanmax(signal))
    edges = np.linspace(0, len(signal), columns + 1).astype(int)
    points: list[str] = []
    for column in range(columns):  # lowest and highest of each pixel column: a spike never falls between two points
        piece = signal[edges[column] : max(edges[column + 1], edges[column] + 1)]
        piece = piece[np.isfinite(piece)]
        for value in {float(piece.min()), float(piece.max())} if len(piece) else ():
            y = height - 4 - (value - low) / ((high - low) or 1.0) * (height - 8)
            points.append(f"{column * width / (columns - 1):.1f},{y:.1f}")
    band = ""
    if shaded:
        start, end = (edge / len(signal) * width for edge in shaded)
        band = f'<rect class="band" x="{start:.1f}" y="0" width="{max(end - start, 2):.1f}" height="{height}"/>'
    return (
        f'<svg class="spark" viewBox="0 0 {width} {height}" role="img" aria-label="{escape(label)}">{band}'
        f'<polyline points="{" ".join(points)}"/></svg>'
    )


def spread_svg(
    counts: Sequence[int], marks: Sequence[tuple[float, str]], label: str, size: tuple[int, int] = (132, 26)
) -> str:
    """Counts side by side as a small SVG; `marks` are lines: (share 0..1 of the width, class)."""
    width, height = size
    each = width / max(len(counts), 1)
    roots = [count**0.5 for count in counts]  # of the counts: rare values stay visible
    bars = "".join(
        f'<rect class="bin" x="{i * each:.1f}" y="{height - 2 - (height - 4) * root / max(roots):.1f}" '
        f'width="{max(each - 1, 1):.1f}" height="{(height - 4) * root / max(roots):.1f}"/>'
        for i, root in enumerate(roots)
        if root > 0
    )
    lines = "".join(
        f'<line class="{escape(kind)}" x1="{share * width:.1f}" x2="{share * width:.1f}" y1="0" y2="{height}"/>'
        for share, kind in marks
    )
    head = f'<svg class="spread" viewBox="0 0 {width} {height}" role="img" aria-label="{escape(label)}">'
    return f"{head}{bars}{lines}</svg>"
