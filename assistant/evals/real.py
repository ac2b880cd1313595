"""Suite 2, known causes, real: public sets whose masks, guilty channels, pods and onsets are known.

One function a set, in `real_pictures`, `real_series`, `real_parts` and `real_logs`; this module runs those asked for,
tells each as it finishes, and keeps fitted models where a folder for them is named. Labels and masks serve the figures
alone.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from assistant.config import Config
from assistant.evals.table import Job, Line, rows_of, summed
from assistant.pipeline import Workspace, fit_model, run_detection
from assistant.records import Run
from detectors.errors import AnomalyError

TITLE = "known causes, real"
SETS = {  # set -> (module, function)
    "asd": ("real_series", "channels"),
    "smd": ("real_series", "channels"),
    "transistor": ("real_pictures", "places"),
    "tile": ("real_pictures", "places"),
    "deeppcb": ("real_pictures", "boards"),
    "urfd": ("real_parts", "falls"),
    "nezha": ("real_parts", "pods"),
    "bgl": ("real_logs", "lines"),
}
QUICK = ("asd",)
TESTED = 8  # explanations of a set that are tested

Measure = Callable[[str, Job], Iterable[Line]]


def run(job: Job) -> list[Line]:
    """The sets asked for, all by default; each is told as it finishes.

    Raises:
        AnomalyError: no folder of the public sets is named, or a set is not known.
    """
    if job.data is None or not job.data.is_dir():
        raise AnomalyError("The real causes need the public sets: name their folder with --data.")
    names = job.sets or (QUICK if job.quick else tuple(SETS))
    unknown = [name for name in names if name not in SETS]
    if unknown:
        raise AnomalyError(f"There is no set {unknown[0]!r} of real causes; known: {', '.join(SETS)}.")
    lines: list[Line] = []
    for number, name in enumerate(names):
        job.tell(number / len(names), name)
        began = time.process_time()
        module, function = SETS[name]
        measure: Measure = getattr(import_module(f"assistant.evals.{module}"), function)
        found = [*measure(name, job), Line(name, "seconds of one core", round(time.process_time() - began, 1))]
        for row in rows_of(found):
            job.say(row)
        lines += found
    return [*lines, *summed(lines)]


@contextmanager
def scored(
    name: str, normal: Any, test: Any, modality: str, alpha: float, job: Job, settings: dict[str, Any] | None = None
) -> Iterator[tuple[Workspace, Run]]:
    """A fit on the normals and a detection in the rest, in a store that is gone afterwards; the model stays in the
    folder of `job.work`, where one is named, and serves again as long as code, settings and data are the same."""
    given = {"device": "cpu", **(settings or {})}
    folder = Path(tempfile.mkdtemp(prefix="anomaly-eval-"))
    model = folder / "model" if job.work is None else job.work / f"{name}-{_stamp(given, normal)}"
    try:
        if not (model / "detector.json").is_file():
            fit_model(normal, model, modality, settings=given)
        workspace = Workspace.open(Config(store=str(folder / "store"), pictures=0), create=True)
        yield workspace, run_detection(workspace, test, model, alpha)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _stamp(settings: dict[str, Any], normal: Any) -> str:
    """What a fitted model depends on: the code of the detectors, the settings, and which normals there were."""
    import detectors

    digest = hashlib.sha256(json.dumps(settings, sort_keys=True, default=str).encode())
    for file in sorted(Path(detectors.__file__).parent.rglob("*.py")):
        digest.update(file.read_bytes())
    for piece in normal if isinstance(normal, list) else [normal]:
        parts = piece.values() if isinstance(piece, dict) else [piece]
        for part in parts:
            whole = hasattr(part, "to_numpy")
            digest.update(np.ascontiguousarray(part.to_numpy()).tobytes() if whole else _name(part).encode())
    return digest.hexdigest()[:12]


def _name(part: Any) -> str:
    return f"{part.name} {len(part)}" if hasattr(part, "frame") else str(part)


def some(things: Sequence[Any], most: int) -> list[Any]:
    """At most `most` of them, evenly spread."""
    if len(things) <= most:
        return list(things)
    return [things[round(i * (len(things) - 1) / max(1, most - 1))] for i in range(most)]
