"""Tools on whether a finding can be believed: its explanation put to the test, and the normal samples nearest to it."""

from __future__ import annotations

from assistant.evidence import Fact, ToolResult
from assistant.pipeline import Workspace
from assistant.specimens.trials import trial_facts, trial_of, verdict
from assistant.tools import tool

MOST = 10


@tool
def test_explanation(workspace: Workspace, finding: str) -> ToolResult:
    """Put the explanation of a finding to the test: does repairing only the named places make it normal (sufficient),
    does it stay anomalous when everything else is repaired (necessary), and would places of the same size elsewhere do
    as well? Answers "how do you know?", "can I trust this?", "is the explanation right?".

    Args:
        finding: the finding's id such as F12.
    """
    one = workspace.store.finding(finding)
    with workspace.lock:
        found = trial_of(workspace.specimen(one))
    facts = [Fact(one.id, "sample", one.sample), Fact(one.id, "modality", one.modality)]
    facts += [Fact(one.id, "alpha", one.alpha), Fact(one.id, "p_value", one.p_value)]
    facts += [Fact(one.id, name, value, unit) for name, (value, unit) in trial_facts(found, one.alpha).items()]
    facts.append(Fact(one.id, "verdict", verdict(found, one.alpha)))
    return ToolResult(facts)


@tool
def nearest_normals(workspace: Workspace, finding: str, limit: int = 3) -> ToolResult:
    """The normal samples that are nearest to a finding, how far they are, and how far normal samples are from each
    other: pictures that the model remembers, rows or stretches of the run that were not flagged.

    Args:
        finding: the finding's id such as F12.
        limit: how many, at most 10.
    """
    one = workspace.store.finding(finding)
    with workspace.lock:
        near = workspace.nearest(one, min(max(limit, 1), MOST))
    facts = [Fact(one.id, "sample", one.sample), Fact(one.id, "modality", one.modality)]
    for number, (name, distance) in enumerate(near.found, 1):
        facts += [Fact(f"{one.id}/normal {number}", "sample", name)]
        facts += [Fact(f"{one.id}/normal {number}", "distance", distance, near.unit)]
    facts.append(Fact(one.id, "usual_distance", near.usual, near.unit))
    if near.found and near.usual > 0:
        facts.append(Fact(one.id, "distance_ratio", near.found[0][1] / near.usual))
    pictures = [workspace.store.relative(path) for path in near.pictures]
    return ToolResult(facts, pictures=pictures)
