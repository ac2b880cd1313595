"""What a modality is: the way from samples in a person's form to tensors and back, and where in a sample a map points.

Knows files, arrays and frames of its own kind; not methods, thresholds or p-values.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from detectors.detection import Measure, Part, Region
from detectors.method import Learned, Space, merge_settings
from detectors.training import Run


@dataclass
class Items:
    """Validated samples: `data` in the modality's own form, seen as `count` items (images, windows, rows).

    `n_samples` samples get a score (images, rows: one an item; series: one a time stamp); `names` one a sample where
    samples have names.
    """

    data: Any
    count: int
    n_samples: int
    names: Sequence[str] | None = None

    def __len__(self) -> int:
        return self.count


@dataclass
class Event:
    """One thing to report: a flagged image or row, or a run of flagged time stamps or frames."""

    sample: str
    index: int  # position of the sample, or of the run's first stamp
    peak: int  # position whose score and p-value stand for the event
    map: np.ndarray  # its calibrated map: image or peak frame (h, w), series (time, channel), row (feature,)
    regions: tuple[Region, ...]


class Modality(Learned, ABC):
    """Learned arrays are buffers; learned names and sizes are plain JSON values given by `config`."""

    name: ClassVar[str] = ""
    defaults: ClassVar[Mapping[str, Any]] = {}
    batch_size: ClassVar[int] = 64
    min_normals: ClassVar[int] = 4  # fewest items that `fit` takes

    def __init__(self, **settings: Any) -> None:
        """Raises AnomalyError for a setting that the modality does not have."""
        super().__init__()
        self.settings = merge_settings(self.name, self.defaults, settings)

    # --- samples in ------------------------------------------------------------------------------------------------
    @abstractmethod
    def open(self, samples: Any) -> Items:
        """Validate samples (after `fit`: also against what was fitted). Raises AnomalyError: what is wrong, where."""

    @abstractmethod
    def select(self, items: Items, samples: Sequence[int]) -> Items:
        """These samples only (series: all of them, since a stamp means nothing without its surroundings)."""

    def split(self, items: Items, generator: torch.Generator) -> tuple[list[int], list[int]]:
        """Item numbers to fit on and to hold out for calibration (a fifth, at least 10 where there are 20)."""
        order = torch.randperm(len(items), generator=generator).tolist()
        held = min(len(items) // 2, max(10, len(items) // 5))
        return sorted(order[held:]), sorted(order[:held])

    @abstractmethod
    def fit(self, items: Items, rows: Sequence[int], run: Run) -> None:
        """Learn scales, vocabularies, features from these items only."""

    @property
    @abstractmethod
    def space(self) -> Space:
        """The tensor space, known after `fit`."""

    @abstractmethod
    def encode(self, items: Items, rows: Sequence[int]) -> Tensor:
        """(len(rows), channel, *position) float32 of about unit variance."""

    # --- samples that lack parts -----------------------------------------------------------------------------------
    def presence(self, items: Items) -> np.ndarray | None:
        """(n_samples, part) bool: the parts that each sample has; None where samples have no parts to lack."""
        return None

    def order(self, items: Items) -> np.ndarray:
        """(n_samples,) a number that grows by 1 from a sample to the one that follows it."""
        return np.arange(items.n_samples)

    def masked(self, x: Tensor, pattern: np.ndarray, order: np.ndarray) -> tuple[Tensor, Items]:
        """Encoded samples (n, channel) as if they had only the parts `pattern` (part,), and items that stand for them.
        Only asked for where `presence` tells parts."""
        raise NotImplementedError(f"{type(self).__name__}.masked")

    def reshared(self, event: Event, lost: np.ndarray) -> Event:
        """An event whose parts (part,) have shares in proportion to `lost`, what its score loses without each."""
        return event

    # --- maps out --------------------------------------------------------------------------------------------------
    @abstractmethod
    def assemble(self, batches: Iterable[Tensor], items: Items, rows: Sequence[int]) -> np.ndarray:
        """Method maps of the items `rows`, batch by batch, as one array: image (n, h, w) at model resolution, series
        (time, channel) with NaN where no window looked, table (row, feature)."""

    @abstractmethod
    def score(self, maps: np.ndarray) -> np.ndarray:
        """Assembled maps -> one float a sample; NaN where nothing was seen."""

    def steady(self, scores: np.ndarray, items: Items, rows: Sequence[int]) -> np.ndarray:
        """Scores of `rows`, evened out where samples follow each other in time; as they are by default."""
        return scores

    def calibration_block(self, scores: np.ndarray) -> float:
        """How many neighbouring calibration scores (n,) count as one independent observation."""
        return 1.0

    @abstractmethod
    def level(self, maps: np.ndarray) -> float | np.ndarray:
        """The map value that few normals exceed, from assembled maps of held-out normals; maps are divided by it (an
        array: by column of assembled maps)."""

    @abstractmethod
    def full_maps(self, maps: np.ndarray, items: Items) -> Any:
        """Assembled maps in the samples' own form: list of (h, w), (time, channel), (row, feature)."""

    # --- places and normal versions ---------------------------------------------------------------------------------
    @abstractmethod
    def events(self, flags: np.ndarray, scores: np.ndarray, maps: np.ndarray, items: Items) -> list[Event]:
        """What to report for the flagged samples (n_samples,) bool, with places; maps are assembled and calibrated."""

    @abstractmethod
    def where(self, maps: np.ndarray, items: Items) -> Any:
        """The detector's own places as masks in the samples' own form (bool): the `where` of a plain counterfactual."""

    @abstractmethod
    def holes(self, where: Any, items: Items, rows: Sequence[int]) -> Tensor:
        """Own-form masks as bool (len(rows), 1 or channel, *position). Raises AnomalyError where shapes do not fit."""

    @abstractmethod
    def decode(self, batches: Iterable[Tensor], items: Items, where: Any) -> Any:
        """Normal versions x, batch by batch, in the samples' own form; exactly the input outside `where`."""

    @abstractmethod
    def describe(self, event: Event, items: Items, expected: Any) -> tuple[tuple[Part, ...], np.ndarray]:
        """Ranked parts (observed, expected) of an event and its signature (k,). `expected`: counterfactual of the
        selected samples, in own form, indexed like `items`' samples; `event.index` counts in `items`."""

    def measure(self, event: Event, items: Items, expected: Any) -> tuple[Measure, ...]:
        """Descriptors of the parts that lead an event (see `detectors/descriptors`); arguments as for `describe`."""
        return ()

    # --- saving ----------------------------------------------------------------------------------------------------
    @abstractmethod
    def config(self) -> dict[str, Any]:
        """What `fit` learned besides arrays, as JSON values (names, sizes, vocabularies)."""

    @abstractmethod
    def restore(self, config: Mapping[str, Any]) -> None:
        """Take `config` back; submodules are made here, their weights are loaded afterwards."""
