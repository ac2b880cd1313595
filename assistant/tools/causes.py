"""Tools on how findings hang together: which channel left its course first, and which findings belong together."""

from __future__ import annotations

import numpy as np

from assistant import incidents, keeping
from assistant.evidence import Fact, ToolResult
from assistant.pipeline import Workspace
from assistant.tools import tool
from assistant.tools._facts import part_subject
from detectors.descriptors.series import onsets

LEAST = 0.05  # share of the score from which a channel takes part in an event
TOLD = 8


@tool
def trace_event(workspace: Workspace, finding: str) -> ToolResult:
    """The order in which the channels of a series finding left their course: onset of each by the calibrated map, the
    first one, and the delays after it. Answers "which channel started it?", "in what order did it spread?".

    Args:
        finding: the finding's id such as F12.
    """
    one = workspace.store.finding(finding)
    if one.modality != "series":
        return ToolResult(status="no_data", note=f"{one.id} is no event of a series, so it has no order of onsets.")
    stretch = keeping.load_stretch(one.folder)
    shares = {str(part["name"]): float(part["share"]) for part in one.parts}
    first = onsets(stretch.map)
    taking = [c for c, name in enumerate(stretch.channels) if shares.get(name, 0.0) >= LEAST and first[c] >= 0]
    if not taking:
        return ToolResult(status="no_data", note=f"No channel of {one.id} clearly leaves its course.")
    order = sorted(taking, key=lambda c: (first[c], -shares[stretch.channels[c]]))[:TOLD]
    facts = [Fact(one.id, "sample", one.sample), Fact(one.id, "first_channel", stretch.channels[order[0]])]
    facts.append(Fact(one.id, "order", ", ".join(stretch.channels[c] for c in order)))
    for c in order:
        subject, row = part_subject(one, stretch.channels[c]), stretch.event[0] + int(first[c])
        facts.append(Fact(subject, "onset", row))
        if len(stretch.times):
            stamp = stretch.times[row - stretch.start]
            facts.append(Fact(subject, "onset_time", str(np.datetime_as_string(stamp, unit="s"))))
        facts.append(Fact(subject, "delay", int(first[c] - first[order[0]]), "stamps"))
    return ToolResult(facts)


@tool
def group_findings(workspace: Workspace, run: str | None = None) -> ToolResult:
    """The findings of a run put into groups that belong together by time, place, kind and likeness, the largest first;
    nothing is stored. Answers "which findings belong together?", "how many different problems are there?".

    Args:
        run: the run's id such as R1; the latest run if left out.
    """
    one = workspace.store.run(run)
    found = incidents.together(workspace.store, one.id)
    if not found:
        return ToolResult(status="no_data", note=f"{one.id} has no findings (false alarms aside) to group.")
    facts = [Fact(one.id, "findings", sum(len(group.members) for group in found)), Fact(one.id, "groups", len(found))]
    for number, group in enumerate(found[:TOLD], 1):
        subject = f"{one.id}/group {number}"
        facts += [
            Fact(subject, "findings", len(group.members)),
            Fact(subject, "members", ", ".join(group.members[:12])),
        ]
        facts += [Fact(subject, "place", group.place)] if group.place else []
        facts += [Fact(subject, "kind", group.kind)] if group.kind else []
        if group.first != group.last:
            facts += [Fact(subject, "first_time", group.first), Fact(subject, "last_time", group.last)]
    return ToolResult(facts)
