"""Sentences about made-up evidence whose truth is known, half of them false in a known way: to measure the verifier.

`make(seed)` gives a conversation's evidence and its `Made` claims. Knows the evidence; not how the verifier works.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from assistant.evals.made_evidence import PLACES, Event, Picture, make_event, make_evidence, make_picture
from assistant.evidence import Evidence, format_number

Claims = Iterator[tuple[str, bool, str]]


@dataclass(frozen=True)
class Made:
    """One sentence, whether it is true, and what is wrong with it otherwise."""

    text: str
    true: bool
    sort: str


def make(seed: int) -> tuple[dict[str, Evidence], list[Made]]:
    """One conversation's evidence and the claims about it."""
    rng = random.Random(seed)
    pictures = [make_picture(rng, i) for i in range(2)]
    events = [make_event(rng, i) for i in range(2)]
    evidence = make_evidence(rng, pictures, events)
    claims = [Made(*claim) for kind in (_of_pictures(rng, pictures), _of_events(rng, events)) for claim in kind]
    return {one.id: one for one in evidence}, claims


def _n(value: float) -> str:
    return format_number(value)


def _other(rng: random.Random, value: float) -> float:
    """A clearly other number of the same size."""
    return value * rng.choice([0.37, 0.62, 1.43, 1.9, 2.7])


def _of_pictures(rng: random.Random, pictures: list[Picture]) -> Claims:
    for k, (a, b) in enumerate((pictures, pictures[::-1])):
        e = f"E{k + 1}"
        one, two = a.regions
        other = b.regions[0]
        yield from _values(rng, a, b, e)
        yield from _regions(rng, a, b, one, two, other, e)
        yield from _grey(rng, a, one, two, e)
        yield from _comparisons(rng, a, b)
    yield from _what_if(rng, pictures[0], pictures[1])
    yield from _lists(rng, pictures)


def _values(rng: random.Random, a: Picture, b: Picture, e: str) -> Claims:
    p, q, x = _n(a.p), _n(b.p), _n(_other(rng, a.p))
    phrase: list[Callable[[str, str], str]] = [
        lambda f, v: f"The p-value of {f} is {v} [{e}].",
        lambda f, v: f"{f} has a p-value of {v}, which lies below alpha 0.01 [{e}].",
        lambda f, v: f"With p = {v}, {f} is below the threshold [{e}].",
        lambda f, v: f"{f} was flagged because its p-value ({v}) is smaller than alpha (0.01) [{e}].",
        lambda f, v: f"Its p-value, {v}, says that {f} is rare among normal samples [{e}].",
        lambda f, v: f"- **{f}**: p-value **{v}** [{e}]",
    ]
    for say in phrase:
        yield say(a.id, p), True, "p-value"
        yield say(a.id, x), False, "invented p-value"
        yield say(b.id, p), False, "right p-value, other finding"
        yield say(a.id, q), False, "p-value of the other finding"
    yield f"{a.sample} ({a.id}) has a p-value of {a.p:.1e} [{e}].", True, "p-value in e notation"
    yield f"{b.sample} has a p-value of {p} [E5].", False, "right p-value, other sample"
    yield f"The score of {a.sample} is {a.score:.1f} [{e}].", True, "rounded score"
    yield f"{a.id} scores {a.score:.2f} [{e}].", True, "rounded score"
    yield f"{a.id} scores {a.score + 0.02:.2f} [{e}].", False, "wrongly rounded score"
    yield f"{a.id} scores {p} [{e}].", False, "p-value given as score"
    yield f"The p-value of {a.id} is {a.score:.2f} [{e}].", False, "score given as p-value"
    yield f"The score of {a.id} is -{a.score:.2f} [{e}].", False, "sign"
    yield f"The p-value of {a.id} is {p}, above alpha 0.01 [{e}].", False, "alpha the wrong way round"
    yield f"About 1 in {round(1 / a.p):,} normal samples looks as unusual as {a.id} [{e}].", True, "odds"
    yield f"About 1 in {round(3 / a.p):,} normal samples looks as unusual as {a.id} [{e}].", False, "wrong odds"
    yield f"The p-value of {a.id} is {p}.", False, "no citation"
    yield f"The p-value of {a.id} is {p} [E4].", False, "wrong citation"
    yield f"The p-value of {a.id} is {p} [E44].", False, "citation of nothing"
    yield f"F77 has a p-value of {p} [{e}].", False, "unknown finding"
    yield f"part_{rng.randrange(2000, 3000)}.png has a p-value of {p} [{e}].", False, "unknown sample"
    back = "" if a.returns else "not "
    away = "not " if a.returns else ""
    yield (
        f"After the repair {a.id} does {back}return to normal [{e}]."
        if back
        else f"After the repair {a.id} returns to normal [{e}].",
        True,
        "polarity",
    )
    yield (
        f"After the repair {a.id} does {away}return to normal [{e}]."
        if away
        else f"After the repair {a.id} returns to normal [{e}].",
        False,
        "polarity",
    )
    yield f"The nearest normal version of {a.id} has a p-value of {_n(a.normal_p)} [{e}].", True, "counterfactual"
    yield f"The nearest normal version of {a.id} has a p-value of {p} [{e}].", False, "before given as after"
    yield f"{a.id} has a p-value of {_n(a.normal_p)} [{e}].", False, "after given as before"
    yield "I cannot say who or what caused it.", True, "no facts"
    yield f"Shall I compare {a.id} with {b.id}?", True, "offer"


def _regions(rng: random.Random, a: Picture, b: Picture, one: dict, two: dict, other: dict, e: str) -> Claims:
    yield f"{a.id} has two regions [{e}].", True, "count"
    yield f"{a.id} has {rng.choice(['three', '4', 'seven'])} regions [{e}].", False, "wrong count"
    for first, second in ((one, two), (two, one)):
        name, share = first["name"], first["share"]
        yield f"{share:.1f} % of the score of {a.id} lies in {name} [{e}].", True, "share"
        yield (
            f"{a.id}'s {name} carries {share:.0f} % of the score and lies in the {first['position']} [{e}].",
            True,
            "share and place",
        )
        yield (
            f"In {a.id}, {name} ({first['position']}) accounts for {share:.1f} percent of the score [{e}].",
            True,
            "share and place",
        )
        yield (
            f"{name.capitalize()} of {a.id} begins {first['left']} px from the left and {first['top']} px from the top "
            f"[{e}].",
            True,
            "edges",
        )
        yield f"{name.capitalize()} is {first['width']} px wide and {first['height']} px high [{e}].", True, "size"
        yield (
            f"{name.capitalize()} measures {first['width']} x {first['height']} pixels and covers {first['area']:,} px "
            f"[{e}].",
            True,
            "size",
        )
        yield (
            f"{second['share']:.1f} % of the score of {a.id} lies in {name} [{e}].",
            False,
            "share of the other region",
        )
        yield f"{share:.1f} px of the score of {a.id} lies in {name} [{e}].", False, "wrong unit"
        yield (
            f"{name.capitalize()} of {a.id} lies in the {second['position']} [{e}].",
            False,
            "place of the other region",
        )
        yield (
            f"{name.capitalize()} is {first['height']} px wide and {first['width']} px high [{e}].",
            False,
            "width and height swapped",
        )
        yield f"{name.capitalize()} is {first['width']} mm wide [{e}].", False, "wrong unit"
        yield (
            f"{name.capitalize()} of {a.id} begins {second['left'] + 2} px from the left [{e}].",
            False,
            "invented edge",
        )
        yield f"{name.capitalize()} covers {first['area'] + 100:,} px [{e}].", False, "invented area"
    unused = next(place for place in PLACES if place not in {r["position"] for r in a.regions})
    yield f"The defect of {a.id} lies in the {unused} [{e}].", False, "invented place"
    yield f"Region 5 carries {one['share']:.1f} % of the score of {a.id} [{e}].", False, "unknown region"
    yield f"Together both regions of {a.id} carry {one['share'] + two['share']:.1f} % of the score [{e}].", True, "sum"
    yield (
        f"Together both regions of {a.id} carry {one['share'] + two['share'] + 6:.1f} % of the score [{e}].",
        False,
        "wrong sum",
    )
    yield f"The x range of region 1 is {one['left']} to {one['left'] + one['width']} px [{e}].", True, "right edge"
    yield f"Region 1 of {b.id} carries {one['share']:.1f} % of the score [E5].", False, "share of the other finding"
    yield f"Region 1 carries the largest share of the score of {a.id} [{e}].", True, "superlative"
    yield f"Region 2 carries the largest share of the score of {a.id} [{e}].", False, "superlative"


def _grey(rng: random.Random, a: Picture, one: dict, two: dict, e: str) -> Claims:
    for region in (one, two):
        o, x, name = f"{region['observed']:.1f}", f"{region['expected']:.1f}", region["name"]
        gap = region["expected"] - region["observed"]
        yield f"In {name} the mean grey level is {o} instead of the expected {x} [{e}].", True, "observed and expected"
        yield f"{name.capitalize()} reads {o} where {x} was expected [{e}].", True, "observed and expected"
        yield f"Observed: {o}, expected: {x} in {name} [{e}].", True, "observed and expected"
        yield f"The grey level of {name} was observed at {o} against {x} expected [{e}].", True, "observed and expected"
        yield f"{name.capitalize()} is {gap:.0f} grey levels lower than expected [{e}].", True, "difference"
        yield (
            f"In {name} the mean grey level is {x} instead of the expected {o} [{e}].",
            False,
            "observed and expected swapped",
        )
        yield f"{name.capitalize()} reads {x} where {o} was expected [{e}].", False, "observed and expected swapped"
        yield f"Observed: {x}, expected: {o} in {name} [{e}].", False, "observed and expected swapped"
        yield f"{name.capitalize()} is {gap:.0f} grey levels higher than expected [{e}].", False, "direction"
        yield (
            f"{name.capitalize()} is {gap * 1.4:.0f} grey levels lower than expected [{e}].",
            False,
            "wrong difference",
        )
    yield f"In region 1 the mean grey level is {two['observed']:.1f} [{e}].", False, "value of the other region"


def _comparisons(rng: random.Random, a: Picture, b: Picture) -> Claims:
    low, high = sorted((a, b), key=lambda f: f.p)
    big, small = sorted((a, b), key=lambda f: -f.score)
    yield f"{a.id} and {b.id} have p-values of {_n(a.p)} and {_n(b.p)} [E5].", True, "list"
    yield f"{a.id} and {b.id} have p-values of {_n(b.p)} and {_n(a.p)} [E5].", False, "list in the wrong order"
    yield f"The p-value is {_n(a.p)} for {a.id} and {_n(b.p)} for {b.id} [E5].", True, "for"
    yield f"The p-value is {_n(a.p)} for {b.id} and {_n(b.p)} for {a.id} [E5].", False, "for, swapped"
    yield f"{a.id} scores {a.score:.2f}, while {b.id} scores {b.score:.2f} [E5].", True, "two clauses"
    yield f"{a.id} scores {b.score:.2f}, while {b.id} scores {a.score:.2f} [E5].", False, "two clauses, swapped"
    yield f"{low.id} is more anomalous than {high.id} [E5].", True, "comparative"
    yield f"{high.id} is more anomalous than {low.id} [E5].", False, "comparative"
    yield f"{low.id} has a lower p-value than {high.id} ({_n(low.p)} against {_n(high.p)}) [E5].", True, "comparative"
    yield f"{high.id} has a lower p-value than {low.id} [E5].", False, "comparative"
    yield f"{big.id} scores {big.score - small.score:.2f} higher than {small.id} [E5].", True, "difference"
    yield f"{big.id} scores {big.score - small.score + 0.7:.2f} higher than {small.id} [E5].", False, "wrong difference"
    yield f"The score of {big.id} is {big.score / small.score:.1f} times that of {small.id} [E5].", True, "ratio"
    yield (
        f"The score of {big.id} is {big.score / small.score + 0.8:.1f} times that of {small.id} [E5].",
        False,
        "wrong ratio",
    )
    place = a.regions[0]["position"]
    if place not in {r["position"] for r in b.regions}:
        yield f"{b.id} lies in the {place} too [E5].", False, "place of the other finding"
    yield f"{a.id} lies in the {place} and {b.id} in the {b.regions[0]['position']} [E5].", True, "places"


def _what_if(rng: random.Random, a: Picture, b: Picture) -> Claims:
    p, q, s, t = _n(a.p), _n(a.normal_p), f"{a.score:.2f}", f"{a.normal_score:.2f}"
    yield f"Repairing region 1 of {a.id} raises the p-value from {p} to {q} [E7].", True, "from to"
    yield (
        f"Repairing region 1 lowers the score of {a.id} from {s} to {t} and raises its p-value to {q} [E7].",
        True,
        "from to",
    )
    yield f"Before the repair the p-value of {a.id} is {p}, after it {q} [E7].", True, "before and after"
    yield f"Without region 1, {a.id} would score {t} [E7].", True, "after"
    yield f"Repairing region 1 of {a.id} changes the p-value from {q} to {p} [E7].", False, "from to, swapped"
    yield f"Before the repair the p-value of {a.id} is {q}, after it {p} [E7].", False, "before and after, swapped"
    yield f"Repairing region 1 of {a.id} lowers the score from {t} to {s} [E7].", False, "from to, swapped"
    yield f"After the repair {a.id} has a p-value of {_n(_other(rng, a.normal_p))} [E7].", False, "invented"
    yield f"Repairing region 1 of {b.id} raises the p-value from {p} to {q} [E7].", False, "other finding"
    word, wrong = ("above", "below") if a.returns else ("below", "above")
    yield f"The p-value after the repair, {q}, lies {word} alpha [E7].", True, "alpha"
    yield f"The p-value after the repair, {q}, lies {wrong} alpha [E7].", False, "alpha the wrong way round"
    yield f"The repair lowers the score by {a.score - a.normal_score:.2f} [E7].", True, "difference"
    yield f"The repair lowers the score by {(a.score - a.normal_score) * 1.3:.2f} [E7].", False, "wrong difference"


def _lists(rng: random.Random, pictures: list[Picture]) -> Claims:
    yield "R2 holds 480 samples, of which 6 were flagged [E6].", True, "counts"
    yield "6 of 480 samples were flagged, that is 1.25 % [E6].", True, "counts"
    yield "Six findings came out of 480 samples [E6].", True, "count in words"
    yield "R2 holds 418 samples [E6].", False, "invented count"
    yield "Seven findings came out of 480 samples [E6].", False, "invented count"
    yield "6 of 480 samples were flagged, that is 6 % [E6].", False, "wrong percentage"
    yield "R3 holds 480 samples [E6].", False, "unknown run"
    worst = min(pictures, key=lambda f: f.p)
    yield f"The p-value of {worst.sample} is {_n(worst.p)} [E6].", True, "by name"


def _of_events(rng: random.Random, events: list[Event]) -> Claims:
    for k, (a, b) in enumerate((events, events[::-1])):
        e = f"E{k + 3}"
        clock, stop = a.start[11:16], a.end[11:16]
        yield f"{a.id} lasted from {clock} to {stop} [{e}].", True, "times"
        yield f"{a.id} began at {a.start} [{e}].", True, "times"
        yield f"{a.id} began on {int(a.start[8:10])} November 2026 at {clock} and ended at {stop} [{e}].", True, "times"
        yield f"{a.id} lasted {a.minutes} minutes [{e}].", True, "duration"
        yield f"It covers {a.minutes + 1} stamps [{e}].", True, "length"
        yield f"{a.id} lasted from {stop} to {clock} [{e}].", False, "times swapped"
        yield f"{a.id} began at 23:17 [{e}].", False, "invented time"
        yield f"{a.id} began on 17 November 2026 [{e}].", False, "invented date"
        yield f"{a.id} lasted {a.minutes + 7} minutes [{e}].", False, "wrong duration"
        yield f"{a.id} lasted {a.minutes} hours [{e}].", False, "wrong unit"
        yield from _channels(rng, a, b, e)


def _channels(rng: random.Random, a: Event, b: Event, e: str) -> Claims:
    first, second, third = a.channels
    stranger = next((c["name"] for c in b.channels if c["name"] not in {x["name"] for x in a.channels}), None)
    for one, two in ((first, second), (second, third), (third, first)):
        name, unit, o, x = one["name"], one["unit"], f"{one['observed']:.1f}", f"{one['expected']:.1f}"
        wrong = "bar" if unit != "bar" else "°C"
        gap, times = one["observed"] - one["expected"], one["observed"] / one["expected"]
        yield f"{name.capitalize()} reads {o} {unit} instead of the expected {x} {unit} [{e}].", True, "channel"
        yield f"The channel `{name}` carries {one['share']:.1f} % of the score of {a.id} [{e}].", True, "channel share"
        yield (
            f"{one['share']:.0f} % of the score lies in {name} and {two['share']:.0f} % in {two['name']} [{e}].",
            True,
            "two shares",
        )
        yield (
            f"{name} ({one['share']:.1f} %) and {two['name']} ({two['share']:.1f} %) carry it [{e}].",
            True,
            "two shares",
        )
        yield f"The {name} is {gap:.1f} {unit} higher than expected [{e}].", True, "difference"
        yield f"The observed {name} is {times:.1f} times the expected value [{e}].", True, "ratio"
        yield f"For {name}, {x} {unit} would be normal, but {o} {unit} was measured [{e}].", True, "channel"
        yield (
            f"{name.capitalize()} reads {x} {unit} instead of the expected {o} {unit} [{e}].",
            False,
            "observed and expected swapped",
        )
        yield f"{name.capitalize()} reads {o} {wrong} [{e}].", False, "wrong unit"
        yield f"{two['name'].capitalize()} reads {o} [{e}].", False, "value of another channel"
        yield (
            f"The channel `{two['name']}` carries {one['share']:.1f} % of the score [{e}].",
            False,
            "share of another channel",
        )
        yield (
            f"{one['share']:.0f} % of the score lies in {two['name']} and {two['share']:.0f} % in {name} [{e}].",
            False,
            "two shares, swapped",
        )
        yield f"The {name} is {gap:.1f} {unit} lower than expected [{e}].", False, "direction"
        yield f"The {name} is {gap * 1.3 + 1:.1f} {unit} higher than expected [{e}].", False, "wrong difference"
        yield f"The observed {name} is {times + 0.9:.1f} times the expected value [{e}].", False, "wrong ratio"
        yield f"{name.capitalize()} reads {_other(rng, one['observed']):.1f} {unit} [{e}].", False, "invented value"
    yield f"The guilty channels are {first['name']} and {second['name']} [{e}].", True, "names"
    yield f"{first['name'].capitalize()} carries most of the score of {a.id} [{e}].", True, "superlative"
    yield f"{second['name'].capitalize()} carries most of the score of {a.id} [{e}].", False, "superlative"
    yield f"The channel `pump_9` carries {first['share']:.1f} % of the score [{e}].", False, "unknown channel"
    if stranger:
        yield (
            f"{stranger.capitalize()} carries {first['share']:.1f} % of the score [{e}].",
            False,
            "channel of the other finding",
        )
