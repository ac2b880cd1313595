"""Simulates the sensors of the built-in case: a cooling-water pump over shifts, one row a minute.

The channels obey one small physical model (affinity laws, power balance, heat balance), so a channel that breaks the
model is anomalous even where its own value is ordinary. Knows numpy and pandas; nothing of detectors or stores.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

CHANNELS = (
    "speed_rpm", "motor_current_a", "flow_l_min", "pressure_bar", "water_temp_c", "bearing_temp_c", "vibration_mm_s",
)  # fmt: skip
MINUTES_A_DAY = 24 * 60


@dataclass(frozen=True)
class Fault:
    """One planted fault: rows [start, end) of one channel."""

    kind: str  # "spike" | "drift" | "stuck" | "decoupled"
    channel: str
    start: int
    end: int
    note: str  # what happened, for people

    def to_dict(self, index: pd.Index) -> dict[str, object]:
        """The truth as JSON values, with the times of the first and last faulty row."""
        first, last = (pd.Timestamp(index[row]).isoformat() for row in (self.start, self.end - 1))
        return {**self.__dict__, "start_time": first, "end_time": last}


FAULTS = (
    Fault("spike", "pressure_bar", 640, 645, "water hammer: a valve slammed shut at 10:40"),
    Fault(
        "drift", "bearing_temp_c", 930, 1200, "the bearing warms by itself from 15:30, is greased at 18:50 and cools"
    ),
    Fault("stuck", "flow_l_min", 1440 + 345, 1440 + 455, "the flow meter froze at its 05:45 reading, before the shift"),
    Fault("decoupled", "motor_current_a", 1440 + 800, 1440 + 905, "the current no longer follows the load from 13:20"),
)


def simulate(seed: int, start: str, days: float) -> pd.DataFrame:
    """A normal run: (minute, channel) float64 with a time index."""
    rng = np.random.default_rng([seed, 2])
    n = round(days * MINUTES_A_DAY)
    index = pd.date_range(start, periods=n, freq="min", name="time")
    minute = np.asarray(index.hour * 60 + index.minute, float)
    demand = _demand(rng, minute)
    speed = _lag(600 + 900 * demand, 4) + 3.0 * rng.standard_normal(n)
    valve = 0.78 + 0.07 * _wander(rng, n, 180) + 0.02 * np.sin(2 * np.pi * minute / MINUTES_A_DAY)
    share = speed / 1500
    flow = 420 * share * valve + 1.6 * rng.standard_normal(n)
    pressure = 6.2 * share**2 * (1.28 - 0.55 * valve) + 0.025 * rng.standard_normal(n)
    power = flow * pressure / 600  # kW of water
    current = 4.2 + 5.4 * share + 3.6 * power + 0.09 * rng.standard_normal(n)
    hall = 21 + 3.2 * np.sin(2 * np.pi * (minute - 9.5 * 60) / MINUTES_A_DAY) + 0.5 * _wander(rng, n, 400)
    water = _lag(hall + 3.5 + 7.5 * demand - 4 * (valve - 0.78), 35) + 0.08 * rng.standard_normal(n)
    bearing = _lag(hall + 9 + 14 * share**2 + 0.35 * current, 55) + 0.12 * rng.standard_normal(n)
    resonance = np.exp(-(((speed - 1180) / 60) ** 2))
    vibration = (0.55 + 1.1 * share**2 + 0.8 * resonance) * np.exp(0.05 * rng.standard_normal(n))
    columns = (speed, current, flow, pressure, water, bearing, vibration)
    return pd.DataFrame(dict(zip(CHANNELS, columns, strict=True)), index=index)


def plant(run: pd.DataFrame, seed: int) -> pd.DataFrame:
    """The run with the four faults of `FAULTS`; everything else is left as it is."""
    rng = np.random.default_rng([seed, 3])
    out = run.copy()
    for fault in FAULTS:
        channel = run[fault.channel].to_numpy(np.float64)
        changed = channel.copy()
        changed[fault.start : fault.end] = _faulty(fault, channel[fault.start : fault.end], rng)
        out[fault.channel] = changed
    return out.round(3)


def _faulty(fault: Fault, values: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    step = np.arange(len(values))
    if fault.kind == "spike":
        return values + np.array([2.1, 2.9, 1.6, 0.8, 0.4])
    if fault.kind == "drift":
        greased = 200
        cooling = np.exp(-np.maximum(step - greased, 0) / 25)
        return values + 11 * np.minimum(step / greased, 1) * cooling
    if fault.kind == "stuck":
        return np.full(len(values), values[0])
    # decoupled: values that are ordinary by themselves, in no relation to speed, flow and pressure
    wander = 1.1 * _wander(rng, len(values), 15)
    return 11.2 + wander + 0.09 * rng.standard_normal(len(values))


# ---------------------------------------------------------------- small helpers


def _demand(rng: np.random.Generator, minute: np.ndarray) -> np.ndarray:
    """Load 0..1: two shifts with breaks, orders of 40 to 90 minutes at their own level, a quiet night."""
    n = len(minute)
    base = np.where((minute >= 6 * 60) & (minute < 22 * 60), 0.72, 0.22)
    for pause in (9 * 60, 12 * 60, 17 * 60):
        base = np.where((minute >= pause) & (minute < pause + 25), 0.4, base)
    level = np.empty(n)
    at = 0
    while at < n:
        length = int(rng.integers(40, 90))
        level[at : at + length] = rng.uniform(-0.13, 0.2)
        at += length
    return np.clip(base + level + 0.02 * _wander(rng, n, 12), 0.08, 1.0)


def _lag(x: np.ndarray, minutes: float) -> np.ndarray:
    """First-order lag with the given time constant."""
    from scipy.signal import lfilter, lfilter_zi

    keep = np.exp(-1 / minutes)
    b, a = [1 - keep], [1, -keep]
    return lfilter(b, a, x, zi=lfilter_zi(b, a) * x[0])[0]


def _wander(rng: np.random.Generator, n: int, minutes: float) -> np.ndarray:
    """A slow random walk that returns to zero (Ornstein and Uhlenbeck), unit variance."""
    from scipy.signal import lfilter

    keep = np.exp(-1 / minutes)
    noise = rng.standard_normal(n + int(6 * minutes))
    return lfilter([np.sqrt(1 - keep**2)], [1, -keep], noise)[-n:]
