"""When a person's certificate was used last, and until when one that is being replaced still counts."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("credentials", sa.Column("used_at", sa.Double))
    op.add_column("credentials", sa.Column("retires_at", sa.Double))
    retiring = sa.text("retires_at IS NOT NULL AND revoked_at IS NULL")
    op.create_index(
        "ix_credentials_retiring",
        "credentials",
        ["retires_at"],
        sqlite_where=retiring,
        postgresql_where=retiring,
    )
