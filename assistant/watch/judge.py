"""Scores what a watch hands in and lays out what is to be kept: one `Step` a lot.

A run grows by lots of images, rows, stamps or frames; files that are whole in themselves (a clip, a recording, one
table a day) become a run each. Stamps and frames are scored again together with those before them, since their
evidence reaches over windows; an event counts once enough has followed it, and only once, see `Edge`.

Knows the pipeline, scorers and the ledger; not where data comes from.
"""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from assistant import keeping, pipeline
from assistant.modalities import kind
from assistant.pipeline import Workspace
from assistant.records import Run, Sample
from assistant.scoring import SCORERS, Batch
from assistant.watch.ledger import Dealt, Ledger, Step
from detectors.errors import AnomalyError

ROLL = 100_000  # samples after which a run that grows is followed by a new one
DRIFT_OVER = 500  # latest samples whose scores are compared with those of the fit


@dataclass
class Edge:
    """Up to where a stream has been judged for good; positions count samples of the run.

    An event counts when `hold` samples have followed it, or when it has lasted for `longest`; one that goes on after
    it was told is not told again.
    """

    settled: int = 0  # samples before it are judged for good
    told: int = 0  # one past the last event that was told, or that continued it
    hold: int = 0
    longest: int = 0

    def judge(self, count: int, final: bool) -> tuple[Callable[[int, int], bool], Callable[[], Edge]]:
        """Of a stream of `count` samples: which events count, and the edge after all were asked about."""
        stop = count if final else max(self.settled, count - self.hold)
        state = {"told": self.told, "open": stop}

        def wanted(first: int, end: int) -> bool:
            if first < state["told"]:  # what was told goes on
                state["told"] = max(state["told"], end)
                return False
            if end <= self.settled:
                return False
            if end > stop and count - first < self.longest:
                state["open"] = min(state["open"], first)
                return False
            state["told"] = end
            return True

        return wanted, lambda: replace(self, settled=max(self.settled, state["open"]), told=state["told"])


class Judge:
    """One model's judgement over what one watch hands in."""

    def __init__(self, workspace: Workspace, ledger: Ledger, model: Path, alpha: float) -> None:
        """Raises AnomalyError where the model cannot be loaded or `alpha` is no level."""
        if not 0 < alpha < 1:
            raise AnomalyError(f"alpha = {alpha} must lie between 0 and 1.")
        self.workspace, self.ledger, self.alpha = workspace, ledger, alpha
        self.model = str(model.expanduser().absolute())
        self.detector = pipeline.load(model, workspace.config.device)
        self.info = self.detector.info()
        self.modality: str = self.info["modality"]
        self.changed = pipeline._recalibrate(workspace, self.detector, self.model, self.info, alpha)
        self.revision = str(self.changed.get("revision", ""))
        self.run: Run | None = self._going_on()
        self.remarks: list[str] = []  # worth a line to whoever watches

    def _going_on(self) -> Run | None:
        """The run that grew before, if it was made with the same model, level and labels, and has room."""
        if self.ledger.run is None:
            return None
        run = self.workspace.store.run(self.ledger.run)
        same = run.info.get("model_hash") == self.info.get("model_hash") and run.alpha == self.alpha
        same &= run.info.get("recalibration", []) == keeping.plain(self.changed.get("recalibration", []))
        return run if same and run.n_samples < ROLL else None

    def _refresh(self) -> None:
        """Take up the calibration revision in force: people label while a watch goes on."""
        found = self.workspace.store.revision(self.model, str(self.info.get("model_hash")))
        if (found.id if found else "") == self.revision:
            return
        self.detector.recalibrate([])
        self.changed = pipeline._recalibrate(self.workspace, self.detector, self.model, self.info, self.alpha)
        self.revision = found.id if found else ""
        if self.run is not None:
            self.run = self._going_on()

    # --- lots -----------------------------------------------------------------------------------------------------

    def grow(self, data: Any, cursor: dict[str, Any] | None, dealt: Sequence[Dealt] = ()) -> Step:
        """Independent samples (images, rows): they join the run that grows.

        Raises:
            AnomalyError: not one of them fits the model.
        """
        self._refresh()
        self.run = self._going_on() if self.run is not None else None
        offset = self.run.n_samples if self.run else 0
        with self._staged() as staging:
            job = pipeline.scoring_job(self.workspace, self.detector, data, self.alpha, None, staging, offset=offset)
            batch = SCORERS[data.modality](job)
        step = self._step(batch, data, offset, cursor, [*dealt, *(Dealt(n, "", r) for n, r in batch.skipped)])
        if data.modality == "table":
            step.files = self._appending(data.samples, offset)
        return step

    def whole(self, data: Any, cursor: dict[str, Any] | None, dealt: Sequence[Dealt] = ()) -> Step:
        """A file that is whole in itself, as a run of its own.

        Raises:
            AnomalyError: it does not fit the model.
        """
        self._refresh()
        with self._staged() as staging:
            job = pipeline.scoring_job(self.workspace, self.detector, data, self.alpha, None, staging)
            batch = SCORERS[data.modality](job)
        step = self._step(batch, data, 0, cursor, list(dealt), alone=True)
        step.grows, step.files = False, lambda home: _move_all(staging, home)
        return step

    def stamps(self, data: Any, cursor: dict[str, Any], final: bool = False) -> Step:
        """New stamps of a series (none: only judge for good what waits), behind those that the run holds.

        Raises:
            AnomalyError: they do not fit the model.
        """
        import pandas as pd

        known, edge = self._known(), self.edge(cursor)
        if known is not None and _goes_back(known, data.samples):
            self.remarks.append("The time of the new rows lies before that of the last ones; a new run begins.")
            known, self.run, edge = None, None, replace(edge, settled=0, told=0)
        elif known is not None and self.run is not None and self.run.n_samples >= ROLL:
            cut = len(known) - min(len(known), self.before())
            known, self.run = known.iloc[cut:], None
            edge = replace(edge, settled=max(0, edge.settled - cut), told=max(0, edge.told - cut))
        first = 0 if known is None or self.run is None else max(0, edge.settled - self.before())
        frames = [data.samples] if known is None else [known.iloc[first:], data.samples]
        frame = pd.concat([one for one in frames if one is not None and len(one)])
        if not isinstance(frame.index, pd.DatetimeIndex):
            frame.index = pd.RangeIndex(first, first + len(frame))
        return self.stream(replace(data, samples=frame), first, edge, cursor, final)

    def rest(self) -> Step | None:
        """Of a series to which nothing was added for a while: what was held back; None: nothing is."""
        cursor = self.ledger.cursor
        if self.modality != "series" or self.run is None or self.edge(cursor).settled >= self.run.n_samples:
            return None
        data = pipeline.read(self._known(), "series")
        return self.stamps(replace(data, samples=data.samples.iloc[:0]), cursor, final=True)

    def stream(self, data: Any, first: int, edge: Edge, cursor: dict[str, Any], final: bool = False) -> Step:
        """Stamps or frames: `data` holds those of the run from number `first` on, judged before or not.

        Raises:
            AnomalyError: they do not fit the model.
        """
        self._refresh()
        old, length = self.run.n_samples if self.run else 0, _length(data)
        wanted, after = edge.judge(first + length, final)
        with self._staged() as staging:
            if data.modality == "series" and length < int(self.info.get("window", 1)):
                batch = Batch([], np.full(length, np.nan), np.ones(length), self.alpha)
                now = edge  # too few to be judged; they wait in the run
                keeping.keep_frame(staging / "series.parquet", data.samples)
            else:
                more: dict[str, Any] = {"offset": first, "wanted": wanted}
                job = pipeline.scoring_job(self.workspace, self.detector, data, self.alpha, None, staging, **more)
                batch = SCORERS[data.modality](job)
                now = after()
        new = slice(max(0, old - first), None)
        fresh = Batch(batch.names[new], batch.scores[new], batch.p_values[new], self.alpha, batch.findings)
        fresh.folders = batch.folders
        step = self._step(fresh, data, old, None, [], drift_of=batch.scores)
        step.cursor = {**cursor, "edge": vars(now)}
        step.files = self._streaming(data, first, batch)
        return step

    def edge(self, cursor: dict[str, Any]) -> Edge:
        """Where a stream stands. Events are held back for a window of stamps, or for as many frames as are smoothed."""
        known = cursor.get("edge", {}) if self.run is not None else {}
        hold = self._window() if self.modality == "series" else 2 * self._smooth()
        return Edge(known.get("settled", 0), known.get("told", 0), hold, 8 * hold)

    def before(self) -> int:
        """How many earlier samples a stream is scored together with: as far as its evidence reaches."""
        if self.modality == "series":
            return self._window() * max(8, int(self.info.get("settings", {}).get("horizon") or 0))
        return 4 * self._smooth() + 16

    def _window(self) -> int:
        return int(self.info.get("window", 32))

    def _smooth(self) -> int:
        return int(self.info.get("settings", {}).get("smooth") or 8)

    # --- inside ---------------------------------------------------------------------------------------------------

    @contextmanager
    def _staged(self) -> Any:
        """A folder for what findings keep, until the ledger has put it in its place; gone if scoring fails."""
        staging = self.workspace.store.root / "staging" / f"watch-{self.ledger.id}" / uuid.uuid4().hex
        try:
            yield staging
        except BaseException:
            shutil.rmtree(staging, ignore_errors=True)
            raise

    def tidy(self) -> None:
        """Remove what steps left in their staging folders, kept or not."""
        shutil.rmtree(self.workspace.store.root / "staging" / f"watch-{self.ledger.id}", ignore_errors=True)

    def _step(
        self,
        batch: Batch,
        data: Any,
        offset: int,
        cursor: dict[str, Any] | None,
        dealt: list[Dealt],
        alone: bool = False,
        drift_of: np.ndarray | None = None,
    ) -> Step:
        pipeline.note_fitted(batch, self.detector)
        samples: list[Sample] = []
        if data.modality != "series":
            samples = [replace(one, index=one.index + offset) for one in pipeline.samples_of(batch)]
        old = None if alone else self.run
        drift = self._drift(batch.scores if drift_of is None else drift_of, old if drift_of is None else None)
        skipped = [(one.name, one.reason) for one in dealt if one.reason]
        run = Run(
            id=old.id if old else "",
            created=old.created if old else "",
            source=data.origin if alone else self.ledger.source,
            modality=data.modality,
            model=self.model,
            method=self.info["method"],
            alpha=batch.alpha,
            fdr=None,
            n_samples=offset + len(batch.scores),
            n_flagged=(old.n_flagged if old else 0) + len(batch.findings),
            info=keeping.plain({**self.info, **self.changed, "drift": drift, "notes": data.notes, "watched": True,
                                "data_digest": data.digest if alone else ""}),
            skipped=[*(old.skipped if old else []), *skipped],
        )  # fmt: skip
        return Step(
            run, True, samples, batch.findings, batch.folders, cursor=cursor, dealt=dealt, judged=len(batch.scores)
        )

    def _drift(self, scores: np.ndarray, run: Run | None) -> dict[str, Any]:
        earlier = self.ledger.recent_scores(run.id, max(0, DRIFT_OVER - len(scores))) if run else []
        told: dict[str, Any] = self.detector.score_drift(np.concatenate([np.asarray(earlier, float), scores])).to_dict()
        return told

    def _appending(self, frame: Any, offset: int) -> Callable[[Path], None]:
        """Writes the rows of a table behind those that count so far."""

        def write(home: Path) -> None:
            import pandas as pd

            path, parts = home / "table.parquet", [frame]
            if offset:
                parts.insert(0, keeping.load_frame(path).iloc[:offset])
            keeping.keep_frame(path, _joined(pd.concat(parts)))

        return write

    def _streaming(self, data: Any, first: int, batch: Batch) -> Callable[[Path], None]:
        """Writes stamps and scores from number `first` on behind those that stay."""

        def write(home: Path) -> None:
            import pandas as pd

            scores = {"scores": batch.scores, "p_values": batch.p_values}
            if first:
                with np.load(home / "scores.npz", allow_pickle=False) as file:
                    scores = {key: np.concatenate([file[key][:first], value]) for key, value in scores.items()}
            if data.modality == "series":
                parts = [data.samples]
                if first:
                    parts.insert(0, keeping.load_frame(home / "series.parquet").iloc[:first])
                keeping.keep_frame(home / "series.parquet", pd.concat(parts))
            else:
                scores["offsets"] = np.array([0, len(scores["scores"])])
            keeping.write(home / "scores.npz", lambda file: np.savez_compressed(file, **scores))  # type: ignore[arg-type]

        return write

    def _known(self) -> Any:
        """The stamps that the run holds so far, as a frame; None: no run yet."""
        if self.run is None:
            return None
        path = self.workspace.store.run_folder(self.run.id) / "series.parquet"
        return keeping.load_frame(path).iloc[: self.run.n_samples]

    def keep(self, step: Step) -> list[str]:
        """Hand a step to the ledger and go on from it; the new findings' ids.

        Raises:
            StoreError: see `Ledger.keep`.
        """
        names = self.ledger.keep(step)
        if step.run is not None and step.grows:
            self.run = self.workspace.store.run(self.ledger.run)
        return names

    def unit(self) -> str:
        """What is judged, in a word."""
        return kind(self.modality).samples


def _length(data: Any) -> int:
    return len(data.samples) if data.modality == "series" else len(data.samples[0])


def _goes_back(known: Any, new: Any) -> bool:
    """Whether the clock of the new rows begins before the last of the known ones."""
    if not len(new) or not len(known) or known.index.dtype.kind != "M" or new.index.dtype.kind != "M":
        return False
    return bool(new.index[0] < known.index[-1])


def _joined(frame: Any) -> Any:
    """Columns that lots read differently (numbers here, words there) as text, so that they can be kept together."""
    for name in frame.columns:
        if frame[name].dtype == object:
            frame[name] = frame[name].map(lambda value: value if value is None or value != value else str(value))
    return frame


def _move_all(staging: Path, home: Path) -> None:
    for rest in staging.iterdir() if staging.is_dir() else ():
        target = home / rest.name
        if target.is_file():
            target.unlink()
        rest.replace(target)
