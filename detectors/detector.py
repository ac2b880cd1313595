"""`Detector`: modality + method + calibration, the one class that users hold.

Reads top to bottom like the flow: samples -> tensors -> maps -> scores -> p-values -> detections.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from detectors.calibrating import Calibrated
from detectors.calibration import benjamini_hochberg
from detectors.descriptors.carriers import carried
from detectors.detection import Detection
from detectors.drift import DriftState, drift_of
from detectors.errors import AnomalyError
from detectors.method import Method
from detectors.modalities.base import Event, Items
from detectors.registry import method_class, modality_class
from detectors.rejection import least_odd, without_oddest
from detectors.selftest import SelfTest, self_test
from detectors.stability import Stability, agreement, copies
from detectors.training import Progress, Run, silent


def make_detector(
    modality: str, method: str = "default", *, seed: int = 0, device: str = "auto", **settings: Any
) -> Detector:
    """A detector, not fitted yet.

    modality: "image", "series", "table", "video"; method: one of `list_methods(modality)`; settings: the modality's and
    the method's.
    Raises AnomalyError for unknown names and settings.
    """
    return Detector(modality, method, seed=seed, device=device, **settings)


def load_detector(folder: str | Path, *, device: str = "auto") -> Detector:
    """A detector as `save` left it. Raises AnomalyError where the folder is not a whole model of this version."""
    from detectors.persistence import load

    return load(Path(folder), device)


@dataclass(frozen=True)
class Assessment:
    """What a detector says about all of a batch."""

    scores: np.ndarray  # (n_samples,)
    p_values: np.ndarray  # (n_samples,)
    detections: list[Detection]
    drift: DriftState | None = None  # None: of this batch nothing was asked
    maps: np.ndarray | None = None  # (n_samples, *the modality's own grid): 1 is the level that few normals exceed


class Detector(Calibrated):
    """Fit on normal samples, then score, locate and explain new ones. Public methods that score raise AnomalyError
    before `fit` and for samples that do not fit the fitted ones."""

    def __init__(
        self, modality: str, method: str = "default", *, seed: int = 0, device: str = "auto", **settings: Any
    ) -> None:
        self.modality_class, self.method_class = modality_class(modality), method_class(method, modality)
        own = {k: v for k, v in settings.items() if k in self.modality_class.defaults}
        rest = {k: v for k, v in settings.items() if k not in own}
        self.method_settings = self.method_class.settings_for(modality, rest)
        self.given = rest
        super().__init__(self.modality_class(**own), seed, _device(device))
        self.record: dict[str, Any] = {}

    # --- fit -------------------------------------------------------------------------------------------------------
    def fit(
        self,
        normals: Any,
        progress: Progress | None = None,
        contamination: float = 0.0,
        checkpoint: str | Path | None = None,
        test: bool = False,
        anomalies: Any = None,
    ) -> Detector:
        """Learn what is normal.

        contamination: share of the samples that may be anomalous; the oddest are left out, and so are the highest
        losses in training (TabADM).
        checkpoint: a folder; an interrupted fit with the same data and settings goes on from it.
        anomalies: a few samples known to be anomalous, for a method that learns from them.
        test: plant anomalies into held-out normals after the fit; what became of them is in `info()["self_test"]`.
        Raises AnomalyError for unusable samples.
        """
        if not 0 <= contamination < 0.5:
            raise AnomalyError(f"contamination={contamination} must lie between 0 and 0.5.")
        began = time.monotonic()
        generator = torch.Generator().manual_seed(self.seed)
        run = Run(generator, self.device, progress or silent, Path(checkpoint) if checkpoint else None, contamination)
        items = self.modality.open(normals)
        if len(items) < self.modality.min_normals:
            raise AnomalyError(
                f"{len(items)} normal {self.modality.name} sample(s) are too few to fit: "
                f"give at least {self.modality.min_normals}."
            )
        folds = self.method_class.folds(self.modality.name, self.method_settings)
        everything = list(range(len(items)))
        fit_rows, held_rows = (everything, everything) if folds else self.modality.split(items, generator)
        self.modality.fit(items, fit_rows, run.part(0.0, 0.2, "modality"))
        if contamination:
            reference = torch.cat(list(self._encoded(items, fit_rows)))
            batches = self._encoded(items, fit_rows)
            fit_rows = without_oddest(self.modality.space, reference, batches, fit_rows, contamination)
        x = torch.cat(list(self._encoded(items, fit_rows)))
        data_hash = self._data_hash(x)
        if run.checkpoint is not None:  # a checkpoint serves the same data, settings and seed only
            run.checkpoint = run.checkpoint / data_hash[:16]
        with torch.random.fork_rng():  # networks are initialised from the global generator: seed it, leave it as it was
            torch.manual_seed(self.seed)
            method = self._make()
            method.fit(x, run.part(0.2, 0.9, "method"))
        if anomalies is not None:
            known = self.modality.open(anomalies)
            method.contrast(torch.cat(list(self._encoded(known, range(len(known))))), x)
        self.method = method
        if folds:
            held_rows = fit_rows
            tested = self._calibrate_by_folds(items, fit_rows, x, folds, run.part(0.9, 1.0), test, self._make)
        else:
            if contamination:
                held = torch.cat(list(self._encoded(items, held_rows)))
                held_rows = least_odd(method, held, held_rows, contamination)
            tested = self._calibrate(items, held_rows, run.part(0.9, 1.0), test=test)
        self.record = {
            "n_samples": items.n_samples,
            "n_fit": len(fit_rows),
            "n_calibration": len(held_rows),
            **({"folds": folds} if folds else {}),
            "contamination": contamination,
            "data_hash": data_hash,
            "fit_seconds": round(time.monotonic() - began, 2),
            **({"self_test": tested.to_dict()} if tested else {}),
            **({"limit": self.calibrations[None].limit} if self.calibrations[None].limit else {}),
        }
        if run.checkpoint is not None:
            shutil.rmtree(run.checkpoint, ignore_errors=True)
        run.progress(1.0, "fitted")
        return self

    def _make(self) -> Method:
        """The method as it was asked for, not fitted."""
        return self.method_class(self.modality.space, **self.given).to(self.device)

    def _data_hash(self, x: Tensor) -> str:
        """SHA-256 over the encoded normals, the settings and the seed: what the fitted weights depend on."""
        digest = hashlib.sha256(json.dumps([self.seed, self.modality.settings, self.given], default=str).encode())
        digest.update(x.detach().cpu().float().numpy().tobytes())
        return digest.hexdigest()

    # --- scores ----------------------------------------------------------------------------------------------------
    def decision_function(self, samples: Any, member: str | None = None) -> np.ndarray:
        """(n_samples,) scores; higher = more anomalous."""
        items = self._open(samples)
        return self._judged(self._assembled(items, member), items, member)[0]

    def anomaly_map(self, samples: Any, member: str | None = None) -> Any:
        """One map a sample in its own form; 1.0 is the level that few normals exceed."""
        items = self._open(samples)
        return self.modality.full_maps(self._assembled(items, member) / self.levels[member], items)

    def p_value(self, samples: Any, member: str | None = None) -> np.ndarray:
        """(n_samples,) conformal p-values; see `Calibration`."""
        items = self._open(samples)
        return self._judged(self._assembled(items, member), items, member)[1]

    def threshold(self, alpha: float, member: str | None = None) -> float:
        """The score from which samples are flagged at `alpha`."""
        self._fitted()
        return self.calibrations[member].threshold(alpha)

    def recalibrate(self, scores: Sequence[float], member: str | None = None) -> None:
        """Let scores of samples that people called normal count in the calibration, in place of those that counted
        before; none: as fitted. No p-value falls below that of the fit, see `Calibration`."""
        self._fitted()
        self.calibrations[member] = self.calibrations[member].with_scores(np.asarray(scores, float))
        self.gauges.clear()

    def adapt(self, normals: Any, progress: Progress | None = None) -> Detector:
        """Calibrate anew on the normals of today, without a refit: scales, p-values and map levels are theirs from now
        on, what the method learned stays. For a drift that the model itself survives. Raises AnomalyError where there
        are fewer than `min_normals`."""
        items = self._open(normals)
        if len(items) < self.modality.min_normals:
            raise AnomalyError(f"{len(items)} sample(s) are too few to adapt to: give {self.modality.min_normals}.")
        run = Run(torch.Generator().manual_seed(self.seed), self.device, progress or silent)
        self._calibrate(items, list(range(len(items))), run, absorb=False)
        self.record |= {"n_calibration": len(items), "adapted": True}
        return self

    def self_test(self, normals: Any, alpha: float = 0.05) -> SelfTest:
        """Plant anomalies into normals that the fit has not seen: how many are found, how much is given back."""
        items = self._open(normals)
        x = torch.cat(list(self._encoded(items, range(len(items)))))
        return self_test(self._fitted(), x, alpha, self.seed)

    def drift(self, samples: Any, member: str | None = None) -> DriftState:
        """Whether the bulk of a batch scores unlike the held-out normals; see `drift_of`."""
        return self.score_drift(self.decision_function(samples, member), member)

    def score_drift(self, scores: np.ndarray, member: str | None = None) -> DriftState:
        """The same of scores (n_samples,) that are at hand."""
        self._fitted()
        return drift_of(scores, self.calibrations[member])

    # --- detections ------------------------------------------------------------------------------------------------
    def detect(
        self,
        samples: Any,
        alpha: float = 0.01,
        fdr: float | None = None,
        member: str | None = None,
        progress: Progress | None = None,
    ) -> list[Detection]:
        """The flagged samples (series: events), in sample order. An empty list is an answer.

        alpha: the p-value from which a sample is flagged; fdr: instead, the false-discovery rate of the whole batch
        (Benjamini-Hochberg). Raises AnomalyError for values outside (0, 1).
        """
        return self.assess(samples, alpha, fdr, member, progress).detections

    def assess(
        self,
        samples: Any,
        alpha: float = 0.01,
        fdr: float | None = None,
        member: str | None = None,
        progress: Progress | None = None,
    ) -> Assessment:
        """`detect` with the scores and p-values of all samples, from one pass over them."""
        for name, value in (("alpha", alpha), ("fdr", fdr)):
            if value is not None and not 0 < value < 1:
                raise AnomalyError(f"{name}={value} must lie between 0 and 1.")
        items = self._open(samples)
        maps = self._assembled(items, member, progress=progress or silent)
        scores, p_values, beyond = self._judged(maps, items, member)
        flags = benjamini_hochberg(p_values, fdr) if fdr is not None else p_values <= alpha
        drift = self.score_drift(scores, member)
        if not flags.any():
            return Assessment(scores, p_values, [], drift)
        calibrated = maps / self.levels[member]
        events = self.modality.events(flags, scores, calibrated, items)
        if self.reserve is not None:
            events = self._told_by_absence(events, items, scores, member)
        level, bar = (alpha, alpha) if fdr is None else (fdr, float(p_values[flags].max()))
        found = self._detections(events, items, maps, scores, p_values, beyond, level, bar, member)
        return Assessment(scores, p_values, found, drift, calibrated)

    def _detections(
        self,
        events: list[Event],
        items: Items,
        maps: np.ndarray,
        scores: np.ndarray,
        p_values: np.ndarray,
        beyond: np.ndarray,
        alpha: float,
        bar: float,
        member: str | None,
    ) -> list[Detection]:
        """Events with their parts, told by what normal would be at the same places; `bar`: the largest p-value that is
        flagged."""
        whole = self.modality.select(items, []) is items  # a series stays whole
        chosen = items if whole else self.modality.select(items, [e.peak for e in events])
        picked = maps if whole else maps[[e.peak for e in events]]
        where = self.modality.where(picked / self.levels[member], chosen)
        expected = self._counterfactual(chosen, where)
        stable = self._stability([slice(e.index, max(e.index, e.peak) + 1) for e in events], chosen, bar, member, whole)
        found = []
        for number, event in enumerate(events):
            index = event.index if whole else number
            placed = replace(event, index=index)
            parts, signature = self.modality.describe(placed, chosen, expected)
            found.append(
                Detection(
                    event.sample,
                    event.index,
                    self.modality.name,
                    float(scores[event.peak]),
                    float(p_values[event.peak]),
                    float(alpha),
                    True,
                    event.regions,
                    parts,
                    event.map,
                    bool(beyond[event.peak]),
                    signature,
                    self.modality.measure(placed, chosen, expected) or carried(parts, event.regions),
                    stable[number] if stable else None,
                )
            )
        return found

    def _stability(
        self, spans: list[slice], chosen: Items, bar: float, member: str | None, whole: bool
    ) -> list[Stability]:
        """How many members, or else slightly perturbed copies, flag each event; none for a series judged by one method,
        whose copies would be dear. Where samples hang together, an event counts by its lowest p-value."""
        own = self.members if member is None else ()
        if whole and not own:
            return []
        if own:
            runs = [self._judged(self._assembled(chosen, name), chosen, name)[1] for name in own]
        else:
            x = torch.cat(list(self._encoded(chosen, range(len(chosen)))))
            maps = (self._assembled(chosen, member, None, batches) for batches in copies(x, self.modality.batch_size))
            runs = [self._judged(one, chosen, member)[1] for one in maps]
        p_values = [[run[span].min() for span in spans] for run in runs] if whole else runs
        return agreement(np.array(p_values), bar, "members" if own else "perturbed copies")

    def counterfactual(self, samples: Any, where: Any = None, member: str | None = None) -> Any:
        """The nearest normal version, in the samples' own form.

        where: bool masks shaped like `anomaly_map(samples)`; None: the detector's own places, where the map exceeds 1.
        Outside the masks the samples are returned as they are.
        """
        items = self._open(samples)
        if where is None:
            where = self.modality.where(self._assembled(items, member) / self.levels[member], items)
        return self._counterfactual(items, where)

    def _counterfactual(self, items: Items, where: Any) -> Any:
        def batches() -> Iterator[Tensor]:
            for rows in self._chunks(range(len(items))):
                x = self.modality.encode(items, rows).to(self.device)
                holes = self.modality.holes(where, items, rows).to(self.device)
                odd = holes.flatten(1).any(1)  # windows of a long series are mostly whole
                if odd.any():
                    x[odd] = self._fitted().normal(x[odd], holes[odd], self.seed)
                yield x.cpu()

        return self.modality.decode(batches(), items, where)

    # --- records ---------------------------------------------------------------------------------------------------
    def info(self) -> dict[str, Any]:
        """How the detector was made, as JSON values."""
        from detectors.persistence import versions

        calls = self.method.calls if self.method is not None else None
        return {
            "modality": self.modality.name,
            "method": self.method_class.name,
            "seed": self.seed,
            "device": str(self.device),
            "settings": {**self.modality.settings, **self.method_settings},
            "members": list(self.members),
            "calls_per_sample": calls,
            "versions": versions(),
            **self.modality.config(),
            **self.record,
        }

    def save(self, folder: str | Path) -> None:
        """Write the detector as safetensors and JSON. Raises AnomalyError where the folder cannot be written."""
        from detectors.persistence import save

        self._fitted()
        save(self, Path(folder))


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.device(name)
    except RuntimeError as error:
        raise AnomalyError(f"device={name!r} is unknown to torch; use 'auto', 'cpu' or 'cuda'.") from error


__all__: list[str] = ["Detector", "load_detector", "make_detector"]
