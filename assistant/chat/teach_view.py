"""The page's Feedback tab as HTML: how good the alarms were, what labels would change, rules, and the log.

Knows records, proposals and templates; not the store, gradio or detectors. Every value is escaped by the templates.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from assistant.evidence import format_number
from assistant.feedback import Proposal
from assistant.feedback.precision import Period, sentence
from assistant.feedback.suggestions import Suggestion
from assistant.records import Change, Rule
from assistant.words import templates, when

WIDTH, HEIGHT = 560, 190  # of the chart, in its own units
LEFT, RIGHT, TOP, BOTTOM = 40, 14, 14, 34
MOVED_SHOWN = 8
LABELLED_TICKS = 8


def feedback_tab(
    run: str | None,
    periods: Sequence[Period],
    by: str,
    proposal: Proposal | None,
    suggestions: Sequence[Suggestion],
    rules: Sequence[Rule],
    counts: Mapping[str, int],
    changes: Sequence[Change],
) -> str:
    """The whole tab; `proposal` is None where no label waits."""
    module: Any = templates().get_template("teach.html.jinja").module
    precision = precision_panel(periods, by)
    told = [_rule(rule, counts) for rule in rules]
    return str(module.tab(run, precision, _proposal(proposal), suggestions, told, [_change(one) for one in changes]))


def precision_panel(periods: Sequence[Period], by: str = "week") -> Any:
    """Precision over time as a chart with its sentence, to be placed anywhere on the page."""
    module: Any = templates().get_template("teach.html.jinja").module
    told = [one for one in periods if one.name != "all" and one.precision is not None]
    words = sentence(periods[-1]) if periods else "No alarm has been raised yet."
    return module.precision(words, _chart(told), by)


def _chart(told: Sequence[Period]) -> dict[str, Any] | None:
    if not told:
        return None
    step = (WIDTH - LEFT - RIGHT) / len(told)
    every = max(1, -(-len(told) // LABELLED_TICKS))
    points = [_point(one, LEFT + step * (place + 0.5), place % every == 0) for place, one in enumerate(told)]
    line = " ".join(f"{point['x']:.1f},{point['y']:.1f}" for point in points)
    grid = [{"y": _height(share), "text": f"{share:.0%}".replace("%", " %")} for share in (0.0, 0.25, 0.5, 0.75, 1.0)]
    return {"width": WIDTH, "height": HEIGHT, "left": LEFT, "right": WIDTH - RIGHT, "foot": HEIGHT - BOTTOM,
            "points": points, "line": line, "grid": grid}  # fmt: skip


def _point(one: Period, x: float, ticked: bool) -> dict[str, Any]:
    low, high = one.interval
    share = one.precision or 0.0
    told = f"{one.name}: {one.confirmed} of {one.labelled} labelled alarms confirmed, {100 * share:.0f} % "
    told += f"({100 * low:.0f} to {100 * high:.0f} %)"
    heights = {"y": _height(share), "low": _height(low), "high": _height(high)}
    return {**heights, "x": x, "title": told, "count": f"{one.confirmed}/{one.labelled}",
            "tick": one.start[5:] if ticked else ""}  # fmt: skip


def _height(share: float) -> float:
    return round(TOP + (1 - share) * (HEIGHT - TOP - BOTTOM), 1)


def _proposal(proposal: Proposal | None) -> dict[str, Any] | None:
    if proposal is None or not proposal.pending:
        return None
    moved = [
        (m.finding, format_number(m.before), format_number(m.after), m.state,
         "no longer flagged" if m.leaves else "flagged again" if m.enters else "")
        for m in proposal.moved[:MOVED_SHOWN]
    ]  # fmt: skip
    more = len(proposal.moved) - len(moved)
    return {"sentence": proposal.sentence, "moved": moved, "more": more, "lost": bool(proposal.lost)}


def _rule(rule: Rule, counts: Mapping[str, int]) -> dict[str, Any]:
    return {"id": rule.id, "what": rule.what, "until": rule.expires[:10], "reason": rule.reason, "who": rule.who,
            "count": counts.get(rule.id, 0)}  # fmt: skip


def _change(one: Change) -> dict[str, Any]:
    before, after = one.before.get("state"), one.after.get("state")
    moved = f"{before} → {after}" if before != after else ""
    if "threshold" in one.after:
        moved = f"threshold {format_number(one.before['threshold'])} → {format_number(one.after['threshold'])}"
    undone = f"undone by {one.undone}" if one.undone else f"undid {one.undoes}" if one.undoes else ""
    return {"id": one.id, "when": when(one.created), "who": one.who, "via": one.via, "action": one.action,
            "subject": one.subject, "moved": moved, "why": one.why, "undone": undone}  # fmt: skip
