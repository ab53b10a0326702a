"""Recovery codes of the second factor, and wrong codes of the console counted apart from those of chat."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("people", sa.Column("totp_console_failures", sa.BigInteger, nullable=False, server_default="0"))
    op.add_column("people", sa.Column("totp_console_locked_until", sa.Double, nullable=False, server_default="0"))
    op.create_table(
        "recovery_codes",
        sa.Column("person", sa.Text, primary_key=True),
        sa.Column("hash", sa.Text, primary_key=True),
        sa.Column("made_at", sa.Double, nullable=False),
        sa.Column("used_at", sa.Double),
    )
