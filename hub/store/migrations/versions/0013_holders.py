"""The last link and life that a machine told, and the life that a job was leased to."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("agents", sa.Column("links", sa.Text, nullable=False, server_default=""))
    op.add_column("agents", sa.Column("lives", sa.Text, nullable=False, server_default=""))
    op.add_column("jobs", sa.Column("life", sa.Text, nullable=False, server_default=""))
