"""Incidents: findings that belong together, their title, the places they share, and groups of findings alike.

Knows findings and signatures; not detectors, tools or language models.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from assistant.records import Finding, Incident
from assistant.store import Store

ALIKE = 0.8  # cosine from which two findings count as the same kind
GROUPS = 8
LABEL_EFFECT = (
    "From the next detection with this model on, the score of this finding counts as a normal one; "
    "its own p-value stays as it was."
)


def title(members: Sequence[Finding]) -> str:
    """A short name: how many findings of what, mainly where."""
    where = places(members)[:1]
    what = {"image": "image", "series": "event", "table": "row"}.get(members[0].modality, "finding")
    one = members[0].sample if len(members) == 1 else f"{len(members)} {what}s"
    return f"{one}, mainly {where[0][0]}" if where else one


def members(store: Store, incident: Incident) -> list[Finding]:
    """The findings of an incident."""
    return store.findings(limit=None, order="created", incident=incident.id)


def existing(store: Store, members: Sequence[Finding]) -> Incident | None:
    """The incident that holds exactly these findings already."""
    names = {member.incident for member in members}
    name = names.pop() if len(names) == 1 else None
    incident = store.incident(name) if name else None
    return incident if incident and set(incident.findings) == {member.id for member in members} else None


def places(members: Sequence[Finding], most: int = 6) -> list[tuple[str, int]]:
    """Positions (images) or parts that lead most findings."""
    counts: Counter[str] = Counter()
    for member in members:
        if member.modality == "image":
            counts.update(r["position"] for r in member.regions[:1] if r.get("position"))
        else:
            counts.update(str(part["name"]) for part in member.parts[:1])
    return counts.most_common(most)


def groups(store: Store, members: Sequence[Finding], most: int = GROUPS) -> list[list[str]]:
    """Ids of findings that look alike, the largest group first: each joins the first leader that it resembles.

    Signatures of different models do not compare; such findings form groups of their own.
    """
    vectors = _unit_vectors(store, members)
    leaders: list[tuple[str, np.ndarray]] = []
    found: list[list[str]] = []
    for member in members:
        model, vector = vectors.get(member.id, (member.id, np.zeros(0)))
        number = next((n for n, (m, lead) in enumerate(leaders) if m == model and float(lead @ vector) >= ALIKE), None)
        if number is None:
            leaders.append((model, vector))
            found.append([member.id])
        else:
            found[number].append(member.id)
    return sorted(found, key=len, reverse=True)[:most]


def _unit_vectors(store: Store, members: Sequence[Finding]) -> dict[str, tuple[str, np.ndarray]]:
    """(model and length, unit vector) by finding."""
    wanted = {member.id for member in members}
    out: dict[str, tuple[str, np.ndarray]] = {}
    for run in {member.run: store.run(member.run) for member in members}.values():
        for name, blob in zip(*store.signatures(run.modality, run.model), strict=True):
            if name in wanted:
                vector = np.frombuffer(blob, "<f4")
                out[name] = (f"{run.model}:{len(vector)}", vector / max(float(np.linalg.norm(vector)), 1e-12))
    return out
