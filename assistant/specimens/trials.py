"""Puts an explanation to the test: does a finding rest on the places that it names?

Repairs the named places (sufficiency; channels and features one after the other, the most guilty first, until it
helps), everything else (necessity), places of the same size and shape elsewhere, and the oddest cells little by little
(deletion and insertion curves; Petsiuk et al. 2018, RISE), and scores each. Works on any `Specimen`; knows masks and
scores, not detectors, tools or words.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from assistant.keeping import keep_json, load_json
from assistant.specimens.specimen import Judgement, Specimen

FILE = "test.json"
ELSEWHERE = 8  # places of equal size that are tried
STEPS = (0.25, 0.5, 1.0, 2.0)  # cells repaired on the curves, in sizes of the named places
TRIES = 200


@dataclass(frozen=True)
class Trial:
    """How an explanation stood its test."""

    p_value: float  # as flagged, scored again
    score: float
    named_p_value: float  # with the named places made normal
    named_score: float
    rest_p_value: float  # with everything but the named places made normal
    random_count: int  # places of equal size elsewhere
    random_returns: int  # how many of them bring the p-value above alpha when made normal
    random_median_p_value: float | None
    deletion: float  # mean share of the score that is left while the oddest cells are made normal; low is good
    insertion: float  # mean share of the score that is back while only the oddest cells stay as they were; high is good
    size: float  # of the named places, share of the sample 0..1


def trial_of(specimen: Specimen) -> Trial:
    """The test of a finding's explanation; made once, kept in its folder."""
    path = specimen.finding.folder / FILE
    if path.is_file():
        return Trial(**load_json(path))
    found = _run(specimen)
    keep_json(path, asdict(found))
    return found


def _run(specimen: Specimen) -> Trial:
    level, near = specimen.level(), specimen.near()
    named = _named(specimen)
    elsewhere = places_elsewhere(named, near, np.random.default_rng(specimen.finding.index))
    ranked = [_oddest(level, near, round(step * int(named.sum()))) for step in STEPS]
    masks = [np.zeros_like(named), named, near & ~named, *elsewhere, *ranked, *(near & ~mask for mask in ranked)]
    judged = specimen.trials(masks)
    before, repaired, rest = judged[:3]
    others = judged[3 : 3 + len(elsewhere)]
    deleted, inserted = (judged[3 + len(elsewhere) + i * len(STEPS) :][: len(STEPS)] for i in (0, 1))
    p_values = [one.p_value for one in others]
    return Trial(
        p_value=before.p_value,
        score=before.score,
        named_p_value=repaired.p_value,
        named_score=repaired.score,
        rest_p_value=rest.p_value,
        random_count=len(others),
        random_returns=sum(p > specimen.finding.alpha for p in p_values),
        random_median_p_value=float(np.median(p_values)) if p_values else None,
        deletion=_area([before, *deleted], before),
        insertion=_area(inserted, before),
        size=float(named.mean()),
    )


def _named(specimen: Specimen) -> np.ndarray:
    """The least of what is named that makes the finding normal; where nothing does, what scores lowest."""
    masks = specimen.first_named()
    if len(masks) == 1:
        return masks[0]
    judged = specimen.trials(masks)
    enough = [mask for mask, one in zip(masks, judged, strict=True) if one.p_value > specimen.finding.alpha]
    return enough[0] if enough else masks[int(np.argmin([one.score for one in judged]))]


def _area(judged: list[Judgement], before: Judgement) -> float:
    """Mean share of the first score, each between 0 and 1."""
    return float(np.mean([np.clip(one.score / max(before.score, 1e-12), 0, 1) for one in judged]))


def _oddest(level: np.ndarray, near: np.ndarray, count: int) -> np.ndarray:
    """The `count` cells with the highest map values among those that may be changed."""
    values = np.where(near, np.nan_to_num(level), -np.inf).ravel()
    mask = np.zeros(values.size, bool)
    mask[np.argsort(-values, kind="stable")[: max(1, count)]] = True
    return mask.reshape(level.shape) & near


def places_elsewhere(named: np.ndarray, near: np.ndarray, rng: np.random.Generator) -> list[np.ndarray]:
    """Up to ELSEWHERE copies of a mask, moved at random within `near`, none touching the mask itself; the same size."""
    found: list[np.ndarray] = []
    seen: set[tuple[int, ...]] = set()
    for _ in range(TRIES):
        offsets = tuple(int(rng.integers(n)) for n in named.shape)
        moved = np.roll(named, offsets, tuple(range(named.ndim)))
        if offsets not in seen and not (moved & named).any() and not (moved & ~near).any():
            found.append(moved)
        seen.add(offsets)
        if len(found) == ELSEWHERE:
            break
    return found


def trial_facts(found: Trial, alpha: float) -> dict[str, tuple[Any, str]]:
    """What a trial says, as fields with units."""
    random = 100.0 * found.random_returns / found.random_count if found.random_count else None
    told: dict[str, tuple[Any, str]] = {
        "named_repaired_p_value": (found.named_p_value, ""),
        "sufficient": (found.named_p_value > alpha, ""),
        "rest_repaired_p_value": (found.rest_p_value, ""),
        "necessary": (found.rest_p_value <= alpha, ""),
        "random_places": (found.random_count, ""),
        "random_returns": (found.random_returns, ""),
        "random_returns_share": (random, "%"),
        "random_median_p_value": (found.random_median_p_value, ""),
        "deletion_area": (found.deletion, ""),
        "insertion_area": (found.insertion, ""),
        "named_size": (100.0 * found.size, "%"),
    }
    return {name: told[name] for name in told if told[name][0] is not None}


def verdict(found: Trial, alpha: float) -> str:
    """ "borne out", "partly borne out" or "not borne out": what the test says of the explanation, in a word."""
    sufficient = found.named_p_value > alpha
    special = not found.random_count or found.random_returns <= 0.25 * found.random_count
    if sufficient and special:
        return "borne out"
    falls = found.named_score < 0.5 * found.score
    return "partly borne out" if (sufficient or falls) and special else "not borne out"
