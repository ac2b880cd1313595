"""Tools about places that a person points at: a box drawn in a picture, or a stretch of an event's rows.

Measures what was kept with the finding; nothing is scored again (`what_if_repaired` does that)."""

from __future__ import annotations

import numpy as np

from assistant.evidence import Fact, ToolResult
from assistant.figures import load_picture
from assistant.keeping import load_stretch
from assistant.keeping.drawn import box_in, kept_rows
from assistant.keeping.windows import ranking
from assistant.pipeline import Workspace
from assistant.records import Finding
from assistant.tools import tool
from assistant.tools._facts import drawn_facts, percent
from assistant.words import when
from detectors.errors import AnomalyError

CHANNELS_TOLD = 4


@tool
def look_at_place(
    workspace: Workspace, finding: str, box: list[int] | None = None, rows: list[int] | None = None
) -> ToolResult:
    """Measure a place that the person points at: how much of the score lies in it, its highest level, what was
    observed and expected there, and which named place it touches.

    Args:
        finding: the finding's id such as F12.
        box: a box in the picture, as [left, top, right, bottom] in pixels.
        rows: the first and the last row of a stretch of an event, as [first, last].
    """
    if (box is None) == (rows is None):
        raise AnomalyError("Say one place: box for a picture, or rows for an event of a series.")
    one = workspace.store.finding(finding)
    return ToolResult(_box(one, box) if box is not None else _rows(one, rows or []))


def _box(finding: Finding, box: list[int]) -> list[Fact]:
    left, top, right, bottom = box_in(finding, box)
    inside = np.s_[top:bottom, left:right]
    level = np.nan_to_num(np.load(finding.folder / "map.npy", allow_pickle=False).astype(np.float64))
    evidence = np.maximum(level - min(0.5, 0.5 * float(level.max())), 0)  # as a region's share is counted
    subject = f"{finding.id}/box"
    facts = [
        *drawn_facts(finding, box, None),
        percent(subject, "share", float(evidence[inside].sum() / max(evidence.sum(), 1e-12))),
        Fact(subject, "peak", float(level[inside].max())),
        percent(subject, "odd_share", float((level[inside] >= 1.0).mean())),
    ]
    for name, file in (("observed", "input.png"), ("expected", "counterfactual.png")):
        if (finding.folder / file).is_file():
            grey = np.asarray(load_picture(finding.folder / file).convert("L"), float)
            if grey.shape == level.shape:
                facts.append(Fact(subject, name, float(grey[inside].mean())))
    touched = [
        str(r["name"]) for r in finding.regions if r.get("box") and _overlap(r["box"], (left, top, right, bottom))
    ]
    return [*facts, Fact(subject, "touches", ", ".join(touched) or "no named place")]


def _overlap(one: list[int], other: tuple[int, int, int, int]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _rows(finding: Finding, rows: list[int]) -> list[Fact]:
    if not (finding.folder / "window.npz").is_file():
        raise AnomalyError(f"{finding.id} is no event of a series, so it has no rows to choose from.")
    stretch = load_stretch(finding.folder)
    inside = kept_rows(finding, stretch, rows)
    scores, p_values = stretch.scores[inside], stretch.p_values[inside]
    first, last = stretch.start + inside.start, stretch.start + inside.stop - 1
    subject = f"{finding.id}/rows"
    facts = drawn_facts(finding, None, (first, last))
    if len(stretch.times):
        facts.append(Fact(subject, "start_time", when(str(stretch.times[inside][0].astype("datetime64[s]")))))
        facts.append(Fact(subject, "end_time", when(str(stretch.times[inside][-1].astype("datetime64[s]")))))
    seen = np.isfinite(scores)
    facts += [
        Fact(subject, "stamps", len(scores)),
        Fact(subject, "flagged_stamps", int((p_values <= finding.alpha).sum())),
    ]
    if seen.any():
        facts += [
            Fact(subject, "score", float(scores[seen].max())),
            Fact(subject, "p_value", float(p_values[seen].min())),
        ]
    for column in ranking(finding, stretch.channels)[:CHANNELS_TOLD]:
        channel = f"{finding.id}/channel {stretch.channels[column]}"
        facts.append(Fact(channel, "observed", float(np.nanmean(stretch.observed[inside, column]))))
        if stretch.expected is not None:
            facts.append(Fact(channel, "expected", float(np.nanmean(stretch.expected[inside, column]))))
    return facts
