"""Pictures with planted defects of eight kinds: the milled parts of the built-in case, and printed panels.

Seeded: the same numbers give the same pictures. Knows numpy and Pillow; nothing of detectors or stores.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from PIL import Image, ImageDraw
from scipy.ndimage import uniform_filter

from assistant.demo.parts import HOLES, SIZE, Defect, draw_part
from assistant.evals.planting import Plant, World, generator

SIDE = 128  # of a panel
DOTS = tuple((x, y) for y in (30, 64, 98) for x in (30, 64, 98))  # centres of a panel's printed marks
RADIUS = 9
Drawn = tuple[np.ndarray, np.ndarray]  # picture (h, w, 3) uint8, mask (h, w) bool


def make_world(name: str, seed: int, plants: Mapping[str, int], strength: float = 1.0, normals: int = 90) -> World:
    """A picture world: "parts" or "panels"; one defect a picture, and a good picture after every third."""
    wanted = [kind for kind, count in plants.items() for _ in range(count)]
    generator(seed, 21).shuffle(wanted)
    good = {"parts": _part, "panels": _panel}[name]
    normal = [good([seed, 22, i]) for i in range(normals)]
    test: list[np.ndarray] = []
    found = []
    for number, kind in enumerate(wanted):
        rng = generator(seed, 23, number)
        picture, mask = _defective(name, kind, [seed, 24, number], rng, strength)
        found.append(Plant(kind, len(test), mask=mask))
        test.append(picture)
        if number % 3 == 2:
            test.append(good([seed, 25, number]))
    return World(name, "image", normal, test, found)


def _defective(name: str, kind: str, seed: list[int], rng: np.random.Generator, strength: float) -> Drawn:
    if name == "parts" and kind in _ON_PARTS:
        return _ON_PARTS[kind](seed, rng, strength)
    if name == "panels" and kind in ("missing part", "misplaced"):
        return _printed(seed, kind, rng, strength)
    picture = _part(seed) if name == "parts" else _panel(seed)
    at = _free_place(name, rng)
    return _ON_PICTURE[kind](picture, at, rng, strength)


def _free_place(name: str, rng: np.random.Generator) -> tuple[int, int]:
    """Where the surface is plain enough for a defect to be told apart (x, y)."""
    if name == "parts":
        x, y = _surface(rng)
        return int(x + SIZE / 2), int(y + SIZE / 2)
    return int(rng.choice([47, 81]) + rng.integers(-3, 4)), int(rng.choice([47, 81]) + rng.integers(-3, 4))


def _surface(rng: np.random.Generator) -> tuple[float, float]:
    """A spot of the plate between the ring and the edge, in part coordinates."""
    return float(rng.choice([-1, 1]) * rng.uniform(46, 58)), float(rng.uniform(-22, 22))


# --- parts --------------------------------------------------------------------------------------------------------


def _part(seed: list[int]) -> np.ndarray:
    return draw_part(seed)[0]


def _drawn(seed: list[int], defect: Defect) -> Drawn:
    picture, masks = draw_part(seed, [defect])
    return picture, masks[0]


def _part_scratch(seed: list[int], rng: np.random.Generator, strength: float) -> Drawn:
    x, y = _surface(rng)
    return _drawn(
        seed, Defect("scratch", (x, y), float(rng.uniform(48, 66)) * strength, angle=float(rng.uniform(0, 3.1)))
    )


def _part_stain(seed: list[int], rng: np.random.Generator, strength: float) -> Drawn:
    x, y = _surface(rng)
    return _drawn(
        seed, Defect("stain", (x, y), float(rng.uniform(9, 15)) * strength, tone=str(rng.choice(["rust", "oil"])))
    )


def _part_missing(seed: list[int], rng: np.random.Generator, strength: float) -> Drawn:
    if rng.random() < 0.5:
        return _drawn(seed, Defect("missing hole", which=int(rng.integers(4))))
    return _drawn(seed, Defect("broken corner", which=int(rng.integers(4)), size=float(rng.uniform(19, 26)) * strength))


def _part_misplaced(seed: list[int], rng: np.random.Generator, strength: float) -> Drawn:
    """A bolt hole bored beside its place."""
    which = int(rng.integers(4))
    without = draw_part(seed, [Defect("missing hole", which=which)])[0]
    whole = draw_part(seed)[0]
    x, y = HOLES[which]
    dx, dy = (
        (-np.sign(x) * rng.uniform(8, 12), -np.sign(y) * rng.uniform(6, 9))
        if strength <= 1
        else (0.0, -np.sign(y) * 13)
    )
    moved = np.roll(whole, (round(dy), round(dx)), (0, 1))
    new = _disc(SIZE, x + dx + SIZE / 2, y + dy + SIZE / 2, 9.5)
    old = _disc(SIZE, x + SIZE / 2, y + SIZE / 2, 9.5)
    return np.where(new[..., None], moved, without), new | old


_ON_PARTS: dict[str, Callable[[list[int], np.random.Generator, float], Drawn]] = {
    "scratch": _part_scratch,
    "stain": _part_stain,
    "missing part": _part_missing,
    "misplaced": _part_misplaced,
}


# --- panels -------------------------------------------------------------------------------------------------------


def _panel(seed: list[int], skip: int | None = None, moved: tuple[int, int, int] | None = None) -> np.ndarray:
    """A grained board with nine printed rings, (SIDE, SIDE, 3) uint8."""
    rng = np.random.default_rng(seed)
    grain = rng.standard_normal((SIDE // 8 + 1, SIDE)).astype(np.float32)
    field = np.asarray(Image.fromarray(grain).resize((SIDE, SIDE), Image.Resampling.BICUBIC))
    board = 150 + 7 * field + 4 * rng.standard_normal((SIDE, SIDE))
    light = 1 + 0.02 * rng.standard_normal() + np.linspace(-0.05, 0.05, SIDE)[None]
    picture = (board * light)[..., None] * np.array([1.0, 0.86, 0.66])
    shift = rng.uniform(-0.6, 0.6, 2)
    for number, (x, y) in enumerate(DOTS):
        if number == skip:
            continue
        if moved is not None and moved[0] == number:
            x, y = x + moved[1], y + moved[2]
        ring = _soft(SIDE, x + shift[0], y + shift[1], RADIUS) - 0.8 * _soft(SIDE, x + shift[0], y + shift[1], 4)
        picture = picture * (1 - ring[..., None]) + np.array([40.0, 60.0, 95.0]) * ring[..., None]
    return np.clip(picture + 2 * rng.standard_normal(picture.shape), 0, 255).astype(np.uint8)


def _printed(seed: list[int], kind: str, rng: np.random.Generator, strength: float) -> Drawn:
    which = int(rng.integers(9))
    x, y = DOTS[which]
    old = _disc(SIDE, x, y, RADIUS)
    if kind == "missing part":
        return _panel(seed, skip=which), old
    turn = rng.uniform(0, 2 * np.pi)
    dx, dy = round(9 * strength * np.cos(turn)), round(9 * strength * np.sin(turn))
    return _panel(seed, moved=(which, dx, dy)), old | _disc(SIDE, x + dx, y + dy, RADIUS)


# --- on any picture -----------------------------------------------------------------------------------------------


def _scratch(picture: np.ndarray, at: tuple[int, int], rng: np.random.Generator, strength: float) -> Drawn:
    h, w = picture.shape[:2]
    length, angle = rng.uniform(30, 50) * strength, rng.uniform(0, np.pi)
    dx, dy = length / 2 * np.cos(angle), length / 2 * np.sin(angle)
    line = Image.new("L", (w * 4, h * 4))
    ends = [(at[0] - dx) * 4, (at[1] - dy) * 4, (at[0] + dx) * 4, (at[1] + dy) * 4]
    ImageDraw.Draw(line).line(ends, fill=255, width=7)
    mark = np.asarray(line.resize((w, h), Image.Resampling.BOX), np.float32) / 255
    tone = 235.0 if rng.random() < 0.6 else 45.0
    return _blend(picture, mark * 0.85, np.full(3, tone)), mark > 0.2


def _stain(picture: np.ndarray, at: tuple[int, int], rng: np.random.Generator, strength: float) -> Drawn:
    h, w = picture.shape[:2]
    y, x = np.mgrid[:h, :w]
    radius = rng.uniform(8, 13) * strength
    turn = np.arctan2(y - at[1], x - at[0])
    wave = 1 + 0.12 * np.sin(3 * turn + rng.uniform(0, 6)) + 0.08 * np.sin(5 * turn + rng.uniform(0, 6))
    distance = np.hypot(x - at[0], (y - at[1]) * rng.uniform(1.0, 1.3)) / (radius * wave)
    cover = np.clip((1 - distance) / 0.25, 0, 1) * 0.55
    return _blend(picture, cover, np.array([60.0, 42.0, 22.0])), distance < 1


def _hole(picture: np.ndarray, at: tuple[int, int], rng: np.random.Generator, strength: float) -> Drawn:
    """A small, deep, dark hole with a light rim on one side."""
    side = picture.shape[0]
    radius = rng.uniform(3.5, 5.5) * strength
    out = _blend(picture, _soft(side, at[0] + 0.8, at[1] + 0.8, radius + 1) * 0.6, np.full(3, 225.0))
    out = _blend(out, _soft(side, at[0], at[1], radius), np.full(3, 12.0))
    return out, _disc(side, at[0], at[1], radius + 1)


def _object(picture: np.ndarray, at: tuple[int, int], rng: np.random.Generator, strength: float) -> Drawn:
    """Something else lies on the surface: strongly coloured, with a sharp outline and a pattern of its own."""
    h, w = picture.shape[:2]
    half = rng.uniform(6.5, 9.5) * strength
    y, x = np.mgrid[:h, :w]
    turn = rng.uniform(0, np.pi / 2)
    u = (x - at[0]) * np.cos(turn) + (y - at[1]) * np.sin(turn)
    v = -(x - at[0]) * np.sin(turn) + (y - at[1]) * np.cos(turn)
    body = (np.abs(u) < half) & (np.abs(v) < 0.75 * half)
    colour = np.array([[210, 60, 40], [40, 150, 70], [230, 200, 60], [60, 90, 210]][int(rng.integers(4))], float)
    pattern = 1 + 0.35 * np.sign(np.sin(u * 2 * np.pi / 6))
    shadow = np.roll(np.roll(body, 2, 0), 2, 1) & ~body
    out = np.where(shadow[..., None], picture * 0.5, picture)
    out = np.where(body[..., None], colour * pattern[..., None], out)
    return np.clip(out, 0, 255).astype(np.uint8), body


def _texture(picture: np.ndarray, at: tuple[int, int], rng: np.random.Generator, strength: float) -> Drawn:
    """The surface is rougher there; its colour and brightness are as they were."""
    h, w = picture.shape[:2]
    patch = _soft(h, at[0], at[1], rng.uniform(10, 14) * strength)
    rough = rng.standard_normal((h, w))
    rough -= uniform_filter(rough, 5)
    out = picture + (38 * patch * rough)[..., None]
    return np.clip(out, 0, 255).astype(np.uint8), patch > 0.5


def _colour(picture: np.ndarray, at: tuple[int, int], rng: np.random.Generator, strength: float) -> Drawn:
    """Another tint at the same brightness."""
    h, _ = picture.shape[:2]
    patch = _soft(h, at[0], at[1], rng.uniform(10, 15) * strength)
    weights = np.array([0.299, 0.587, 0.114])
    tint = np.array([[1.5, 0.8, 0.9], [0.7, 1.05, 1.5], [0.75, 1.15, 0.9]][int(rng.integers(3))])
    tinted = picture * tint
    tinted *= ((picture @ weights) / np.maximum(tinted @ weights, 1))[..., None]
    return _blend(picture, patch, tinted), patch > 0.5


_ON_PICTURE: dict[str, Callable[[np.ndarray, tuple[int, int], np.random.Generator, float], Drawn]] = {
    "scratch": _scratch,
    "stain": _stain,
    "hole": _hole,
    "foreign object": _object,
    "texture change": _texture,
    "colour change": _colour,
}


def _blend(picture: np.ndarray, cover: np.ndarray, colour: np.ndarray) -> np.ndarray:
    return np.clip(picture * (1 - cover[..., None]) + colour * cover[..., None], 0, 255).astype(np.uint8)


def _disc(side: int, x: float, y: float, radius: float) -> np.ndarray:
    rows, columns = np.mgrid[:side, :side] + 0.5
    return np.hypot(columns - x, rows - y) < radius


def _soft(side: int, x: float, y: float, radius: float) -> np.ndarray:
    """A disc with a soft edge, 0..1."""
    rows, columns = np.mgrid[:side, :side] + 0.5
    return np.clip(radius + 0.5 - np.hypot(columns - x, rows - y), 0, 1)
