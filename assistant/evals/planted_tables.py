"""Tables with planted mistakes of six kinds: the orders of the built-in case, and readings of a bakery's ovens.

Seeded: the same numbers give the same rows. Knows numpy and pandas; nothing of detectors or stores.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from assistant.demo import orders
from assistant.evals.planting import Plant, World, generator

# world: numbers tied to others, numbers free within their range, categories tied to others; the rest stays as it is
ROLES: dict[str, dict[str, tuple[str, ...]]] = {
    "orders": {
        "tied": ("amount", "vat", "total", "shipping"),
        "free": ("hour", "quantity", "unit_price"),
        "words": ("country", "carrier", "goods"),
        "rules": ("goods",),
        "never_missing": ("amount", "vat", "total", "quantity"),
    },
    "ovens": {
        "tied": ("energy_kwh", "core_c", "weight_out_kg"),
        "free": ("humidity_pct", "minutes", "weight_in_kg"),
        "words": ("oven", "dough", "program"),
        "rules": ("program",),
        "never_missing": ("energy_kwh", "core_c", "minutes", "weight_in_kg"),
    },
}
Change = Callable[[pd.DataFrame, int, str, pd.DataFrame, np.random.Generator], Any]


def make_world(name: str, seed: int, plants: Mapping[str, int], strength: float = 1.0, rows: int = 3000) -> World:
    """A table world: `rows` normal rows; each mistake in a row of its own."""
    wanted = [kind for kind, count in plants.items() for _ in range(count)]
    generator(seed, 11).shuffle(wanted)
    make = {"orders": _orders, "ovens": _ovens}[name]
    normal, test = make(seed, rows, 10001), make(seed + 1000, 6 * len(wanted) + 60, 90001)
    found = []
    for number, kind in enumerate(wanted):
        rng = generator(seed, 12, number)
        feature = str(rng.choice(ROLES[name][_ROLE[kind]]))
        row = _row(test, 6 * number + 20, feature)
        value = _CHANGE[kind](test, row, feature, normal, rng)
        if isinstance(value, float) and kind in ("broken relation",):
            value = _pulled(_cell(test, row, feature), value, strength)
        test.at[row, feature] = value
        found.append(Plant(kind, row, feature))
    return World(name, "table", normal, test, found)


def _row(frame: pd.DataFrame, first: int, feature: str) -> int:
    """The first of the next rows that is whole, and of middling size."""
    for row in range(first, first + 6):
        if frame.iloc[row].notna().all() and frame.iloc[row].get(feature) != 0:
            return row
    return first


def _pulled(old: float, new: float, strength: float) -> float:
    return round(old + strength * (new - old), 2)


def _orders(seed: int, rows: int, first: int) -> pd.DataFrame:
    return orders.make_orders(seed, rows, first)


def _ovens(seed: int, rows: int, first: int) -> pd.DataFrame:
    """Batches of an oven: energy follows weight and program, the core's heat follows program and minutes."""
    rng = generator(seed, first, 13)
    dough = rng.choice(["rye", "wheat", "spelt", "sweet"], rows, p=[0.3, 0.4, 0.2, 0.1])
    program = np.array([{"rye": "long", "wheat": "short", "spelt": "middle", "sweet": "mild"}[d] for d in dough])
    oven = rng.choice(["north", "south", "east"], rows, p=[0.5, 0.3, 0.2])
    base = np.array([{"long": 52.0, "short": 28.0, "middle": 40.0, "mild": 33.0}[p] for p in program])
    minutes = np.round(base + 2.5 * rng.standard_normal(rows), 1)
    weight = np.round(np.clip(rng.normal(60, 14, rows), 20, 100), 1)
    humidity = np.round(np.clip(rng.normal(58, 7, rows), 30, 85), 1)
    heat = np.array([{"long": 97.0, "short": 94.0, "middle": 95.5, "mild": 91.0}[p] for p in program])
    return pd.DataFrame(
        {
            "batch": [f"C-{first + i}" for i in range(rows)],
            "oven": oven,
            "dough": dough,
            "program": program,
            "humidity_pct": humidity,
            "minutes": minutes,
            "weight_in_kg": weight,
            "weight_out_kg": np.round(weight * (0.9 - 0.0012 * minutes) + 0.3 * rng.standard_normal(rows), 2),
            "core_c": np.round(heat + 0.12 * (minutes - base) + 0.35 * rng.standard_normal(rows), 2),
            "energy_kwh": np.round(4 + 0.16 * weight + 0.35 * minutes + 0.4 * rng.standard_normal(rows), 2),
        }
    )


def _cell(frame: pd.DataFrame, row: int, feature: str) -> float:
    return float(frame[feature].to_numpy(float)[row])


# --- mistakes -----------------------------------------------------------------------------------------------------


def _extreme(frame: pd.DataFrame, row: int, feature: str, normal: pd.DataFrame, rng: np.random.Generator) -> float:
    """Far outside of what the column ever held, and not by a round factor."""
    values = normal[feature].dropna().to_numpy(float)
    span = float(values.max() - values.min())
    return round(float(values.max() + rng.uniform(0.6, 1.6) * span), 2)


def _broken(frame: pd.DataFrame, row: int, feature: str, normal: pd.DataFrame, rng: np.random.Generator) -> float:
    """Ordinary by itself, in no relation to the rest of its row."""
    values = normal[feature].dropna().to_numpy(float)
    old = _cell(frame, row, feature)
    inside = np.quantile(values, rng.uniform(0.03, 0.97, 60))
    far = [v for v in inside if not 0.3 < v / old < 3.0] if old > 0 else list(inside)
    return round(float(rng.choice(far)) if far else float(max(inside, key=lambda v: abs(v - old))), 2)


def _scaled(frame: pd.DataFrame, row: int, feature: str, normal: pd.DataFrame, rng: np.random.Generator) -> float:
    return round(_cell(frame, row, feature) * float(rng.choice([10, 100, 1000, 0.01])), 4)


def _gone(frame: pd.DataFrame, row: int, feature: str, normal: pd.DataFrame, rng: np.random.Generator) -> float:
    return float("nan")


def _unknown(frame: pd.DataFrame, row: int, feature: str, normal: pd.DataFrame, rng: np.random.Generator) -> str:
    return str(rng.choice(["XK", "n/a?", "unknown-7", "test"]))


def _combined(frame: pd.DataFrame, row: int, feature: str, normal: pd.DataFrame, rng: np.random.Generator) -> str:
    """A word that is common, but not beside the rest of this row."""
    others = [str(word) for word in normal[feature].unique() if word != frame.at[row, feature]]
    return str(rng.choice(others))


_ROLE = {
    "extreme value": "free",
    "broken relation": "tied",
    "scale error": "tied",
    "missing value": "never_missing",
    "rare category": "words",
    "rare combination": "rules",
}
_CHANGE: dict[str, Change] = {
    "extreme value": _extreme,
    "broken relation": _broken,
    "scale error": _scaled,
    "missing value": _gone,
    "rare category": _unknown,
    "rare combination": _combined,
}
