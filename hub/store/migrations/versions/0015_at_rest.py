"""Sealed columns: the data keys that values are sealed under, and what is known of the ring's keys.

No row is converted here: a large store would stand still for it. Rows from before stay readable, and are sealed a few
at a time beside the load (`hub.store.conversion`). For that an event's data may be replaced where nothing else of the
event changes and the new data is sealed; its hash, which is over what the data says, still holds it.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

COLUMNS = ("seq", "at", "kind", "subject", "actor", "previous", "hash")
TABLES = ("requests", "jobs", "output", "approvals", "outbox", "drafts", "events")
MARK = "sealed:1:"
META = sa.table("meta", sa.column("key", sa.Text), sa.column("value", sa.Text))
SEALING_ONLY = (
    " AND ".join(f"NEW.{name} = OLD.{name}" for name in COLUMNS)
    + f" AND substr(NEW.data, 1, {len(MARK)}) = '{MARK}' AND substr(OLD.data, 1, {len(MARK)}) <> '{MARK}'"
)


def upgrade() -> None:
    op.create_table(
        "data_keys",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("wrapped", sa.LargeBinary, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("seals", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "sealing_keys",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("added_at", sa.Double, nullable=False),
        sa.Column("used_at", sa.Double),
        sa.Column("retired_at", sa.Double),
        sa.CheckConstraint("state IN ('decrypt', 'primary', 'retired')", name="state"),
    )
    connection = op.get_bind()
    if not connection.scalar(sa.text("SELECT count(*) FROM events")):  # a new store: nothing in it is of before
        for name in (*TABLES, "pages"):
            op.bulk_insert(META, [{"key": f"sealing:{name}", "value": "done"}])
    if connection.dialect.name == "sqlite":
        op.execute("DROP TRIGGER events_no_update")
        op.execute(
            f"CREATE TRIGGER events_no_update BEFORE UPDATE ON events WHEN NOT ({SEALING_ONLY}) "
            "BEGIN SELECT RAISE(ABORT, 'events is append-only'); END"
        )
    else:
        op.execute("DROP TRIGGER events_append_only ON events")
        op.execute(
            "CREATE TRIGGER events_append_only BEFORE DELETE OR TRUNCATE ON events "
            "FOR EACH STATEMENT EXECUTE FUNCTION answerback_append_only()"
        )
        op.execute(
            f"CREATE TRIGGER events_sealing_only BEFORE UPDATE ON events FOR EACH ROW WHEN (NOT ({SEALING_ONLY})) "
            "EXECUTE FUNCTION answerback_append_only()"
        )
