"""Fits a model again on what it was fitted on, with what people have labelled since; always into a new folder.

Findings labelled normal join the normals (some of them end up among those that calibrate; being selected for high
scores, they make p-values larger, never smaller). Confirmed ones are shown as anomalies to a method that learns from
them. Knows workspaces, kept samples and sources; not detectors' insides, pages or terminals.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assistant import keeping
from assistant.pipeline import Workspace, fit_model, learns_from_anomalies
from assistant.records import Finding, Run
from assistant.scoring import Progress
from assistant.store.audit import REFITTED
from assistant.store.rows import id_number
from detectors.errors import AnomalyError

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Refitted:
    """What a new model was made of."""

    info: dict[str, Any]  # of the new detector
    normals: list[str]  # findings that joined the normals
    anomalies: list[str]  # findings that were shown as anomalies
    notes: list[str]


def refit(
    workspace: Workspace,
    out: str | Path,
    run: str | None = None,
    with_labels: bool = True,
    source: str | None = None,
    progress: Progress | None = None,
    force: bool = False,
    test: bool = True,
    why: str = "",
) -> Refitted:
    """Fit the model of a run again (of the latest where none is named).

    Args:
        out: folder of the new model; the old one is never written over.
        with_labels: whether labelled findings take part.
        source: the normals, where the model does not say or they have moved.

    Raises:
        AnomalyError: no source, no such run, labelled samples that cannot be joined, or `out` is taken.
    """
    one = workspace.store.run(run)
    if Path(out).expanduser().absolute() == Path(one.model):
        raise AnomalyError(f"{out} is the model itself; name a new folder with --out, so that both can be compared.")
    detector = workspace.detector(one)
    where, notes = _source(one, source)
    labelled = {name: _labelled(workspace, one, name) if with_labels else [] for name in ("normal", "anomaly")}
    if not learns_from_anomalies(detector):
        if labelled["anomaly"]:
            notes.append(f"Method {one.method} learns nothing from known anomalies; the confirmed ones take no part.")
        labelled["anomaly"] = []
    normals, known = (_samples(workspace, found) for found in labelled.values())
    info = fit_model(
        where,
        out,
        one.modality,
        one.method,
        _settings(detector),
        progress,
        force,
        test,
        _joiner(one.modality, normals) if normals else None,
        _together(one.modality, known) if known else None,
    )
    names = {label: [finding.id for finding in found] for label, found in labelled.items()}
    _note(workspace, one, info, Path(out), names, why)
    return Refitted(info, names["normal"], names["anomaly"], [*notes, *_changed(one, info)])


def _settings(detector: Any) -> dict[str, Any]:
    given = {**detector.modality.settings, **detector.given, "seed": detector.seed}
    return {**given, "contamination": detector.info().get("contamination", 0.0)}


def _source(run: Run, given: str | None) -> tuple[str, list[str]]:
    if given is not None:
        return given, []
    known = str(run.info.get("fit_source") or "")
    if not known:
        raise AnomalyError(f"The model {run.model} does not say what it was fitted on; name it with --source.")
    if not Path(known.split("::")[0]).exists():
        raise AnomalyError(f"{known}, on which {run.model} was fitted, is not there any more; name it with --source.")
    return known, []


def _changed(run: Run, info: Mapping[str, Any]) -> list[str]:
    before = run.info.get("fit_digest")
    same = before in (None, info["fit_digest"])
    return [] if same else ["The normals are not those of the first fit: files were added, changed or removed."]


def _labelled(workspace: Workspace, run: Run, label: str) -> list[Finding]:
    return workspace.store.labelled(run.model, label, str(run.info.get("model_hash")))


def _note(
    workspace: Workspace, run: Run, info: Mapping[str, Any], out: Path, names: Mapping[str, list[str]], why: str
) -> None:
    before = {"model": run.model, "model_hash": run.info.get("model_hash")}
    after = {"model": str(out.absolute()), "model_hash": info.get("model_hash"), "normals_added": len(names["normal"])}
    after |= {"anomalies_shown": len(names["anomaly"]), "normals": names["normal"], "anomalies": names["anomaly"]}
    numbers = [id_number("F", name) for found in names.values() for name in found]
    workspace.store.note_change(REFITTED, out.name, why, before=before, after=after, findings=numbers)


# --- samples that the store kept --------------------------------------------------------------------------------------


def _samples(workspace: Workspace, findings: Sequence[Finding]) -> list[Any]:
    if not findings:
        return []
    modality = findings[0].modality
    if modality not in _KEPT:
        raise AnomalyError(f"Labelled findings over {modality} cannot join a fit yet; refit without --with-labels.")
    return [_KEPT[modality](workspace, finding) for finding in findings]


def _picture(workspace: Workspace, finding: Finding) -> Path:
    return workspace.image(finding)


def _row(workspace: Workspace, finding: Finding) -> pd.DataFrame:
    return workspace.table(finding.run).iloc[[finding.index]]


def _event(workspace: Workspace, finding: Finding) -> pd.DataFrame:
    """An event with a window on either side, which is as much as a window that holds it can reach."""
    import pandas as pd

    stretch = keeping.load_stretch(finding.folder)
    around = int(workspace.store.run(finding.run).info["window"])
    rows = slice(max(0, stretch.rows.start - around), stretch.rows.stop + around)
    times = pd.DatetimeIndex(stretch.times[rows], name="time") if len(stretch.times) else None
    return pd.DataFrame(stretch.observed[rows], columns=list(stretch.channels), index=times)


_KEPT: dict[str, Callable[[Workspace, Finding], Any]] = {"image": _picture, "table": _row, "series": _event}


def _together(modality: str, samples: Sequence[Any]) -> Any:
    """Samples in a detector's own form."""
    import pandas as pd

    return pd.concat(list(samples), ignore_index=True) if modality == "table" else list(samples)


def _joiner(modality: str, extra: Sequence[Any]) -> Callable[[Any], Any]:
    def join(samples: Any) -> Any:
        if modality == "table":
            return _together(modality, [samples, *(row[list(samples.columns)] for row in extra)])
        first = [samples] if hasattr(samples, "iloc") else list(samples)
        return [*first, *extra]

    return join
