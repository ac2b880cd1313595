"""Goes round: the next step of a source, kept, told; waits where there is none; ends with a summary.

Knows feeds, the ledger and the sender; not files, scorers or HTTP.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from assistant.pipeline import Workspace, model_folder
from assistant.records import Finding
from assistant.watch.alerts import Sender
from assistant.watch.folder import FolderFeed
from assistant.watch.frames import CAMERA, CameraFrames, ClipFrames, FolderFrames, FramesFeed
from assistant.watch.judge import Judge
from assistant.watch.ledger import Ledger, Step
from assistant.watch.push import PushFeed
from assistant.watch.rows import RowsFeed
from assistant.watch.waiting import LOOK_EVERY, Waiter
from detectors.errors import AnomalyError

CLIPS = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".zip")
PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".webp", ".ppm", ".pgm")
TROUBLES = 5  # looks in a row that may fail before a watch that goes round once gives up


class Feed(Protocol):
    """Where steps come from."""

    ended: bool
    remarks: list[str]

    @property
    def busy(self) -> bool:
        """Whether something is on its way, so that a look that found nothing was too early."""

    def next(self) -> Step | None:
        """The next step; None: nothing new."""

    def wait(self, waiter: Waiter) -> None:
        """Until there may be something new."""


@dataclass(frozen=True)
class Options:
    """How a watch goes about it."""

    alpha: float = 0.01
    once: bool = False  # what is there now, then the end
    settle: float = 1.0  # seconds that a file must rest before it is read
    idle: float = 60.0  # seconds after which a series that does not grow is judged to its end
    fps: float = 1.0  # frames a second taken from a camera
    webhook: str = ""
    listen: tuple[str, int] | None = None  # host and port of an HTTP push
    every: float = LOOK_EVERY  # seconds between looks


@dataclass
class Summary:
    """What a watch came to."""

    judged: int = 0
    findings: list[str] = field(default_factory=list)
    runs: list[str] = field(default_factory=list)
    skipped: int = 0
    seconds: float = 0.0
    alerts_waiting: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {**vars(self), "seconds": round(self.seconds, 1)}


class Teller(Protocol):
    """Where a watch tells what happens."""

    def finding(self, finding: Finding) -> None:
        """A new finding."""

    def remark(self, text: str) -> None:
        """Something worth a line."""


def watch(
    workspace: Workspace, source: str, model: Path, options: Options, teller: Teller, stop: threading.Event,
    summary: Summary | None = None,
) -> Summary:  # fmt: skip
    """Watch until the source ends, or `stop` is set; what was begun is finished first. `summary`: filled as it goes on.

    Raises:
        AnomalyError: the source, the model or an address cannot be used, or another process watches the same.
    """
    model = model_folder(model)
    place = _place(source, options)
    ledger = Ledger(workspace.store, place, str(model), alerting=bool(options.webhook))
    judge = Judge(workspace, ledger, model, options.alpha)
    feed = _feed(place, judge, options)
    sender = Sender(ledger, options.webhook, teller.remark) if options.webhook else None
    if options.listen:
        teller.remark(f"Listening at {feed.address}")
    summary, began = summary or Summary(), time.monotonic()
    try:
        _go_round(feed, judge, options, teller, stop, summary, sender)
    finally:
        if isinstance(feed, PushFeed):
            feed.close()
        if sender is not None:
            sender.close()
        judge.tidy()
        summary.seconds = time.monotonic() - began
        summary.alerts_waiting = ledger.waiting()
    return summary


def _go_round(
    feed: Feed, judge: Judge, options: Options, teller: Teller, stop: threading.Event, summary: Summary,
    sender: Sender | None,
) -> None:  # fmt: skip
    waiter, troubles, drift = Waiter(stop, options.every), 0, None
    while not stop.is_set():
        try:
            step, troubles = feed.next(), 0
        except AnomalyError as error:
            troubles += 1
            if judge.ledger.version == 0 or (options.once and troubles == TROUBLES):
                raise
            if troubles == 1:  # told once; it may come back
                teller.remark(str(error))
            waiter.wait()
            continue
        for text in (*feed.remarks, *judge.remarks):
            teller.remark(text)
        feed.remarks.clear()
        judge.remarks.clear()
        if step is None:
            if feed.ended or (options.once and not feed.busy):
                return
            feed.wait(waiter)
            continue
        drift = _kept(step, feed, judge, teller, summary, sender, drift)


def _kept(
    step: Step, feed: Feed, judge: Judge, teller: Teller, summary: Summary, sender: Sender | None, drift: str | None
) -> str | None:
    """Keep a step and tell of it; the drift as it is now."""
    names = judge.keep(step)
    if isinstance(feed, PushFeed):
        feed.kept(step, names, judge.ledger.run)
    for name in names:
        teller.finding(judge.workspace.store.finding(name))
    bad = [one for one in step.dealt if one.reason]
    for one in bad:
        teller.remark(f"Left out: {one.name}: {one.reason}")
    if names and sender is not None:
        sender.wake()
    summary.judged += step.judged
    summary.findings += names
    summary.skipped += len(bad)
    if step.run is None:
        return drift
    runs = [judge.workspace.store.finding(name).run for name in names[:1]] or [judge.ledger.run or ""]
    summary.runs += [run for run in runs if run and run not in summary.runs]
    now = str((step.run.info.get("drift") or {}).get("direction", "none"))
    if now != "none" and now != drift:
        teller.remark(f"Drift: what comes in scores {now} than the normals of the fit.")
    elif now == "none" and drift not in (None, "none"):
        teller.remark("The drift has gone: scores are again like those of the normals of the fit.")
    return now


# --- sources --------------------------------------------------------------------------------------------------------


def _place(source: str, options: Options) -> str:
    """What a watch is known by: an absolute path, a camera, or where it listens."""
    if options.listen:
        return f"http push {source}".strip()
    return source if source.startswith(CAMERA) else str(Path(source).expanduser().absolute())


def _feed(place: str, judge: Judge, options: Options) -> Any:
    if options.listen:
        return PushFeed(judge, *options.listen, options.idle)
    if place.startswith(CAMERA):
        return FramesFeed(judge, CameraFrames(place, options.fps), False, options.idle)
    path = Path(place)
    if not path.exists():
        raise AnomalyError(f"There is no file or folder {place!r} to watch.")
    if path.is_file():
        if path.suffix.lower() in CLIPS:
            return FramesFeed(judge, ClipFrames(path), True, options.idle)
        return RowsFeed(judge, path, options.idle)
    if judge.modality == "video" and any(one.suffix.lower() in PICTURES for one in path.iterdir()):
        return FramesFeed(judge, FolderFrames(path, options.settle), True, options.idle)
    return FolderFeed(judge, path, options.settle)
