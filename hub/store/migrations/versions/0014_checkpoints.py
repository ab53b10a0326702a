"""The root of the tree over the audit in each checkpoint, and the checkpoint before it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("checkpoints", sa.Column("root", sa.Text, nullable=False, server_default=""))
    op.add_column("checkpoints", sa.Column("previous", sa.BigInteger, nullable=False, server_default="0"))
