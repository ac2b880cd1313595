"""What the generated worlds share: what was planted, and where. Knows plain values; not detectors or findings."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Plant:
    """One planted anomaly and the truth about it."""

    kind: str  # as `prompts/kinds` names it
    index: int  # image, row, or first stamp
    place: str = ""  # channel or feature; "" in images
    end: int = 0  # one past the last stamp of an event
    size: float = 0.0  # strength, in the planter's own units
    mask: np.ndarray | None = field(default=None, repr=False, compare=False)  # image: (h, w) bool


@dataclass(frozen=True)
class World:
    """Normal data to fit on, data to score, and what was planted there."""

    name: str
    modality: str
    normal: Any  # list of (h, w, 3) uint8, or a data frame
    test: Any
    plants: list[Plant]


def generator(*seeds: int) -> np.random.Generator:
    """A generator of its own for each purpose."""
    return np.random.default_rng(list(seeds))
