"""Sources that the page's process watches: begun and stopped on the Data tab, each in a thread of its own.

Knows the watch's loop and workspaces; not scorers, pages or where data comes from. What a watch finds lies in the store
at once; the badge of new findings tells of it. A watch ends with the process; begun anew, it goes on where it was.
"""

from __future__ import annotations

import logging
import threading
import uuid
from collections import deque
from dataclasses import dataclass, field
from pathlib import Path

from assistant.pipeline import Workspace
from assistant.records import Finding
from assistant.watch.frames import CAMERA
from assistant.watch.loop import Options, Summary
from assistant.watch.loop import watch as go
from detectors.errors import AnomalyError

REMARKS = 4  # the latest remarks of a watch that are shown
MOST = 8  # watches at a time
log = logging.getLogger(__name__)


@dataclass
class Watched:
    """One source that is watched, and what has come of it; the teller of its loop."""

    source: str
    model: str
    id: str = field(default_factory=lambda: uuid.uuid4().hex[:12])
    status: str = "watching"  # | "stopping" | "stopped" | "ended" | "failed"
    error: str = ""
    latest: str = ""  # its latest finding
    summary: Summary = field(default_factory=Summary)
    remarks: deque[str] = field(default_factory=lambda: deque(maxlen=REMARKS))
    stop: threading.Event = field(default_factory=threading.Event)

    @property
    def ended(self) -> bool:
        """Whether it is over."""
        return self.status in ("stopped", "ended", "failed")

    def finding(self, finding: Finding) -> None:
        """A new finding."""
        self.latest = finding.id

    def remark(self, text: str) -> None:
        """Something worth a line."""
        self.remarks.append(text)


class Watches:
    """All that one process watches; they belong to the store, so that every reader of the page sees them."""

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self._known: dict[str, Watched] = {}
        self._lock = threading.Lock()

    def start(self, source: str, model: str, options: Options) -> Watched:
        """Begin to watch.

        Raises:
            AnomalyError: there is no such source, it is watched already, or too much is.
        """
        if not source.startswith(CAMERA) and not Path(source).expanduser().exists():
            raise AnomalyError(f"There is no file or folder {source!r} to watch; a camera is named camera:0.")
        one = Watched(source, model)
        with self._lock:
            running = [other for other in self._known.values() if not other.ended]
            if any((other.source, other.model) == (source, model) for other in running):
                raise AnomalyError(f"{source} is watched with {Path(model).name} already.")
            if len(running) >= MOST:
                raise AnomalyError(f"{MOST} sources are watched already; stop one first.")
            self._known[one.id] = one
        threading.Thread(target=self._run, args=(one, options), name=f"watch-{one.id}", daemon=True).start()
        return one

    def all(self) -> list[Watched]:
        """The latest first."""
        with self._lock:
            return list(reversed(self._known.values()))

    def stop(self, name: str) -> None:
        """Let a watch finish what it has in hand and end; one that has ended is taken off the list."""
        with self._lock:
            one = self._known.get(name)
            if one is None:
                return
            if one.ended:
                del self._known[name]
                return
            one.status = "stopping"
        one.stop.set()

    def _run(self, one: Watched, options: Options) -> None:
        status = "failed"
        try:
            go(self.workspace, one.source, Path(one.model), options, one, one.stop, one.summary)
            status = "stopped" if one.stop.is_set() else "ended"
        except AnomalyError as error:
            one.error = str(error)
        except Exception as error:  # a thread has nobody above it who could tell
            log.exception("watching %s failed", one.source)
            one.error = f"This failed unexpectedly ({type(error).__name__}: {str(error)[:200]}); the log says where."
        one.status = status
