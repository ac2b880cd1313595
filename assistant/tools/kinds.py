"""Tools on what a finding is: its kind, and what differs from what was expected."""

from __future__ import annotations

from typing import Any

from assistant import keeping
from assistant.evidence import Fact, ToolResult
from assistant.kinds import UNCLEAR, Kind, Kinds, leading_numbers, load_kinds
from assistant.pipeline import Workspace
from assistant.records import Finding
from assistant.tools import tool
from assistant.tools._facts import part_subject, percent

OF_TABLES = {"value_difference": "observed_minus_expected"}


@tool
def kind_of_finding(workspace: Workspace, finding: str) -> ToolResult:
    """What kind of anomaly a finding is (spike, drift, scratch, missing part, broken relation, ...), how sure that is,
    the measurements that speak for it, and what to check. The kind is "unclear" where nothing fits well.

    Args:
        finding: the finding's id such as F12.
    """
    one = workspace.store.finding(finding)
    facts = [Fact(one.id, "sample", one.sample), Fact(one.id, "modality", one.modality)]
    measures = keeping.load_measures(one.folder)
    if not measures:
        note = f"Nothing was measured of {one.id} when it was found, so its kind is not known; detect again."
        return ToolResult(facts, status="no_data", note=note)
    kinds = load_kinds(workspace.config.kinds)
    judged = kinds.judge(one.modality, leading_numbers(measures))
    facts += [Fact(one.id, "kind", judged.kind), percent(one.id, "kind_confidence", judged.confidence)]
    if judged.kind == UNCLEAR and judged.best and judged.confidence > 0.05:
        facts.append(Fact(one.id, "nearest_kind", judged.best))
    if judged.second:
        facts.append(Fact(one.id, "second_kind", judged.second))
        facts.append(percent(one.id, "second_kind_fit", judged.second_fit))
    kind = kinds.named(judged.best, one.modality)
    facts += _facts(one, [row for row in measures if row["part"] == measures[0]["part"] and _decides(kind, row)])
    return ToolResult(facts, note=_reading(kinds, judged.kind, one.modality))


def _decides(kind: Kind | None, row: dict[str, Any]) -> bool:
    """Whether a kind is judged by this measurement."""
    return kind is not None and any(row["name"] in group for group in (*kind.groups, *kind.prototypes))


def _reading(kinds: Kinds, name: str, modality: str) -> str:
    """What a kind means and what to check, in sentences."""
    kind = kinds.named(name, modality)
    if kind is None:
        known = ", ".join(one.name for one in kinds.of(modality))
        return f"None of the known kinds fits well ({known})." if known else ""
    checks = f" Worth checking: {' '.join(kind.checks)}" if kind.checks else ""
    return f"{kind.name.capitalize()}: {kind.description} {kind.guide}{checks}".strip()


@tool
def what_differs(workspace: Workspace, finding: str, part: str | None = None) -> ToolResult:
    """How the leading parts of a finding depart from what was expected: level, slope, roughness, rhythm, correlation
    and lag of channels; brightness, colour, texture, edges, size and shape of places; range and relation of features.

    Args:
        finding: the finding's id such as F12.
        part: one channel, feature or region; the first two that were measured if left out.
    """
    one = workspace.store.finding(finding)
    measures = keeping.load_measures(one.folder)
    names = list(dict.fromkeys(str(row["part"]) for row in measures))
    chosen = names[:2] if part is None else [name for name in names if name.casefold() == part.casefold().strip()]
    if not chosen:
        told = f"; measured: {', '.join(repr(name) for name in names)}" if names else ""
        return ToolResult(status="no_data", note=f"Nothing was measured of {part or 'the parts'} of {one.id}{told}.")
    facts = [Fact(one.id, "sample", one.sample), Fact(one.id, "modality", one.modality), Fact(one.id, "kind", one.kind)]
    return ToolResult(facts + _facts(one, [row for row in measures if row["part"] in chosen]))


def _facts(finding: Finding, rows: list[dict[str, Any]]) -> list[Fact]:
    """Measurements as facts; what was not measured is left out."""
    return [
        Fact(
            part_subject(finding, str(row["part"])), OF_TABLES.get(row["name"], row["name"]), row["value"], row["unit"]
        )
        for row in rows
        if row["value"] is not None
    ]
