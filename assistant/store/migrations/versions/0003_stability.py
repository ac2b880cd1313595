"""In how many runs a finding was flagged."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add what findings of older runs do not have: they keep none."""
    op.add_column("findings", sa.Column("stability", sa.JSON(), nullable=True))
