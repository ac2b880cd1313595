"""Tools that change the store: labels and incidents. Used only when a person asks for it."""

from __future__ import annotations

from typing import Literal

from assistant import incidents
from assistant.evidence import Fact, ToolResult
from assistant.pipeline import Workspace
from assistant.records import Finding, Incident
from assistant.tools import tool
from assistant.tools._facts import KIND_OF_PART

TOLD = 20  # findings of an incident told one by one


@tool
def label_finding(
    workspace: Workspace, finding: str, label: Literal["anomaly", "normal"], note: str = ""
) -> ToolResult:
    """Keep what a person says about a finding. Only when they said so themselves.

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
    return ToolResult(facts, note=incidents.LABEL_EFFECT if label == "normal" else "")


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
        one = workspace.store.incident(incident)
        members = incidents.members(workspace.store, one)
    else:
        members = _chosen(workspace, findings, run)
        if not members:
            told = workspace.store.run(run).id
            return ToolResult(status="no_data", note=f"{told} has no findings (false alarms aside) to put together.")
        same = incidents.existing(workspace.store, members)
        one = same or workspace.store.add_incident(incidents.title(members), [member.id for member in members])
        members = incidents.members(workspace.store, one)
    return ToolResult(_facts(workspace, one, members))


def _chosen(workspace: Workspace, findings: list[str] | None, run: str | None) -> list[Finding]:
    if findings:
        return [workspace.store.finding(name) for name in dict.fromkeys(findings)]
    found = workspace.store.findings(workspace.store.run(run).id, limit=None)
    return [finding for finding in found if finding.state != "false alarm"]


def _facts(workspace: Workspace, incident: Incident, members: list[Finding]) -> list[Fact]:
    ranked = sorted(members, key=lambda member: (member.p_value, -member.score))
    facts = [
        Fact(incident.id, "title", incident.title),
        Fact(incident.id, "findings", len(ranked)),
        Fact(incident.id, "most_anomalous", ranked[0].id),
        Fact(incident.id, "lowest_p_value", ranked[0].p_value),
        Fact(incident.id, "first_time", min(member.time for member in members)),
        Fact(incident.id, "last_time", max(member.time for member in members)),
        Fact(incident.id, "created", incident.created),
    ]
    for name, count in incidents.places(members):
        kind = "position" if members[0].modality == "image" else KIND_OF_PART.get(members[0].modality, "part")
        facts.append(Fact(f"{incident.id}/{kind} {name}", "findings", count))
    for number, group in enumerate(incidents.groups(workspace.store, ranked), 1):
        subject = f"{incident.id}/group {number}"
        facts += [Fact(subject, "findings", len(group)), Fact(subject, "members", ", ".join(group[:TOLD]))]
    for member in ranked[:TOLD]:
        facts += [Fact(member.id, "sample", member.sample), Fact(member.id, "p_value", member.p_value)]
        facts.append(Fact(member.id, "state", member.state))
    return facts
