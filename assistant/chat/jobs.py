"""Runs what takes long - a fit, a detection - in a thread of its own, with progress and a cancel that works.

Knows functions that report progress; not what they do, nor pages. A job is cancelled at its next report of progress:
what it raises there undoes it like any failure, and its own clean-up runs. Jobs live in this process; what they made
lives in the store.
"""

from __future__ import annotations

import logging
import threading
import time
import uuid
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from detectors.errors import AnomalyError

Progress = Callable[[float, str], None]
Work = Callable[[Progress], Any]

ENDED = ("done", "failed", "cancelled")
KEPT = 200  # ended jobs that are still told of
WAITING_MOST = 20  # jobs of one reader that may wait or run at a time
log = logging.getLogger(__name__)


class CancelledError(Exception):
    """The person has cancelled the job. No AnomalyError: what is wrong with one sample is caught, this is not."""


@dataclass
class Job:
    """One piece of work and how far it is."""

    title: str
    owner: str  # the reader whose job it is
    id: str = field(default_factory=lambda: uuid.uuid4().hex[:12])
    status: str = "waiting"  # "waiting" | "running" | "cancelling" | one of ENDED
    fraction: float = 0.0
    message: str = "waiting for its turn"
    result: Any = None
    error: str = ""  # one sentence, where it failed
    so_far: Any = None  # what it has come to until now, for whoever shows it
    begun: float = field(default_factory=time.monotonic)
    seconds: float = 0.0

    @property
    def ended(self) -> bool:
        return self.status in ENDED


class Jobs:
    """The jobs of one process, one computing at a time: two would take each other's cores."""

    def __init__(self) -> None:
        self._jobs: OrderedDict[str, Job] = OrderedDict()
        self._lock = threading.Lock()
        self._turn = threading.Lock()

    def start(self, title: str, owner: str, work: Work, so_far: Any = None) -> Job:
        """Begin a job; it is done when `Job.ended`. `so_far`: kept with it, filled by `work` as it goes.

        Raises:
            AnomalyError: too many of this reader's jobs are waiting.
        """
        job = Job(title, owner, so_far=so_far)
        with self._lock:
            if sum(one.owner == owner and not one.ended for one in self._jobs.values()) >= WAITING_MOST:
                raise AnomalyError(f"{WAITING_MOST} jobs are waiting already; let one end, or cancel it.")
            self._jobs[job.id] = job
            ended = [name for name, one in self._jobs.items() if one.ended]
            for name in ended[: max(0, len(ended) - KEPT)]:
                del self._jobs[name]
        threading.Thread(target=self._run, args=(job, work), name=f"job-{job.id}", daemon=True).start()
        return job

    def of(self, owner: str) -> list[Job]:
        """A reader's jobs, the latest first."""
        with self._lock:
            return [job for job in reversed(self._jobs.values()) if job.owner == owner]

    def all(self) -> list[Job]:
        """Everybody's jobs, the latest first."""
        with self._lock:
            return list(reversed(self._jobs.values()))

    def cancel(self, owner: str, job: str) -> None:
        """Ask a job of this reader to stop; one that has ended stays as it is."""
        with self._lock:
            one = self._jobs.get(job)
            if one is not None and one.owner == owner and not one.ended:
                one.status, one.message = "cancelling", "stopping"

    def dismiss(self, owner: str, job: str) -> None:
        """Take an ended job off the list."""
        with self._lock:
            one = self._jobs.get(job)
            if one is not None and one.owner == owner and one.ended:
                del self._jobs[job]

    def _run(self, job: Job, work: Work) -> None:
        def tell(fraction: float, message: str) -> None:
            if job.status == "cancelling":
                raise CancelledError
            job.fraction, job.message = min(1.0, max(0.0, fraction)), message

        status = "failed"
        try:
            while not self._turn.acquire(timeout=0.2):
                tell(0.0, "waiting for its turn")
            try:
                with self._lock:
                    if job.status == "cancelling":
                        raise CancelledError
                    job.status, job.begun = "running", time.monotonic()
                job.result = work(tell)
                status = "done"
            finally:
                self._turn.release()
        except CancelledError:
            status = "cancelled"
        except AnomalyError as error:
            job.error = str(error)
        except MemoryError:
            job.error = "There is not enough memory for this; give less data at a time."
        except Exception as error:  # a job has nobody above it who could tell
            log.exception("%s failed", job.title)
            job.error = f"This failed unexpectedly ({type(error).__name__}: {str(error)[:200]}); the log says where."
        job.seconds = time.monotonic() - job.begun
        job.status = status
