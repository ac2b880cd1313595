"""The store's tables. Knows columns and indices; not queries (store.py) or how they came about (migrations/).

Every change here needs a new file in assistant/store/migrations/versions; a test holds the two together.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, LargeBinary, MetaData, String, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    """Names every constraint, so that migrations can name them too."""

    metadata = MetaData(naming_convention={"ix": "ix_%(table_name)s_%(column_0_N_name)s", "pk": "pk_%(table_name)s"})
    type_annotation_map = {dict[str, Any]: JSON, list[Any]: JSON}


class RunRow(Base):
    """One detection."""

    __tablename__ = "runs"
    id: Mapped[int] = mapped_column(primary_key=True)
    created: Mapped[str] = mapped_column(String(32))
    source: Mapped[str] = mapped_column(Text)
    modality: Mapped[str] = mapped_column(String(32))
    model: Mapped[str] = mapped_column(Text)
    method: Mapped[str] = mapped_column(String(64))
    alpha: Mapped[float]
    fdr: Mapped[float | None]
    n_samples: Mapped[int]
    n_flagged: Mapped[int]
    info: Mapped[dict[str, Any]]
    skipped: Mapped[list[Any]]


class IncidentRow(Base):
    """Findings that belong together; membership stands in the findings."""

    __tablename__ = "incidents"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str] = mapped_column(Text)
    note: Mapped[str] = mapped_column(Text)
    created: Mapped[str] = mapped_column(String(32))


class FindingRow(Base):
    """One flagged sample or event. The signature is a table of its own: lists of findings never load it."""

    __tablename__ = "findings"
    id: Mapped[int] = mapped_column(primary_key=True)
    run_id: Mapped[int] = mapped_column(ForeignKey("runs.id"))
    sample: Mapped[str] = mapped_column(Text)
    index: Mapped[int] = mapped_column("position")
    modality: Mapped[str] = mapped_column(String(32))
    score: Mapped[float]
    p_value: Mapped[float]
    alpha: Mapped[float]
    extrapolated: Mapped[bool]
    regions: Mapped[list[Any]]
    parts: Mapped[list[Any]]
    label: Mapped[str | None] = mapped_column(String(16))
    note: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(String(16))
    incident_id: Mapped[int | None] = mapped_column(ForeignKey("incidents.id"))
    created: Mapped[str] = mapped_column(String(32))
    time: Mapped[str] = mapped_column(String(32))
    kind: Mapped[str] = mapped_column(String(64), server_default="")
    kind_confidence: Mapped[float | None]
    stability: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    fitted_p: Mapped[float | None]  # before labels moved the p-value; NULL: they have not
    fitted_extrapolated: Mapped[bool | None]


Index("ix_findings_run_p", FindingRow.run_id, FindingRow.p_value, FindingRow.score.desc())
Index("ix_findings_run_score", FindingRow.run_id, FindingRow.score)
Index("ix_findings_run_position", FindingRow.run_id, FindingRow.index)
Index("ix_findings_run", FindingRow.run_id)
Index("ix_findings_p", FindingRow.p_value, FindingRow.score.desc())
Index("ix_findings_score", FindingRow.score)
Index("ix_findings_run_state_p", FindingRow.run_id, FindingRow.state, FindingRow.p_value)
Index("ix_findings_state_p", FindingRow.state, FindingRow.p_value)
Index("ix_findings_run_kind_p", FindingRow.run_id, FindingRow.kind, FindingRow.p_value)
Index("ix_findings_kind_p", FindingRow.kind, FindingRow.p_value)
Index("ix_findings_sample", FindingRow.sample)
Index("ix_findings_time", FindingRow.time)
Index("ix_findings_run_time", FindingRow.run_id, FindingRow.time)
Index("ix_findings_incident", FindingRow.incident_id)


class TagRow(Base):
    """What a finding can be found by: the parts that carry its score and the places where it lies."""

    __tablename__ = "finding_tags"
    finding_id: Mapped[int] = mapped_column(ForeignKey("findings.id"), primary_key=True)
    kind: Mapped[str] = mapped_column(String(16), primary_key=True)  # "part" | "position"
    rank: Mapped[int] = mapped_column(primary_key=True)  # 0 = leads
    run_id: Mapped[int] = mapped_column(ForeignKey("runs.id"))
    name: Mapped[str] = mapped_column(Text)
    key: Mapped[str] = mapped_column(Text)  # name.casefold()


Index("ix_finding_tags_kind_key", TagRow.kind, TagRow.key, TagRow.finding_id)
Index("ix_finding_tags_run", TagRow.run_id, TagRow.kind, TagRow.name)


class SignatureRow(Base):
    """A finding's residual descriptor, float32 little endian."""

    __tablename__ = "signatures"
    finding_id: Mapped[int] = mapped_column(ForeignKey("findings.id"), primary_key=True)
    vector: Mapped[bytes] = mapped_column(LargeBinary)


class SampleRow(Base):
    """One scored sample of a run over images or rows."""

    __tablename__ = "samples"
    run_id: Mapped[int] = mapped_column(ForeignKey("runs.id"), primary_key=True)
    index: Mapped[int] = mapped_column("position", primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    score: Mapped[float]
    p_value: Mapped[float]
    flagged: Mapped[bool]
    finding_id: Mapped[int | None] = mapped_column(ForeignKey("findings.id"))
    fitted_p: Mapped[float | None]


Index("ix_samples_name", SampleRow.name)
Index("ix_samples_run_p", SampleRow.run_id, SampleRow.p_value)


class EvidenceRow(Base):
    """One tool result."""

    __tablename__ = "evidence"
    id: Mapped[int] = mapped_column(primary_key=True)
    tool: Mapped[str] = mapped_column(String(64))
    arguments: Mapped[dict[str, Any]]
    status: Mapped[str] = mapped_column(String(16))
    facts: Mapped[list[Any]]
    subjects: Mapped[list[Any]]
    pictures: Mapped[list[Any]]
    note: Mapped[str] = mapped_column(Text)
    thread: Mapped[str | None] = mapped_column(String(128))
    created: Mapped[str] = mapped_column(String(32))


Index("ix_evidence_thread", EvidenceRow.thread)


class LabelRow(Base):
    """One word of feedback."""

    __tablename__ = "labels"
    id: Mapped[int] = mapped_column(primary_key=True)
    finding_id: Mapped[int] = mapped_column(ForeignKey("findings.id"))
    label: Mapped[str] = mapped_column(String(16))
    note: Mapped[str] = mapped_column(Text)
    who: Mapped[str] = mapped_column(String(64))
    created: Mapped[str] = mapped_column(String(32))


Index("ix_labels_finding", LabelRow.finding_id)


class AuditRow(Base):
    """One change: who, when, why, before and after. SQLite refuses to alter or delete rows, see migration 0004."""

    __tablename__ = "audit"
    id: Mapped[int] = mapped_column(primary_key=True)
    created: Mapped[str] = mapped_column(String(32))
    who: Mapped[str] = mapped_column(String(64))
    via: Mapped[str] = mapped_column(String(32))
    session: Mapped[str] = mapped_column(String(64))
    action: Mapped[str] = mapped_column(String(32))
    subject: Mapped[str] = mapped_column(String(64))
    why: Mapped[str] = mapped_column(Text)
    before: Mapped[dict[str, Any]]
    after: Mapped[dict[str, Any]]
    undoes: Mapped[int | None] = mapped_column(ForeignKey("audit.id"))


Index("ix_audit_undoes", AuditRow.undoes)


class AuditFindingRow(Base):
    """Which findings a change was about."""

    __tablename__ = "audit_findings"
    audit_id: Mapped[int] = mapped_column(ForeignKey("audit.id"), primary_key=True)
    finding_id: Mapped[int] = mapped_column(ForeignKey("findings.id"), primary_key=True)


Index("ix_audit_findings_finding", AuditFindingRow.finding_id)


class CalibrationRow(Base):
    """One revision of a model's calibration: all scores that count as normal beside those of the fit."""

    __tablename__ = "calibrations"
    id: Mapped[int] = mapped_column(primary_key=True)
    model: Mapped[str] = mapped_column(Text)
    model_hash: Mapped[str] = mapped_column(String(64))
    findings: Mapped[list[Any]]
    scores: Mapped[list[Any]]
    sha256: Mapped[str] = mapped_column(String(64))
    created: Mapped[str] = mapped_column(String(32))
    who: Mapped[str] = mapped_column(String(64))
    withdrawn: Mapped[str | None] = mapped_column(String(32))


Index("ix_calibrations_model", CalibrationRow.model_hash, CalibrationRow.id)


class RuleRow(Base):
    """A kind of anomaly that is ignored at a place, until a day; "" means any."""

    __tablename__ = "rules"
    id: Mapped[int] = mapped_column(primary_key=True)
    kind: Mapped[str] = mapped_column(String(64))
    position: Mapped[str] = mapped_column(Text)
    part: Mapped[str] = mapped_column(Text)
    source: Mapped[str] = mapped_column(Text)
    reason: Mapped[str] = mapped_column(Text)
    expires: Mapped[str] = mapped_column(String(32))
    created: Mapped[str] = mapped_column(String(32))
    who: Mapped[str] = mapped_column(String(64))
    removed: Mapped[str | None] = mapped_column(String(32))


class IgnoredRow(Base):
    """A finding that a rule covers, in force or not."""

    __tablename__ = "ignored"
    finding_id: Mapped[int] = mapped_column(ForeignKey("findings.id"), primary_key=True)
    rule_id: Mapped[int] = mapped_column(ForeignKey("rules.id"), primary_key=True)


Index("ix_ignored_rule", IgnoredRow.rule_id)


class AnswerRow(Base):
    """One question of a thread and its answer."""

    __tablename__ = "answers"
    id: Mapped[int] = mapped_column(primary_key=True)
    thread: Mapped[str] = mapped_column(String(128))
    question: Mapped[str] = mapped_column(Text)
    answer: Mapped[dict[str, Any]]
    created: Mapped[str] = mapped_column(String(32))


Index("ix_answers_thread", AnswerRow.thread, AnswerRow.id)


class WatchRow(Base):
    """A source that is watched with a model, and how far it has been judged."""

    __tablename__ = "watches"
    id: Mapped[int] = mapped_column(primary_key=True)
    source: Mapped[str] = mapped_column(Text)
    model: Mapped[str] = mapped_column(Text)
    version: Mapped[int]  # of the cursor: whoever finds another than it knew is not alone
    run_id: Mapped[int | None] = mapped_column(ForeignKey("runs.id"))  # that grows; NULL: none yet
    cursor: Mapped[dict[str, Any]]
    created: Mapped[str] = mapped_column(String(32))
    updated: Mapped[str] = mapped_column(String(32))


Index("ix_watches_source", WatchRow.source, WatchRow.model, unique=True)


class WatchedRow(Base):
    """A file (or a request) that a watch has dealt with: once."""

    __tablename__ = "watched"
    watch_id: Mapped[int] = mapped_column(ForeignKey("watches.id"), primary_key=True)
    name: Mapped[str] = mapped_column(String(512), primary_key=True)
    stamp: Mapped[str] = mapped_column(String(128))  # its size and time; another one is another file
    reason: Mapped[str] = mapped_column(Text)  # why it was skipped; "": it was judged
    reply: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))  # what a request was answered


class AlertRow(Base):
    """An alert on its way out; kept in the transaction of the findings that it tells of."""

    __tablename__ = "alerts"
    id: Mapped[int] = mapped_column(primary_key=True)
    key: Mapped[str] = mapped_column(String(64))
    watch_id: Mapped[int] = mapped_column(ForeignKey("watches.id"))
    body: Mapped[dict[str, Any]]
    tries: Mapped[int]
    due: Mapped[float]  # seconds since 1970
    sent: Mapped[str | None] = mapped_column(String(32))
    trouble: Mapped[str] = mapped_column(Text)


Index("ix_alerts_due", AlertRow.watch_id, AlertRow.sent, AlertRow.due)
