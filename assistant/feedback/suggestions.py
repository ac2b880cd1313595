"""What the labels so far are enough for: recalibrating, fitting again, a kind of one's own, a rule that ignores.

Everything is counted in the store; nothing is done. Knows the store and groups of findings; not detectors or pages.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from assistant.incidents import ALIKE, kind_of_place
from assistant.kinds import UNCLEAR
from assistant.modalities import kind
from assistant.records import Finding, Run
from assistant.store import Store

REFIT = 20  # false alarms of a model from which a refit pays: as many as a fitted tail needs
OWN_KIND = 5  # confirmed findings of no known kind that look alike
IGNORE = 5  # false alarms of one kind at one place
MOST = 2000  # labelled findings looked at


@dataclass(frozen=True)
class Suggestion:
    """Something that the labels are enough for."""

    what: str  # "recalibrate" | "refit" | "kind" | "ignore"
    run: str
    count: int  # labels that it rests on
    needed: int
    findings: list[str]
    command: str
    sentence: str

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return asdict(self)


def suggestions(store: Store, run: str | None = None) -> list[Suggestion]:
    """What the labels on the model of a run (of the latest where none is named) are enough for."""
    one = store.run(run)
    wrong = store.labelled(one.model, "normal", str(one.info.get("model_hash")))
    right = store.labelled(one.model, "anomaly", str(one.info.get("model_hash")))
    return [
        *_recalibrate(store, one, wrong),
        *_refit(one, wrong),
        *_own_kind(store, one, right[:MOST]),
        *_ignore(store, one, wrong[:MOST]),
    ]


def _recalibrate(store: Store, run: Run, wrong: Sequence[Finding]) -> list[Suggestion]:
    current = store.revision(run.model, str(run.info.get("model_hash")))
    waiting = sorted(
        {one.id for one in wrong} ^ set(current.findings if current else []), key=lambda name: int(name[1:])
    )
    if not waiting:
        return []
    told = f"{_labels(len(waiting))} not in the calibration yet; look at what counting them would change."
    return [
        Suggestion("recalibrate", run.id, len(waiting), 1, waiting, f"anomaly recalibrate --run {run.id}", told)
    ]  # fmt: skip


def _labels(count: int) -> str:
    return f"{count} label is" if count == 1 else f"{count} labels are"


def _refit(run: Run, wrong: Sequence[Finding]) -> list[Suggestion]:
    if len(wrong) < REFIT:
        return []
    told = f"{len(wrong)} false alarms of this model are labelled, enough to fit it again with them among the normals."
    command = f"anomaly refit --run {run.id} --with-labels --out {run.model}-2"
    return [Suggestion("refit", run.id, len(wrong), REFIT, [one.id for one in wrong], command, told)]


def _own_kind(store: Store, run: Run, right: Sequence[Finding]) -> list[Suggestion]:
    unnamed = [one.id for one in right if one.kind in ("", UNCLEAR)]
    group = _alike(store, unnamed)
    if len(group) < OWN_KIND:
        return []
    told = f"{len(group)} confirmed findings of no known kind look alike, enough for a kind of your own."
    command = "anomaly kinds NAME " + " ".join(f"--finding {name}" for name in group[:OWN_KIND])
    return [Suggestion("kind", run.id, len(group), OWN_KIND, group, command, told)]


def _alike(store: Store, findings: Sequence[str]) -> list[str]:
    """The largest set of findings that look like one of them."""
    kept = store.signatures(ids=list(findings)) if findings else []
    if not kept or len({len(vector) for _, _, vector in kept}) > 1:
        return []
    table = np.frombuffer(b"".join(vector for _, _, vector in kept), "<f4").reshape(len(kept), -1).astype(float)
    table /= np.maximum(np.linalg.norm(table, axis=1, keepdims=True), 1e-12)
    near = table @ table.T >= ALIKE
    return [kept[place][0] for place in np.flatnonzero(near[int(near.sum(1).argmax())])]


def _ignore(store: Store, run: Run, wrong: Sequence[Finding]) -> list[Suggestion]:
    if not wrong:
        return []
    which = kind_of_place(run.modality)
    seen = Counter((one.kind, _place(one, which)) for one in wrong if not one.ignored and one.kind not in ("", UNCLEAR))
    found = [(key, count) for key, count in seen.most_common() if count >= IGNORE and key[1]]
    made = []
    for (name, place), count in found:
        members = [one.id for one in wrong if (one.kind, _place(one, which)) == (name, place)]
        word = "at" if which == "position" else f"in the {kind(run.modality).part}"
        told = f"{count} false alarms are of the kind {name} {word} {place}; a rule could ignore them until a day."
        command = f"anomaly ignore --kind '{name}' --{which} '{place}' --reason WHY --until DAY"
        made.append(Suggestion("ignore", run.id, count, IGNORE, members, command, told))
    return made


def _place(finding: Finding, which: str) -> str:
    if which == "position":
        return str(finding.regions[0].get("position", "")) if finding.regions else ""
    return str(finding.parts[0]["name"]) if finding.parts else ""
