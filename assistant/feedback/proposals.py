"""What labels do: a proposal first (before and after, finding by finding), applied only when a person says so, undone.

Findings that people labelled normal count beside the normals of the fit, see `detectors.calibration.Calibration`:
p-values can only rise, nothing is fitted anew, the model on disk stays as it is. Labels "anomaly" move nothing; a
confirmed finding that would no longer be flagged is named. Knows workspaces and records; not pages or terminals.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from assistant.evidence import format_number
from assistant.feedback import repricing
from assistant.records import Change, Revision, Run
from assistant.store.audit import INCIDENT_MADE, LABELLED, RECALIBRATED, RULE_ADDED
from detectors.errors import AnomalyError

if TYPE_CHECKING:
    from assistant.pipeline import Workspace

MOST_TOLD = 10  # findings whose p-values the log and a sentence tell one by one


@dataclass(frozen=True)
class Moved:
    """A finding whose p-value the labels move."""

    finding: str
    before: float
    after: float
    alpha: float
    state: str

    @property
    def leaves(self) -> bool:
        """Flagged before, not any more."""
        return self.before <= self.alpha < self.after

    @property
    def enters(self) -> bool:
        """Not flagged before, flagged again."""
        return self.after <= self.alpha < self.before


@dataclass(frozen=True)
class Proposal:
    """What putting today's labels into a model's calibration would change."""

    model: str
    model_hash: str
    runs: list[str]
    findings: list[str]  # labelled normal now; what the calibration would hold
    scores: list[float]
    added: list[str]  # of them, those that it does not hold yet
    dropped: list[str]  # those that it holds but are no longer labelled normal
    revision: str  # in force now, "" for the fit's own calibration
    alpha: float  # of the latest run
    threshold_before: float  # the score from which alpha flags
    threshold_after: float
    total: int  # findings of these runs
    moved: list[Moved] = field(default_factory=list)  # the largest rise of the p-value first

    @property
    def pending(self) -> bool:
        """Whether labels and calibration differ."""
        return bool(self.added or self.dropped)

    @property
    def leaving(self) -> list[str]:
        """Findings that would no longer be flagged."""
        return [one.finding for one in self.moved if one.leaves]

    @property
    def entering(self) -> list[str]:
        """Findings that would be flagged again."""
        return [one.finding for one in self.moved if one.enters]

    @property
    def lost(self) -> list[str]:
        """Confirmed findings that would no longer be flagged."""
        return [one.finding for one in self.moved if one.leaves and one.state == "confirmed"]

    @property
    def sentence(self) -> str:
        """The change in words."""
        if not self.pending:
            held = f"the {_count(len(self.findings), 'label')} of this model" if self.findings else "no label"
            return f"Its calibration holds {held} already; there is nothing to change."
        count = len(self.findings)
        told = f"With {_count(count, 'false alarm')} counting as normal" if count else "With no false alarm counting"
        text = (
            f"{told}, the score flagged at alpha {self.alpha:g} goes from {format_number(self.threshold_before)} to "
            f"{format_number(self.threshold_after)}; {len(self.moved)} of {self.total} findings change their p-value"
        )
        text += f", {len(self.leaving)} would no longer be flagged" if self.leaving else ""
        text += f", {len(self.entering)} would be flagged again" if self.entering else ""
        lost = f" Confirmed anomalies among them: {', '.join(self.lost[:MOST_TOLD])}." if self.lost else ""
        return f"{text}.{lost}"

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types, with what follows from them."""
        derived = ("pending", "leaving", "entering", "lost", "sentence")
        return {**asdict(self), **{name: getattr(self, name) for name in derived}}


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


# --- proposing and applying -------------------------------------------------------------------------------------------


def propose(workspace: Workspace, run: str | None = None, finding: str | None = None) -> Proposal:
    """What today's labels would change for the model of a run or finding (of the latest run where neither is named).

    Raises:
        AnomalyError: unknown run, or its model is not there any more.
    """
    store = workspace.store
    one = store.run(store.finding(finding).run if finding else run)
    model_hash = str(one.info.get("model_hash"))
    labelled = store.labelled(one.model, "normal", model_hash)
    current = store.revision(one.model, model_hash)
    held = current.findings if current else []
    names, scores = [f.id for f in labelled], [f.score for f in labelled]
    plain = calibration_of(workspace, one)
    after, before = plain.with_scores(np.array(scores)), plain.with_scores(np.array(current.scores if current else []))
    runs = store.runs_of(one.model, model_hash)
    scored = store.findings_scored(runs)
    return Proposal(
        model=one.model,
        model_hash=model_hash,
        runs=runs,
        findings=names,
        scores=scores,
        added=[name for name in names if name not in set(held)],
        dropped=[name for name in held if name not in set(names)],
        revision=current.id if current else "",
        alpha=one.alpha,
        threshold_before=before.threshold(one.alpha),
        threshold_after=after.threshold(one.alpha),
        total=len(scored),
        moved=_moved(scored, after),
    )


def _moved(scored: list[Any], calibration: Any) -> list[Moved]:
    if not scored:
        return []
    fitted, beyond = np.array([row[4] for row in scored]), np.array([row[5] for row in scored])
    after, _ = calibration.raised(np.array([row[2] for row in scored]), fitted, beyond)
    moved = [
        Moved(name, p, float(new), alpha, state)
        for (name, _, _, p, _, _, state, alpha), new in zip(scored, after, strict=True)
        if new != p
    ]
    return sorted(moved, key=lambda one: one.before / one.after)


def calibration_of(workspace: Workspace, run: Run) -> Any:
    """The calibration of a run's model as it was fitted (a `detectors.calibration.Calibration`)."""
    with workspace.lock:
        return workspace.detector(run).calibrations[None].fitted


def apply(workspace: Workspace, proposal: Proposal, why: str = "") -> Revision:
    """Put a proposal into force: a new revision, and p-values and ranks that follow, in the store.

    Raises:
        AnomalyError: nothing would change, or labels or calibration have changed since the proposal was made.
    """
    if not proposal.pending:
        raise AnomalyError(f"Nothing to apply: {proposal.sentence}")
    fresh = propose(workspace, proposal.runs[-1])
    if (fresh.findings, fresh.revision) != (proposal.findings, proposal.revision):
        raise AnomalyError("Labels have changed since this was worked out; look at what would change again.")
    plain = calibration_of(workspace, workspace.store.run(fresh.runs[-1]))
    calibration = plain.with_scores(np.array(fresh.scores))
    return workspace.store.add_revision(
        fresh.model,
        fresh.model_hash,
        fresh.findings,
        fresh.scores,
        calibration.raised,
        calibration.threshold,
        why,
        _told(fresh),
        lambda: repricing.reprice_files(workspace.store, fresh.runs, calibration),
    )


def _told(proposal: Proposal) -> tuple[dict[str, Any], dict[str, Any]]:
    """Before and after for the audit log; p-values of the findings that move most, and how many move."""
    most = proposal.moved[:MOST_TOLD]
    fixed = {"model": proposal.model, "model_hash": proposal.model_hash}
    before = {"revision": proposal.revision, "threshold": proposal.threshold_before}
    after = {"threshold": proposal.threshold_after, "false_alarms": len(proposal.findings)}
    after |= {"moved": len(proposal.moved), "findings": proposal.total, "leaving": len(proposal.leaving)}
    return (
        {**fixed, **before, "p_values": {one.finding: one.before for one in most}},
        {**fixed, **after, "p_values": {one.finding: one.after for one in most}},
    )


# --- undo -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Undone:
    """What was taken back."""

    entry: str  # of the audit log
    change: Change
    sentence: str

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return asdict(self)


def undo(workspace: Workspace, change: str | None = None, finding: str | None = None, why: str = "") -> Undone:
    """Take a change back exactly: the one named, else one's own latest (about `finding`, where given).

    Raises:
        AnomalyError: nothing to undo, or something that was changed later stands in the way.
    """
    store = workspace.store
    one = store.to_undo(change, finding)
    if one.action == LABELLED:
        entry = store.undo_label(one, why)
        now = store.finding(one.subject)
        told = f"{one.subject} is {now.state} again, as before {one.id}."
    elif one.action == RECALIBRATED:
        entry, told = _withdraw(workspace, one, why)
    elif one.action == INCIDENT_MADE:
        entry = store.undo_incident(one, why)
        told = f"{one.subject} is dissolved; its findings are where they were."
    else:
        added = one.action == RULE_ADDED
        entry = store.remove_rule(one.subject, why, one.id) if added else store.restore_rule(one.subject, why, one.id)
        told = f"{one.subject.capitalize()} is {'removed' if added else 'in force again'}."
    return Undone(entry, one, told)


def _withdraw(workspace: Workspace, change: Change, why: str) -> tuple[str, str]:
    store = workspace.store
    gone = store.revision_named(change.subject)
    run = store.run(store.runs_of(gone.model, gone.model_hash)[-1])
    past = store.revision(gone.model, gone.model_hash, before=gone.id)
    plain = calibration_of(workspace, run)
    calibration = plain.with_scores(np.array(past.scores if past else []))
    entry = store.withdraw_revision(
        gone.id,
        calibration.raised,
        calibration.threshold,
        why,
        change.id,
        (change.after, change.before),
        lambda: repricing.reprice_files(store, store.runs_of(gone.model, gone.model_hash), calibration),
    )
    unseen = store.count_unseen(store.runs_of(gone.model, gone.model_hash))
    told = f"{gone.id} is withdrawn; {past.id if past else 'the calibration of the fit'} counts again."
    if unseen:
        told += f" {_count(unseen, 'sample')} at or below alpha became no finding while it counted: detect again."
    return entry, told
