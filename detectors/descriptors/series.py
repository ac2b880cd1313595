"""One channel of an event, observed against expected: level, slope, roughness, rhythm, ties to other channels.

Turns arrays over time into named numbers. Lengths are stamps; "sd" are standard deviations of the channel in normal
data. Knows numpy; not models, thresholds or names of anomalies.
"""

from __future__ import annotations

import numpy as np

Described = dict[str, tuple[float | int | str | None, str]]  # name -> (value, unit)
EDGE = 0.025  # share of a departure's energy at either end that does not count to the core of the event
STILL = 0.02  # of the usual step: a smaller step counts as none
SHORTEST_RHYTHM = 24  # stamps from which a period can be told
CLEAR_RHYTHM = 0.4  # share of the variance near one frequency from which a channel counts as rhythmic
LONGEST_LAG = 20
TIES_SEEN = 400  # stamps on either side of the event from which ties and rhythms are read


def describe_channel(
    observed: np.ndarray, expected: np.ndarray, rows: tuple[int, int], channel: int, scale: float, unit: str = ""
) -> Described:
    """Descriptors of one channel of an event.

    observed, expected: (time, channel), the same where nothing was replaced; rows: the event, half-open; scale: the
    channel's standard deviation in normal data.
    """
    x, e = observed[:, channel].astype(float), expected[:, channel].astype(float)
    first, last = _core(np.nan_to_num(x - e)[rows[0] : rows[1]], rows)
    lost = float(np.isnan(observed[rows[0] : rows[1], channel]).mean())
    x, e = _whole(x), _whole(e)
    around = _around(rows, len(x))
    found: Described = {"duration": (last - first, "stamps")}
    found |= _levels(x, e, first, last, scale, unit)
    found |= _steps(x, rows, first, last, around, scale)
    found |= _rhythm(x, (first, last) if last - first >= SHORTEST_RHYTHM else rows, around)
    found |= _ties(observed, channel, (first, last), around)
    found["missing_share"] = (100.0 * lost, "%")
    return found


def onsets(event_map: np.ndarray, level: float = 1.0) -> np.ndarray:
    """(channel,) the first stamp of an event at which each channel's calibrated map (time, channel) exceeds `level` and
    a quarter of its own peak; -1 where it never does."""
    values = np.nan_to_num(event_map)
    peak = values.max(0)
    above = values >= np.maximum(level, 0.25 * peak)[None]
    return np.where(above.any(0), above.argmax(0), -1)


def _whole(x: np.ndarray) -> np.ndarray:
    """Gaps bridged by straight lines."""
    seen = np.isfinite(x)
    return np.interp(np.arange(len(x)), np.flatnonzero(seen), x[seen]) if seen.any() else np.zeros(len(x))


def _core(departure: np.ndarray, rows: tuple[int, int]) -> tuple[int, int]:
    """The stretch that holds the departure but for EDGE of its energy at either end; the whole event where nothing
    departs."""
    energy = np.cumsum(departure**2)
    if not energy.size or energy[-1] <= 0:
        return rows
    first = int(np.searchsorted(energy, EDGE * energy[-1]))
    last = int(np.searchsorted(energy, (1 - EDGE) * energy[-1]))
    return rows[0] + first, rows[0] + max(last, first) + 1


def _around(rows: tuple[int, int], length: int) -> list[slice]:
    """Stretches before and after the event, apart from it."""
    reach = max(TIES_SEEN // 2, rows[1] - rows[0])
    before = slice(max(0, rows[0] - reach - 8), max(0, rows[0] - 8))
    return [
        s for s in (before, slice(min(length, rows[1] + 8), min(length, rows[1] + 8 + reach))) if s.stop - s.start > 8
    ]


def _levels(x: np.ndarray, e: np.ndarray, first: int, last: int, scale: float, unit: str) -> Described:
    """Level and slope of the departure, and how much of it a constant or a straight line explains."""
    gap = (x - e)[first:last]
    energy = float(gap @ gap) or 1e-12
    t = np.arange(len(gap)) - (len(gap) - 1) / 2
    slope = float(gap @ t) / (float(t @ t) or 1.0)
    flat = float(len(gap) * gap.mean() ** 2) / energy
    rise = slope * (len(gap) - 1)
    return {
        "observed_level": (float(x[first:last].mean()), unit),
        "expected_level": (float(e[first:last].mean()), unit),
        "level_difference": (float(gap.mean()), unit),
        "slope_gain": (float(rise), unit),
        "peak_difference": (float(gap[np.abs(gap).argmax()]), unit),
        "peak_departure": (float(np.abs(gap).max()) / scale, "sd"),
        "level_departure": (float(np.abs(gap.mean())) / scale, "sd"),
        "level_fit": (100.0 * flat, "%"),
        "trend_fit": (100.0 * float(slope**2 * (t @ t)) / energy, "%"),
        "level_and_trend": (100.0 * (flat + float(slope**2 * (t @ t)) / energy), "%"),
        "slope_to_level": (abs(rise) / max(abs(float(gap.mean())), 1e-9 * scale), ""),
    }


def _steps(x: np.ndarray, rows: tuple[int, int], first: int, last: int, around: list[slice], scale: float) -> Described:
    """How rough the channel is from stamp to stamp, and whether it stands still."""
    usual = np.concatenate([np.diff(x[s]) for s in around] or [np.zeros(1)])
    step = 1.4826 * float(np.median(np.abs(usual - np.median(usual))))
    inside = np.diff(x[first:last]) if last - first > 2 else np.diff(x[max(0, first - 1) : last + 1])
    rough = 1.4826 * float(np.median(np.abs(inside - np.median(inside)))) if len(inside) else 0.0
    tolerance = STILL * step + 1e-9 * scale
    length, start = _longest_still(np.diff(x[rows[0] : rows[1]]), tolerance)
    began = rows[0] + start
    jump = abs(x[began] - x[max(0, began - 1)]) if length else 0.0
    large = max(float(np.quantile(np.abs(usual), 0.99)), 1e-9 * scale)
    return {
        "roughness": (rough, ""),
        "usual_roughness": (step, ""),
        "roughness_ratio": (rough / max(step, 1e-9 * scale), ""),
        "still_stamps": (length + 1 if length else 0, "stamps"),
        "usual_still_stamps": (
            max((_longest_still(np.diff(x[s]), tolerance)[0] for s in around), default=0) + 1,
            "stamps",
        ),
        "still_share": (100.0 * min(1.0, (length + 1) / max(1, last - first)) if length else 0.0, "%"),
        "still_jump": (float(jump) / large, "usual steps"),
        "still_at_zero": (100.0 if length and abs(x[began]) <= tolerance else 0.0, "%"),
    }


def _longest_still(steps: np.ndarray, tolerance: float) -> tuple[int, int]:
    """(length, start) of the longest run of steps of at most `tolerance`."""
    best = (0, 0)
    run = 0
    for i, still in enumerate(np.abs(steps) <= tolerance):
        run = run + 1 if still else 0
        if run > best[0]:
            best = (run, i - run + 1)
    return best


def _rhythm(x: np.ndarray, rows: tuple[int, int], around: list[slice]) -> Described:
    """The dominant period inside and around the event, where there is one: period in stamps, strength in percent."""
    inside = _period(x[rows[0] : rows[1]])
    outside = max((_period(x[s]) for s in around), key=lambda found: found[1], default=(0.0, 0.0))
    clear = min(inside[1], outside[1]) >= CLEAR_RHYTHM
    ratio = inside[0] / outside[0] if clear else 1.0
    return {
        "period": (inside[0] or None, "stamps"),
        "usual_period": (outside[0] or None, "stamps"),
        "period_change": (float(max(ratio, 1 / ratio)), ""),
        "period_strength": (100.0 * inside[1], "%"),
        "usual_period_strength": (100.0 * outside[1], "%"),
    }


def _period(x: np.ndarray) -> tuple[float, float]:
    """(stamps a turn, share of the variance near that frequency); (0, 0) for stretches too short to tell."""
    n = len(x)
    if n < SHORTEST_RHYTHM or np.ptp(x) == 0:
        return 0.0, 0.0
    t = np.arange(n)
    flat = (x - np.polyval(np.polyfit(t, x, 1), t)) * np.hanning(n)
    size = 4 * n
    power = np.abs(np.fft.rfft(flat, size)) ** 2
    low = size // (n // 2)  # at least two turns must be seen
    high = size // 4
    if high <= low:
        return 0.0, 0.0
    peak = low + int(power[low:high].argmax())
    near = power[max(low, peak - 6) : peak + 7].sum()
    return size / peak, float(near / max(power[1 : size // 2].sum(), 1e-12))


def _ties(observed: np.ndarray, channel: int, rows: tuple[int, int], around: list[slice]) -> Described:
    """Correlation with the channel it is tied to most (told by number), around the event and inside it."""
    if observed.shape[1] < 2 or not around or rows[1] - rows[0] < 8:
        return {}
    outside = np.concatenate([np.nan_to_num(observed[s]) for s in around])
    usual = _correlations(outside, channel)
    other = int(np.abs(usual).argmax())
    if abs(usual[other]) < 0.3:
        return {}
    inside = np.nan_to_num(observed[rows[0] : rows[1]])
    now = float(_correlations(inside, channel)[other])
    return {
        "tied_channel": (other, "number"),
        "usual_correlation": (float(usual[other]), ""),
        "correlation": (now, ""),
        "correlation_change": (abs(now - float(usual[other])), ""),
        "lag": (_lag(inside[:, channel], inside[:, other], float(usual[other])), "stamps"),
    }


def _correlations(values: np.ndarray, channel: int) -> np.ndarray:
    """(channel,) correlation of one column with each; 0 with itself and with what does not move."""
    centred = values - values.mean(0)
    norms = np.sqrt((centred**2).sum(0))
    products = centred.T @ centred[:, channel] / np.maximum(norms * norms[channel], 1e-12)
    products[channel] = 0.0
    return np.where(norms > 1e-9, products, 0.0)


def _lag(x: np.ndarray, other: np.ndarray, sign: float) -> int:
    """Stamps by which a channel follows (+) or precedes (-) the one it is tied to, where shifting fits better."""
    longest = min(LONGEST_LAG, len(x) // 3)
    x, other = x - x.mean(), np.sign(sign) * (other - other.mean())
    scores = {
        lag: float(x[max(0, lag) : len(x) + min(0, lag)] @ other[max(0, -lag) : len(x) - max(0, lag)])
        for lag in range(-longest, longest + 1)
    }
    best = max(scores, key=lambda lag: scores[lag])
    return best if scores[best] > 1.1 * scores[0] else 0
