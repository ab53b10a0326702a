"""Why a machine is away: the last refusal of a link of its name, and how far its clock is ahead of the hub's."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name in ("refused_at", "refused_since", "clock_ahead"):
        op.add_column("agents", sa.Column(name, sa.Double))
    op.add_column("agents", sa.Column("refused_code", sa.Text, nullable=False, server_default=""))
