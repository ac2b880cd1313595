"""What a detector costs: seconds to fit, milliseconds and network calls a sample, memory at the peak.

Knows detectors and clocks, not data sets. Calls are counted, not taken from what a method says of itself.
"""

from __future__ import annotations

import resource
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import numpy as np
from torch import nn

from detectors.denoiser import Denoiser
from detectors.detector import Detector, make_detector
from detectors.method import Learned

T = TypeVar("T")
PERIOD = 0.02  # seconds between two looks at the memory


@dataclass(frozen=True)
class Cost:
    """What one method cost on one set."""

    fit_seconds: float
    ms_per_sample: float  # milliseconds of scoring, reading and encoding included
    calls: float  # network calls a sample, forward passes counted (a backbone's not)
    peak_mb: float  # memory of the process at its highest, while fitting and scoring, above what it was before


class Memory:
    """The highest resident memory of this process during a `with` block, in MB above its start."""

    def __enter__(self) -> Memory:
        self.start = self.peak = resident_mb()
        self._done = threading.Event()
        self._watcher = threading.Thread(target=self._watch, daemon=True)
        self._watcher.start()
        return self

    def _watch(self) -> None:
        while not self._done.wait(PERIOD):
            self.peak = max(self.peak, resident_mb())

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._done.set()
        self._watcher.join()
        self.peak = max(self.peak, resident_mb())

    @property
    def used(self) -> float:
        """MB at the peak above the start."""
        return self.peak - self.start


def resident_mb() -> float:
    """Memory that this process holds now (where the system does not say so: the most it ever held), MB."""
    status = Path("/proc/self/statm")
    if status.exists():
        return int(status.read_text().split()[1]) * resource.getpagesize() / 2**20
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most / 2**20 if sys.platform == "darwin" else most / 2**10


class Calls:
    """Counts the items that a method's networks are given during a `with` block."""

    def __init__(self, method: nn.Module) -> None:
        self.networks = list(_networks(method))
        self.items = 0

    def __enter__(self) -> Calls:
        self._hooks = [network.register_forward_hook(self._saw) for network in self.networks]
        return self

    def _saw(self, network: nn.Module, given: tuple[Any, ...], told: Any) -> None:
        self.items += len(given[0])

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for hook in self._hooks:
            hook.remove()


def _networks(module: nn.Module) -> Iterator[nn.Module]:
    """The learned networks of a method: its modules with parameters that are no method, denoiser or list of these."""
    seen: set[int] = set()
    waiting = [module]
    while waiting:
        for child in waiting.pop().children():
            if isinstance(child, Learned | Denoiser | nn.ModuleDict | nn.ModuleList):
                waiting.append(child)
            elif id(child) not in seen and next(child.parameters(), None) is not None:
                seen.add(id(child))
                yield child


class Metered:
    """A detector that is timed and watched while it is fitted and while it scores."""

    def __init__(self, modality: str, method: str, normals: Any, *, seed: int, **settings: Any) -> None:
        """Make and fit it. Raises AnomalyError as `make_detector` and `fit` do."""
        began = time.perf_counter()
        with Memory() as memory:
            self.detector: Detector = make_detector(modality, method, seed=seed, **settings).fit(normals)
        self.fit_seconds, self.fit_mb = time.perf_counter() - began, memory.used

    def score(self, samples: Any, member: str | None = None) -> tuple[np.ndarray, Cost]:
        """Scores and their cost; series: a sample is a time stamp, the calls are those of its windows."""
        assert self.detector.method is not None
        began = time.perf_counter()
        with Memory() as memory, Calls(self.detector.method) as calls:
            scores = self.detector.decision_function(samples, member=member)
        count = max(1, len(scores))
        took = time.perf_counter() - began
        peak = max(self.fit_mb, memory.used)
        each = round(1000 * took / count, 4), round(calls.items / count, 3)
        return scores, Cost(round(self.fit_seconds, 2), *each, round(peak, 1))


def metered_baseline(judge: Callable[[], T], count: int) -> tuple[T, Cost]:
    """What a baseline says of `count` samples, and its cost: it fits and scores in one go, all told as scoring."""
    began = time.perf_counter()
    with Memory() as memory:
        told = judge()
    return told, Cost(0.0, round(1000 * (time.perf_counter() - began) / max(1, count), 4), 0.0, round(memory.used, 1))


def parse_method(
    text: str, named: Mapping[str, tuple[str, Mapping[str, Any]]] | None = None
) -> tuple[str, dict[str, Any]]:
    """A method as the bench names it, and its settings: a name of `named`, "method" or "method:form"."""
    if named and text in named:
        method, settings = named[text]
        return method, dict(settings)
    method, _, form = text.partition(":")
    return method, {"form": form} if form else {}
