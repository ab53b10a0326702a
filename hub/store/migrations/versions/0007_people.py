"""A second factor that waits for its first code, and the chat names of people who were added by command."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("people", sa.Column("totp_pending", sa.LargeBinary, nullable=False, server_default=sa.text("''")))
    op.add_column("people", sa.Column("totp_pending_until", sa.Double, nullable=False, server_default="0"))
    op.add_column("people", sa.Column("chat", sa.Text, nullable=False, server_default="[]"))
