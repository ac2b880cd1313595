"""Tools over whole runs: what was flagged, lists of findings, any sample by its name."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any, Literal

import numpy as np

from assistant.evidence import Fact, ToolResult
from assistant.feedback.suggestions import suggestions
from assistant.incidents import kind_of_place
from assistant.kinds import load_kinds
from assistant.modalities import kind
from assistant.pipeline import Workspace
from assistant.records import Finding, Run
from assistant.tools import tool
from assistant.tools._facts import percent, sample_facts

MOST = 50  # findings told at once
MOST_SAMPLES = 5
PARTS = 6
SAME_WORD = {"top": "upper", "bottom": "lower", "middle": "centre", "center": "centre", "central": "centre"}


@tool
def overview(workspace: Workspace, run: str | None = None) -> ToolResult:
    """What a run found: source, number of samples and findings, the most anomalous finding, which parts are involved.

    Args:
        run: the run's id such as R1; the latest run if left out.
    """
    one = workspace.store.run(run)
    facts = [
        Fact(one.id, "source", one.source),
        Fact(one.id, "created", one.created),
        Fact(one.id, "modality", one.modality),
        Fact(one.id, "method", one.method),
        Fact(one.id, "alpha", one.alpha),
        Fact(one.id, "samples", one.n_samples),
        Fact(one.id, "findings", one.n_flagged),
    ]
    if one.info.get("members"):
        facts.append(Fact(one.id, "members", ", ".join(one.info["members"])))
    if one.fdr is not None:
        facts.append(Fact(one.id, "fdr", one.fdr))
    if one.skipped:
        facts.append(Fact(one.id, "skipped_files", len(one.skipped)))
    if not kind(one.modality).event:  # an event is not one sample
        facts.append(percent(one.id, "flagged_share", one.n_flagged / max(1, one.n_samples)))
    facts += _drift(one)
    for suggestion in suggestions(workspace.store, one.id):  # what the labels so far are enough for
        subject = f"{one.id}/suggestion {suggestion.what}"
        facts += [Fact(subject, "labels", suggestion.count), Fact(subject, "needed", suggestion.needed)]
    facts.append(Fact("store", "runs", len(workspace.store.runs())))
    if not one.n_flagged:
        return ToolResult(
            facts, note=f"Nothing was flagged in {one.id}: no sample is anomalous at alpha {one.alpha:g}."
        )
    return ToolResult(facts + _found(workspace, one))


def _drift(run: Run) -> list[Fact]:
    """Whether the batch as a whole scores unlike the normals of the fit; nothing in runs older than the alarm."""
    state = run.info.get("drift")
    if state is None:
        return []
    facts = [Fact(run.id, "drifting", state["drifting"])]
    if state["drifting"]:
        facts.append(Fact(run.id, "drift_direction", state["direction"]))
        facts.append(Fact(run.id, "drift_p_value", state["p_value"]))
        facts.append(percent(run.id, "drift_size", state["statistic"]))
    return facts


def _found(workspace: Workspace, run: Run) -> list[Fact]:
    worst = workspace.store.findings(run.id, limit=1)[0]
    facts = [Fact(run.id, "most_anomalous", worst.id), Fact(run.id, "lowest_p_value", worst.p_value)]
    facts.append(Fact(worst.id, "sample", worst.sample))
    for state, count in sorted(workspace.store.states(run.id).items()):
        facts.append(Fact(run.id, f"{state.replace(' ', '_')}_findings", count))
    facts += ignored_facts(workspace, run.id)
    place = kind_of_place(run.modality)
    label = place if place == "position" else kind(run.modality).part
    for name, count in workspace.store.kinds(run.id).items():
        facts.append(Fact(f"{run.id}/kind {name}", "findings", count))
    for name, count in workspace.store.involved(place, run.id, PARTS):
        facts.append(Fact(f"{run.id}/{label} {name}", "findings", count))
    return facts


@tool
def list_findings(
    workspace: Workspace,
    run: str | None = None,
    order: Literal["p_value", "score", "index", "created"] = "p_value",
    descending: bool = False,
    limit: int = 10,
    offset: int = 0,
    state: Literal["new", "confirmed", "false alarm", "in incident"] | None = None,
    part: str | None = None,
    position: str | None = None,
    kind: str | None = None,
    search: str | None = None,
    max_p: float | None = None,
    since: str | None = None,
    until: str | None = None,
    ignored: bool = False,
) -> ToolResult:
    """List, filter and sort the findings of a run; the most anomalous (lowest p-value) come first.

    Args:
        run: the run's id such as R1; the latest run if left out.
        order: what to sort by; the lowest p_value is the most anomalous.
        descending: largest first.
        limit: how many to list, at most 50.
        offset: how many to leave out at the beginning.
        state: only findings in this state.
        part: only findings in which this channel or feature carries score.
        position: only findings with a region at this place of the image, such as "upper left" or "lower".
        kind: only findings of this kind of anomaly, such as "scratch" or "spike".
        search: only findings whose sample name or note holds this text.
        max_p: only findings with at most this p-value.
        since: only findings that happened at or after this ISO time.
        until: only findings that happened at or before this ISO time.
        ignored: those that a rule ignores, instead of the others.
    """
    one = workspace.store.run(run)
    filters: dict[str, Any] = {"state": state, "part": part, "search": search, "max_p": max_p}
    filters["kind"] = None if kind is None else load_kinds(workspace.config.kinds).called(kind) or kind
    filters |= {"since": since, "until": until, "position": _positions(workspace, one.id, position)}
    total = workspace.store.count_findings(one.id)
    filters["ignored"] = ignored
    matching = workspace.store.count_findings(one.id, **filters)
    limit = min(max(limit, 1), MOST)
    found = workspace.store.findings(one.id, order, descending, limit, max(offset, 0), **filters)
    facts = [
        Fact(one.id, "findings", total),
        Fact(one.id, "matching", matching),
        Fact(one.id, "shown", len(found)),
        Fact(one.id, "alpha", one.alpha),
    ]
    facts += ignored_facts(workspace, one.id)
    for finding in found:
        facts += _line(finding)
    if found:
        return ToolResult(facts)
    filters["position"], filters["ignored"] = position, ignored or None
    asked = ", ".join(f"{key} = {value!r}" for key, value in filters.items() if value is not None)
    note = f"{matching} of {total} findings in {one.id} match{' ' + asked if asked else ''}; none is shown."
    return ToolResult(facts, status="no_data", note=note + _known(workspace, one, part))


def ignored_facts(workspace: Workspace, run: str) -> list[Fact]:
    """How many findings of a run which rules ignore; nothing where none does."""
    counts = workspace.store.count_ignored(run)
    if not counts:
        return []
    total = workspace.store.count_findings(run, ignored=True)
    facts = [Fact(run, "ignored_findings", total)]
    for name, count in counts.items():
        rule = workspace.store.rule(name)
        facts += [Fact(name, "findings", count), Fact(name, "ignores", rule.what), Fact(name, "reason", rule.reason)]
        facts.append(Fact(name, "last_day", rule.expires[:10]))
    return facts


def _positions(workspace: Workspace, run: str, asked: str | None) -> list[str] | None:
    """The places that hold every word asked for: "top" finds "upper left" and "upper right"."""
    if asked is None:
        return None
    known = [name for name, _ in workspace.store.involved("position", run, 100)]
    words = {SAME_WORD.get(word, word) for word in re.findall(r"[a-z]+", asked.lower())}
    exact = [name for name in known if set(name.split()) == words]
    return exact or [name for name in known if words and words <= set(name.split())]


def _known(workspace: Workspace, run: Run, part: str | None) -> str:
    """What there is, where a part was asked for that no finding involves."""
    names = [name for name, _ in workspace.store.involved("part", run.id, 20)]
    if part is None or part.casefold() in {name.casefold() for name in names}:
        return ""
    return f" Parts that findings involve: {', '.join(repr(name) for name in names) or 'none'}."


def _line(finding: Finding) -> list[Fact]:
    """A finding in a list: what it is, and where it mainly lies."""
    facts = [
        Fact(finding.id, "sample", finding.sample),
        Fact(finding.id, "p_value", finding.p_value),
        Fact(finding.id, "score", finding.score),
        Fact(finding.id, "state", finding.state),
    ]
    if finding.kind:
        facts.append(Fact(finding.id, "kind", finding.kind))
    if finding.ignored:
        facts.append(Fact(finding.id, "ignored_by", finding.ignored))
    region = finding.regions[0] if finding.regions else {}
    if region.get("position"):
        facts.append(Fact(f"{finding.id}/{region['name']}", "position", region["position"]))
    if region.get("start_time"):
        facts.append(Fact(f"{finding.id}/{region['name']}", "start_time", region["start_time"]))
    if finding.parts and not kind(finding.modality).places_are_parts:
        facts.append(Fact(finding.id, "main_part", finding.parts[0]["name"]))
    return facts


@tool
def find_sample(workspace: Workspace, name: str, run: str | None = None) -> ToolResult:
    """Any scored sample, flagged or not: an image by its name or number, a row by its number, a moment of a series by
    its time or row. Answers "is part 3 normal?".

    Args:
        name: what the sample is called: part_017.png, 17, row 217, 2024-03-02T10:15.
        run: the run's id such as R1; the latest run that has such a sample if left out.
    """
    runs = [workspace.store.run(run)] if run else workspace.store.runs()
    for loose in (False, True):  # "piece 17" may mean part_017, but only where no run has a piece 17
        for one in runs:
            found = _moment(workspace, one, name) if one.modality == "series" else _named(workspace, one, name, loose)
            if found is not None:
                return found
    where = f"in {runs[0].id}" if run else f"in the {len(runs)} runs of this store"
    return ToolResult(status="no_data", note=f"There is no sample {name[:80]!r} {where}.")


def _named(workspace: Workspace, run: Run, name: str, loose: bool) -> ToolResult | None:
    samples = workspace.store.samples_named(name, run.id, MOST_SAMPLES, loose)
    if not samples:
        return None
    facts = [fact for sample in samples for fact in sample_facts(sample, run)]
    note = f"{len(samples)} samples of {run.id} are called like that." if len(samples) > 1 else ""
    return ToolResult(facts, note=note, subjects=[run.id, *(sample.finding for sample in samples if sample.finding)])


def _moment(workspace: Workspace, run: Run, name: str) -> ToolResult | None:
    """A stamp of a series, by its row or its time (the nearest stamp within the series)."""
    frame = workspace.series(run.id)
    row = _row_of(frame, name)
    if row is None:
        return None
    scores, p_values = workspace.series_scores(run.id)
    finding = _event_at(workspace, run, row)
    subject = f"sample {frame.index[row].isoformat() if frame.index.dtype.kind == 'M' else row}"
    facts = [
        Fact(subject, "run", run.id),
        Fact(subject, "index", row),
        Fact(subject, "score", float(scores[row]) if np.isfinite(scores[row]) else None),
        Fact(subject, "p_value", float(p_values[row])),
        Fact(subject, "alpha", run.alpha),
        Fact(subject, "flagged", finding is not None),
    ]
    if finding is not None:
        facts.append(Fact(subject, "finding", finding.id))
    return ToolResult(facts, subjects=[run.id, *([finding.id] if finding else [])])


def _row_of(frame: object, name: str) -> int | None:
    import pandas as pd

    assert isinstance(frame, pd.DataFrame)
    number = re.fullmatch(r"(?:row|stamp|index|sample)?\s*(\d{1,9})", name.strip(), re.IGNORECASE)
    if number:
        return int(number[1]) if int(number[1]) < len(frame) else None
    if not isinstance(frame.index, pd.DatetimeIndex):
        return None
    try:
        moment = pd.Timestamp(datetime.fromisoformat(name.strip()))
    except ValueError:
        return None
    if (moment.tz is None) != (frame.index.tz is None):
        moment = moment.tz_localize(frame.index.tz) if moment.tz is None else moment.tz_localize(None)
    if not frame.index[0] <= moment <= frame.index[-1]:
        return None
    return int(frame.index.get_indexer(pd.DatetimeIndex([moment]), method="nearest")[0])


def _event_at(workspace: Workspace, run: Run, row: int) -> Finding | None:
    before = workspace.store.findings(run.id, order="index", descending=True, limit=1, max_index=row)
    ends = [region["end"] for finding in before for region in finding.regions if region.get("end") is not None]
    return before[0] if ends and row < max(ends) else None
