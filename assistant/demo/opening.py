"""Opens the built-in case: made, fitted and searched on the first start, at once on every later one.

Each step is whole or not there, so an interrupted first start goes on where it stopped. Knows the pipeline and the
page; nothing of how pictures, sensors and orders are made.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from assistant.config import Config
from assistant.demo.case import make_case
from assistant.pipeline import Workspace, fit_model, run_detection
from assistant.records import Run
from detectors.errors import AnomalyError

Progress = Callable[[float, str], None]

VERSION = 3  # of what a prepared folder holds; another one is prepared anew
FOLDER = "./anomaly-demo"
READY = "ready.json"


@dataclass(frozen=True)
class Task:
    """One model of the case: what it learns from and where it looks."""

    name: str
    words: str  # for people
    modality: str
    normal: str
    test: str
    alpha: float
    settings: dict[str, Any] = field(default_factory=dict)
    weight: float = 1.0  # its part of the time


# Settings are small on purpose: a first start is a matter of a minute, and every planted cause is still found.
# Parts last, so that they are the newest run, which a question without a run is about.
TASKS = (
    Task(
        "pump",
        "the pump's sensors",
        "series",
        "pump/normal.csv",
        "pump/test.csv",
        0.001,
        {"train_steps": 250},
        weight=1.0,
    ),
    Task(
        "orders", "the orders", "table", "orders/normal.csv", "orders/test.csv", 0.01, {"train_steps": 500}, weight=1.0
    ),
    Task(
        "parts",
        "the parts",
        "image",
        "parts/normal",
        "parts/test",
        0.01,
        {"size": 144, "width": 64, "depth": 2, "train_steps": 80},
        weight=2.0,
    ),
)


def prepare_demo(
    folder: str | Path = FOLDER, progress: Progress | None = None, config: Config | None = None
) -> Workspace:
    """The case with its models and findings in `folder`, made where they are not there yet; seconds after that.

    Raises:
        AnomalyError: the folder holds something else, or cannot be written.
    """
    folder = Path(folder).expanduser()
    config = replace(config or Config(), store=str(folder / "store"), files="")
    tell = progress or (lambda fraction, message: None)
    if _is_ready(folder):
        return Workspace.open(config)
    _claim(folder)
    with _one_thread():
        case = make_case(folder / "case", progress=lambda done, text: tell(0.15 * done, text))
        _fit_all(folder, case, lambda done, text: tell(0.15 + 0.65 * done, text))
        workspace = _detect_all(folder, case, config, lambda done, text: tell(0.8 + 0.2 * done, text))
    _mark(folder)
    tell(1.0, "ready")
    return workspace


def fill(workspace: Workspace, progress: Progress | None = None) -> Run:
    """The case in a store that is there: made and fitted in the store's folder, its runs beside what the store holds.

    Raises:
        AnomalyError: the store's folder cannot be written.
    """
    tell = progress or (lambda fraction, message: None)
    root = workspace.store.root
    with _one_thread():
        case = make_case(root / "case", progress=lambda done, text: tell(0.15 * done, text))
        _fit_all(root, case, lambda done, text: tell(0.15 + 0.65 * done, text))
        return _detect_in(workspace, root, case, lambda done, text: tell(0.8 + 0.2 * done, text))


def open_demo(
    folder: str | Path = FOLDER,
    llm: str = "narrator",
    host: str = "127.0.0.1",
    port: int = 7860,
    progress: Progress | None = None,
    config: Config | None = None,
    open_browser: bool = False,
    block: bool = True,
) -> str:
    """Prepare the case (with a bar on the terminal where no `progress` is given) and serve the page; its address.

    Raises:
        AnomalyError: the port is in use, or see `prepare_demo`.
    """
    from assistant.chat import check_port, serve
    from assistant.cli.terminal import progress as bar

    check_port(host, port)  # said before a minute of work, not after it
    with bar(True) if progress is None else contextlib.nullcontext(progress) as tell:
        workspace = prepare_demo(folder, tell, config)
    return serve(workspace, llm, host, port, open_browser=open_browser, block=block)


def _fit_all(folder: Path, case: Path, tell: Progress) -> None:
    done, total = 0.0, sum(task.weight for task in TASKS)
    for task in TASKS:
        model = folder / "models" / task.name
        if not (model / "detector.json").is_file():  # a model folder is put in place whole
            step = _part(tell, done / total, task.weight / total, f"learning what is normal: {task.words}")
            fit_model(case / task.normal, model, task.modality, settings=task.settings, progress=step)
        done += task.weight


def _detect_all(folder: Path, case: Path, config: Config, tell: Progress) -> Workspace:
    """All runs into a new store; one that an interrupted start left is begun anew, it is a matter of seconds."""
    shutil.rmtree(folder / "store", ignore_errors=True)
    workspace = Workspace.open(config, create=True)
    _detect_in(workspace, folder, case, tell)
    return workspace


def _detect_in(workspace: Workspace, folder: Path, case: Path, tell: Progress) -> Run:
    """A run for each model of the case; the last one is given back."""
    for number, task in enumerate(TASKS):
        step = _part(tell, number / len(TASKS), 1 / len(TASKS), f"inspecting {task.words}")
        run = run_detection(workspace, case / task.test, folder / "models" / task.name, task.alpha, progress=step)
    return run


@contextlib.contextmanager
def _one_thread() -> Iterator[None]:
    """These models are small: on busy cores, threads spend many times longer waiting for each other than computing."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _part(tell: Progress, start: float, share: float, message: str) -> Progress:
    """A step's own progress as a part of the whole, in the demo's words."""
    return lambda done, _text: tell(start + share * min(max(done, 0.0), 1.0), message)


# ---------------------------------------------------------------- the folder


def _is_ready(folder: Path) -> bool:
    parts = [folder / "store" / "store.db", *(folder / "models" / task.name / "detector.json" for task in TASKS)]
    if not all(path.is_file() for path in parts):
        return False
    try:
        return json.loads((folder / READY).read_text(encoding="utf-8")) == {"version": VERSION}
    except (OSError, ValueError):
        return False


def _claim(folder: Path) -> None:
    """Make the folder this case's own; what another version or an unfinished fit left there is kept or cleared."""
    claim = folder / "anomaly-demo.json"
    if folder.is_dir() and any(folder.iterdir()) and not claim.is_file():
        raise AnomalyError(f"The folder {str(folder)!r} holds other things; give the demo a new or empty folder.")
    try:
        if claim.is_file() and json.loads(claim.read_text(encoding="utf-8") or "{}") != {"version": VERSION}:
            for name in ("case", "models", "store", READY):
                _remove(folder / name)
        folder.mkdir(parents=True, exist_ok=True)
        claim.write_text(json.dumps({"version": VERSION}), encoding="utf-8")
    except (OSError, ValueError) as error:
        raise AnomalyError(f"The folder {str(folder)!r} cannot be used: {error}.") from error


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def _mark(folder: Path) -> None:
    scratch = folder / f".{READY}"
    scratch.write_text(json.dumps({"version": VERSION}), encoding="utf-8")
    os.replace(scratch, folder / READY)
