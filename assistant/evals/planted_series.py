"""Series with planted faults of eight kinds: the pump of the built-in case, and a line of coupled, rhythmic channels.

Seeded: the same numbers give the same series. Knows numpy and pandas; nothing of detectors or stores.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import pandas as pd

from assistant.demo import machine
from assistant.evals.planting import Plant, World, generator

# kind: shortest and longest fault in stamps, smallest and largest size in standard deviations of the channel
FAULTS: dict[str, tuple[int, int, float, float]] = {
    "spike": (1, 4, 3.0, 7.0),
    "level shift": (50, 140, 2.0, 4.0),
    "drift": (120, 260, 2.5, 5.0),
    "stuck": (60, 140, 0.0, 0.0),
    "noise burst": (40, 110, 0.8, 2.0),
    "frequency change": (90, 170, 0.0, 0.0),
    "decoupled": (60, 140, 0.6, 1.0),
    "dropout": (8, 50, 0.0, 0.0),
}
RHYTHM = {"belt_mm_s": 24, "arm_deg": 36}  # channels of the line that repeat: stamps a turn
APART = 330  # stamps between two faults
CANDIDATES = 24  # places looked at for a fault that needs a channel that moves


def make_world(name: str, seed: int, plants: Mapping[str, int], strength: float = 1.0, stretch: float = 1.0) -> World:
    """A series world.

    name: "pump" or "line"; plants: kind -> how many; strength and stretch scale sizes and lengths of the faults.
    """
    wanted = [kind for kind, count in plants.items() for _ in range(count)]
    generator(seed, 1).shuffle(wanted)
    length = APART * (len(wanted) + 1)
    make = {"pump": _pump, "line": _line}[name]
    normal, test = make(seed, 6000), make(seed + 1000, length)
    found = []
    for number, kind in enumerate(wanted):
        rng = generator(seed, 2, number)
        found.append(_plant(test, kind, APART * (number + 1) - 60, rng, strength, stretch))
    return World(name, "series", normal.round(4), test.round(4), found)


def _pump(seed: int, length: int) -> pd.DataFrame:
    return machine.simulate(seed, "2024-03-04", length / machine.MINUTES_A_DAY + 1).iloc[:length].copy()


def _line(seed: int, length: int) -> pd.DataFrame:
    """Six channels of one line: two that turn, three that follow them, one that wanders."""
    rng = generator(seed, 3)
    t = np.arange(length)
    load = 1 + 0.12 * _wander(rng, length, 200)
    pace = np.cumsum(1 + 0.01 * _wander(rng, length, 300))
    belt = 40 * load * np.sin(2 * np.pi * pace / RHYTHM["belt_mm_s"]) + 120
    arm = (
        25
        * np.sign(np.sin(2 * np.pi * pace / RHYTHM["arm_deg"]))
        * np.abs(np.sin(2 * np.pi * pace / RHYTHM["arm_deg"])) ** 0.5
        + 5 * load
    )
    torque = 0.3 * belt * load + 0.1 * arm + 0.4 * rng.standard_normal(length)
    oil = 55 + 9 * (load - 1) / 0.12 + 2 * np.sin(2 * np.pi * t / 700) + 0.3 * rng.standard_normal(length)
    supply = 400 - 2.5 * torque / 30 + 4 * _wander(rng, length, 25) + 0.4 * rng.standard_normal(length)
    noise = rng.standard_normal((2, length))
    columns = {
        "belt_mm_s": belt + 0.8 * noise[0],
        "arm_deg": arm + 0.5 * noise[1],
        "torque_nm": torque,
        "oil_c": oil,
        "supply_v": supply,
        "cooling_c": 0.6 * oil + 8 + 0.25 * rng.standard_normal(length),
    }
    return pd.DataFrame(columns, index=pd.date_range("2024-05-06", periods=length, freq="min", name="time"))


def _wander(rng: np.random.Generator, n: int, stamps: float) -> np.ndarray:
    from scipy.signal import lfilter

    keep = np.exp(-1 / stamps)
    return lfilter([np.sqrt(1 - keep**2)], [1, -keep], rng.standard_normal(n + int(6 * stamps)))[-n:]


# --- faults -------------------------------------------------------------------------------------------------------


def _plant(
    frame: pd.DataFrame, kind: str, earliest: int, rng: np.random.Generator, strength: float, stretch: float
) -> Plant:
    """Change `frame` in place: one fault in one channel, somewhere in the hour after `earliest`."""
    shortest, longest, least, most = FAULTS[kind]
    n = max(1, round(int(rng.integers(shortest, longest + 1)) * stretch))
    size = float(rng.uniform(least, most)) * strength
    channel = _channel(frame, kind, rng)
    column = frame[channel].to_numpy(np.float64).copy()
    start = _start(column, kind, earliest, n, rng)
    scale = float(np.std(column))
    column[start : start + n] = _BROKEN[kind](column, slice(start, start + n), scale, size, rng)
    frame[channel] = column
    return Plant(kind, start, channel, start + n, size)


def _channel(frame: pd.DataFrame, kind: str, rng: np.random.Generator) -> str:
    names = [str(name) for name in frame.columns]
    if kind == "frequency change":  # needs a rhythm
        names = [name for name in names if name in RHYTHM]
    if kind in ("stuck", "decoupled"):  # a channel that hardly moves can be neither
        names = [name for name in names if name not in ("water_temp_c", "bearing_temp_c", "oil_c", "cooling_c")]
    return str(rng.choice(names))


def _start(column: np.ndarray, kind: str, earliest: int, n: int, rng: np.random.Generator) -> int:
    """A random start; for faults that show only where the channel moves, the best of some."""
    starts = earliest + rng.integers(0, 60, CANDIDATES)
    if kind == "stuck":
        return int(max(starts, key=lambda s: np.abs(column[s : s + n] - column[s]).mean()))
    return int(starts[0])


def _spike(x: np.ndarray, at: slice, scale: float, size: float, rng: np.random.Generator) -> np.ndarray:
    shape = np.array([1.0, 0.8, 0.5, 0.3])[: at.stop - at.start]
    return x[at] + rng.choice([-1, 1]) * size * scale * shape


def _shift(x: np.ndarray, at: slice, scale: float, size: float, rng: np.random.Generator) -> np.ndarray:
    return x[at] + rng.choice([-1, 1]) * size * scale


def _drift(x: np.ndarray, at: slice, scale: float, size: float, rng: np.random.Generator) -> np.ndarray:
    return x[at] + rng.choice([-1, 1]) * size * scale * np.linspace(0, 1, at.stop - at.start)


def _stuck(x: np.ndarray, at: slice, scale: float, size: float, rng: np.random.Generator) -> np.ndarray:
    return np.full(at.stop - at.start, x[at.start])


def _noise(x: np.ndarray, at: slice, scale: float, size: float, rng: np.random.Generator) -> np.ndarray:
    return x[at] + size * scale * rng.standard_normal(at.stop - at.start)


def _frequency(x: np.ndarray, at: slice, scale: float, size: float, rng: np.random.Generator) -> np.ndarray:
    """The same waveform, read off faster or slower."""
    n, pace = at.stop - at.start, float(rng.choice([0.55, 1.7, 2.0]))
    where = at.start - n / 2 + pace * np.arange(n)
    return np.interp(where, np.arange(len(x)), x)


def _decoupled(x: np.ndarray, at: slice, scale: float, size: float, rng: np.random.Generator) -> np.ndarray:
    """A course of its own, within the channel's range, as rough as ever, in no relation to the others."""
    rough = 1.4826 * float(np.median(np.abs(np.diff(x)))) / np.sqrt(2)
    n = at.stop - at.start
    course = np.convolve(_wander(rng, n + 24, 30), np.hanning(27)[1:-1], "valid")
    course = (course - course.mean()) / course.std()
    return x[at].mean() + size * scale * course + rough * rng.standard_normal(n)


def _dropout(x: np.ndarray, at: slice, scale: float, size: float, rng: np.random.Generator) -> np.ndarray:
    return np.zeros(at.stop - at.start)


_BROKEN: dict[str, Callable[[np.ndarray, slice, float, float, np.random.Generator], np.ndarray]] = {
    "spike": _spike,
    "level shift": _shift,
    "drift": _drift,
    "stuck": _stuck,
    "noise burst": _noise,
    "frequency change": _frequency,
    "decoupled": _decoupled,
    "dropout": _dropout,
}
