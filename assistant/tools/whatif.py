"""Tools that score again: why a finding was flagged, and what would be if something were normal, left out or judged
otherwise. Every number here was computed by the detector a moment before."""

from __future__ import annotations

from typing import Any

import numpy as np

from assistant.evidence import Fact, ToolResult
from assistant.modalities import kind
from assistant.pipeline import Workspace
from assistant.records import Finding, Run
from assistant.specimens.specimen import Judgement, Specimen, explained
from assistant.tools import tool
from assistant.tools._facts import change_facts, drawn_facts, finding_facts, place_facts
from assistant.tools.findings import picture_of
from detectors.errors import AnomalyError

NORMAL = "counterfactual.png"  # of an image finding
DRIFT = 0.05  # relative difference of a score that is worth telling


@tool
def explain_finding(workspace: Workspace, finding: str) -> ToolResult:
    """Why a finding was flagged: its places and parts ranked by their share of the score, observed against expected,
    the nearest normal version, the score of that version, and whether it is normal.

    Args:
        finding: the finding's id such as F12.
    """
    one = workspace.store.finding(finding)
    facts = finding_facts(one) + place_facts(one)
    try:
        normal = explained(one) or _explain(workspace, one)
    except AnomalyError as error:  # what was found stays known, also where its model is gone
        return ToolResult(facts, note=f"What normal would look like could not be worked out: {error}")
    facts += [
        Fact(one.id, "counterfactual_score", normal.score),
        Fact(one.id, "counterfactual_p_value", normal.p_value),
        Fact(one.id, "returns_to_normal", normal.p_value > one.alpha),
    ]
    if not kind(one.modality).pictured:
        return ToolResult(facts)
    return ToolResult(facts, pictures=[*picture_of(workspace, one), workspace.store.relative(one.folder / NORMAL)])


def _explain(workspace: Workspace, finding: Finding) -> Judgement:
    with workspace.lock:
        return workspace.specimen(finding).explain()


@tool
def what_if_repaired(
    workspace: Workspace,
    finding: str,
    region: str | None = None,
    part: str | None = None,
    box: list[int] | None = None,
    rows: list[int] | None = None,
) -> ToolResult:
    """Repair one place or part of a finding (make it as the model expects it), leave the rest, and score again, live.

    Args:
        finding: the finding's id such as F12.
        region: the place to repair, such as "region 1" or "interval 1"; everything odd if none is given.
        part: the channel or feature to repair.
        box: a box that the person drew in the picture, as [left, top, right, bottom] in pixels.
        rows: the first and the last row of a stretch of an event, as [first, last]; with part, of that channel alone.
    """
    one = workspace.store.finding(finding)
    with workspace.lock:
        specimen = workspace.specimen(one)
        before, note = _before(specimen)
        repaired = specimen.repaired(_chosen(specimen, region, part, box, rows))
        after = specimen.judge(repaired)
    facts = change_facts(one, before, after)
    if box is None and rows is None:
        facts.insert(1, Fact(one.id, "repaired", specimen.proper(region, part)))
        return ToolResult(facts, note=note)
    facts[1:1] = [Fact(one.id, "repaired", "box" if box is not None else "rows"), *drawn_facts(one, box, rows)]
    pictures = [workspace.store.relative(specimen.keep_trial(repaired, box))] if box is not None else []
    return ToolResult(facts, note=note, pictures=pictures)


def _chosen(
    specimen: Specimen, region: str | None, part: str | None, box: list[int] | None, rows: list[int] | None
) -> Any:
    """The mask of what is to be repaired; a drawn place goes before a named one."""
    if box is not None:
        return specimen.box_mask(box)
    return specimen.rows_mask(rows, part) if rows is not None else specimen.mask(region, part)


@tool
def what_if_without(workspace: Workspace, finding: str, part: str) -> ToolResult:
    """Leave a channel or feature out of account (all of it replaced by what the model expects) and score again, live.

    Args:
        finding: the finding's id such as F12.
        part: the channel, feature or region to leave out.
    """
    one = workspace.store.finding(finding)
    with workspace.lock:
        specimen = workspace.specimen(one)
        before, note = _before(specimen)
        after = specimen.judge(specimen.left_out(part))
    facts = change_facts(one, before, after)
    facts.insert(1, Fact(one.id, "left_out", specimen.proper(part=part)))
    return ToolResult(facts, note=note)


def _before(specimen: Specimen) -> tuple[Judgement, str]:
    """The stored score; where scoring the same again gives another (a stretch of a long series), that one, and why."""
    finding = specimen.finding
    stored = Judgement(finding.score, finding.p_value)
    if finding.modality not in ("series", "multimodal"):
        return stored, ""
    now = specimen.judge(specimen.samples())
    if abs(now.score - stored.score) <= DRIFT * abs(stored.score):
        return stored, ""
    note = (
        f"Both scores are of the stretch around {finding.id} alone; in the whole series it has a slightly other score."
    )
    return now, note


@tool
def what_if_method(workspace: Workspace, finding: str, method: str) -> ToolResult:
    """Judge a finding by one member of the hybrid detector alone, live.

    Args:
        finding: the finding's id such as F12.
        method: the member's name; overview tells the members.
    """
    one = workspace.store.finding(finding)
    with workspace.lock:
        specimen = workspace.specimen(one)
        members = list(specimen.detector.members)
        chosen = next((name for name in members if name.casefold() == method.strip().casefold()), None)
        if chosen is None:
            has = f"it has {', '.join(members)}" if members else "it is a single method, so there is none to choose"
            raise AnomalyError(f"The model of {one.run} has no member {method[:60]!r}; {has}.")
        after = specimen.judge(specimen.samples(), member=chosen)
    facts = change_facts(one, Judgement(one.score, one.p_value), after)
    facts.insert(1, Fact(one.id, "method", chosen))
    facts.append(Fact(one.id, "flagged_by_method", after.p_value <= one.alpha))
    return ToolResult(facts, note="Scores of different methods have different scales; their p-values compare.")


@tool
def what_if_alpha(workspace: Workspace, alpha: float, run: str | None = None) -> ToolResult:
    """How many would be flagged in a run at another alpha (the p-value up to which samples are flagged).

    Args:
        alpha: the other alpha, between 0 and 1.
        run: the run's id such as R1; the latest run if left out.
    """
    if not 0 < alpha < 1:
        raise AnomalyError(f"alpha = {alpha} must lie between 0 and 1.")
    one = workspace.store.run(run)
    after, gone = (
        _flagged_at(workspace, one, alpha),
        workspace.store.count_findings(one.id, min_p=np.nextafter(alpha, 1)),
    )
    facts = [
        Fact(one.id, "alpha", alpha),
        Fact(one.id, "before_alpha", one.alpha),
        Fact(one.id, "before_findings", one.n_flagged),
        Fact(one.id, "after_findings", after),
        Fact(one.id, "no_longer_flagged", gone),
        Fact(one.id, "samples", one.n_samples),
    ]
    known = kind(one.modality)
    note = f"Findings are events here: neighbouring flagged {known.samples} count once." if known.event else ""
    return ToolResult(facts, note=note)


def _flagged_at(workspace: Workspace, run: Run, alpha: float) -> int:
    """Samples (series: events) with a p-value of at most alpha."""
    if run.modality == "video":
        return workspace.clip_events(run.id, alpha)
    if run.modality != "series":
        return workspace.store.count_samples(run.id, alpha)
    from detectors.localization_series import merged_runs

    _, p_values = workspace.series_scores(run.id)
    return len(merged_runs(p_values <= alpha, run.info["window"] // 2, [(0, len(p_values))]))
