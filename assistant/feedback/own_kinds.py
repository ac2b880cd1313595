"""Kinds of one's own: made from findings, and given to the findings of a run.

Knows the store, kept measurements and files of kinds; not detectors, tools or language models.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from assistant import keeping
from assistant.kinds import leading_numbers, load_kinds, prototype
from assistant.store.audit import KIND_ADDED
from assistant.store.rows import id_number
from detectors.errors import AnomalyError

if TYPE_CHECKING:
    from assistant.pipeline import Workspace


def make_kind(workspace: Workspace, name: str, findings: Sequence[str], about: str = "") -> Path:
    """Write a kind of one's own into the folder of the setting `kinds`, made from the measurements of some findings.

    Raises:
        AnomalyError: no folder is set, no findings are named, they are of several modalities or were not measured.
    """
    if not workspace.config.kinds:
        raise AnomalyError("Say where your kinds are kept: set `kinds` in anomaly.toml, or ANOMALY_KINDS.")
    members = [workspace.store.finding(one) for one in findings]
    measured = [(one, leading_numbers(keeping.load_measures(one.folder))) for one in members]
    if not measured or len({one.modality for one in members}) > 1:
        raise AnomalyError("A kind is made from findings of one modality; name them with --finding.")
    lacking = [one.id for one, numbers in measured if not numbers]
    if lacking:
        raise AnomalyError(f"Nothing was measured of {', '.join(lacking)}; run `anomaly detect` again.")
    folder = Path(workspace.config.kinds).expanduser()
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{'-'.join(name.split())}.yaml"
    text = prototype(name, members[0].modality, [numbers for _, numbers in measured], about)
    keeping.write(path, lambda file: file.write(text.encode()))
    load_kinds(folder)
    told = {"findings": [one.id for one in members], "file": path.name}
    numbers = [id_number("F", one.id) for one in members]
    workspace.store.note_change(KIND_ADDED, name, about, after=told, findings=numbers)
    return path


def name_again(workspace: Workspace, run: str | None = None) -> list[str]:
    """Judge the kinds of a run's findings anew (of the latest run where none is named); those that changed."""
    known = load_kinds(workspace.config.kinds)
    changed: dict[str, tuple[str, float]] = {}
    for finding in workspace.store.findings(workspace.store.run(run).id, limit=None):
        measures = keeping.load_measures(finding.folder)
        if measures:
            judged = known.judge(finding.modality, leading_numbers(measures))
            if judged.kind != finding.kind:
                changed[finding.id] = judged.kind, judged.confidence
    workspace.store.set_kinds(changed, "kinds of a run judged anew")
    return list(changed)
