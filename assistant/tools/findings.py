"""Tools over single findings: describe one, show its map, compare two, compare with normal, find similar ones."""

from __future__ import annotations

from typing import Any

import numpy as np

from assistant import keeping
from assistant.evidence import Fact, ToolResult
from assistant.keeping.clips import keep_strip
from assistant.modalities import kind
from assistant.pipeline import Workspace
from assistant.records import Finding
from assistant.tools import tool
from assistant.tools._facts import finding_facts, part_subject, place_facts
from assistant.words import flag_level

MOST_SIMILAR = 20
PARTS_COMPARED = 5


@tool
def describe_finding(workspace: Workspace, finding: str) -> ToolResult:
    """The facts of one finding: sample, score, p-value, state, every place with its size and share, every part.

    Args:
        finding: the finding's id such as F12.
    """
    one = workspace.store.finding(finding)
    return ToolResult(finding_facts(one) + place_facts(one))


@tool
def show_map(workspace: Workspace, finding: str) -> ToolResult:
    """Show where the score of a finding lies: the anomaly map over the image, the series with its interval.

    Args:
        finding: the finding's id such as F12.
    """
    one = workspace.store.finding(finding)
    pictures = picture_of(workspace, one)
    facts = finding_facts(one)[:4] + place_facts(one)
    return ToolResult(
        facts, pictures=pictures, note="" if pictures else "A row has no picture; its features are ranked."
    )


def picture_of(workspace: Workspace, finding: Finding) -> list[str]:
    """The store's picture of a finding, drawn when first asked for."""
    if kind(finding.modality).pictured:
        shown = [keeping.keep_overlay(finding.folder, finding.regions)]
        if finding.modality == "video":
            shown.append(keep_strip(finding.folder, flag_level(workspace.store.run(finding.run))))
        return [workspace.store.relative(path) for path in shown]
    if finding.modality in ("series", "multimodal"):
        part = finding.folder / "part.png"
        shown = [_plot(workspace, finding), *([part] if part.is_file() else [])]
        return [workspace.store.relative(path) for path in shown]
    return []


def _plot(workspace: Workspace, finding: Finding) -> Any:
    """The event's stretch as a picture; drawn anew, since what was expected may have come to be known."""
    from assistant.figures import plots

    stretch = keeping.load_stretch(finding.folder)
    shares = {str(part["name"]): float(part["share"]) for part in finding.parts}
    ranked = sorted(range(len(stretch.channels)), key=lambda c: -shares.get(stretch.channels[c], 0.0))
    stamps = stretch.times if len(stretch.times) else stretch.start + np.arange(len(stretch.observed))
    view = plots.SeriesView(
        x=stamps,
        channels=tuple(stretch.channels[c] for c in ranked),
        observed=stretch.observed[:, ranked],
        expected=None if stretch.expected is None else stretch.expected[:, ranked],
        score=stretch.scores,
        threshold=workspace.store.run(finding.run).info.get("threshold"),
        intervals=tuple((r["start"] - stretch.start, r["end"] - stretch.start, r["name"]) for r in finding.regions),
        shares=tuple(shares.get(stretch.channels[c], 0.0) for c in ranked),
    )
    path = finding.folder / "plot.png"
    keeping.write(path, lambda file: file.write(plots.series_png(view)))
    return path


@tool
def compare_findings(workspace: Workspace, first: str, second: str) -> ToolResult:
    """Two findings side by side, with how similar their anomalies are (1 = the same kind, 0 = unrelated).

    Args:
        first: a finding's id such as F12.
        second: another finding's id.
    """
    one, two = workspace.store.finding(first), workspace.store.finding(second)
    if one.id == two.id:
        return ToolResult(status="error", note=f"{one.id} is compared with itself; name two findings.")
    facts = [fact for finding in (one, two) for fact in finding_facts(finding) + place_facts(finding)]
    both = f"{one.id} vs {two.id}"
    names = [{str(part["name"]) for part in finding.parts[:3] if part["share"] > 0.05} for finding in (one, two)]
    if one.modality == two.modality and not kind(one.modality).places_are_parts:
        facts.append(Fact(both, "shared_parts", ", ".join(sorted(names[0] & names[1])) or "none"))
    if one.modality == two.modality and kind(one.modality).pictured and one.regions and two.regions:
        same = one.regions[0].get("position") == two.regions[0].get("position")
        facts.append(Fact(both, "same_position", same))
    similarity = dict(similar_to(workspace, one)).get(two.id)
    if similarity is None:
        note = "They come from different models, so the likeness of their anomalies was not computed."
        return ToolResult(facts, note=note, subjects=[one.id, two.id])
    return ToolResult([*facts, Fact(both, "similarity", similarity)], subjects=[one.id, two.id])


@tool
def find_similar(workspace: Workspace, finding: str, limit: int = 5) -> ToolResult:
    """Findings of the same model whose anomaly looks like this one's, the most similar first, in all runs.

    Args:
        finding: the finding's id such as F12.
        limit: how many, at most 20.
    """
    one = workspace.store.finding(finding)
    ranked = similar_to(workspace, one)[: min(max(limit, 1), MOST_SIMILAR)]
    if not ranked:
        return ToolResult(status="no_data", note=f"{one.id} is the only finding of its model; nothing to compare with.")
    others = {other.id: other for other in workspace.store.findings(ids=[name for name, _ in ranked])}
    facts = [Fact(one.id, "sample", one.sample)]
    for name, similarity in ranked:
        other = others[name]
        facts += [
            Fact(f"{one.id} vs {name}", "similarity", similarity),
            Fact(name, "sample", other.sample),
            Fact(name, "run", other.run),
            Fact(name, "p_value", other.p_value),
            Fact(name, "state", other.state),
        ]
        facts += [Fact(name, "note", other.note)] if other.note else []
    return ToolResult(facts)


def similar_to(workspace: Workspace, finding: Finding) -> list[tuple[str, float]]:
    """(id, cosine) of the other findings of the same model, the most similar first."""
    kept = workspace.store.signatures(model=workspace.store.run(finding.run).model)
    own = next((vector for name, _, vector in kept if name == finding.id), b"")
    others = [(name, vector) for name, _, vector in kept if name != finding.id and len(vector) == len(own)]
    if not own or not others:
        return []
    table = np.frombuffer(b"".join(vector for _, vector in others), "<f4").reshape(len(others), -1)
    mine = np.frombuffer(own, "<f4")
    lengths = np.linalg.norm(table, axis=1) * np.linalg.norm(mine)
    cosines = table @ mine / np.maximum(lengths, 1e-12)
    return [(others[i][0], float(cosines[i])) for i in np.argsort(-cosines, kind="stable")]


@tool
def compare_with_normal(workspace: Workspace, finding: str) -> ToolResult:
    """A finding beside what was not flagged in its run: the usual scores, and the usual range of its guilty parts.

    Args:
        finding: the finding's id such as F12.
    """
    one = workspace.store.finding(finding)
    scores, facts = _normal_scores(workspace, one)
    facts = finding_facts(one) + place_facts(one) + facts
    if not len(scores):
        return ToolResult(
            facts, note=f"Every sample of {one.run} was flagged; there is nothing normal to compare with."
        )
    facts += [
        Fact(one.id, "normal_samples", len(scores)),
        Fact(one.id, "normal_median_score", float(np.median(scores))),
        Fact(one.id, "normal_max_score", float(np.max(scores))),
    ]
    return ToolResult(facts)


def _normal_scores(workspace: Workspace, finding: Finding) -> tuple[np.ndarray, list[Fact]]:
    """Scores of what was not flagged in the run, and what is usual for the guilty parts there."""
    run = workspace.store.run(finding.run)
    if kind(finding.modality).pictured or finding.modality == "multimodal":
        return np.array([score for score, _ in workspace.store.sample_scores(run.id, flagged=False)]), []
    if finding.modality == "series":
        frame, (scores, p_values) = workspace.series(run.id), workspace.series_scores(run.id)
        normal = np.isfinite(scores) & (p_values > run.alpha)
    else:
        frame, pairs = workspace.table(run.id), np.array(workspace.store.sample_scores(run.id)).reshape(-1, 2)
        scores, normal = pairs[:, 0], pairs[:, 1] > run.alpha
    usual = frame[normal]
    parts = [part for part in finding.parts[:PARTS_COMPARED] if part["name"] in usual.columns]
    facts = [fact for part in parts for fact in _usual(finding, part["name"], usual[part["name"]])]
    return scores[normal], facts


def _usual(finding: Finding, name: str, values: Any) -> list[Fact]:
    """What is usual for one part: the range that holds 90 % of normal values, or the most frequent one."""
    from pandas.api.types import is_bool_dtype, is_numeric_dtype

    subject, values = part_subject(finding, name), values.dropna()
    if not len(values):
        return []
    if not is_numeric_dtype(values) or is_bool_dtype(values):
        counts = values.astype(str).value_counts()
        share = Fact(subject, "normal_most_frequent_share", 100.0 * float(counts.iloc[0]) / len(values), "%")
        return [Fact(subject, "normal_most_frequent", str(counts.index[0])), share]
    low, middle, high = np.quantile(values.to_numpy(float), [0.05, 0.5, 0.95]).tolist()
    return [
        Fact(subject, "normal_median", middle),
        Fact(subject, "normal_low", low),
        Fact(subject, "normal_high", high),
    ]
