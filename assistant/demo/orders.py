"""Makes the table of the built-in case: orders of a small wholesaler, with rules that hold between columns.

Amount is quantity times unit price, VAT follows the country, shipping follows the weight and the carrier, goods have
their own prices and weights. Knows numpy and pandas; nothing of detectors or stores.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

VAT = {"DE": 0.19, "FR": 0.20, "NL": 0.21, "PL": 0.23, "LU": 0.17}
# goods: median price, spread of its logarithm, kg a piece, most pieces, share among orders
GOODS = {
    "tools": (38.0, 0.45, 1.6, 6, 0.26),
    "fasteners": (6.5, 0.35, 0.4, 40, 0.28),
    "pumps": (290.0, 0.30, 11.0, 3, 0.12),
    "sensors": (85.0, 0.40, 0.25, 8, 0.20),
    "safety wear": (24.0, 0.40, 0.7, 12, 0.14),
}
CARRIER = {"courier": (7.9, 0.85), "parcel": (4.5, 0.55), "pick-up": (0.0, 0.0)}  # base, per kg


@dataclass(frozen=True)
class Broken:
    """One planted mistake: in row `row`, the columns `features` break a rule."""

    row: int
    kind: str
    features: tuple[str, ...]
    note: str

    def to_dict(self, label: str) -> dict[str, object]:
        """The truth as JSON values; `label` is the row's own name."""
        return {**self.__dict__, "features": list(self.features), "sample": label}


def make_orders(seed: int, rows: int, first: int = 10001) -> pd.DataFrame:
    """Correct orders, one a row; some cells are missing, as in any export."""
    rng = np.random.default_rng([seed, first, 4])
    goods = rng.choice(list(GOODS), rows, p=[g[4] for g in GOODS.values()])
    median, spread, kilos, most, _ = (np.array([GOODS[g][i] for g in goods], float) for i in range(5))
    country = rng.choice(list(VAT), rows, p=[0.44, 0.2, 0.16, 0.12, 0.08])
    carrier = np.where(goods == "pumps", "courier", rng.choice(list(CARRIER), rows, p=[0.25, 0.6, 0.15]))
    quantity = np.ceil(rng.beta(1.2, 2.2, rows) * most)
    price = np.round(median * np.exp(np.clip(rng.normal(0, 1, rows), -2, 2) * spread), 2)
    frame = pd.DataFrame(
        {
            "order_id": [f"B-{first + i}" for i in range(rows)],
            "goods": goods,
            "country": country,
            "carrier": carrier,
            "hour": np.round(7.5 + 11 * rng.beta(2.2, 2.4, rows), 1),
            "quantity": quantity,
            "unit_price": price,
            "weight_kg": np.round(quantity * kilos * np.exp(rng.normal(0, 0.06, rows)), 2),
        }
    )
    frame["amount"] = np.round(quantity * price, 2)
    _settle(frame, rng)
    for column, share in (("weight_kg", 0.06), ("hour", 0.09), ("unit_price", 0.05)):
        frame[column] = frame[column].mask(rng.random(rows) < share)
    return frame


def _settle(frame: pd.DataFrame, rng: np.random.Generator) -> None:
    """VAT, shipping and total by the rules."""
    frame["vat"] = np.round(frame["amount"] * frame["country"].map(VAT), 2)
    base, per_kilo = (frame["carrier"].map({k: v[i] for k, v in CARRIER.items()}) for i in range(2))
    frame["shipping"] = np.round(base + per_kilo * frame["weight_kg"], 2)
    frame["total"] = np.round(frame["amount"] + frame["vat"] + frame["shipping"], 2)


def plant(frame: pd.DataFrame, seed: int) -> tuple[pd.DataFrame, list[Broken]]:
    """The orders with one mistake of each kind of `MISTAKES`, far apart, and the truth about them."""
    rng = np.random.default_rng([seed, 5])
    rows: list[dict[str, Any]] = [dict(zip(frame.columns, row, strict=True)) for row in frame.itertuples(index=False)]
    complete = frame.notna().all(axis=1) & (frame["quantity"] > 1) & (frame["carrier"] != "pick-up")
    truth: list[Broken] = []
    for kind, (goods, features, note, change) in MISTAKES.items():
        fitting = np.flatnonzero(complete & frame["goods"].isin([goods] if goods else list(GOODS)))
        row = int(rng.choice([i for i in fitting if all(abs(i - b.row) > 5 for b in truth)]))
        rows[row].update(change(rows[row]))
        truth.append(Broken(row, kind, features, note))
    return pd.DataFrame(rows, columns=frame.columns), sorted(truth, key=lambda broken: broken.row)


# kind: goods that it happens to ("" = any), features that are wrong, what happened, new values
MISTAKES: dict[str, tuple[str, tuple[str, ...], str, Callable[[dict[str, Any]], dict[str, Any]]]] = {
    "slipped decimal point": (
        "sensors", ("amount",), "the amount is ten times quantity times unit price",
        lambda r: {"amount": round(10 * r["amount"], 2)},
    ),
    "amount too low": (
        "pumps", ("amount",), "the amount is a quarter of quantity times unit price",
        lambda r: {"amount": round(r["amount"] / 4, 2)},
    ),
    "no VAT": ("pumps", ("vat",), "no VAT was charged", lambda r: {"vat": 0.0}),
    "VAT twice": ("pumps", ("vat",), "VAT was charged twice", lambda r: {"vat": round(2 * r["vat"], 2)}),
    "shipping too dear": (
        "safety wear", ("shipping",), "shipping is many times what the weight costs",
        lambda r: {"shipping": round(r["shipping"] * 9 + 60, 2)},
    ),
    "shipping forgotten": (
        "pumps", ("shipping",), "a heavy parcel was shipped for nothing", lambda r: {"shipping": 0.0},
    ),
    "wrong unit of weight": (
        "sensors", ("weight_kg",), "the weight is in grams", lambda r: {"weight_kg": round(r["weight_kg"] * 1000, 1)},
    ),
    "wrong goods": (
        "pumps", ("goods",), "pumps by price and weight, booked as fasteners", lambda r: {"goods": "fasteners"},
    ),
    "wrong carrier": (
        "pumps", ("carrier",), "pumps go by courier and courier was charged, yet they were picked up",
        lambda r: {"carrier": "pick-up"},
    ),
    "total does not add up": (
        "pumps", ("total",), "the total is twice the sum of its parts", lambda r: {"total": round(2 * r["total"], 2)},
    ),
    "unknown country": ("tools", ("country",), "a country that was never delivered to", lambda r: {"country": "XK"}),
    "quantity in dozens": (
        "sensors", ("quantity",), "the quantity is twelve times what was paid for and weighed",
        lambda r: {"quantity": 12 * r["quantity"]},
    ),
}  # fmt: skip
