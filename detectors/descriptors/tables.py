"""One feature of a row, given the others: observed against expected, usual range, distance in standard deviations.

Turns values and what is known of normal rows into named numbers. Knows numpy; not models, thresholds or names of
anomalies.
"""

from __future__ import annotations

import math

Described = dict[str, tuple[float | int | str | None, str]]  # name -> (value, unit)


def describe_number(
    observed: float | None, expected: float | None, seen: tuple[float, float], given_departure: float
) -> Described:
    """A number. seen: the lowest and highest of normal data; given_departure: how many standard deviations it lies
    from what the other features let expect."""
    found: Described = {
        "seen_low": (seen[0], ""),
        "seen_high": (seen[1], ""),
        "given_departure": (given_departure, "sd"),
    }
    if observed is None:
        return found
    span = max(seen[1] - seen[0], 1e-12)
    beyond = max(observed - seen[1], seen[0] - observed, 0.0)
    found["beyond_range"] = (100.0 * beyond / span, "%")
    if expected is None:
        return found
    found["value_difference"] = (observed - expected, "")
    found["decimal_misfit"] = (0.5, "")  # as far as can be, where there is no ratio
    if observed * expected > 0:
        power = math.log10(observed / expected)
        found["value_ratio"] = (observed / expected, "")
        found["decimal_power"] = (round(power), "")
        found["decimal_size"] = (abs(power), "")
        found["decimal_misfit"] = (abs(power - round(power)), "")
    found["sign_changed"] = (100.0 if observed * expected < 0 and seen[0] >= 0 else 0.0, "%")
    return found


def describe_word(share: float, expected_share: float, given_share: float) -> Described:
    """A category, by how often normal rows hold it, hold the expected one, and hold it beside the other features
    (shares 0..1)."""
    return {
        "usual_share": (100.0 * share, "%"),
        "expected_share": (100.0 * expected_share, "%"),
        "given_share": (100.0 * given_share, "%"),
    }
