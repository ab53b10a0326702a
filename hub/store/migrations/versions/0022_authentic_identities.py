"""MACs of the rows of people and invitations (`hub.core.row_mac`); `hub.store.row_key` gives them to what is there."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ("people", "tokens"):
        op.add_column(table, sa.Column("mac", sa.Text, nullable=False, server_default=""))
