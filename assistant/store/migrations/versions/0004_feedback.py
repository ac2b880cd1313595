"""What people changed and why: the audit log, calibration revisions, rules that ignore, and p-values as fitted."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the tables; findings of older runs keep no p-value beside their own, since no label has moved it."""
    _audit()
    _calibrations()
    _rules()
    op.add_column("findings", sa.Column("fitted_p", sa.Double(), nullable=True))
    op.add_column("findings", sa.Column("fitted_extrapolated", sa.Boolean(), nullable=True))
    op.add_column("samples", sa.Column("fitted_p", sa.Double(), nullable=True))


def _audit() -> None:
    op.create_table(
        "audit",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("created", sa.String(32), nullable=False),
        sa.Column("who", sa.String(64), nullable=False),
        sa.Column("via", sa.String(32), nullable=False),
        sa.Column("session", sa.String(64), nullable=False),
        sa.Column("action", sa.String(32), nullable=False),
        sa.Column("subject", sa.String(64), nullable=False),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("before", sa.JSON(), nullable=False),
        sa.Column("after", sa.JSON(), nullable=False),
        sa.Column("undoes", sa.Integer(), sa.ForeignKey("audit.id"), nullable=True),
    )
    op.create_index("ix_audit_undoes", "audit", ["undoes"])
    op.create_table(
        "audit_findings",
        sa.Column("audit_id", sa.Integer(), sa.ForeignKey("audit.id"), primary_key=True),
        sa.Column("finding_id", sa.Integer(), sa.ForeignKey("findings.id"), primary_key=True),
    )
    op.create_index("ix_audit_findings_finding", "audit_findings", ["finding_id"])
    if op.get_bind().dialect.name == "sqlite":  # append only, whoever writes
        for verb in ("UPDATE", "DELETE"):
            op.execute(
                f"CREATE TRIGGER audit_no_{verb.lower()} BEFORE {verb} ON audit "
                "BEGIN SELECT RAISE(ABORT, 'the audit log is append only'); END"
            )


def _calibrations() -> None:
    op.create_table(
        "calibrations",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("model_hash", sa.String(64), nullable=False),
        sa.Column("findings", sa.JSON(), nullable=False),
        sa.Column("scores", sa.JSON(), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("created", sa.String(32), nullable=False),
        sa.Column("who", sa.String(64), nullable=False),
        sa.Column("withdrawn", sa.String(32), nullable=True),
    )
    op.create_index("ix_calibrations_model", "calibrations", ["model_hash", "id"])


def _rules() -> None:
    op.create_table(
        "rules",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("kind", sa.String(64), nullable=False),
        sa.Column("position", sa.Text(), nullable=False),
        sa.Column("part", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("expires", sa.String(32), nullable=False),
        sa.Column("created", sa.String(32), nullable=False),
        sa.Column("who", sa.String(64), nullable=False),
        sa.Column("removed", sa.String(32), nullable=True),
    )
    op.create_table(
        "ignored",
        sa.Column("finding_id", sa.Integer(), sa.ForeignKey("findings.id"), primary_key=True),
        sa.Column("rule_id", sa.Integer(), sa.ForeignKey("rules.id"), primary_key=True),
    )
    op.create_index("ix_ignored_rule", "ignored", ["rule_id"])
