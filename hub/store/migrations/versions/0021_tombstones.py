"""Which messages and jobs were here whose rows were deleted; triggers refuse both, with no more round trips."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

OF = {
    "requests": "kind = 'event' AND id = NEW.event_id AND owner = NEW.inlet",
    "jobs": "kind = 'job' AND id = NEW.id",
}


def upgrade() -> None:
    op.create_table(
        "tombstones",
        *(sa.Column(name, sa.Text, nullable=False) for name in ("kind", "id", "owner")),
        sa.Column("at", sa.Double, nullable=False),
        sa.PrimaryKeyConstraint("kind", "id", "owner", name=op.f("pk_tombstones")),
        sa.CheckConstraint("kind IN ('event', 'job')", name=op.f("ck_tombstones_kind")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_tombstones_at", "tombstones", ["at"])
    for table, fits in OF.items():
        found, name = f"EXISTS (SELECT 1 FROM tombstones WHERE {fits})", f"answerback_{table}_gone()"  # noqa: S608
        before = f"CREATE TRIGGER {table}_gone BEFORE INSERT ON {table}"
        if op.get_bind().dialect.name == "sqlite":
            op.execute(f"{before} WHEN {found} BEGIN SELECT RAISE(IGNORE); END")
            continue
        body = f"BEGIN IF {found} THEN RETURN NULL; END IF; RETURN NEW; END"
        op.execute(f"CREATE FUNCTION {name} RETURNS trigger LANGUAGE plpgsql AS $$ {body} $$")
        op.execute(f"{before} FOR EACH ROW EXECUTE FUNCTION {name}")
