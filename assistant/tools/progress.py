"""Tools about how it goes: how good the alarms have been, and what the labels are enough for."""

from __future__ import annotations

from typing import Literal

from assistant.evidence import Fact, ToolResult
from assistant.feedback import precision
from assistant.feedback.precision import Period
from assistant.feedback.suggestions import suggestions
from assistant.pipeline import Workspace
from assistant.tools import tool
from assistant.tools._facts import percent

TOLD = 16  # periods, the latest of them


@tool
def alarm_precision(
    workspace: Workspace,
    by: Literal["day", "week"] = "week",
    run: str | None = None,
    since: str | None = None,
    until: str | None = None,
    when: str | None = None,
) -> ToolResult:
    """How good the alarms have been: of those that people labelled, the share that they confirmed, with its 95 %
    interval, by day or week of the detection and altogether.

    Args:
        by: day or week.
        run: only alarms of this run such as R1; all runs if left out.
        since: first day, ISO.
        until: last day, ISO.
        when: instead of days, words: today, yesterday, this week, last week, this month, last month, last 10 days.
    """
    if when is not None:
        since, until = precision.spoken(when)
    periods = precision.precision(workspace.store, by, workspace.store.run(run).id if run else None, since, until)
    if not periods:
        told = f" ({since} to {until})" if since and until else ""
        return ToolResult(status="no_data", note=f"No alarm was raised in that time{told}.")
    *each, total = periods
    facts = _facts("all alarms", total)
    for period in each[-TOLD:]:
        facts += _facts(period.name if by == "week" else f"day {period.name}", period)
    return ToolResult(facts, note=precision.sentence(total))


def _facts(subject: str, period: Period) -> list[Fact]:
    facts = [Fact(subject, "first_day", period.start), Fact(subject, "last_day", period.end)]
    facts += [Fact(subject, "alarms", period.findings), Fact(subject, "labelled", period.labelled)]
    if period.precision is None:
        return facts
    low, high = period.interval
    return [
        *facts,
        Fact(subject, "confirmed", period.confirmed),
        Fact(subject, "false_alarms", period.false_alarms),
        percent(subject, "precision", period.precision),
        percent(subject, "precision_low", low),
        percent(subject, "precision_high", high),
        Fact(subject, "confidence_level", 95, "%"),
    ]


@tool
def suggest_next(workspace: Workspace, run: str | None = None) -> ToolResult:
    """What the labels on a run's model are enough for: recalibrating, fitting again, a kind of one's own, a rule.

    Args:
        run: the run's id such as R1; the latest run if left out.
    """
    found = suggestions(workspace.store, run)
    one = workspace.store.run(run).id
    if not found:
        return ToolResult([Fact(one, "suggestions", 0)], note="The labels so far are not enough for anything new.")
    facts = [Fact(one, "suggestions", len(found))]
    for suggestion in found:
        subject = f"{one}/suggestion {suggestion.what}"
        facts += [Fact(subject, "labels", suggestion.count), Fact(subject, "needed", suggestion.needed)]
        facts.append(Fact(subject, "command", suggestion.command))
    return ToolResult(facts, note=" ".join(suggestion.sentence for suggestion in found))
