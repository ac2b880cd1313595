"""Draws the parts of the built-in case: photographs of milled flange plates, with and without defects.

A plate is a height field of distances to its outlines, lit like metal under a lamp (anisotropic highlights of brushed
and turned steel), so a scratch, a missing bore or a broken corner changes the picture as it would change the part.
Knows numpy and Pillow; nothing of detectors or stores. Lengths are pixels of the finished picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

SIZE = 192  # pixels of the finished picture, square
SCALE = 2  # drawn this much larger, then averaged down
HALF = (73.0, 60.0)  # half width and height of the plate
CORNER = 13.0
BOSS, BORE, GROOVE = 35.0, 19.0, 28.0  # radii of the raised ring, its bore and the groove for the seal
HOLES = tuple(
    (x * 56.0, y * 43.5) for y in (-1, 1) for x in (-1, 1)
)  # upper left, upper right, lower left, lower right
HOLE, SINK = 6.5, 9.5  # radii of a bolt hole and of its countersink
STAMP = "PX-40 316L"

Array = np.ndarray


@dataclass(frozen=True)
class Defect:
    """What is wrong with a part: its kind and the numbers that draw it (see `draw_part`)."""

    kind: str  # "scratch" | "stain" | "missing hole" | "broken corner"
    at: tuple[float, float] = (0.0, 0.0)  # centre in part coordinates (right, down), origin in the plate's middle
    size: float = 10.0
    angle: float = 0.0  # radians
    which: int = 0  # hole or corner: upper left, upper right, lower left, lower right
    tone: str = "rust"  # stain: "rust" | "oil"


@dataclass
class Scene:
    """One photograph in the making: coordinates of each pixel in the part's frame, and its random generator."""

    rng: np.random.Generator
    u: Array
    v: Array
    turn: float
    shift: tuple[float, float]
    lamp: tuple[float, float, float]
    marks: dict[str, Array] = field(default_factory=dict)  # kind -> 0..1, where each defect shows


def draw_part(seed: Sequence[int] | int, defects: Sequence[Defect] = ()) -> tuple[Array, dict[int, Array]]:
    """A photograph (SIZE, SIZE, 3) uint8 and, by position in `defects`, where each shows: (SIZE, SIZE) bool."""
    scene = _scene(np.random.default_rng(seed))
    whole = outline = _plate(scene)
    marks: dict[int, Array] = {}
    missing: set[int] = set()
    bare = np.zeros_like(whole)
    for i, defect in enumerate(defects):
        if defect.kind == "broken corner":
            outline, marks[i] = _break(scene, outline, defect)
        elif defect.kind == "missing hole":
            missing.add(defect.which)
            x, y = HOLES[defect.which]
            marks[i] = np.hypot(scene.u - x, scene.v - y) < SINK
        elif defect.kind == "scratch":
            line = _scratch(scene, defect)
            bare = np.maximum(bare, line)
            marks[i] = _dilate(line)
    height = _height(scene, outline, missing) - 2.2 * bare
    colour = _metal(scene, height, outline, bare)
    for i, defect in enumerate(defects):
        if defect.kind == "stain":
            colour, marks[i] = _stain(scene, colour, defect)
    picture = _compose(scene, colour, outline, _holes(missing))
    return _develop(scene, picture), {i: _shrink(mark * (whole < 0.0)) > 0.4 for i, mark in marks.items()}


# ---------------------------------------------------------------- pose and outlines


def _scene(rng: np.random.Generator) -> Scene:
    """A part lies nearly where the last one lay, under a lamp that moves a little."""
    n = SIZE * SCALE
    y, x = np.mgrid[:n, :n].astype(np.float32)
    x, y = (x + 0.5) / SCALE - SIZE / 2, (y + 0.5) / SCALE - SIZE / 2
    turn, dx, dy = (float(d) for d in np.clip(rng.normal(size=3), -2, 2) * (np.deg2rad(0.22), 0.3, 0.3))
    c, s = float(np.cos(turn)), float(np.sin(turn))
    u, v = c * (x - dx) + s * (y - dy), -s * (x - dx) + c * (y - dy)
    lamp = (-150 + 7 * float(rng.normal()), -190 + 7 * float(rng.normal()), 300.0)
    return Scene(rng, u.astype(np.float32), v.astype(np.float32), turn, (dx, dy), lamp)


def _plate(scene: Scene) -> Array:
    """Signed distance to the plate's outline, negative inside."""
    qx, qy = np.abs(scene.u) - (HALF[0] - CORNER), np.abs(scene.v) - (HALF[1] - CORNER)
    outside = np.hypot(np.maximum(qx, 0), np.maximum(qy, 0))
    return outside + np.minimum(np.maximum(qx, qy), 0) - CORNER


def _break(scene: Scene, outline: Array, defect: Defect) -> tuple[Array, Array]:
    """A corner broken off along a jagged line; the mark is what is gone and the rough edge that is left."""
    sx, sy = np.sign(HOLES[defect.which])
    across = (scene.u * sx + scene.v * sy) / np.sqrt(2)
    along = (scene.u * sx - scene.v * sy) / np.sqrt(2)
    wave = sum(a * np.sin(along / w + scene.rng.uniform(0, 6.3)) for a, w in ((1.6, 6.0), (0.9, 2.3), (0.5, 0.9)))
    depth = (HALF[0] + HALF[1]) / np.sqrt(2) - defect.size
    cut = across - depth + wave
    scene.marks["fracture"] = np.clip((cut + 4.0) / 2.0, 0, 1).astype(np.float32) * (outline < 0)
    return np.maximum(outline, cut), ((outline < 0) & (cut > -2.0)).astype(np.float32)


def _holes(missing: set[int]) -> list[tuple[float, float, float]]:
    """(x, y, radius) of everything that goes through."""
    return [(0.0, 0.0, BORE), *((x, y, HOLE) for i, (x, y) in enumerate(HOLES) if i not in missing)]


def _height(scene: Scene, outline: Array, missing: set[int]) -> Array:
    """Height of the surface above the table: chamfered plate, raised ring with a groove, countersinks, stamp."""
    r = np.hypot(scene.u, scene.v)
    height = 5.0 * _ramp(-outline / 2.6) + 4.0 * _ramp((BOSS - r) / 3.2)
    height -= 1.4 * np.exp(-(((r - GROOVE) / 1.1) ** 2)) + 1.5 * _ramp((BORE + 2.2 - r) / 2.2)
    for i, (x, y) in enumerate(HOLES):
        d = np.hypot(scene.u - x, scene.v - y)
        if i in missing:
            height -= 0.5 * np.exp(-((d / 1.0) ** 2))  # only the punch mark of the drill
        else:
            height -= 2.6 * _ramp((SINK - d) / 3.0)
    slot = np.hypot(np.maximum(np.abs(scene.u) - 13, 0), scene.v + 49.5) - 3.0
    height -= 1.6 * _ramp(-slot / 1.6)
    stamp = _placed(_stamp(), scene)
    scene.marks["stamp"] = stamp * (1 + 0.08 * scene.rng.normal())
    return (height - 0.5 * stamp).astype(np.float32)


@lru_cache(maxsize=1)
def _stamp() -> Image.Image:
    """The engraved type, drawn upright in the part's frame."""
    n = SIZE * SCALE
    image = Image.new("L", (n, n))
    font = ImageFont.load_default(size=12 * SCALE)
    ImageDraw.Draw(image).text((n / 2, n / 2 + 48.5 * SCALE), STAMP, fill=255, font=font, anchor="mm")
    return image.filter(ImageFilter.GaussianBlur(0.25 * SCALE))


def _placed(image: Image.Image, scene: Scene) -> Array:
    """A drawing in the part's frame, moved to where the part lies; 0..1."""
    n = SIZE * SCALE
    c, s = np.cos(scene.turn), np.sin(scene.turn)
    dx, dy = n / 2 + scene.shift[0] * SCALE, n / 2 + scene.shift[1] * SCALE
    matrix = (c, s, n / 2 - c * dx - s * dy, -s, c, n / 2 + s * dx - c * dy)
    moved = image.transform((n, n), Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR)
    return np.asarray(moved, np.float32) / 255


# ---------------------------------------------------------------- defects on the surface


def _scratch(scene: Scene, defect: Defect) -> Array:
    """A groove that a slipping tool leaves: nearly straight, deepest in the middle; 0..1."""
    n = SIZE * SCALE
    image = Image.new("L", (n, n))
    pen = ImageDraw.Draw(image)
    t = np.linspace(-0.5, 0.5, 40)
    bend = scene.rng.uniform(-0.12, 0.12)
    along, across = t * defect.size, bend * defect.size * (0.25 - t**2) * 4 + scene.rng.normal(0, 0.12, 40)
    c, s = np.cos(defect.angle), np.sin(defect.angle)
    x = n / 2 + SCALE * (defect.at[0] + c * along - s * across)
    y = n / 2 + SCALE * (defect.at[1] + s * along + c * across)
    depth = np.clip(1.25 - 2.2 * np.abs(t), 0.15, 1) * scene.rng.uniform(0.8, 1.0, 40)
    for i in range(39):
        width = max(1, round(SCALE * (0.7 + 1.2 * depth[i])))
        pen.line((x[i], y[i], x[i + 1], y[i + 1]), fill=int(255 * depth[i]), width=width)
    return _placed(image.filter(ImageFilter.GaussianBlur(0.3 * SCALE)), scene)


def _stain(scene: Scene, colour: Array, defect: Defect) -> tuple[Array, Array]:
    """A dried spot: cloudy inside, a darker rim where the liquid stopped."""
    du, dv = scene.u - defect.at[0], scene.v - defect.at[1]
    cloud = _cloud(scene.rng, 14) + 0.5 * _cloud(scene.rng, 5)
    edge = 1 - np.hypot(du / defect.size, dv / (0.75 * defect.size)) + 0.22 * cloud
    body = np.clip(edge / 0.14, 0, 1)
    rim = np.exp(-(((edge - 0.08) / 0.07) ** 2))
    if defect.tone == "rust":
        tint, strength = np.array([0.30, 0.125, 0.045], np.float32), 0.66 + 0.2 * cloud
    else:
        tint, strength = np.array([0.05, 0.042, 0.024], np.float32), 0.70 + 0.08 * cloud
    cover = np.clip(body * strength + 0.25 * rim, 0, 0.93)[..., None]
    return colour * (1 - cover) + tint * (0.45 + 0.6 * colour) * cover, (edge > 0).astype(np.float32)


def _dilate(line: Array) -> Array:
    image = Image.fromarray((line * 255).astype(np.uint8)).filter(ImageFilter.MaxFilter(2 * SCALE + 1))
    return (np.asarray(image) > 60).astype(np.float32)


# ---------------------------------------------------------------- light


def _metal(scene: Scene, height: Array, outline: Array, bare: Array) -> Array:
    """Linear RGB of the lit surface, (n, n, 3). `bare`: where a scratch shows fresh metal."""
    gy, gx = np.gradient(height, 1 / SCALE)
    r = np.hypot(scene.u, scene.v)
    turned = _ramp((BOSS + 0.5 - r) / 1.0)  # the ring was turned on a lathe, the plate was brushed lengthwise
    grain = (1 - turned) * _brushed(scene) + turned * _turned(scene, r)
    rough = 0.5 * _cloud(scene.rng, 1)
    broken = scene.marks.get("fracture", np.zeros_like(r))
    gx = gx + 0.02 * grain + 0.9 * broken * _cloud(scene.rng, 2)
    gy = gy + (0.055 + 0.5 * broken) * grain + 0.012 * rough
    nz = 1 / np.sqrt(1 + gx**2 + gy**2)
    nx, ny = -gx * nz, -gy * nz
    tx = (1 - turned) + turned * -scene.v / (r + 1e-3)
    ty = turned * scene.u / (r + 1e-3)
    light = np.zeros_like(r)
    shine = np.zeros_like(r)
    for lamp, power in ((scene.lamp, 1.0), ((210.0, 60.0, 260.0), 0.32)):
        lx, ly, lz = _towards(scene, lamp)
        light += power * np.maximum(nx * lx + ny * ly + nz * lz, 0)
        shine += power * _highlight((lx, ly, lz), (nx, ny, nz), (tx, ty))
    albedo = 0.15 + 0.009 * grain + 0.005 * rough - 0.05 * broken + 0.16 * bare - 0.075 * scene.marks["stamp"]
    steel = np.array([0.97, 1.0, 1.04], np.float32)
    value = albedo * (0.25 + 1.0 * light) + (0.62 - 0.5 * broken) * (1 - 0.6 * scene.marks["stamp"]) * shine
    value = value * (1 - 0.35 * np.exp(-np.maximum(r - BOSS, 0) / 2.5) * (r > BOSS))  # shade at the ring's foot
    value = value * (0.72 + 0.28 * _ramp(-outline / 1.5))
    return value[..., None] * steel


def _towards(scene: Scene, lamp: tuple[float, float, float]) -> tuple[Array, Array, Array]:
    dx, dy = lamp[0] - scene.u, lamp[1] - scene.v
    length = np.sqrt(dx**2 + dy**2 + lamp[2] ** 2)
    return dx / length, dy / length, lamp[2] / length


def _highlight(light: tuple[Array, ...], normal: tuple[Array, ...], along: tuple[Array, Array]) -> Array:
    """Reflection of a surface of fine parallel grooves (Kajiya and Kay 1989): it depends on the angle between the
    half vector and the groove, and only loosely on the normal."""
    hx, hy, hz = light[0], light[1], light[2] + 1
    length = np.sqrt(hx**2 + hy**2 + hz**2)
    hx, hy, hz = hx / length, hy / length, hz / length
    slope = -(along[0] * normal[0] + along[1] * normal[1]) / np.maximum(normal[2], 0.2)
    across = (along[0] * hx + along[1] * hy + slope * hz) / np.sqrt(1 + slope**2)
    facing = np.maximum(normal[0] * hx + normal[1] * hy + normal[2] * hz, 0)
    sharp = np.maximum(1 - across**2, 0)
    for _ in range(5):  # to the 32nd, and the facing term to the 8th
        sharp = sharp * sharp
    for _ in range(3):
        facing = facing * facing
    return sharp * facing


def _brushed(scene: Scene) -> Array:
    """Fine lines along the plate, about unit variance."""
    n = SIZE * SCALE
    lines = np.zeros((n, n), np.float32)
    for length, weight in ((96, 0.7), (24, 0.6), (6, 0.35)):
        coarse = scene.rng.standard_normal((n, n // length + 3)).astype(np.float32)
        lines += weight * _stretch(coarse, n)
    return lines


def _turned(scene: Scene, r: Array) -> Array:
    """Fine rings around the middle, broken a little along the way."""
    rings = scene.rng.standard_normal((int(BOSS * 4) + 8, 24)).astype(np.float32)
    phase = (np.arctan2(scene.v, scene.u) / (2 * np.pi) + 0.5) * 23
    index = np.minimum((r * 4).astype(int), rings.shape[0] - 1)
    low = phase.astype(int)
    rings[:, 23] = rings[:, 0]
    mix = (phase - low).astype(np.float32)
    return 0.9 * (rings[index, low] * (1 - mix) + rings[index, np.minimum(low + 1, 23)] * mix)


def _compose(scene: Scene, colour: Array, outline: Array, holes: Sequence[tuple[float, float, float]]) -> Array:
    """Table, shadow, part, and the dark inside of its holes."""
    felt = 0.072 + 0.006 * _cloud(scene.rng, 1) + 0.004 * _cloud(scene.rng, 3)
    pool = np.exp(-((scene.u + 40) ** 2 + (scene.v + 55) ** 2) / (2 * 150.0**2))
    table = (felt * (0.62 + 0.75 * pool))[..., None] * np.array([0.80, 0.97, 1.16], np.float32)
    solid = _cover(outline)
    cast = np.asarray(
        Image.fromarray((solid * 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(3.5 * SCALE)), np.float32
    )
    dark = np.roll(cast / 255, (int(5 * SCALE), int(4 * SCALE)), (0, 1))
    table = table * (1 - 0.72 * dark)[..., None]
    part = colour
    for x, y, radius in holes:
        window = _around(scene, x, y, radius + 2)
        u, v = scene.u[window] - x, scene.v[window] - y
        inside = _cover(np.hypot(u, v) - radius)[..., None]
        lit = np.clip((u + 1.2 * v) / (1.6 * radius), 0, 1)  # the far wall faces the lamp
        wall = _cover(radius - 1.9 - np.hypot(u + 1.3, v + 1.6)) * lit
        shade = (0.012 + 0.14 * wall)[..., None] + 0.15 * table[window]
        part[window] = part[window] * (1 - inside) + shade * inside
    return table * (1 - solid[..., None]) + part * solid[..., None]


def _develop(scene: Scene, linear: Array) -> Array:
    """From light to pixels: exposure, averaging down, tone curve, sensor noise."""
    gain = 1.55 * (1 + 0.02 * scene.rng.normal())
    warmth = 1 + 0.008 * scene.rng.normal() * np.array([1, 0, -1], np.float32)
    small = _shrink(np.maximum(linear, 0)) * gain * warmth
    toned = small * (1 + 0.12 * small) / (1 + 0.55 * small)  # a soft shoulder keeps highlights from burning out
    srgb = 255 * np.clip(toned, 0, 1) ** (1 / 2.2)
    noise = scene.rng.standard_normal(srgb.shape).astype(np.float32) * (0.9 + 0.006 * srgb)
    return np.clip(np.rint(srgb + noise), 0, 255).astype(np.uint8)


# ---------------------------------------------------------------- small helpers


def _ramp(x: Array) -> Array:
    """0 below 0, 1 above 1, smooth between."""
    x = np.clip(x, 0, 1)
    return x * x * (3 - 2 * x)


def _cover(distance: Array) -> Array:
    """Coverage of a pixel by the inside (negative distance) of an outline, 0..1."""
    return np.clip(0.5 - distance * SCALE, 0, 1)


def _around(scene: Scene, x: float, y: float, radius: float) -> tuple[slice, slice]:
    """The rows and columns that a disc in the part's frame may touch."""
    c, s = float(np.cos(scene.turn)), float(np.sin(scene.turn))
    column = SCALE * (c * x - s * y + scene.shift[0] + SIZE / 2)
    row = SCALE * (s * x + c * y + scene.shift[1] + SIZE / 2)
    reach = SCALE * radius
    return slice(int(row - reach), int(row + reach) + 1), slice(int(column - reach), int(column + reach) + 1)


def _shrink(array: Array) -> Array:
    shape = (SIZE, SCALE, SIZE, SCALE, *array.shape[2:])
    return array.reshape(shape).mean(axis=(1, 3))


def _stretch(coarse: Array, width: int) -> Array:
    """Linear interpolation of each line to `width` samples."""
    at = np.linspace(0, coarse.shape[1] - 1.001, width, dtype=np.float32)
    low = at.astype(int)
    mix = at - low
    return coarse[:, low] * (1 - mix) + coarse[:, low + 1] * mix


def _cloud(rng: np.random.Generator, grain: float) -> Array:
    """Smooth noise of the given grain in finished pixels, unit variance."""
    n = SIZE * SCALE
    cells = max(4, int(SIZE / grain))
    if cells >= n:
        return rng.standard_normal((n, n)).astype(np.float32)
    noise = Image.fromarray(rng.standard_normal((cells, cells)).astype(np.float32))
    smooth = np.asarray(noise.resize((n, n), Image.Resampling.BICUBIC))
    return smooth / smooth.std()
