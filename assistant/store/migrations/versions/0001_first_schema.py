"""The first schema: runs, findings with tags and signatures, samples, evidence, labels, incidents, answers."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def _id() -> sa.Column[Any]:
    return sa.Column("id", sa.Integer(), primary_key=True)


def _text(*names: str) -> list[sa.Column[Any]]:
    return [sa.Column(name, sa.Text(), nullable=False) for name in names]


def _short(name: str, length: int = 32, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.String(length), nullable=nullable)


def _json(*names: str) -> list[sa.Column[Any]]:
    return [sa.Column(name, sa.JSON(), nullable=False) for name in names]


def _number(name: str, nullable: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.Double(), nullable=nullable)


def _count(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.Integer(), nullable=False)


def _flag(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.Boolean(), nullable=False)


def _ref(name: str, target: str, nullable: bool = False, primary_key: bool = False) -> sa.Column[Any]:
    return sa.Column(name, sa.Integer(), sa.ForeignKey(target), nullable=nullable, primary_key=primary_key)


def upgrade() -> None:
    """Create every table with its indices."""
    _runs_and_incidents()
    _findings()
    _samples()
    _talk()


def _runs_and_incidents() -> None:
    op.create_table(
        "runs",
        _id(),
        _short("created"),
        *_text("source"),
        _short("modality"),
        *_text("model"),
        _short("method", 64),
        _number("alpha"),
        _number("fdr", nullable=True),
        _count("n_samples"),
        _count("n_flagged"),
        *_json("info", "skipped"),
    )
    op.create_table("incidents", _id(), *_text("title", "note"), _short("created"))


def _findings() -> None:
    op.create_table(
        "findings",
        _id(),
        _ref("run_id", "runs.id"),
        *_text("sample"),
        _count("position"),
        _short("modality"),
        _number("score"),
        _number("p_value"),
        _number("alpha"),
        _flag("extrapolated"),
        *_json("regions", "parts"),
        _short("label", 16, nullable=True),
        *_text("note"),
        _short("state", 16),
        _ref("incident_id", "incidents.id", nullable=True),
        _short("created"),
        _short("time"),
    )
    op.create_index("ix_findings_run_p", "findings", ["run_id", "p_value", sa.text("score DESC")])
    op.create_index("ix_findings_run_score", "findings", ["run_id", "score"])
    op.create_index("ix_findings_run_position", "findings", ["run_id", "position"])
    op.create_index("ix_findings_run", "findings", ["run_id"])
    op.create_index("ix_findings_p", "findings", ["p_value", sa.text("score DESC")])
    op.create_index("ix_findings_score", "findings", ["score"])
    op.create_index("ix_findings_run_state", "findings", ["run_id", "state"])
    op.create_index("ix_findings_state", "findings", ["state"])
    op.create_index("ix_findings_sample", "findings", ["sample"])
    op.create_index("ix_findings_time", "findings", ["time"])
    op.create_index("ix_findings_incident", "findings", ["incident_id"])
    op.create_table(
        "finding_tags",
        _ref("finding_id", "findings.id", primary_key=True),
        sa.Column("kind", sa.String(16), primary_key=True),
        sa.Column("rank", sa.Integer(), primary_key=True),
        _ref("run_id", "runs.id"),
        *_text("name", "key"),
    )
    op.create_index("ix_finding_tags_kind_key", "finding_tags", ["kind", "key", "finding_id"])
    op.create_index("ix_finding_tags_run", "finding_tags", ["run_id", "kind", "name"])
    op.create_table(
        "signatures",
        _ref("finding_id", "findings.id", primary_key=True),
        sa.Column("vector", sa.LargeBinary(), nullable=False),
    )


def _samples() -> None:
    op.create_table(
        "samples",
        _ref("run_id", "runs.id", primary_key=True),
        sa.Column("position", sa.Integer(), primary_key=True),
        *_text("name"),
        _number("score"),
        _number("p_value"),
        _flag("flagged"),
        _ref("finding_id", "findings.id", nullable=True),
    )
    op.create_index("ix_samples_name", "samples", ["name"])
    op.create_index("ix_samples_run_p", "samples", ["run_id", "p_value"])


def _talk() -> None:
    op.create_table(
        "evidence",
        _id(),
        _short("tool", 64),
        *_json("arguments"),
        _short("status", 16),
        *_json("facts", "subjects", "pictures"),
        *_text("note"),
        _short("thread", 128, nullable=True),
        _short("created"),
    )
    op.create_index("ix_evidence_thread", "evidence", ["thread"])
    op.create_table(
        "labels",
        _id(),
        _ref("finding_id", "findings.id"),
        _short("label", 16),
        *_text("note"),
        _short("who", 64),
        _short("created"),
    )
    op.create_index("ix_labels_finding", "labels", ["finding_id"])
    op.create_table("answers", _id(), _short("thread", 128), *_text("question"), *_json("answer"), _short("created"))
    op.create_index("ix_answers_thread", "answers", ["thread", "id"])
