"""Tools that change the store: labels and incidents (others in teaching.py). Only when a person asks for it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Literal

from assistant import incidents
from assistant.evidence import Fact, ToolResult
from assistant.modalities import kind
from assistant.pipeline import Workspace
from assistant.records import Finding, Incident
from assistant.store import Store
from assistant.tools import tool

TOLD = 20  # findings of an incident told one by one
PLACES = 6
LABEL_EFFECT = "It counts as normal, and p-values move, only once recalibrating has been looked at and agreed to."


@tool
def label_finding(
    workspace: Workspace, finding: str, label: Literal["anomaly", "normal"], note: str = ""
) -> ToolResult:
    """Keep what a person says about a finding. Only when they said so themselves. No p-value moves by that alone; see
    recalibrate.

    Args:
        finding: the finding's id such as F12.
        label: "anomaly" confirms it; "normal" calls it a false alarm.
        note: the person's remark, in their words.
    """
    one = workspace.store.label(finding, label, note)
    facts = [
        Fact(one.id, "sample", one.sample),
        Fact(one.id, "label", one.label),
        Fact(one.id, "state", one.state),
        Fact(one.id, "p_value", one.p_value),
    ]
    facts += [Fact(one.id, "note", one.note)] if one.note else []
    return ToolResult(facts, note=LABEL_EFFECT if label == "normal" else "")


@tool
def summarise_incident(
    workspace: Workspace, findings: list[str] | None = None, run: str | None = None, incident: str | None = None
) -> ToolResult:
    """Put findings together into an incident, or tell about one that is there: how many, the most anomalous, when,
    which parts, and groups of findings that look alike.

    Args:
        findings: the findings' ids; all findings of the run but its false alarms if left out.
        run: the run's id; the latest run if left out.
        incident: the id of an incident that is there, such as I1; nothing is made then.
    """
    if incident is not None:
        return ToolResult(_facts(workspace, workspace.store.incident(incident)))
    chosen = findings or workspace.store.finding_ids(workspace.store.run(run).id, not_state="false alarm")
    if not chosen:
        told = workspace.store.run(run).id
        return ToolResult(status="no_data", note=f"{told} has no findings (false alarms aside) to put together.")
    return ToolResult(_facts(workspace, incidents.open_incident(workspace.store, chosen)))


def _facts(workspace: Workspace, incident: Incident) -> list[Fact]:
    store = workspace.store
    ranked = store.findings(incident=incident.id, limit=TOLD)
    if not ranked:  # its findings moved on to other incidents
        return [Fact(incident.id, "title", incident.title), Fact(incident.id, "findings", 0)]
    first, last = store.times(incident=incident.id)
    facts = [
        Fact(incident.id, "title", incident.title),
        Fact(incident.id, "findings", len(incident.findings)),
        Fact(incident.id, "most_anomalous", ranked[0].id),
        Fact(incident.id, "lowest_p_value", ranked[0].p_value),
        Fact(incident.id, "first_time", first),
        Fact(incident.id, "last_time", last),
        Fact(incident.id, "created", incident.created),
    ]
    for name, count in _places(store, incident, ranked):
        facts.append(Fact(f"{incident.id}/{name}", "findings", count))
    for number, group in enumerate(incidents.groups(store, incident), 1):
        subject = f"{incident.id}/group {number}"
        facts += [Fact(subject, "findings", len(group)), Fact(subject, "members", ", ".join(group[:TOLD]))]
    for member in ranked:
        facts += [Fact(member.id, "sample", member.sample), Fact(member.id, "p_value", member.p_value)]
        facts.append(Fact(member.id, "state", member.state))
    return facts


def _places(store: Store, incident: Incident, ranked: Sequence[Finding]) -> list[tuple[str, int]]:
    """("channel cpu", how many) over the runs of an incident, each run's places called as its modality calls them."""
    counts: Counter[str] = Counter()
    for run, modality in {finding.run: finding.modality for finding in ranked}.items():
        place = incidents.kind_of_place(modality)
        word = place if place == "position" else kind(modality).part
        for name, count in store.involved(place, run, limit=PLACES, incident=incident.id):
            counts[f"{word} {name}"] += count
    return counts.most_common(PLACES)
