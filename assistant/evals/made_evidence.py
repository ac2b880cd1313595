"""Made-up findings with random values, and the evidence that tools would give of them.

Knows the evidence format; what is claimed about it is `made_claims`.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from assistant.evidence import Evidence, Fact

PLACES = (
    "upper left",
    "upper centre",
    "upper right",
    "centre left",
    "centre",
    "lower left",
    "lower right",
    "lower centre",
)
CHANNELS = (("temperature", "°C"), ("oil pressure", "bar"), ("cpu_load", "%"), ("vibration", "mm/s"), ("flow", "l/min"))


@dataclass
class Picture:
    """An image finding."""

    id: str
    sample: str
    p: float
    score: float
    alpha: float
    regions: list[dict]
    normal_p: float
    normal_score: float

    @property
    def returns(self) -> bool:
        return self.normal_p > self.alpha


@dataclass
class Event:
    """A series finding."""

    id: str
    p: float
    score: float
    alpha: float
    start: str
    end: str
    minutes: int
    channels: list[dict]


def make_picture(rng: random.Random, i: int) -> Picture:
    shares = sorted((rng.uniform(5, 60), rng.uniform(5, 35)), reverse=True)
    places = rng.sample(PLACES, 2)
    regions = [
        {"name": f"region {k + 1}", "share": shares[k], "position": places[k], "left": rng.randrange(5, 99) * 3 + k,
         "top": rng.randrange(100, 199), "width": rng.randrange(11, 49), "height": rng.randrange(51, 98),
         "area": rng.randrange(300, 2000), "observed": rng.uniform(20, 110), "expected": rng.uniform(120, 230)}
        for k in range(2)
    ]  # fmt: skip
    number = rng.randrange(100, 500) + 500 * i
    p = rng.choice([rng.uniform(0.0001, 0.0009), rng.uniform(0.001, 0.009)])
    normal_p = rng.choice([rng.uniform(0.02, 0.9), rng.uniform(0.0095, 0.0099)])
    score = rng.uniform(2.2, 9.5)
    return Picture(f"F{11 + i}", f"part_{number}.png", p, score, 0.01, regions, normal_p, score * rng.uniform(0.1, 0.4))


def make_event(rng: random.Random, i: int) -> Event:
    names = rng.sample(CHANNELS, 3)
    shares = sorted((rng.uniform(35, 60), rng.uniform(15, 30), rng.uniform(3, 12)), reverse=True)
    channels = []
    for (name, unit), share in zip(names, shares, strict=True):
        expected = rng.uniform(10, 80)
        observed = expected * rng.uniform(1.3, 2.4)
        channels.append({"name": name, "unit": unit, "share": share, "observed": observed, "expected": expected})
    hour, minutes = rng.randrange(1, 20), rng.randrange(11, 59)
    start, end = f"2026-11-0{3 + i}T{hour:02d}:00:00", f"2026-11-0{3 + i}T{hour:02d}:{minutes:02d}:00"
    return Event(f"F{21 + i}", rng.uniform(0.0001, 0.009), rng.uniform(2, 9), 0.01, start, end, minutes, channels)


def make_evidence(rng: random.Random, pictures: list[Picture], events: list[Event]) -> list[Evidence]:
    explained = [
        Evidence(f"E{i + 1}", "explain_finding", {"finding": one.id}, "ok", facts)
        for i, (one, facts) in enumerate(
            [(p, _picture_facts(p)) for p in pictures] + [(e, _event_facts(e)) for e in events]
        )
    ]  # fmt: skip
    a, b = pictures
    both = [f for one in pictures for f in _picture_facts(one) if "counterfactual" not in f.field]
    compared = Evidence("E5", "compare_findings", {"first": a.id, "second": b.id}, "ok", both)
    head = [
        Fact("R2", "samples", 480),
        Fact("R2", "findings", 6),
        Fact("R2", "flagged_share", 1.25, "%"),
        Fact("R2", "alpha", 0.01),
    ]
    found: list[Picture | Event] = [*pictures, *events]
    rows = [f for one in found for f in (Fact(one.id, "p_value", one.p), Fact(one.id, "score", one.score))]
    names = [Fact(one.id, "sample", one.sample) for one in pictures]
    listed = Evidence("E6", "list_findings", {"limit": 4}, "ok", head + names + rows)
    what_if = Evidence(
        "E7", "what_if_repaired", {"finding": a.id, "region": "region 1"}, "ok",
        _facts(a.id, before_p_value=a.p, after_p_value=a.normal_p, before_score=a.score, after_score=a.normal_score,
               alpha=a.alpha, returns_to_normal=a.returns),
    )  # fmt: skip
    return [*explained, compared, listed, what_if]


def _picture_facts(one: Picture) -> list[Fact]:
    facts = [
        *_facts(one.id, sample=one.sample, modality="image", run="R2", score=one.score, p_value=one.p, alpha=one.alpha),
        *_facts(one.id, regions=len(one.regions), state="new", extrapolated=one.p < 0.001),
    ]  # fmt: skip
    for region in one.regions:
        subject = f"{one.id}/{region['name']}"
        facts += [Fact(subject, "share", region["share"], "%"), Fact(subject, "position", region["position"])]
        facts += [Fact(subject, key, region[key], "px") for key in ("left", "top", "width", "height", "area")]
        facts += [Fact(subject, key, region[key]) for key in ("observed", "expected")]
    normal = {"counterfactual_p_value": one.normal_p, "counterfactual_score": one.normal_score}
    return [*facts, *_facts(one.id, **normal, returns_to_normal=one.returns)]


def _facts(subject: str, **values: float | int | str | bool) -> list[Fact]:
    return [Fact(subject, field, value) for field, value in values.items()]


def _event_facts(one: Event) -> list[Fact]:
    where = f"{one.id}/interval 1"
    facts = [
        *_facts(one.id, sample=f"{one.start}..{one.end}", modality="series", run="R2", score=one.score, p_value=one.p),
        *_facts(one.id, alpha=one.alpha, regions=1, state="new"),
        *_facts(where, start_time=one.start, end_time=one.end),
        Fact(where, "length", one.minutes + 1, "stamps"),
        Fact(where, "channels", ", ".join(c["name"] for c in one.channels[:2])),
    ]  # fmt: skip
    for channel in one.channels:
        subject = f"{one.id}/channel {channel['name']}"
        facts.append(Fact(subject, "share", channel["share"], "%"))
        facts += [Fact(subject, key, channel[key], channel["unit"]) for key in ("observed", "expected")]
    return facts


# --- the sentences: (text, true, sort) ---------------------------------------------------------------------------
