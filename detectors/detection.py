"""What a detector says about one sample: `Detection`, its `Region`s (places) and `Part`s (named carriers of the score).

Knows shapes and names, not models, thresholds or files.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any

import numpy as np

from detectors.stability import Stability

Value = float | int | str | None


@dataclass(frozen=True)
class Region:
    """A place inside one sample; regions are ranked, most guilty first.

    Images use `box`, `area`, `mask`, `position`; series use `start`, `end` and their times and `channels`;
    tables use the name alone (a feature); clips use both: a box at the frame `frame`, of a run from `start` to `end`.
    """

    name: str  # "region 1", "interval 1" or the feature's name; unique within the detection
    kind: str  # "box" | "interval" | "feature"
    share: float  # share of the sample's score that lies here, 0..1
    peak: float  # highest calibrated map value inside; 1.0 = the level that few normals exceed
    position: str = ""  # image: "upper left", "centre", ...
    box: tuple[int, int, int, int] | None = None  # left, top, right, bottom in input pixels, half-open
    area: int | None = None  # pixels in the mask
    mask: np.ndarray | None = field(default=None, repr=False, compare=False)  # bool (bottom-top, right-left)
    start: int | None = None  # first index of the interval
    end: int | None = None  # one past its last index
    start_time: str | None = None  # ISO time of the first stamp (clip: seconds since its start), where known
    end_time: str | None = None  # time of the last stamp or frame
    frame: int | None = None  # clip: number of the frame that box and mask belong to, where the run peaks
    channels: tuple[str, ...] = ()  # guilty channels of the interval, most guilty first


@dataclass(frozen=True)
class Part:
    """A named carrier of the score: a channel, a feature or an image region, in the sample's own units."""

    name: str
    share: float  # shares over all parts sum to at most 1
    observed: Value
    expected: Value


@dataclass(frozen=True)
class Measure:
    """One number (or word) on how a part departs from what was expected: see `detectors/descriptors`."""

    part: str  # name of the region, channel or feature
    name: str  # snake_case
    value: Value
    unit: str = ""


@dataclass(frozen=True)
class Detection:
    """One flagged sample (or, in a series, one event): its score, its p-value and where the oddity lies."""

    sample: str  # file name, row label or "start..end" (clip: with its name where there are several)
    index: int  # position of the sample (of the event's first stamp) in the samples
    modality: str
    score: float  # higher = more anomalous
    p_value: float
    alpha: float
    flagged: bool
    regions: tuple[Region, ...]
    parts: tuple[Part, ...]
    map: np.ndarray = field(
        repr=False, compare=False
    )  # image (h, w); series (time, channel) of the event; table (feature,); clip (h, w) at the peak
    extrapolated: bool = False  # the p-value lies beyond every calibration score and comes from the fitted tail
    signature: np.ndarray = field(
        default_factory=lambda: np.zeros(0, np.float32), repr=False, compare=False
    )  # (k,) residual descriptor; similar anomalies have a high cosine
    measures: tuple[Measure, ...] = field(default=(), repr=False)  # descriptors of the parts that lead
    stability: Stability | None = None  # in how many of how many runs it was flagged; None: not asked

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types; arrays (map, masks, signature) are left out."""
        skip = {"map", "signature", "regions", "parts", "measures", "stability"}
        out = {f.name: getattr(self, f.name) for f in fields(self) if f.name not in skip}
        out["regions"] = [
            {f.name: _plain(getattr(r, f.name)) for f in fields(r) if f.name != "mask"} for r in self.regions
        ]
        out["parts"] = [{f.name: _plain(getattr(p, f.name)) for f in fields(p)} for p in self.parts]
        out["measures"] = [{f.name: _plain(getattr(m, f.name)) for f in fields(m)} for m in self.measures]
        out["stability"] = asdict(self.stability) if self.stability else None
        return {key: _plain(value) for key, value in out.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_plain(v) for v in value]
    if isinstance(value, np.generic):
        return value.item()
    return value
