"""What planning with models and pictures asks of the store: sealed records, drafts of runbooks, earlier messages."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

COUNTER = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

# As in the steps before: what the planner cannot know of an empty database.
SQLITE_STATISTICS = {
    "requests ix_requests_conversation": "1000000 100000 1000 1",
    "sealed ix_sealed_request_id": "100000 3 1",
    "sealed ix_sealed_at": "100000 1",
    "drafts ix_drafts_proposed": "10 1",
}


def upgrade() -> None:
    op.create_table(
        "sealed",
        sa.Column("id", COUNTER, nullable=False),
        text("request_id"),
        text("kind"),
        sa.Column("data", sa.LargeBinary, nullable=False),
        sa.Column("at", sa.Double, nullable=False),
        sa.CheckConstraint("kind IN ('answer', 'picture', 'prompt', 'reading')", name="kind"),
        sa.ForeignKeyConstraint(["request_id"], ["requests.id"], name="fk_sealed_request_id"),
        sa.PrimaryKeyConstraint("id", name="pk_sealed"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_sealed_request_id", "sealed", ["request_id", "id"])
    op.create_index("ix_sealed_at", "sealed", ["at"])
    op.create_table(
        "drafts",
        sa.Column("number", COUNTER, nullable=False),
        *(text(name) for name in ("request_id", "name", "body", "state", "by")),
        sa.Column("at", sa.Double, nullable=False),
        text("decided_by"),
        sa.Column("decided_at", sa.Double),
        text("reason"),
        sa.CheckConstraint("state IN ('accepted', 'proposed', 'rejected')", name="state"),
        sa.ForeignKeyConstraint(["request_id"], ["requests.id"], name="fk_drafts_request_id"),
        sa.PrimaryKeyConstraint("number", name="pk_drafts"),
        sqlite_autoincrement=True,
    )
    proposed = sa.text("state = 'proposed'")
    op.create_index("ix_drafts_proposed", "drafts", ["number"], sqlite_where=proposed, postgresql_where=proposed)
    op.create_index("ix_requests_conversation", "requests", ["inlet", "conversation", "number"])
    if op.get_bind().dialect.name == "sqlite":
        for names, rows in SQLITE_STATISTICS.items():
            table, index = names.split()
            op.execute(f"INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES ('{table}', '{index}', '{rows}')")  # noqa: S608


def text(name: str) -> sa.Column[Any]:
    return sa.Column(name, sa.Text, nullable=False)
