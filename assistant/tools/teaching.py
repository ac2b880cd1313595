"""Tools by which people teach: recalibrate, ignore, undo, the log. Those that change the store only when asked for."""

from __future__ import annotations

from typing import Any

from assistant import feedback
from assistant.evidence import Fact, ToolResult
from assistant.feedback import Proposal
from assistant.kinds import load_kinds
from assistant.pipeline import Workspace
from assistant.records import Change, Rule
from assistant.tools import tool

TOLD = 10  # findings, changes or rules told one by one


@tool
def recalibrate(workspace: Workspace, run: str | None = None, apply: bool = False, why: str = "") -> ToolResult:
    """What counting the false alarms that people labelled as normal would change: threshold and p-values before and
    after. With apply=true it is put into force; only when the person has seen it and said so.

    Args:
        run: the run whose model is meant, such as R1; the latest run if left out.
        apply: whether to put it into force.
        why: the person's reason, in their words.
    """
    proposal = feedback.propose(workspace, run)
    facts = _proposal_facts(proposal)
    if not apply or not proposal.pending:
        waits = " Nothing has been changed yet." if proposal.pending else ""
        return ToolResult(facts, note=proposal.sentence + waits)
    revision = feedback.apply(workspace, proposal, why)
    facts += [Fact(revision.id, "findings", len(revision.findings)), Fact(revision.id, "who", revision.who)]
    facts.append(Fact(revision.id, "sha256", revision.sha256[:12]))
    return ToolResult(facts, note=f"Applied as {revision.id}; undo takes it back.")


def _proposal_facts(proposal: Proposal) -> list[Fact]:
    run = proposal.runs[-1]
    facts = [
        Fact(run, "labelled_normal", len(proposal.findings)),
        Fact(run, "labels_waiting", len(proposal.added) + len(proposal.dropped)),
        Fact(run, "alpha", proposal.alpha),
        Fact(run, "findings_of_model", proposal.total),
    ]
    if not proposal.pending:
        return facts
    facts += [
        Fact(run, "before_threshold", proposal.threshold_before),
        Fact(run, "after_threshold", proposal.threshold_after),
        Fact(run, "changed_p_values", len(proposal.moved)),
        Fact(run, "no_longer_flagged", len(proposal.leaving)),
        Fact(run, "flagged_again", len(proposal.entering)),
        Fact(run, "confirmed_no_longer_flagged", len(proposal.lost)),
    ]
    for one in proposal.moved[:TOLD]:
        facts += [Fact(one.finding, "before_p_value", one.before), Fact(one.finding, "after_p_value", one.after)]
    return facts


@tool
def undo_change(
    workspace: Workspace, change: str | None = None, finding: str | None = None, why: str = ""
) -> ToolResult:
    """Take back a label, a recalibration, a rule or an incident, exactly. Only when a person asks for it.

    Args:
        change: the change's id such as A7; the person's latest one if left out.
        finding: the latest change about this finding, such as F12.
        why: the person's reason, in their words.
    """
    done = feedback.undo(workspace, change, finding, why)
    facts = [*_change_facts(done.change), Fact(done.change.id, "undone_by", done.entry)]
    if done.change.subject.startswith("F"):
        facts.append(Fact(done.change.subject, "state", workspace.store.finding(done.change.subject).state))
    return ToolResult(facts, note=done.sentence)


@tool
def changes(workspace: Workspace, finding: str | None = None, limit: int = TOLD) -> ToolResult:
    """The log: who changed what, when and why, the latest first.

    Args:
        finding: only changes about this finding, such as F12.
        limit: how many, at most 50.
    """
    about = workspace.store.finding(finding).id if finding else None
    workspace.store.note_expired()
    found = workspace.store.changes(about, min(max(limit, 1), 50))
    if not found:
        return ToolResult(status="no_data", note=f"Nothing has been changed{f' about {about}' if about else ''}.")
    facts = [fact for one in found for fact in _change_facts(one)]
    return ToolResult(facts, subjects=[about] if about else [])


def _change_facts(change: Change) -> list[Fact]:
    told: dict[str, Any] = {
        "action": change.action,
        "about": change.subject,
        "who": change.who,
        "created": change.created,
        "via": change.via,
        "why": change.why,
        "label": change.after.get("label"),
        "before_state": change.before.get("state"),
        "after_state": change.after.get("state"),
        "undoes": change.undoes,
        "undone_by": change.undone,
    }
    return [Fact(change.id, key, value) for key, value in told.items() if value not in (None, "")]


# --- rules ------------------------------------------------------------------------------------------------------------


@tool
def ignore_findings(
    workspace: Workspace,
    reason: str,
    until: str,
    kind: str = "",
    position: str = "",
    part: str = "",
    source: str = "",
) -> ToolResult:
    """Ignore a kind of anomaly at a place, in a part or from a source until a day. Only when a person asks for it and
    gives the reason and the day; ignored findings are kept, marked and counted.

    Args:
        reason: why it may be ignored, in the person's words.
        until: the last day: 2026-12-31, friday, tomorrow, "3 weeks", or an ISO time.
        kind: a kind of anomaly such as scratch; any if left out.
        position: a place in the image such as "upper left".
        part: a channel or feature that carries score.
        source: words of the source's path or the sample's name, such as "station 3".
    """
    named = load_kinds(workspace.config.kinds).called(kind) or kind if kind else ""
    rule = workspace.store.add_rule(reason, until, named, position, part, source)
    return ToolResult(_rule_facts(workspace, rule), note="They are kept and marked; undo or removing the rule ends it.")


@tool
def stop_ignoring(workspace: Workspace, rule: str, why: str = "") -> ToolResult:
    """Remove a rule that ignores findings. Only when a person asks for it.

    Args:
        rule: its name such as "rule 2".
        why: the person's reason, in their words.
    """
    workspace.store.remove_rule(rule, why)
    one = workspace.store.rule(rule)
    return ToolResult([Fact(one.id, "ignores", one.what), Fact(one.id, "in_force", False)])


@tool
def list_rules(workspace: Workspace) -> ToolResult:
    """Which rules ignore what, why, until when, and how many findings each covers."""
    workspace.store.note_expired()
    rules = workspace.store.rules()
    if not rules:
        return ToolResult(status="no_data", note="No rule is in force: nothing is ignored.")
    return ToolResult([fact for rule in rules[:TOLD] for fact in _rule_facts(workspace, rule)])


def _rule_facts(workspace: Workspace, rule: Rule) -> list[Fact]:
    return [
        Fact(rule.id, "ignores", rule.what),
        Fact(rule.id, "reason", rule.reason),
        Fact(rule.id, "last_day", rule.expires[:10]),
        Fact(rule.id, "who", rule.who),
        Fact(rule.id, "findings", workspace.store.count_ignored().get(rule.id, 0)),
    ]
