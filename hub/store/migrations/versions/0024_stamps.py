"""The stamp that the hub's word in a job's order is for (common/confirmation.py)."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("stamp", sa.Text, nullable=False, server_default=""))
