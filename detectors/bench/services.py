"""Nezha: metrics, logs and traces of the pods of two services, and which pod a fault was injected into.

Knows the set's files. Minutes are scored on metrics alone, since logs and traces exist almost only where faults are
labelled; these say, of a minute that is known to be faulty, which pod departs most from its usual self.
"""

from __future__ import annotations

import csv
import gzip
import json
import warnings
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

NEAR = 15 * 60  # seconds between the normal and the faulty minute of a pair
BLOCK, FOLDS = 30, 5  # minutes scored together by a detector that was fitted on the normals of the other folds
PAST = 15  # minutes of a pod's own past
APPS = {"nezha-ob": "onlineboutique", "nezha-tt": "trainticket"}


@dataclass(frozen=True)
class Service:
    """One application over one day; pods are named without the suffix of their replica."""

    time: np.ndarray  # (minute,) unix seconds
    pods: list[str]
    metrics: np.ndarray  # (minute, pod, metric), NaN = missing
    names: list[str]  # of metrics
    front: np.ndarray  # (minute, number) success rate and latencies at the front door
    labels: np.ndarray  # (minute,) 0 or 1
    fault: np.ndarray  # (minute,) number of the fault, -1 = none
    guilty: list[str]  # pod of each fault
    counts: dict[str, dict[tuple[str, str], float]]  # "HH:MM" -> (pod, log template) -> lines
    usual: set[str]  # minutes of the normal phase
    spans: dict[str, dict[tuple[str, str], float]]  # "HH:MM" -> (pod, operation) -> log10 of the median duration in us

    def parts(self, rows: np.ndarray, seen: np.ndarray) -> dict[str, pd.DataFrame]:
        """One series a pod, and the front door; `seen` (pod, metric) bool tells the metrics that are ever there."""
        clock = pd.to_datetime(self.time[rows], unit="s")
        names = np.array(self.names)
        told = {
            pod: pd.DataFrame(self.metrics[rows][:, k][:, seen[k]], index=clock, columns=names[seen[k]])
            for k, pod in enumerate(self.pods)
        }
        return {**told, "front": pd.DataFrame(self.front[rows], index=clock)}


def load_service(folder: Path, app: str) -> Service:
    """One application of the set."""
    path = next(folder.glob(f"{app}_*.npz"))
    with np.load(path, allow_pickle=False) as file:
        kept = {name: file[name] for name in file.files}
    faults = json.loads(str(kept["faults"]))
    counts, usual = _table(path.with_name(f"{path.stem}_logs.csv.gz"), "template", lambda r: float(r["count"]))
    spans, _ = _table(path.with_name(f"{path.stem}_traces.csv.gz"), "operation",
                      lambda r: float(np.log10(1 + float(r["median_us"]))))  # fmt: skip
    return Service(
        kept["time"], [_pod(p) for p in kept["pods"]],
        kept["metrics"].astype(float), [str(n) for n in kept["metric_names"]],
        kept["front"].astype(float), kept["label"].astype(int), kept["fault_index"].astype(int),
        [_pod(f["inject_pod"]) for f in faults], counts, usual, spans,
    )  # fmt: skip


def _pod(name: Any) -> str:
    return str(name).rsplit("-", 2)[0]


def _table(path: Path, key: str, value: Callable[[dict[str, str]], float]) -> tuple[dict[str, Any], set[str]]:
    out: dict[str, Any] = defaultdict(dict)
    usual = set()
    with gzip.open(path, "rt", newline="") as file:
        for row in csv.DictReader(file):
            out[row["minute"]][_pod(row["pod"]), row[key]] = value(row)
            if row["phase"] == "normal":
                usual.add(row["minute"])
    return out, usual


# --- minutes ---------------------------------------------------------------------------------------------------------
def cross_scored(
    service: Service, score: Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]
) -> np.ndarray:
    """(minute,) scores, each by a model that saw normal minutes of other half hours only.

    score: (rows to fit on, rows to score) -> (their scores, scores of normals), which put the folds on one scale.
    """
    fold = np.arange(len(service.time)) // BLOCK % FOLDS
    out = np.zeros(len(fold))
    for number in range(FOLDS):
        fit, held = np.flatnonzero((fold != number) & (service.labels == 0)), np.flatnonzero(fold == number)
        scores, normal = score(fit, held)
        low, high = np.nanquantile(normal, [0.5, 0.9])
        out[held] = (scores - low) / max(high - low, 1e-9)
    return out


def near_auroc(service: Service, scores: np.ndarray) -> float:
    """Over pairs of a normal and a faulty minute at most NEAR apart: a plain clock scores on farther ones."""
    normal = np.flatnonzero(service.labels == 0)
    right = pairs = 0.0
    for minute in np.flatnonzero(service.labels == 1):
        near = normal[np.abs(service.time[normal] - service.time[minute]) <= NEAR]
        right += (scores[minute] > scores[near]).sum() + 0.5 * (scores[minute] == scores[near]).sum()
        pairs += len(near)
    return right / pairs


# --- causes ----------------------------------------------------------------------------------------------------------
def blamed(service: Service, evidence: np.ndarray, use_texts: bool) -> dict[str, float]:
    """Share of the faults whose pod comes first, and among the first three.

    evidence: (minute, pod) of metrics; use_texts: logs and traces count as well. Each source is told in deviations over
    the pods of that minute, then they are added.
    """
    places = []
    usual = _usual_spans(service)
    for number, pod in enumerate(service.guilty):
        minutes = np.flatnonzero(service.fault == number)
        if not len(minutes) or pod not in service.pods:
            continue
        total = _over_pods(np.nanmax(evidence[minutes], axis=0))
        if use_texts:
            clocks = [pd.Timestamp(service.time[m], unit="s").strftime("%H:%M") for m in minutes]
            total = total + _over_pods(_log_change(service, clocks)) + _over_pods(_span_change(service, clocks, usual))
        places.append(1 + int((total > total[service.pods.index(pod)]).sum()))
    ranks = np.array(places)
    return {"top1_pod": float((ranks <= 1).mean()), "top3_pod": float((ranks <= 3).mean())}


def local_evidence(values: np.ndarray) -> np.ndarray:
    """(minute, pod) evidence less its median over the PAST minutes before."""
    out = np.zeros_like(values)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        for minute in range(len(values)):
            past = values[max(0, minute - PAST) : minute]
            out[minute] = values[minute] - (np.nanmedian(past, axis=0) if len(past) else np.nanmedian(values, axis=0))
    return np.nan_to_num(out)


def _over_pods(values: np.ndarray) -> np.ndarray:
    """A pod's evidence in standard deviations over the pods; zeros where there is none."""
    deviation = values.std()
    return (values - values.mean()) / deviation if deviation > 1e-9 else np.zeros_like(values)


def _log_change(service: Service, clocks: list[str]) -> np.ndarray:
    """By pod: how far its counts of log templates depart from those of the normal phase (sum of |log ratio|); where no
    normal phase was recorded, nothing."""
    out = np.zeros(len(service.pods))
    normal = [service.counts[m] for m in service.usual if m in service.counts]
    here = [service.counts[m] for m in clocks if m in service.counts]
    if not normal or not here:
        return out
    for key in {k for one in (*normal, *here) for k in one}:
        if key[0] in service.pods:
            before, now = (np.mean([one.get(key, 0.0) for one in many]) for many in (normal, here))
            out[service.pods.index(key[0])] += abs(np.log((now + 1) / (before + 1)))
    return np.log1p(out)


def _usual_spans(service: Service) -> dict[tuple[str, str], tuple[float, float]]:
    """Median and deviation of each operation's log duration over all minutes that have traces."""
    seen: dict[tuple[str, str], list[float]] = defaultdict(list)
    for minute in service.spans.values():
        for key, value in minute.items():
            seen[key].append(value)
    return {
        k: (float(np.median(v)), 0.05 + 1.48 * float(np.median(np.abs(np.array(v) - np.median(v)))))
        for k, v in seen.items()
    }


def _span_change(service: Service, clocks: list[str], usual: dict[tuple[str, str], tuple[float, float]]) -> np.ndarray:
    """By pod: how much longer (in deviations) its slowest operation takes than usual."""
    out = np.zeros(len(service.pods))
    for clock in clocks:
        for key, value in service.spans.get(clock, {}).items():
            if key[0] in service.pods:
                middle, deviation = usual[key]
                place = service.pods.index(key[0])
                out[place] = max(out[place], (value - middle) / deviation)
    return np.log1p(out)
