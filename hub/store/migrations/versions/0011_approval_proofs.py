"""Signed approvals, authenticated rows, approvals for a while, and an index that knows forged rows too."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ("requests", "jobs"):
        op.add_column(table, sa.Column("mac", sa.Text, nullable=False, server_default=""))
    op.add_column("approvals", sa.Column("proofs", sa.Text, nullable=False, server_default="[]"))
    op.create_table(
        "standing_approvals",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True),
        sa.Column(
            "request_id",
            sa.Text,
            sa.ForeignKey("requests.id", name="fk_standing_approvals_request_id"),
            nullable=False,
        ),
        *(sa.Column(name, sa.Text, nullable=False) for name in ("plan_hash", "person", "granted_by", "via")),
        sa.Column("granted_at", sa.Double, nullable=False),
        sa.Column("expires_at", sa.Double, nullable=False),
        sa.Column("max_uses", sa.BigInteger, nullable=False),
        sa.Column("uses", sa.BigInteger, nullable=False),
        sa.Column("second_factor", sa.Boolean, nullable=False),
        sa.Column("revoked_at", sa.Double),
        sa.Column("revoked_by", sa.Text, nullable=False),
        sa.Column("command", sa.Text, nullable=False),
        sa.Column("targets", sa.Text, nullable=False),
        sa.Column("mac", sa.Text, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_standing_approvals_plan",
        "standing_approvals",
        ["plan_hash", "person"],
        sqlite_where=sa.text("revoked_at IS NULL"),
        postgresql_where=sa.text("revoked_at IS NULL"),
    )
    odd = sa.text("kind IN ('job.anomaly', 'job.foreign', 'job.unheard_of', 'row.forged')")
    op.drop_index("ix_events_odd", "events")
    op.create_index("ix_events_odd", "events", ["seq"], sqlite_where=odd, postgresql_where=odd)
