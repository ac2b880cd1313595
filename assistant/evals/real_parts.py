"""Real causes where several parts are seen together: when a fall began (URFD), which pod a fault was injected into
(Nezha, from metrics alone, since logs and traces exist almost only where faults are labelled)."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np

from assistant.evals.real import scored
from assistant.evals.table import Job, Line, counted
from assistant.pipeline import Workspace
from assistant.records import Finding

ALPHA = 0.01
ONSET = 15  # steps of a fifteenth of a second: how far a named start may lie from the true one
MINUTES_AFTER = 1  # a fault may show in the metrics of the minute after those labelled


def falls(name: str, job: Job) -> Iterator[Line]:
    """URFD: fitted on ten recordings of daily life, asked about ten others and fifteen falls.

    Raises AnomalyError where the set is not there.
    """
    from detectors.bench.multimodal import load_falls

    assert job.data is not None
    case = load_falls(job.data)
    lengths = [len(one["acc"]) for one in case.test]
    first = np.cumsum([0, *lengths])
    with scored(name, case.normal, case.test, "multimodal", ALPHA, job) as (workspace, found):
        spans = [_span(finding) for finding in workspace.store.findings(found.id, limit=None)]
    seen, onset, quiet = [], [], 0
    for number, length in enumerate(lengths):
        own = slice(first[number], first[number] + length)
        inside = [(a - own.start, b - own.start) for a, b in spans if own.start <= a < own.stop]
        truth = np.flatnonzero(case.labels[own])
        if not len(truth):
            quiet += not inside
            continue
        hits = [span for span in inside if span[1] > truth[0] - ONSET]
        seen.append((bool(hits), f"recording {number}"))
        if hits:
            off = min((span[0] - int(truth[0]) for span in hits), key=abs)
            onset.append((abs(off) <= ONSET, f"recording {number}: {off / ONSET:+.1f} s"))
    yield counted(name, "falls flagged", seen)
    yield counted(name, "onset of a flagged fall within a second", onset)
    yield Line(name, "recordings of daily life without a finding", quiet, len(lengths) - len(seen))


def _span(finding: Finding) -> tuple[int, int]:
    """First step and one past the last of an event of several parts."""
    from assistant.keeping import load_stretch

    return load_stretch(finding.folder).event


def pods(name: str, job: Job) -> Iterator[Line]:
    """Nezha: each half hour is judged by a model of the normal minutes of the others.

    Raises AnomalyError where the set is not there.
    """
    from detectors.bench.services import APPS, BLOCK, FOLDS, load_service
    from detectors.errors import AnomalyError

    assert job.data is not None
    if not (job.data / "mm_nezha").is_dir():
        raise AnomalyError(f"There is no set of services in {job.data / 'mm_nezha'}.")
    for short, app in APPS.items():
        service = load_service(job.data / "mm_nezha", app)
        fold = np.arange(len(service.time)) // BLOCK % FOLDS
        found: dict[int, Finding] = {}
        farthest: dict[int, str] = {}
        for number in range(FOLDS):
            fit, held = np.flatnonzero((fold != number) & (service.labels == 0)), np.flatnonzero(fold == number)
            seen = np.isfinite(service.metrics[fit]).any(0)
            parts = service.parts(fit, seen), service.parts(held, seen)
            settings = {"window": 1, "components": 6}
            with scored(f"{short}-{number}", *parts, "multimodal", ALPHA, job, settings) as (workspace, run):
                hits = _by_fault(service, held, workspace, run.id)
            found |= hits
            away = _deviations(service.metrics[fit], service.metrics)
            farthest |= {
                fault: service.pods[int(np.nanmax(away[service.fault == fault], 0).argmax())] for fault in hits
            }
        yield from _blamed(short, service, found, farthest)


def _by_fault(service: Any, held: np.ndarray, workspace: Workspace, run: str) -> dict[int, Finding]:
    """Fault -> the finding with the highest score in its minutes."""
    hits: dict[int, Finding] = {}
    for finding in workspace.store.findings(run, order="score", descending=True, limit=None):
        start, end = _span(finding)
        minutes = held[start:end]
        for fault in {int(f) for m in minutes for f in service.fault[max(0, m - MINUTES_AFTER) : m + 1] if f >= 0}:
            hits.setdefault(fault, finding)
    return hits


def _deviations(normal: np.ndarray, values: np.ndarray) -> np.ndarray:
    """(minute, pod): how far its oddest metric lies from its normal mean, in deviations; what a simple look says."""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # metrics that a pod never has
        away = np.abs(values - np.nanmean(normal, 0)) / (np.nanstd(normal, 0) + 1e-9)
        return np.nan_to_num(np.nanmax(away, 2))


def _blamed(name: str, service: Any, found: dict[int, Finding], farthest: dict[int, str]) -> Iterator[Line]:
    faults = sorted({int(f) for f in service.fault if f >= 0})
    first, three, simple = [], [], []
    for fault, finding in found.items():
        named = [str(region["name"]) for region in finding.regions if region["name"] in service.pods][:3]
        guilty = service.guilty[fault]
        simple.append((farthest[fault] == guilty, f"fault {fault}"))
        first.append((named[:1] == [guilty], f"fault {fault}: {named[:1]}, guilty {guilty}"))
        three.append((guilty in named, f"fault {fault}"))
    yield Line(name, "faults flagged", len(found), len(faults))
    yield counted(name, "pod named first is guilty", first)
    yield counted(name, "guilty pod among the first three", three)
    yield counted(name, "pod with the largest deviation is guilty", simple)
