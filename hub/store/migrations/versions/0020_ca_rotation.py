"""Of which CA a certificate is, what its holder trusts, and what it was renewed to."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for name in ("issuer", "trusts", "successor"):
        op.add_column("credentials", sa.Column(name, sa.Text, nullable=False, server_default=""))
    # What a person's certificate was renewed to was not noted; where they were logged in once it is the next one.
    op.execute(
        sa.text(
            "UPDATE credentials SET successor = '-' WHERE EXISTS (SELECT 1 FROM credentials AS newer"
            " WHERE newer.kind = credentials.kind AND newer.name = credentials.name"
            " AND newer.generation > credentials.generation)"
        )
    )
