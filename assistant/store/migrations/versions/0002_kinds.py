"""A finding's kind, with its confidence."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add what findings of older runs do not have: they keep an empty kind."""
    op.add_column("findings", sa.Column("kind", sa.String(64), nullable=False, server_default=""))
    op.add_column("findings", sa.Column("kind_confidence", sa.Double(), nullable=True))
    op.create_index("ix_findings_run_kind", "findings", ["run_id", "kind"])
