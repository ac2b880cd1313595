"""`Scorer`: a fitted method on encoded samples, and what its maps mean: scores, p-values, levels.

Samples -> tensors -> maps -> scores -> p-values. What is made of them (fits, detections, repairs, records) is the
detector's business.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from detectors.calibration import Calibration
from detectors.errors import AnomalyError
from detectors.method import Method
from detectors.modalities.base import Event, Items, Modality
from detectors.presence import FEWEST, Gauge, Reserve
from detectors.training import Progress, silent


class Scorer:
    """The state of a detector that scoring needs, and the way from samples to p-values."""

    def __init__(self, modality: Modality, seed: int, device: torch.device) -> None:
        self.modality, self.seed, self.device = modality, seed, device
        self.method: Method | None = None
        self.calibrations: dict[str | None, Calibration] = {}
        self.levels: dict[str | None, float | np.ndarray] = {}
        self.reserve: Reserve | None = None  # normals from which samples that lack parts are calibrated
        self.gauges: dict[tuple[str | None, bytes], Gauge] = {}  # by member and pattern of parts, made when met

    @property
    def members(self) -> tuple[str, ...]:
        """A hybrid's parts, usable as `member=`."""
        return tuple(self._fitted().members) if self.method is not None else ()

    def _fitted(self) -> Method:
        if self.method is None:
            raise AnomalyError("The detector is not fitted yet: call fit(normals) or load_detector(folder) first.")
        return self.method

    def _open(self, samples: Any) -> Items:
        self._fitted()
        return self.modality.open(samples)

    def _judged(self, maps: np.ndarray, items: Items, member: str | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Scores, p-values and which of these are extrapolated, (n_samples,) each."""
        scores, present = self._scored(maps, items), self.modality.presence(items)
        if present is None:
            known = self.calibrations[member]
            return scores, known.p_value(scores), known.extrapolated(scores)
        p_values, beyond = np.ones(len(scores)), np.zeros(len(scores), bool)
        for pattern in np.unique(present[present.any(1)], axis=0):
            rows, gauge = (present == pattern).all(1), self._gauge(member, pattern)
            scores[rows] = gauge.aligned(scores[rows])
            p_values[rows] = gauge.calibration.p_value(scores[rows])
            beyond[rows] = gauge.calibration.extrapolated(scores[rows])
        return scores, p_values, beyond

    def _gauge(self, member: str | None, pattern: np.ndarray) -> Gauge:
        """How scores of samples that have the parts `pattern` (part,) are read: from normals with the rest masked."""
        key = (member, pattern.tobytes())
        if key not in self.gauges:
            assert self.reserve is not None
            complete = self.calibrations[member]
            self.gauges[key] = Gauge(complete) if pattern.all() else self._masked(member, pattern, complete)
        return self.gauges[key]

    def _masked(self, member: str | None, pattern: np.ndarray, complete: Calibration) -> Gauge:
        assert self.reserve is not None
        rows = self.reserve.having(pattern)
        if len(rows) < FEWEST:
            raise AnomalyError("Too few normal steps have these parts together, so that no p-value can be given.")
        x, items = self.modality.masked(self.reserve.x[rows], pattern, self.reserve.order[rows])
        batches = (batch.to(self.device) for batch in x.split(self.modality.batch_size))
        scores = self._scored(self._assembled(items, member, None, batches), items)
        return Gauge.between(scores, complete, self.modality.calibration_block(scores))

    def _told_by_absence(
        self, events: list[Event], items: Items, scores: np.ndarray, member: str | None
    ) -> list[Event]:
        """Events whose parts' shares say how much of the score goes away with each part. (Where a relation between
        parts breaks, every part is at odds with the rest; only without the guilty one do the others agree again.)"""
        present, order = self.modality.presence(items), self.modality.order(items)
        assert present is not None
        peaks = [event.peak for event in events]
        x, lost = self.modality.encode(items, peaks), np.zeros((len(events), present.shape[1]))
        for number, peak in enumerate(peaks):
            for part in np.flatnonzero(present[peak]) if present[peak].sum() > 1 else ():
                pattern = present[peak].copy()
                pattern[part] = False
                rest, alone = self.modality.masked(x[number : number + 1], pattern, order[[peak]])
                raw = self.modality.score(self._assembled(alone, member, None, [rest.to(self.device)]))
                lost[number, part] = max(0.0, scores[peak] - self._gauge(member, pattern).aligned(raw)[0])
        return [self.modality.reshared(event, one) for event, one in zip(events, lost, strict=True)]

    def _scored(self, maps: np.ndarray, items: Items, rows: Sequence[int] | None = None) -> np.ndarray:
        rows = range(len(items)) if rows is None else rows
        return self.modality.steady(self.modality.score(maps), items, rows)

    def _assembled(
        self,
        items: Items,
        member: str | None = None,
        rows: Sequence[int] | None = None,
        encoded: Iterable[Tensor] | None = None,
        progress: Progress = silent,
    ) -> np.ndarray:
        """Maps of the items (all, or `rows`), computed batch by batch; `encoded`: their batches, where at hand."""
        method = self._fitted()
        if member is not None:
            if member not in method.members:
                raise AnomalyError(
                    f"member={member!r} is unknown; this detector has: {', '.join(method.members) or 'no members'}."
                )
            method = method.members[member]
        rows = range(len(items)) if rows is None else rows

        def batches() -> Iterator[Tensor]:
            done = 0
            for x in self._encoded(items, rows) if encoded is None else encoded:
                yield method.maps(x).float().cpu()
                done += len(x)
                progress(done / max(1, len(rows)), "scoring")

        return self.modality.assemble(batches(), items, rows)

    def _encoded(self, items: Items, rows: Sequence[int]) -> Iterator[Tensor]:
        for chunk in self._chunks(rows):
            yield self.modality.encode(items, chunk).to(self.device)

    def _chunks(self, rows: Sequence[int]) -> Iterator[Sequence[int]]:
        for first in range(0, len(rows), self.modality.batch_size):
            yield rows[first : first + self.modality.batch_size]
