"""Incidents: findings that belong together, their title, the places they share, and groups of findings alike.

Knows the store, findings and signatures; not detectors, tools or language models. Everything is told from SQL, so that
an incident of ten thousand findings is told as fast as one of ten.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from assistant.modalities import kind
from assistant.records import Finding, Incident
from assistant.store import Store

ALIKE = 0.8  # cosine from which two findings count as the same kind
GROUPS = 8
GAP = 3.0  # lengths of an event within which another may still belong to it
UNNAMED = {"", "unclear"}  # kinds that say nothing
LEADERS = 60  # groups looked for; in a large incident of unlike findings the rest stays ungrouped
JUDGED = 200  # rows that are asked who leads
TITLED = 5000  # findings that the title is made from
_IN = {"image": "images", "table": "rows", "video": "clips", "multimodal": "several parts"}


def open_incident(store: Store, findings: Sequence[str]) -> Incident:
    """The incident that holds exactly these findings; made where there is none."""
    wanted = set(findings)
    if len(findings) < TITLED:  # a name that is no id as the store writes it is looked up by itself
        known_ids = set(store.finding_ids(ids=[name for name in findings if re.fullmatch(r"F\d+", name)]))
        wanted = known_ids | {store.finding(name).id for name in wanted - known_ids}
    name = store.finding(findings[0]).incident
    known = store.incident(name) if name else None
    if known is not None and set(known.findings) == wanted:
        return known
    return store.add_incident(title(store, sorted(wanted)), sorted(wanted))


def title(store: Store, findings: Sequence[str]) -> str:
    """A short name: how many findings of what, mainly where; of several modalities, how many of each."""
    first, counted = store.finding(findings[0]), store.modalities(ids=findings[:TITLED])
    if len(counted) > 1:
        return f"{len(findings)} findings: {told_of(counted)}"
    one = first.sample if len(findings) == 1 else f"{len(findings)} {kind(first.modality).findings}"
    where = store.involved(kind_of_place(first.modality), first.run, limit=1, ids=findings[:TITLED])
    return f"{one}, mainly {where[0][0]}" if where else one


def told_of(counted: Mapping[str, int]) -> str:
    """Findings by modality in words: "3 in images, 2 in series"."""
    return ", ".join(f"{count:,} in {_IN.get(modality, modality)}" for modality, count in counted.items())


def kind_of_place(modality: str) -> str:
    """What a finding of this modality is found by: positions in pictures, parts elsewhere."""
    return "position" if kind(modality).pictured else "part"


def groups(store: Store, incident: Incident, most: int = GROUPS) -> list[list[str]]:
    """Ids of findings that look alike, the largest group first: whoever has most findings like it leads, those join.

    Signatures of different models do not compare; such findings form groups of their own.
    """
    found: list[list[str]] = []
    for ids, table in _unit_vectors(store, incident):
        left = np.arange(len(ids))
        while len(left) and len(found) < LEADERS:
            leader = _leader(table[left])
            alike = table[left] @ table[left[leader]] >= ALIKE
            alike[leader] = True
            found.append([ids[i] for i in left[alike]])
            left = left[~alike]
    return sorted(found, key=len, reverse=True)[:most]


def _leader(table: np.ndarray) -> int:
    """The row with most rows like it; in large incidents judged by a sample of the rows."""
    sample = table[:: max(1, len(table) // JUDGED)]
    return int((table @ sample.T >= ALIKE).sum(1).argmax())


def _unit_vectors(store: Store, incident: Incident) -> list[tuple[list[str], np.ndarray]]:
    """Ids with unit vectors (n, k), one pair for each model."""
    kept = store.signatures(incident=incident.id)
    models = {run: store.run(run).model for run in dict.fromkeys(run for _, run, _ in kept)}
    kinds: dict[tuple[str, int], list[tuple[str, bytes]]] = {}
    for name, run, vector in kept:
        kinds.setdefault((models[run], len(vector)), []).append((name, vector))
    out = []
    for members in kinds.values():
        table = np.frombuffer(b"".join(vector for _, vector in members), "<f4").reshape(len(members), -1)
        lengths = np.linalg.norm(table, axis=1, keepdims=True)
        out.append(([name for name, _ in members], table / np.maximum(lengths, 1e-12)))
    return out


# --- grouping a run -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Group:
    """Findings of a run that belong together, in order of detection."""

    members: list[str]
    place: str  # the part or position that they share
    kind: str  # the kind that those of a known kind are of; "" or "unclear" where none is
    first: str  # when the first and the last of them happened
    last: str


def together(store: Store, run: str, most: int = TITLED) -> list[Group]:
    """The findings of a run (false alarms aside) in groups, the largest first.

    What belongs together lies at the same place, looks alike, and is not of two different kinds; events must also lie
    within GAP lengths of the longer one of each other. Where there are no looks to compare, the kind must be the same.
    """
    findings = [f for f in store.findings(run, order="index", limit=most) if f.state != "false alarm"]
    vectors = {name: np.frombuffer(vector, "<f4") for name, _, vector in store.signatures(ids=[f.id for f in findings])}
    groups: list[list[Finding]] = []
    for finding in findings:
        fitting = [group for group in groups if _belongs(finding, group, vectors)]
        fitting[-1].append(finding) if fitting else groups.append([finding])
    return sorted((_group(group) for group in groups), key=lambda group: -len(group.members))


def _belongs(one: Finding, group: Sequence[Finding], vectors: Mapping[str, np.ndarray]) -> bool:
    other, named = group[-1], {f.kind for f in group} - UNNAMED
    if one.modality != other.modality or _place(one) != _place(other):
        return False
    if kind(one.modality).event and not _soon(one, other):
        return False
    if one.kind not in UNNAMED and named and one.kind not in named:
        return False
    a, b = vectors.get(one.id), vectors.get(other.id)
    if a is None or b is None or len(a) != len(b):
        return one.kind not in UNNAMED and one.kind == other.kind
    return float(a @ b) >= ALIKE * float(np.linalg.norm(a) * np.linalg.norm(b))


def _soon(one: Finding, other: Finding) -> bool:
    spans = [(f.regions[0]["start"], f.regions[0]["end"]) for f in (one, other) if f.regions]
    if len(spans) < 2:
        return False
    gap = max(spans[0][0], spans[1][0]) - min(spans[0][1], spans[1][1])
    return bool(gap <= GAP * max(end - start for start, end in spans))


def _place(finding: Finding) -> str:
    if kind(finding.modality).pictured:
        return str(finding.regions[0].get("position", "")) if finding.regions else ""
    return str(finding.parts[0]["name"]) if finding.parts else ""


def _group(findings: Sequence[Finding]) -> Group:
    kinds = Counter(f.kind for f in findings if f.kind not in UNNAMED) or Counter(f.kind for f in findings)
    times = [finding.time for finding in findings if finding.time]
    members = [finding.id for finding in findings]
    return Group(
        members, _place(findings[0]), kinds.most_common(1)[0][0], min(times, default=""), max(times, default="")
    )
