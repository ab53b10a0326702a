"""The thread of a message, whether it was a click on a button, and the one message in chat that shows a request."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("requests", sa.Column("thread", sa.Text, nullable=False, server_default=""))
    op.add_column("requests", sa.Column("button", sa.Boolean, nullable=False, server_default=sa.false()))
    op.create_table(
        "cards",
        sa.Column("request_id", sa.Text, sa.ForeignKey("requests.id", name="fk_cards_request_id"), primary_key=True),
        sa.Column("ref", sa.Text, nullable=False),
        sa.Column("posted_at", sa.Double, nullable=False),
    )
