"""Small shared sets with planted anomalies, each made in memory or in a temporary folder from a fixed seed."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("HF_HUB_OFFLINE", "1")  # no test waits for a hub

import numpy as np
import pandas as pd
import pytest
from PIL import Image


@dataclass(frozen=True)
class TinySet:
    """`normal` to fit on, `test` to score, and the truth about `test`."""

    normal: Any  # list of image paths or clips, or a data frame
    test: Any
    anomalous: tuple[int, ...]  # positions in `test` (series and clip: every stamp or frame of the interval)
    where: dict[int, Any] = field(default_factory=dict)  # position -> box (l, t, r, b), channel or feature


def tiny_picture(rng: np.random.Generator, size: int = 48) -> np.ndarray:
    """A light disc on brushed metal, (size, size, 3) uint8."""
    y, x = np.mgrid[:size, :size] + 0.5
    metal = 110 + 6 * rng.standard_normal((size, 1)) + 3 * rng.standard_normal((size, size))
    dx, dy = rng.uniform(-1, 1, 2)
    disc = np.hypot(x - size / 2 - dx, y - size / 2 - dy) < size * 0.3
    grey = np.where(disc, metal + 70, metal) * rng.uniform(0.95, 1.05)
    return np.clip(grey[..., None] * np.array([1.0, 0.95, 0.84]), 0, 255).astype(np.uint8)


@pytest.fixture(scope="session")
def tiny_images(tmp_path_factory: pytest.TempPathFactory) -> TinySet:
    """40 normal pictures of 48x48; 10 to test, of which the last 4 carry a dark blot."""
    rng = np.random.default_rng(0)
    root = tmp_path_factory.mktemp("tiny_images")
    normal, test, where = [], [], {}
    for folder, count in (("normal", 40), ("test", 10)):
        (root / folder).mkdir()
        for i in range(count):
            picture = tiny_picture(rng)
            if folder == "test" and i >= 6:
                left, top = (int(v) for v in rng.integers(10, 28, 2))
                picture[top : top + 9, left : left + 9] = (30, 25, 20)
                where[i] = (left, top, left + 9, top + 9)
            path = root / folder / f"part_{i:03d}.png"
            Image.fromarray(picture).save(path)
            (normal if folder == "normal" else test).append(path)
    return TinySet(normal, test, tuple(where), where)


def tiny_clip(seed: int, frames: int, cart: range = range(0)) -> tuple[np.ndarray, dict[int, Any]]:
    """A still, textured yard with light walkers; in the frames `cart` something dark and fast crosses it.

    Returns the clip (frame, 48, 64) uint8 and the cart's box by frame.
    """
    yard = np.random.default_rng(7)
    scene = np.kron(yard.uniform(60, 150, (12, 16)), np.ones((4, 4))) + 4 * yard.standard_normal((48, 64))
    rng = np.random.default_rng(seed)
    walkers = [(rng.uniform(0, 74), rng.uniform(4, 34), rng.choice([-1, 1]) * rng.uniform(0.5, 1.0)) for _ in range(4)]
    clip, boxes = np.zeros((frames, 48, 64), np.uint8), {}
    for t in range(frames):
        frame = scene + 1.5 * rng.standard_normal(scene.shape)
        for x, y, speed in walkers:
            left = int((x + speed * t) % 74) - 8
            frame[int(y) : int(y) + 9, max(0, left) : max(0, left + 5)] = 210
        if t in cart:
            left = 4 * (t - cart.start)
            frame[20:30, left : left + 12] = 15
            boxes[t] = (left, 20, left + 12, 30)
        clip[t] = np.clip(frame, 0, 255)
    return clip, boxes


@pytest.fixture(scope="session")
def tiny_video() -> TinySet:
    """Five normal clips of 40 frames; one of 40 to test, with a cart in frames 20 to 31."""
    normal = [tiny_clip(seed, 40)[0] for seed in range(5)]
    test, boxes = tiny_clip(99, 40, range(20, 32))
    return TinySet(normal, test, tuple(boxes), boxes)


def tiny_run(rng: np.random.Generator, length: int, start: str) -> pd.DataFrame:
    """Three coupled channels of one machine, one row a minute: (length, 3), index = time stamps."""
    t = np.arange(length)
    speed = 50 + 10 * np.sin(2 * np.pi * t / 60) + 0.5 * rng.standard_normal(length)
    current = 0.4 * speed + 0.3 * rng.standard_normal(length)
    heat = 30 + 0.2 * speed + np.sin(2 * np.pi * t / 150) + 0.2 * rng.standard_normal(length)
    index = pd.date_range(start, periods=length, freq="min", name="time")
    return pd.DataFrame({"speed_rpm": speed, "current_a": current, "temperature_c": heat}, index=index)


@pytest.fixture(scope="session")
def tiny_series() -> TinySet:
    """900 normal minutes; 400 to test, with `current_a` torn from `speed_rpm` in rows 200 to 229."""
    rng = np.random.default_rng(1)
    normal, test = tiny_run(rng, 900, "2024-03-01"), tiny_run(rng, 400, "2024-03-02")
    rows = np.arange(200, 230)
    test.iloc[rows, 1] = 31 + 0.3 * rng.standard_normal(len(rows))
    return TinySet(normal, test, tuple(int(r) for r in rows), {int(r): "current_a" for r in rows})


def tiny_orders(rng: np.random.Generator, rows: int) -> pd.DataFrame:
    """Orders whose amount is quantity times price and whose tax follows the country; a few values missing."""
    quantity = rng.integers(1, 9, rows).astype(float)
    price = rng.lognormal(2.5, 0.4, rows).round(2)
    country = rng.choice(["DE", "FR", "NL"], rows)
    amount = (quantity * price).round(2)
    rate = pd.Series(country).map({"DE": 0.19, "FR": 0.20, "NL": 0.21}).to_numpy()
    frame = pd.DataFrame({"quantity": quantity, "price": price, "country": country, "amount": amount})
    frame["tax"] = (amount * rate).round(2)
    frame["price"] = frame["price"].mask(rng.random(rows) < 0.02)
    return frame.astype({"country": "category"})


@pytest.fixture(scope="session")
def tiny_table() -> TinySet:
    """400 normal orders; 60 to test, of which rows 50 to 59 have an amount far off quantity times price."""
    rng = np.random.default_rng(2)
    normal, test = tiny_orders(rng, 400), tiny_orders(rng, 60)
    rows = tuple(range(50, 60))
    test.loc[list(rows), "amount"] = (test.loc[list(rows), "amount"] * 6).round(2)
    return TinySet(normal, test, rows, dict.fromkeys(rows, "amount"))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of public sets beside the checkout; tests that need it are skipped where it is not there."""
    folder = Path(__file__).resolve().parents[2] / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no public data sets at {folder}")
    return folder


def tiny_press(rng: np.random.Generator, steps: int) -> dict[str, Any]:
    """A press in three parts, a step a second: sensors (force and current follow its beat), a camera that sees a bright
    bar rise with the force, 24 x 24, and a log (count and mode follow the force)."""
    t = np.arange(steps)
    force = 50 + 20 * np.sin(2 * np.pi * t / 40) + 6 * np.sin(2 * np.pi * t / 13) + rng.standard_normal(steps)
    current = 0.5 * force + rng.standard_normal(steps)
    index = pd.date_range("2024-05-01", periods=steps, freq="s", name="time")
    sensors = pd.DataFrame({"force_kn": force, "current_a": current}, index=index)
    camera = [tiny_bar(rng, value) for value in force]
    count = (force * 3 + 2 * rng.standard_normal(steps)).round()
    mode = np.where(force > 50, "high", "low")
    return {"sensors": sensors, "camera": camera, "log": pd.DataFrame({"count": count, "mode": mode})}


def tiny_bar(rng: np.random.Generator, force: float) -> np.ndarray:
    """(24, 24) uint8: a bar as high as the force."""
    top = 24 - int(np.clip(force / 4, 1, 23))
    picture = 60 + 4 * rng.standard_normal((24, 24))
    picture[top:, 8:16] += 120
    return np.clip(picture, 0, 255).astype(np.uint8)


@pytest.fixture(scope="session")
def tiny_multimodal() -> TinySet:
    """300 normal seconds; 160 to test: the current is torn from the force in steps 50 to 61, and in steps 100 to 103
    the camera shows a bar that is normal by itself but not for this force. A place is (part, channel or None)."""
    rng = np.random.default_rng(4)
    normal, test = tiny_press(rng, 300), tiny_press(rng, 160)
    where: dict[int, Any] = {}
    for step in range(50, 62):
        test["sensors"].iloc[step, 1] += 30
        where[step] = ("sensors", "current_a")
    for step in range(100, 104):
        force = test["sensors"]["force_kn"].iloc[step]
        test["camera"][step] = tiny_bar(rng, 100 - force if abs(force - 50) > 12 else force + 28)
        where[step] = ("camera", None)
    return TinySet(normal, test, tuple(where), where)
