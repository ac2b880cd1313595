"""Makes stores with made-up names and figures, so that whoever answers over them can only copy.

`make(rng)` gives a `MadeStore`. Knows made-up findings; not questions, tokens or models.
"""

from __future__ import annotations

import random
from datetime import datetime, timedelta

from assistant.evals.made_findings import Batch, Case, Cause, Spot
from assistant.evals.made_stores import MadeStore

_STARTS = "b br c ch d dr f fl g gr h j k kl l m n p pl qu r s sh st t tr v w z".split()  # noqa: SIM905
_MIDDLES = "a e i o u ai ea oo ou".split()  # noqa: SIM905
_ENDS = ["", "", "n", "r", "l", "s", "t", "m", "x", "nd", "rk", "sh", "ll"]
_PARTS = (  # noqa: SIM905
    "temperature pressure flow speed vibration torque voltage current level humidity load power cpu memory disk "
    "latency age price quantity discount balance weight height width angle colour country city hour day type"
).split()
_UNITS = ["", "", "bar", "mm", "mm/s", "°C", "K", "A", "V", "rpm", "kg", "EUR", "h", "s", "Hz", "kW", "l/min", "ms"]
PLACES = (
    "upper left", "upper centre", "upper right", "centre left", "centre", "centre right", "lower left", "lower centre",
    "lower right",
)  # fmt: skip
_ALPHAS = (0.01, 0.01, 0.01, 0.05, 0.02, 0.005, 0.001)
_MOST = 7  # findings of a run


def word(rng: random.Random) -> str:
    """A made-up word of two or three syllables."""
    return "".join(rng.choice(_STARTS) + rng.choice(_MIDDLES) for _ in range(rng.randint(1, 2))) + rng.choice(_ENDS)


def make(rng: random.Random) -> MadeStore:
    """A store of one to three runs; some runs have no findings."""
    modality = rng.choices(("image", "series", "table"), (45, 30, 25))[0]
    number, first = rng.choice((1, rng.randint(2, 30), rng.randint(2, 200))), rng.choice((1, rng.randint(2, 60)))
    stem, parts = _stem(rng), _part_names(rng)
    batches = []
    for run in range(rng.choice((1, 1, 1, 2, 2, 3))):
        count = rng.choices((0, 1, rng.randint(2, _MOST)), (8, 12, 80))[0]
        batches.append(_batch(rng, f"R{first + run}", modality, count, number, stem, parts))
        number += count
    store = MadeStore("made", tuple(batches))
    for case in store.cases.values():
        others = [name for name in store.cases if name != case.id]
        case.similar.update({name: round(rng.uniform(0.05, 0.98), 2) for name in others})
    return store


def _stem(rng: random.Random) -> str:
    return rng.choice((word(rng), word(rng), "part", "item", "img", "scan", "board", "tile"))


def _part_names(rng: random.Random) -> list[str]:
    """Four to seven names of channels or features, some of two words."""
    single = [word(rng) if rng.random() < 0.6 else rng.choice(_PARTS) for _ in range(rng.randint(4, 7))]
    return list(
        dict.fromkeys(f"{rng.choice((word(rng), 'oil', 'motor'))} {p}" if rng.random() < 0.2 else p for p in single)
    )


def _batch(rng: random.Random, run: str, modality: str, count: int, number: int, stem: str, parts: list[str]) -> Batch:
    alpha = rng.choice(_ALPHAS)
    created = datetime(2026, 1, 1) + timedelta(minutes=rng.randrange(500_000))
    total = rng.randint(max(20, 3 * count), 300)
    names = {"image": _names(rng, stem, total), "series": (), "table": tuple(str(i) for i in range(total * 7))}[
        modality
    ]
    chosen = rng.sample(range(len(names) or 4000), count)
    values = sorted(_p_value(rng, alpha) for _ in range(count))
    if rng.random() < 0.4:  # the first finding need not be the most unusual one
        rng.shuffle(values)
    cases = [
        _case(rng, f"F{number + i}", modality, names, place, values[i], parts, created)
        for i, place in enumerate(chosen)
    ]
    source = f"{word(rng)}/{word(rng)}" if modality == "image" else f"{word(rng)}{rng.randint(1, 99)}.csv"
    return Batch(run, created.isoformat(), source, modality, names, tuple(cases), alpha)


def _names(rng: random.Random, stem: str, total: int) -> tuple[str, ...]:
    start, ending = rng.choice((0, 1, rng.randint(2, 600))), rng.choice((".png", ".png", ".jpg", ".bmp", ""))
    joint, width = rng.choice(("_", "_", "-", "")), rng.choice((1, 3, 3, 4))
    return tuple(f"{stem}{joint}{start + i:0{width}d}{ending}" for i in range(total))


def _p_value(rng: random.Random, alpha: float) -> float:
    return float(f"{alpha * rng.uniform(0.01, 0.99):.2g}")


def _case(
    rng: random.Random,
    name: str,
    modality: str,
    names: tuple[str, ...],
    place: int,
    p: float,
    parts: list[str],
    day: datetime,
) -> Case:
    shares = sorted((rng.uniform(1, 60) for _ in range(rng.randint(1, 3))), reverse=True)
    shares = [round(100 * share / (sum(shares) + 2), 1) for share in shares]
    score = round(rng.uniform(1.2, 9), 2)
    normal, returns = round(rng.uniform(0.02, 0.95), 2), rng.random() < 0.8
    if modality == "image":
        spots = tuple(_region(rng, f"region {i}", share) for i, share in enumerate(shares, 1))
        causes = tuple(Cause("region", spot.name, spot.share, _value(rng), _value(rng)) for spot in spots)
        return Case(name, names[place], place, p, score, causes, spots, normal, returns)
    kind = "channel" if modality == "series" else "feature"
    chosen = rng.sample(parts, min(len(shares), len(parts)))
    causes = tuple(
        Cause(kind, part, share, _value(rng), _value(rng), rng.choice(_UNITS))
        for part, share in zip(chosen, shares, strict=False)
    )
    if modality == "table":
        return Case(name, names[place], place, p, score, causes, (), normal, returns)
    begin, length = day.replace(hour=0, minute=0) + timedelta(minutes=place), rng.randint(1, 120)
    span = (place, place + length, begin.isoformat(), (begin + timedelta(minutes=length)).isoformat())
    spot = Spot("interval 1", 100.0, span=span, channels=tuple(chosen))
    return Case(name, f"{span[2]}..{span[3]}", place, p, score, causes, (spot,), normal, returns)


def _value(rng: random.Random) -> float:
    return round(
        rng.choice((rng.uniform(0.1, 10), rng.uniform(1, 250), rng.uniform(100, 3000))), rng.choice((0, 1, 1, 2))
    )


def _region(rng: random.Random, name: str, share: float) -> Spot:
    width, height = rng.randint(4, 90), rng.randint(4, 90)
    box = (rng.randint(0, 220), rng.randint(0, 220), width, height)
    return Spot(name, share, rng.choice(PLACES), box, rng.randint(width, width * height))
