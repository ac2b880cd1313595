"""A detector without a model: it honours the interface of the real one, is deterministic, and takes no time.

What it expects is the median of what it was fitted on (channels, features, grey level); a map is the distance from
that in spreads. Enough to test whatever stands on detectors: tools, pipeline, command line.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from PIL import Image

from detectors.detection import Detection, Part, Region
from detectors.drift import DriftState
from detectors.errors import AnomalyError
from detectors.stability import Stability

WINDOW = 8
SHAPE = (24, 32)  # of images


@dataclass
class FakeCalibration:
    """Conformal ranks among given scores, raised by those of samples that people called normal."""

    scores: np.ndarray
    added: np.ndarray = field(default_factory=lambda: np.zeros(0))

    @property
    def joined(self) -> FakeCalibration | None:
        return FakeCalibration(np.concatenate([self.scores, self.added])) if len(self.added) else None

    @property
    def fitted(self) -> FakeCalibration:
        return FakeCalibration(self.scores)

    def with_scores(self, added: np.ndarray) -> FakeCalibration:
        return FakeCalibration(self.scores, np.asarray(added, float))

    def p_value(self, scores: np.ndarray) -> np.ndarray:
        scores = np.asarray(scores, float)
        own = np.array([(1 + np.sum(self.scores >= s)) / (1 + len(self.scores)) for s in scores])
        return self.raised(scores, own, np.zeros(len(own), bool))[0]

    def raised(self, scores: np.ndarray, p: np.ndarray, beyond: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return (np.maximum(p, self.joined.p_value(scores)) if self.joined else np.asarray(p)), beyond

    def extrapolated(self, scores: np.ndarray) -> np.ndarray:
        return np.zeros(len(scores), bool)

    def threshold(self, alpha: float) -> float:
        return float(np.quantile((self.joined or self).scores, 1 - alpha))


@dataclass
class FakeAssessment:
    """What a pass over samples gives."""

    scores: np.ndarray
    p_values: np.ndarray
    detections: list[Detection]
    maps: np.ndarray | None = None


class FakeDetector:
    """`member="blind"` finds nothing odd anywhere."""

    members = ("keen", "blind")

    def __init__(self, modality: str, normals: Any) -> None:
        self.modality = modality
        values = self._values(normals)
        self.names = [str(c) for c in normals.columns] if modality != "image" else []
        self.middle = np.median(values.reshape(-1, values.shape[-1]), 0) if modality != "image" else 128.0
        self.spread = 1.0 if modality != "image" else 20.0
        self.calibrations = {m: FakeCalibration(np.linspace(0, 3, 499)) for m in (None, *self.members)}
        self.calls = 0

    # --- the interface -------------------------------------------------------------------------------------------
    def decision_function(self, samples: Any, member: str | None = None) -> np.ndarray:
        if member is not None and member not in self.members:
            raise AnomalyError(f"member={member!r} is unknown; this detector has: {', '.join(self.members)}.")
        self.calls += 1
        scores = np.array([float(m.max()) for m in self.anomaly_map(samples)])
        return np.zeros_like(scores) if member == "blind" else scores

    def anomaly_map(self, samples: Any, member: str | None = None) -> Any:
        away = [np.abs(value - self.middle) / self.spread for value in self._values(samples)]
        return away if self.modality == "image" else np.stack(away)

    def p_value(self, samples: Any, member: str | None = None) -> np.ndarray:
        return self.calibrations[member].p_value(self.decision_function(samples, member))

    def threshold(self, alpha: float, member: str | None = None) -> float:
        return self.calibrations[member].threshold(alpha)

    def recalibrate(self, scores: Any, member: str | None = None) -> None:
        self.calibrations[member] = self.calibrations[member].with_scores(scores)

    def assess(self, samples, alpha=0.01, fdr=None, member=None, progress=None):
        scores = self.decision_function(samples, member)
        p_values = self.calibrations[member].p_value(scores)
        found = self._detections(samples, scores, p_values, alpha)
        if progress is not None:
            progress(1.0, "scoring")
        return FakeAssessment(scores, p_values, found)

    def score_drift(self, scores, member=None):
        return DriftState(0.0, 1.0, False, "none", float(len(scores)))

    def detect(self, samples, alpha=0.01, fdr=None, member=None, progress=None):
        return self.assess(samples, alpha, fdr, member, progress).detections

    def counterfactual(self, samples: Any, where: Any = None, member: str | None = None) -> Any:
        where = [m > 1 for m in self.anomaly_map(samples)] if where is None else where
        if self.modality == "image":
            pictures = self._values(samples)
            return [np.where(m, self.middle, v).astype(np.uint8) for v, m in zip(pictures, where, strict=True)]
        frame = samples.copy()
        for row, column in zip(*np.nonzero(np.asarray(where)), strict=True):
            frame.iloc[row, column] = self.middle[column]
        return frame

    def info(self) -> dict[str, Any]:
        names = {"series": {"channels": self.names, "window": WINDOW}, "table": {"features": self.names}}
        return {
            "modality": self.modality,
            "method": "fake",
            "settings": {"overlap": 4},
            "members": list(self.members),
            "n_fit": 400,
            "n_calibration": len(self.calibrations[None].scores),
            "model_hash": "f" * 64,
            **names.get(self.modality, {}),
        }

    # --- inside --------------------------------------------------------------------------------------------------
    def _values(self, samples: Any) -> Any:
        if self.modality != "image":
            return samples.to_numpy(float)
        pictures = [np.asarray(Image.open(s)) if not isinstance(s, np.ndarray) else s for s in samples]
        for picture in pictures:
            if picture.shape != SHAPE:
                raise AnomalyError(f"an image has shape {picture.shape}; this detector was fitted on {SHAPE}.")
        return [picture.astype(float) for picture in pictures]

    def _detections(self, samples: Any, scores: np.ndarray, p_values: np.ndarray, alpha: float) -> list[Detection]:
        flags = p_values <= alpha
        maps = self.anomaly_map(samples)
        if self.modality == "series":
            edges = np.flatnonzero(np.diff(np.r_[0, flags.astype(int), 0]))
            spans = list(zip(edges[::2], edges[1::2], strict=True))
        else:
            spans = [(i, i + 1) for i in np.flatnonzero(flags)]
        return [self._detection(samples, maps, scores, p_values, alpha, int(a), int(b)) for a, b in spans]

    def _detection(self, samples, maps, scores, p_values, alpha, a, b) -> Detection:
        peak = a + int(np.argmax(scores[a:b]))
        own = maps[a:b] if self.modality == "series" else maps[a]
        regions, parts = getattr(self, f"_{self.modality}")(samples, own, a, b, peak)
        name = {"image": "part", "series": f"{a}..{b}", "table": f"row {a}"}[self.modality]
        signature = np.array([part.share for part in parts] + [own.mean(), own.max()], np.float32)[:4]
        signature = np.pad(signature, (0, 4 - len(signature)))
        return Detection(
            name, a, self.modality, float(scores[peak]), float(p_values[peak]), alpha, True, regions, parts, own,
            False, signature, stability=Stability(1, len(self.members), "members"),
        )  # fmt: skip

    def _image(self, samples, own, a, b, peak):
        odd = own > 1
        rows, columns = np.flatnonzero(odd.any(1)), np.flatnonzero(odd.any(0))
        box = (int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)
        mask = odd[box[1] : box[3], box[0] : box[2]]
        region = Region("region 1", "box", 1.0, float(own.max()), "upper left", box, int(mask.sum()), mask)
        seen = float(self._values([samples[a]])[0][odd].mean())
        return (region,), (Part("region 1", 1.0, seen, self.middle),)

    def _series(self, samples, own, a, b, peak):
        parts = self._ranked(samples, own.max(0), peak)
        times = [t.isoformat() for t in samples.index[[a, b - 1]]] if hasattr(samples.index, "tz") else [None, None]
        channels = tuple(part.name for part in parts if part.share > 0.3)
        region = Region("interval 1", "interval", 1.0, float(own.max()), start=a, end=b, start_time=times[0],
                        end_time=times[1], channels=channels)  # fmt: skip
        return (region,), parts

    def _table(self, samples, own, a, b, peak):
        parts = self._ranked(samples, own, peak)
        return tuple(Region(p.name, "feature", p.share, 1.0) for p in parts[:1]), parts

    def _ranked(self, samples: pd.DataFrame, odd: np.ndarray, row: int) -> tuple[Part, ...]:
        share = odd / odd.sum()
        return tuple(
            Part(self.names[c], float(share[c]), float(samples.iloc[row, c]), float(self.middle[c]))
            for c in np.argsort(-share)
        )
