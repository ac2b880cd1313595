"""Suite 1, known causes, generated: worlds with planted anomalies of known kind, place and time, end to end.

Each world is fitted, scored into a store and asked about. Scores what was found, whether the place, the part and the
kind are right, whether repairing the named places helps and others of equal size do not, and whether the answers of a
language model state the right facts. Knows the pipeline, the store and the assistant; not detectors.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from assistant.config import Config
from assistant.evals.planting import Plant, World
from assistant.evals.table import Job, Line, counted, summed
from assistant.evaluate import states
from assistant.evidence import Evidence
from assistant.pipeline import Workspace, fit_model, run_detection
from assistant.records import Finding, Run
from assistant.specimens.trials import trial_of
from detectors.errors import AnomalyError

TITLE = "known causes, generated"
PLANTERS = {"series": "planted_series", "table": "planted_tables", "image": "planted_images"}
ALPHA = {"series": 0.001, "table": 0.01, "image": 0.02}
SETTINGS: dict[str, dict[str, Any]] = {  # small on purpose: a world is a matter of seconds
    "series": {"train_steps": 60},
    "table": {"train_steps": 150},
    "image": {"size": 144, "width": 64, "depth": 2, "train_steps": 80},
}
FIELDS = {
    "place": ("position",),
    "time": ("start_time", "start"),
    "p": ("p_value",),
    "trust": ("named_repaired_p_value",),
}  # what a question needs -> the fields of which an answer must state one
NEAR = 8  # stamps that an event may be off and still be the planted one
TOLERANCE = 3  # pixels that the peak of a map may lie outside of a mask
TESTED = 12  # explanations of a world that are tested
ASKED = 24  # findings of a world that are asked about


@dataclass(frozen=True)
class Hit:
    """A planted anomaly and the finding that it is, None where it was not flagged."""

    plant: Plant
    finding: Finding | None

    def __str__(self) -> str:
        name = self.finding.id if self.finding else "not flagged"
        return f"{self.plant.kind} at {self.plant.index} {self.plant.place} ({name})"


def run(job: Job) -> list[Line]:
    """Every world of the case file; a smoke run takes the second, with one each of a few kinds."""
    lines: list[Line] = []
    specs = load_worlds(job.cases, job.held_out)
    if job.quick:
        specs = [{**specs[1], "plants": dict.fromkeys(list(specs[1]["plants"])[:4], 1)}]
    for number, spec in enumerate(specs):
        job.tell(number / len(specs), f"{spec['world']}, seed {spec['seed']}")
        lines += one_world(spec, job)
    return [*lines, *summed(lines)]


def load_worlds(cases: Path, held_out: bool = False) -> list[dict[str, Any]]:
    """The worlds of the case file.

    Raises:
        AnomalyError: the file is not there.
    """
    path = cases / ("generated_held_out.yaml" if held_out else "generated.yaml")
    if not path.is_file():
        raise AnomalyError(f"There are no generated worlds at {path}.")
    return list(yaml.safe_load(path.read_text(encoding="utf-8")))


def make_world(spec: dict[str, Any]) -> World:
    """A world as its row of the case file says."""
    given = {key: value for key, value in spec.items() if key not in ("world", "modality")}
    world: World = import_module(f"assistant.evals.{PLANTERS[spec['modality']]}").make_world(spec["world"], **given)
    return world


def one_world(spec: dict[str, Any], job: Job) -> list[Line]:
    """The lines of one world."""
    world = make_world(spec)
    folder = Path(tempfile.mkdtemp(prefix="anomaly-eval-"))
    try:
        fit_model(
            world.normal, folder / "model", world.modality, settings={"device": "cpu", **SETTINGS[world.modality]}
        )
        workspace = Workspace.open(Config(store=str(folder / "store"), pictures=0), create=True)
        found = run_detection(workspace, world.test, folder / "model", ALPHA[world.modality])
        return [*_found(world, workspace, found), *_asked(world, workspace, found, job)]
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def hits_of(world: World, workspace: Workspace, run: Run) -> list[Hit]:
    """Each planted anomaly with its finding."""
    findings = workspace.store.findings(run.id, order="score", descending=True, limit=None)
    return [Hit(plant, next((f for f in findings if _is(f, plant, world.modality)), None)) for plant in world.plants]


def _is(finding: Finding, plant: Plant, modality: str) -> bool:
    if modality != "series":
        return finding.index == plant.index
    region = finding.regions[0]
    return bool(region["start"] < plant.end + NEAR and region["end"] > plant.index - NEAR)


# --- what was found -----------------------------------------------------------------------------------------------


def _found(world: World, workspace: Workspace, run: Run) -> Iterator[Line]:
    hits = hits_of(world, workspace, run)
    flagged = [hit for hit in hits if hit.finding is not None]
    yield counted(world.name, "planted anomalies flagged", [(hit.finding is not None, str(hit)) for hit in hits])
    names = {hit.finding.id for hit in flagged if hit.finding}
    normal = max(1, run.n_samples - len(names))
    yield Line(world.name, "other findings, a thousand normal samples", 1000 * (run.n_flagged - len(names)) / normal)
    yield counted(world.name, "place right (pointing game)", [(place_right(hit), str(hit)) for hit in flagged])
    kinds = [(_finding(hit).kind == hit.plant.kind, f"{hit}: {_finding(hit).kind}") for hit in flagged]
    yield counted(world.name, "kind right", kinds)
    yield from repairs(world.name, workspace, [_finding(hit) for hit in flagged][:: max(1, len(flagged) // TESTED)])


def _finding(hit: Hit) -> Finding:
    assert hit.finding is not None
    return hit.finding


def place_right(hit: Hit) -> bool:
    """Whether the place named first is where the anomaly was planted: the peak of the map within its mask; the first
    channel or feature."""
    finding, plant = _finding(hit), hit.plant
    if plant.mask is None:
        return str(finding.parts[0]["name"]) == plant.place
    return in_mask(peak_of(finding), plant.mask)


def peak_of(finding: Finding) -> tuple[int, int]:
    """(row, column) of the highest value of a picture's map."""
    level = np.load(finding.folder / "map.npy", allow_pickle=False).astype(np.float32)
    row, column = np.unravel_index(int(level.argmax()), level.shape)
    return int(row), int(column)


def in_mask(at: tuple[int, int], mask: np.ndarray, tolerance: int = TOLERANCE) -> bool:
    """Whether a pixel lies in a mask, or at most `tolerance` beside it."""
    rows, columns = np.nonzero(mask)
    return bool(len(rows) and np.hypot(rows - at[0], columns - at[1]).min() <= tolerance)


def repairs(group: str, workspace: Workspace, findings: Sequence[Finding]) -> Iterator[Line]:
    """Sufficiency of the named places, and of places of equal size elsewhere."""
    named, other, count = [], 0, 0
    for finding in findings:
        with workspace.lock:
            trial = trial_of(workspace.specimen(finding))
        named.append(
            (trial.named_p_value > finding.alpha, f"{finding.id} ({finding.kind}): p {trial.named_p_value:.2g}")
        )
        other, count = other + trial.random_returns, count + trial.random_count
    yield counted(group, "repairing the named place: normal again", named)
    yield Line(group, "repairing an equal random place: normal again", other, count)


# --- what is answered ---------------------------------------------------------------------------------------------


def _asked(world: World, workspace: Workspace, run: Run, job: Job) -> Iterator[Line]:
    from assistant.agent import Assistant

    questions = yaml.safe_load((job.cases / "generated_questions.yaml").read_text(encoding="utf-8"))
    flagged = [hit for hit in hits_of(world, workspace, run) if hit.finding is not None]
    for question in questions:
        if world.modality not in question["of"]:
            continue
        outcomes = []
        for number, hit in enumerate(flagged[:: max(1, len(flagged) // ASKED)]):
            text = question["ask"][number % len(question["ask"])].format(finding=_finding(hit).id)
            assistant = Assistant(workspace, job.llm, f"eval {question['needs']} {number}")
            try:
                answer = assistant.ask(text)
                evidence = [workspace.store.evidence(step.evidence) for step in answer.steps if step.evidence]
            finally:
                assistant.close()
            right = answered(question["needs"], hit, answer.text, evidence)
            outcomes.append((right, f"{text} -> {answer.text[:160]} [{hit}]"))
        yield counted(world.name, f"answers, {question['needs']}", outcomes)


def answered(needs: str, hit: Hit, text: str, evidence: Sequence[Evidence]) -> bool:
    """Whether an answer states what was asked: a fact of the finding, and where it is a cause, the planted one."""
    finding = _finding(hit)
    if needs == "kind":  # the finding's own kind; whether that is the planted one is scored apart
        return (finding.kind if finding.kind != "unclear" else "unclear") in text.lower()
    if needs == "part":
        return str(finding.parts[0]["name"]) in text
    fields = FIELDS[needs]
    facts = [fact for one in evidence for fact in one.facts if fact.field in fields]
    return any(states(text, fact) for fact in facts if fact.subject.split("/")[0] == finding.id)
