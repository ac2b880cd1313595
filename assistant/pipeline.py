"""From data to a stored run: fit a model, detect in new data, and reach a stored finding's detector again.

The one module, besides the tools, that touches detectors. Knows sources, detectors, the store and folders; not
language models, pages or terminals. Imports torch only when a detector is needed.
"""

from __future__ import annotations

import shutil
import threading
import uuid
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from assistant import keeping
from assistant.config import Config
from assistant.kinds import load_kinds
from assistant.modalities import kind
from assistant.nearest import Nearest, nearest_pictures, nearest_rows, nearest_stretches
from assistant.records import Finding, Run, Sample
from assistant.scoring import SCORERS, Batch, Job, Progress, Seen, silent, unseen
from assistant.specimens.by_modality import (
    ImageSpecimen,
    SeriesSpecimen,
    Specimen,
    TableSpecimen,
    VideoSpecimen,
)
from assistant.specimens.several import MultimodalSpecimen
from assistant.store import Store
from detectors.errors import AnomalyError

if TYPE_CHECKING:
    import pandas as pd

    from detectors import Detector

KEPT_DETECTORS = 4


class Workspace:
    """A store with its detectors at hand. Detectors are loaded when first needed; the lock guards their use."""

    def __init__(self, store: Store, config: Config | None = None) -> None:
        self.store = store
        self.config = config or Config()
        self.store.user = self.config.user or self.store.user
        self.lock = threading.RLock()
        self._detectors: OrderedDict[str, Detector] = OrderedDict()
        self._counted: dict[str, list[float]] = {}  # run -> labelled scores in its detector's calibration
        self._frames: OrderedDict[Path, pd.DataFrame] = OrderedDict()

    @classmethod
    def open(cls, config: Config, create: bool = False) -> Workspace:
        """The store that the settings name.

        Raises:
            StoreError: see `Store.open`.
        """
        return cls(Store.open(config.store, Path(config.files) if config.files else None, create), config)

    def detector(self, run: Run | str) -> Detector:
        """The detector that made a run, with the calibration that the run's p-values are of now.

        Raises:
            AnomalyError: its folder is gone or holds another model by now.
        """
        run = self.store.run(run) if isinstance(run, str) else run
        with self.lock:
            if run.id not in self._detectors:
                self._detectors[run.id] = self._load(run)
                self._counted[run.id] = []
                while len(self._detectors) > KEPT_DETECTORS:
                    self._detectors.popitem(last=False)
            self._detectors.move_to_end(run.id)
            scores = list(run.info.get("recalibration") or [])
            if self._counted.get(run.id) != scores:  # another process may have moved it meanwhile
                self._detectors[run.id].recalibrate(scores)
                self._counted[run.id] = scores
            return self._detectors[run.id]

    def _load(self, run: Run) -> Detector:
        detector = load(run.model, self.config.device)
        if detector.info().get("model_hash") != run.info.get("model_hash"):
            raise AnomalyError(
                f"The model in {run.model} was fitted again after {run.id}; run `anomaly detect` again to score anew."
            )
        return detector

    def series(self, run: str) -> pd.DataFrame:
        """The scored series of a run."""
        return self._frame(run, "series.parquet")

    def table(self, run: str) -> pd.DataFrame:
        """The scored table of a run."""
        return self._frame(run, "table.parquet")

    def series_scores(self, run: str) -> tuple[np.ndarray, np.ndarray]:
        """(scores, p_values) of every stamp of a run over a series."""
        path, count = self.store.run_folder(run) / "scores.npz", self.store.run(run).n_samples
        try:
            with np.load(path, allow_pickle=False) as file:
                return file["scores"][:count], file["p_values"][:count]
        except (OSError, KeyError, ValueError) as error:
            raise keeping.lost(path) from error

    def clip_events(self, run: str, alpha: float) -> int:
        """Runs of frames with p-values of at most alpha, in a run over clips."""
        from detectors.localization_video import runs

        with np.load(self.store.run_folder(run) / "scores.npz", allow_pickle=False) as file:
            flags, offsets = file["p_values"] <= alpha, file["offsets"]
        return len(runs(flags, np.arange(len(flags)), offsets, self.store.run(run).info["settings"]["gap"]))

    def image(self, finding: Finding | str) -> Path:
        """The picture of a finding as the detector saw it."""
        finding = self.store.finding(finding) if isinstance(finding, str) else finding
        path = finding.folder / "input.png"
        if not path.is_file():
            raise keeping.lost(path)
        return path

    def specimen(self, finding: Finding | str) -> Specimen:
        """A finding on the bench, to be repaired and scored again."""
        finding = self.store.finding(finding) if isinstance(finding, str) else finding
        detector = self.detector(finding.run)
        if finding.modality == "image":
            return ImageSpecimen(finding, detector)
        if finding.modality == "series":
            return SeriesSpecimen(finding, detector)
        if finding.modality == "video":
            return VideoSpecimen(finding, detector)
        if finding.modality == "multimodal":
            return MultimodalSpecimen(finding, detector)
        if finding.modality == "table":
            return TableSpecimen(finding, detector, self.table(finding.run))
        raise AnomalyError(f"{finding.id} is a finding over {finding.modality}, which cannot be scored again yet.")

    def nearest(self, finding: Finding, count: int) -> Nearest:
        """The normal samples nearest to a finding.

        Raises:
            AnomalyError: findings of this modality have none to compare with.
        """
        run = self.store.run(finding.run)
        if finding.modality == "image":
            return nearest_pictures(finding, self.detector(run), count)
        if finding.modality == "series":
            scores, p_values = self.series_scores(run.id)
            normal = np.isfinite(scores) & (p_values > run.alpha)
            return nearest_stretches(finding, self.series(run.id), normal, count, int(run.info["window"]))
        if finding.modality == "table":
            samples = self.store.samples(run.id)
            flags = np.array([not sample.flagged for sample in samples])
            return nearest_rows(finding, self.table(run.id), [sample.name for sample in samples], flags, count)
        raise AnomalyError(
            f"{finding.id} is a finding over {finding.modality}; the nearest normals are not kept there."
        )

    def _frame(self, run: str, file: str) -> pd.DataFrame:
        """The rows that count: the file of a run that grows may be a batch ahead of it."""
        count, path = self.store.run(run).n_samples, self.store.run_folder(run) / file
        with self.lock:
            if path not in self._frames or len(self._frames[path]) < count:
                self._frames[path] = keeping.load_frame(path)
                while len(self._frames) > KEPT_DETECTORS:
                    self._frames.popitem(last=False)
            return self._frames[path].iloc[:count]


def model_folder(model: str | Path) -> Path:
    """The absolute folder of a model.

    Raises:
        AnomalyError: there is no such folder.
    """
    folder = Path(model).expanduser().absolute()
    if not folder.is_dir():
        raise AnomalyError(f"There is no model folder {str(model)!r}; make one: anomaly fit SOURCE --out {model}.")
    return folder


def load(model: str | Path, device: str = "auto") -> Detector:
    """The detector in a model folder.

    Raises:
        AnomalyError: no such folder, or not a whole model of this version.
    """
    from detectors import load_detector

    return load_detector(model_folder(model), device=device)


# --- fit ----------------------------------------------------------------------------------------------------------


def fit_model(
    source: Any,
    out: str | Path,
    modality: str | None = None,
    method: str = "default",
    settings: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
    force: bool = False,
    test: bool = False,
    join: Callable[[Any], Any] | None = None,
    anomalies: Any = None,
) -> dict[str, Any]:
    """Fit a detector on normal data and save it; its record says on what, so that it can be fitted again.

    Args:
        source: whatever `detectors.data.read_source` reads.
        out: the model's folder; an interrupted fit goes on from `out`.partial.
        settings: of the modality and the method; also `seed`, `device` and `contamination`.
        force: whether a model that is already there is replaced.
        test: whether anomalies are planted into held-out normals, to tell what the model makes of them.
        join: makes the samples of the source those of the fit, by adding others to them.
        anomalies: a few known ones, for a method that learns from them.

    Returns:
        `detector.info()`, with `notes` and `skipped` of the source.

    Raises:
        AnomalyError: unusable source, unknown method or setting, or `out` is taken.
    """
    from detectors.data import read_source

    out = Path(out).expanduser()
    _check_free(out, force)
    data = read_source(_absolute(source), modality)
    from detectors import make_detector  # takes seconds, so what is wrong with the source is said first

    given = dict(settings or {})
    contamination = given.pop("contamination", 0.0)
    detector = make_detector(data.modality, method, **given)
    checkpoint = unfinished(out)
    samples = data.samples if join is None else join(data.samples)
    with_known = {} if anomalies is None else {"anomalies": anomalies}
    detector.fit(
        samples, progress=progress, contamination=contamination, checkpoint=checkpoint, test=test, **with_known
    )
    known = Path(data.origin.split("::")[0]).exists()
    detector.record |= {"fit_source": data.origin if known else "", "fit_digest": data.digest}
    detector.save(out)
    shutil.rmtree(checkpoint, ignore_errors=True)
    return {**detector.info(), "notes": list(data.notes), "skipped": list(data.skipped)}


def _absolute(source: Any) -> Any:
    """A path with its folder, so that it is found again from elsewhere; anything else as it is."""
    if not isinstance(source, str | Path):
        return source
    plain, sign, key = str(source).partition("::")
    path = Path(plain).expanduser()
    return f"{path.absolute()}{sign}{key}" if path.exists() else source


def learns_from_anomalies(detector: Detector) -> bool:
    """Whether a detector's method takes `anomalies=`."""
    from detectors.method import Method

    return detector.method_class.contrast is not Method.contrast


def known_methods(modality: str) -> list[str]:
    """The methods that work on a modality, the default first. Raises AnomalyError where it is unknown."""
    from detectors.registry import list_methods

    return sorted(list_methods(modality), key=lambda name: (name != "default", name))


def unfinished(out: Path) -> Path:
    """Where an interrupted fit of the model `out` left what it had learned."""
    return out.with_name(f"{out.name}.partial")


def _check_free(out: Path, force: bool) -> None:
    if out.is_file():
        raise AnomalyError(f"{out} is a file; --out names a folder.")
    if not out.is_dir() or not any(out.iterdir()):
        return
    if not (out / "detector.json").is_file():
        raise AnomalyError(f"{out} holds other things than a model; choose another folder.")
    if not force:
        raise AnomalyError(f"{out} already holds a model; use --force to replace it, or choose another folder.")


# --- detect -------------------------------------------------------------------------------------------------------


def run_detection(
    workspace: Workspace,
    source: Any,
    model: str | Path,
    alpha: float = 0.01,
    fdr: float | None = None,
    progress: Progress | None = None,
    show: Callable[[Seen], None] = unseen,
) -> Run:
    """Score new data, keep the run with its findings, and draw the most anomalous ones; `show` is called with what is
    flagged while the rest is still being scored.

    The calibration revision in force counts (see `assistant.feedback`), and `Run.info` says which, see `_recalibrate`;
    `drift` says whether the batch as a whole scores unlike the normals of the fit.

    Raises:
        AnomalyError: unusable source or model, or samples that do not fit the model. Nothing is kept then.
    """
    from detectors.data import read_source

    for name, value in (("alpha", alpha), ("fdr", fdr)):
        if value is not None and not 0 < value < 1:
            raise AnomalyError(f"{name} = {value} must lie between 0 and 1.")
    tell = progress or silent
    detector = load(model, workspace.config.device)
    info = detector.info()
    data = read_source(source, info["modality"])
    changed = _recalibrate(workspace, detector, str(Path(model).expanduser().absolute()), info, alpha)
    staging = workspace.store.root / "staging" / uuid.uuid4().hex
    job = scoring_job(workspace, detector, data, alpha, fdr, staging, lambda f, m: tell(0.9 * f, m), show=show)
    try:
        batch = SCORERS[data.modality](job)
        note_fitted(batch, detector)
        drift = detector.score_drift(batch.scores).to_dict()
        run = Run(
            id="",
            created="",
            source=data.origin,
            modality=data.modality,
            model=str(Path(model).expanduser().absolute()),
            method=info["method"],
            alpha=batch.alpha,
            fdr=fdr,
            n_samples=len(batch.scores),
            n_flagged=len(batch.findings),
            info=keeping.plain({**info, **changed, "drift": drift, "notes": data.notes, "data_digest": data.digest}),
            skipped=[*data.skipped, *batch.skipped],
        )
        samples = samples_of(batch) if data.modality != "series" else []
        run = workspace.store.add_run(run, samples, batch.findings, _mover(workspace.store, staging, batch.folders))
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    _draw_first(workspace, run, lambda f, m: tell(0.9 + 0.1 * f, m))
    tell(1.0, "done")
    return run


def read(source: Any, modality: str) -> Any:
    """New data as a `detectors.data.Source`. Raises AnomalyError where it cannot be read."""
    from detectors.data import read_source

    return read_source(source, modality)


def picture(source: Any) -> np.ndarray:
    """A picture, (h, w) or (h, w, 3) uint8. Raises AnomalyError where it cannot be read."""
    from detectors.data import open_image

    return open_image(source)


def scoring_job(
    workspace: Workspace,
    detector: Detector,
    data: Any,
    alpha: float,
    fdr: float | None,
    staging: Path,
    tell: Progress = silent,
    **more: Any,
) -> Job:
    """What a scorer is given; `more`: `Job.show`, or `Job.offset` and `Job.wanted` for a run that grows."""
    kinds = load_kinds(workspace.config.kinds)
    return Job(detector, data, alpha, fdr, _cut, picture, staging, tell, kinds, **more)


def _recalibrate(
    workspace: Workspace, detector: Detector, model: str, info: Mapping[str, Any], alpha: float
) -> dict[str, Any]:
    """Give a detector just loaded the calibration revision in force; what that is, in words of `Run.info`:
    `recalibration` (scores of findings labelled normal, `relabelled`), `threshold_before` and `threshold` (the score
    from which alpha flags), `revision` with its hash where there is one, `labels_waiting` (labels not in it)."""
    store, model_hash = workspace.store, str(info.get("model_hash"))
    found = store.revision(model, model_hash)
    scores, findings = (found.scores, found.findings) if found else ([], [])
    before = detector.threshold(alpha)
    if scores:
        detector.recalibrate(scores)
    told = {"recalibration": scores, "relabelled": findings, "threshold_before": before}
    told |= {"threshold": detector.threshold(alpha)}
    if found is not None:
        told |= {"revision": found.id, "revision_sha256": found.sha256}
    waiting = {one.id for one in store.labelled(model, "normal", model_hash)} ^ set(findings)
    return {**told, "labels_waiting": len(waiting)}


def note_fitted(batch: Batch, detector: Detector) -> None:
    """Where labels count in a detector's calibration, keep beside each p-value what the fit alone says."""
    calibration = detector.calibrations[None]
    if calibration.joined is None:
        return
    own, scores = calibration.fitted, np.array([finding.score for finding in batch.findings])
    p_values, beyond = own.p_value(scores), own.extrapolated(scores)
    batch.findings = [
        replace(finding, fitted_p=float(p), fitted_extrapolated=bool(tail)) if p < finding.p_value else finding
        for finding, p, tail in zip(batch.findings, p_values, beyond, strict=True)
    ]
    batch.fitted_p = own.p_value(batch.scores)


def _mover(store: Store, staging: Path, folders: Sequence[Path]) -> Callable[[str, list[str]], None]:
    """Puts the staged folders in their place under the ids that the store gave."""

    def move(run: str, findings: list[str]) -> None:
        home = store.run_folder(run)
        home.mkdir(parents=True, exist_ok=True)
        for folder, name in zip(folders, findings, strict=True):
            folder.replace(home / name)
        if staging.is_dir():
            for rest in staging.iterdir():
                rest.replace(home / rest.name)

    return move


def samples_of(batch: Batch) -> list[Sample]:
    """The scored samples of a batch."""
    fitted = batch.p_values if batch.fitted_p is None else batch.fitted_p
    rows = zip(batch.names, batch.scores.tolist(), batch.p_values.tolist(), fitted.tolist(), strict=True)
    return [
        Sample("", name, i, score, p, p <= batch.alpha, fitted_p=own if own < p else None)
        for i, (name, score, p, own) in enumerate(rows)
    ]


def _draw_first(workspace: Workspace, run: Run, tell: Progress) -> None:
    """Pictures and normal versions of the most anomalous findings; those of the others are made when asked for."""
    first = workspace.store.findings(run.id, limit=workspace.config.pictures)
    for number, finding in enumerate(first):
        with workspace.lock:
            workspace.specimen(finding).explain()
        if kind(finding.modality).pictured:
            keeping.keep_overlay(finding.folder, finding.regions)
        tell((number + 1) / len(first), "drawing the normal versions")


def _cut(p_values: np.ndarray, fdr: float) -> float:
    """The largest p-value that Benjamini-Hochberg rejects; where it rejects none, the level of its first step."""
    from detectors.calibration import benjamini_hochberg

    flags = benjamini_hochberg(p_values, fdr)
    return float(p_values[flags].max()) if flags.any() else fdr / max(1, len(p_values))
