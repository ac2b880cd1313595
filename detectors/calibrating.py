"""`Calibrated`: how normals that a fit has not seen set the scales, p-values and map levels of a detector.

Normals -> maps by a fit without them -> scores -> `Calibration`. Either a share was kept out, or all take turns.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from detectors.calibration import Calibration
from detectors.crossfit import out_of_fold
from detectors.errors import AnomalyError
from detectors.method import Method
from detectors.modalities.base import Items
from detectors.presence import FEWEST, Reserve
from detectors.scorer import Scorer
from detectors.selftest import SelfTest, self_test
from detectors.training import Run

MAX_CALIBRATION = 20_000  # items; more would only sharpen p-values below 1e-4


class Calibrated(Scorer):
    """A scorer whose scores can be read as p-values."""

    def _calibrate(
        self, items: Items, held: list[int], run: Run, absorb: bool = True, test: bool = False
    ) -> SelfTest | None:
        """Scales and p-values from held-out normals. Each half is scored with the scales of the other, so that no
        calibration score has seen itself; the final scales come from both. The self-test, if asked for, comes before
        the method takes these normals in."""
        assert self.method is not None
        held = held[:: max(1, len(held) // MAX_CALIBRATION)]
        self.gauges.clear()
        if (present := self.modality.presence(items)) is not None:
            x = torch.cat(list(self._encoded(items, held)))
            self.reserve = Reserve(x.cpu(), present[held], self.modality.order(items)[held])
            held = [row for row in held if present[row].all()]
            if len(held) < FEWEST:
                raise AnomalyError(f"Only {len(held)} held-out normal steps have all parts; give more complete ones.")
        middle = len(held) // 2
        halves = [held] if len(held) < 16 else [held[:middle], held[middle:]]
        encoded = [torch.cat(list(self._encoded(items, half))) for half in halves]  # once: a backbone is dear
        scores: dict[str | None, list[np.ndarray]] = {}
        maps: dict[str | None, list[np.ndarray]] = {}
        for index, half in enumerate(halves):
            self.method.calibrate(encoded[index - 1])
            for member in (None, *self.members):
                assembled = self._assembled(items, member, half, encoded[index].split(self.modality.batch_size))
                scores.setdefault(member, []).append(self._scored(assembled, items, half))
                maps.setdefault(member, []).append(assembled)
            run.progress((index + 1) / (len(halves) + 1), "calibrating on held-out normals")
        x = torch.cat(encoded)
        self.method.calibrate(x)
        tested = self_test(self.method, x, seed=self.seed) if test else None
        if absorb and self.reserve is None:  # else its items must stay new to the method
            self.method.absorb(x)
        self._set_levels(scores, maps)
        return tested

    def _calibrate_by_folds(
        self, items: Items, rows: list[int], x: Tensor, folds: int, run: Run, test: bool, make: Callable[[], Method]
    ) -> SelfTest | None:
        """Scales and p-values from all normals x of the fit (`rows` of the items), each judged by a fit on the other
        folds and with a scale from these. The self-test is of the last fold's fit."""
        method = self._fitted()
        found = out_of_fold(make, x, folds, run, self.modality.batch_size)
        scores: dict[str | None, list[np.ndarray]] = {}
        maps: dict[str | None, list[np.ndarray]] = {}
        for own, evidence in found.unseen(method):
            chosen = [rows[number] for number in own.tolist()]
            for member in (None, *self.members):
                assembled = self.modality.assemble([method.judged(evidence, member).cpu()], items, chosen)
                scores.setdefault(member, []).append(self._scored(assembled, items, chosen))
                maps.setdefault(member, []).append(assembled)
        method.see(found.evidence)
        self._set_levels(scores, maps)
        if not test:
            return None
        found.last.see(found.evidence)
        return self_test(found.last, x[found.parts[-1]].to(self.device), seed=self.seed)

    def _set_levels(self, scores: dict[str | None, list[np.ndarray]], maps: dict[str | None, list[np.ndarray]]) -> None:
        """p-values and map levels from what normals that the fit did not see came to, by member."""
        self.calibrations = {
            m: Calibration(together, self.modality.calibration_block(together))
            for m, together in ((m, np.concatenate(s)) for m, s in scores.items())
        }
        self.levels = {m: np.maximum(self.modality.level(np.concatenate(parts)), 1e-6) for m, parts in maps.items()}
