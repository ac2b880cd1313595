"""A queue sorted by state, kind or time is read off an index; wider ones take the place of those on state and kind."""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

NARROW = {
    "ix_findings_run_state": ["run_id", "state"],
    "ix_findings_state": ["state"],
    "ix_findings_run_kind": ["run_id", "kind"],
}


def upgrade() -> None:
    """Exchange the indices."""
    for name in NARROW:
        op.drop_index(name, "findings")
    for column in ("state", "kind"):
        op.create_index(f"ix_findings_run_{column}_p", "findings", ["run_id", column, "p_value"])
        op.create_index(f"ix_findings_{column}_p", "findings", [column, "p_value"])
    op.create_index("ix_findings_run_time", "findings", ["run_id", "time"])


def downgrade() -> None:
    """Bring the narrow ones back."""
    op.drop_index("ix_findings_run_time", "findings")
    for column in ("state", "kind"):
        op.drop_index(f"ix_findings_run_{column}_p", "findings")
        op.drop_index(f"ix_findings_{column}_p", "findings")
    for name, columns in NARROW.items():
        op.create_index(name, "findings", columns)
