"""What the store hands out: frozen records of runs, findings, samples, labels, incidents and threads.

Knows plain types and paths; not SQL, detectors or language models.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

ORDERS = ("p_value", "score", "index", "created", "time", "state", "kind")
STATES = ("new", "confirmed", "false alarm", "in incident")
LABELS = ("anomaly", "normal")
STATE_OF = {"anomaly": "confirmed", "normal": "false alarm"}


@dataclass(frozen=True)
class Run:
    """One detection over one source with one model."""

    id: str  # "R1"
    created: str  # ISO time, UTC
    source: str
    modality: str
    model: str  # the model's folder
    method: str
    alpha: float
    fdr: float | None
    n_samples: int
    n_flagged: int  # findings: flagged samples, or events of a series
    info: dict[str, Any] = field(default_factory=dict)  # detector.info() at the time
    skipped: list[tuple[str, str]] = field(default_factory=list)  # (file, reason)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return asdict(self)


@dataclass(frozen=True)
class Finding:
    """One flagged sample, or one event of a series. Regions and parts are ranked, most guilty first."""

    id: str  # "F12"
    run: str
    sample: str
    index: int
    modality: str
    score: float
    p_value: float
    alpha: float
    extrapolated: bool
    regions: list[dict[str, Any]]  # detectors.detection.Region without its mask
    parts: list[dict[str, Any]]  # detectors.detection.Part: name, share, observed, expected
    folder: Path  # input.png, map.npy, masks.npz, ... (see assistant/keeping/folder.py)
    label: str | None = None  # one of LABELS
    note: str = ""
    state: str = "new"  # one of STATES
    incident: str | None = None
    created: str = ""  # when it was detected
    time: str = ""  # when it happened: an event's first time stamp where known, else `created`
    kind: str = ""  # of anomaly, see assistant/kinds.py; "unclear", or "" where nothing was measured
    kind_confidence: float | None = None  # 0..1
    stability: dict[str, Any] | None = None  # detectors.stability.Stability: in how many of how many runs it is flagged
    fitted_p: float | None = None  # the p-value before labels moved it; None: they have not
    fitted_extrapolated: bool | None = None
    ignored: str | None = None  # the rule in force that covers it, "rule 2"

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {**asdict(self), "folder": str(self.folder)}


@dataclass(frozen=True)
class Sample:
    """One scored sample of a run over images or rows, flagged or not."""

    run: str
    name: str
    index: int
    score: float
    p_value: float
    flagged: bool
    finding: str | None = None
    fitted_p: float | None = None  # as in Finding


@dataclass(frozen=True)
class Label:
    """One word of feedback on a finding; the latest counts."""

    finding: str
    label: str
    note: str
    who: str
    created: str


@dataclass(frozen=True)
class Change:
    """One entry of the audit log. Before and after are what changed, by name."""

    id: str  # "A7"
    created: str
    who: str
    via: str  # "command line" | "page" | "chat" | "python"
    session: str  # which page or conversation, shortened so that it opens nothing
    action: str
    subject: str  # "F12", "rule 2", "C1", "I3", a kind
    why: str
    before: dict[str, Any]
    after: dict[str, Any]
    undoes: str | None = None
    undone: str | None = None  # the entry that undid it

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return asdict(self)


@dataclass(frozen=True)
class Revision:
    """What counts as normal for one fitted model beside its own calibration; the model on disk stays as it is."""

    id: str  # "C1"
    model: str
    model_hash: str
    findings: list[str]  # labelled normal
    scores: list[float]  # theirs
    sha256: str  # over model hash, findings and scores
    created: str
    who: str
    withdrawn: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return asdict(self)


@dataclass(frozen=True)
class Rule:
    """What is ignored: findings that match all that is given ("" matches any), until it expires."""

    id: str  # "rule 2"
    kind: str
    position: str
    part: str
    source: str  # words of the source's path or the sample's name
    reason: str
    expires: str  # ISO time, UTC
    created: str = ""
    who: str = ""
    removed: str | None = None

    @property
    def what(self) -> str:
        """What it ignores, in words."""
        kind = self.kind or "anything"
        where = [f"at {self.position}" if self.position else "", f"in {self.part}" if self.part else "",
                 f"from {self.source}" if self.source else ""]  # fmt: skip
        return " ".join([kind, *(one for one in where if one)])

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return {**asdict(self), "what": self.what}


@dataclass(frozen=True)
class Incident:
    """Findings that belong together."""

    id: str  # "I1"
    title: str
    findings: list[str]
    note: str
    created: str

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return asdict(self)


@dataclass(frozen=True)
class Thread:
    """One conversation."""

    name: str
    title: str  # its first question
    answers: int
    created: str
    updated: str


@dataclass(frozen=True)
class Exchange:
    """One question of a thread and its stored answer."""

    thread: str
    question: str
    answer: dict[str, Any]  # assistant.evidence.Answer.to_dict()
    created: str


@dataclass(frozen=True)
class NewFinding:
    """A finding on its way into the store, before it has an id."""

    sample: str
    index: int
    score: float
    p_value: float
    extrapolated: bool = False
    regions: list[dict[str, Any]] = field(default_factory=list)
    parts: list[dict[str, Any]] = field(default_factory=list)
    signature: bytes = b""  # float32, little endian
    time: str = ""
    kind: str = ""
    kind_confidence: float | None = None
    stability: dict[str, Any] | None = None
    fitted_p: float | None = None
    fitted_extrapolated: bool | None = None
