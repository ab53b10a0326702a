"""How often a job came back from its machine, provably not started, and why it did last."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("redeliveries", sa.BigInteger, nullable=False, server_default="0"))
    op.add_column("jobs", sa.Column("redelivery_code", sa.Text, nullable=False, server_default=""))
