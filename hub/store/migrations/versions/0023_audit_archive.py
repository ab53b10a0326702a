"""Events of the audit that are in archive files may be deleted: those up to the number in `meta`, and no other."""

from __future__ import annotations

from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

STAYS = "OLD.seq > coalesce((SELECT CAST(value AS bigint) FROM meta WHERE key = 'audit.archived_to'), 0)"


def upgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        op.execute("DROP TRIGGER events_no_delete")
        op.execute(
            f"CREATE TRIGGER events_no_delete BEFORE DELETE ON events WHEN {STAYS} "
            "BEGIN SELECT RAISE(ABORT, 'events is append-only'); END"
        )
        return
    op.execute("DROP TRIGGER events_append_only ON events")
    op.execute(
        "CREATE TRIGGER events_append_only BEFORE TRUNCATE ON events "
        "FOR EACH STATEMENT EXECUTE FUNCTION answerback_append_only()"
    )
    op.execute(
        "CREATE FUNCTION answerback_archived() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN IF {STAYS} THEN RAISE EXCEPTION 'events is append-only'; END IF; RETURN OLD; END $$"
    )
    op.execute(
        "CREATE TRIGGER events_archived BEFORE DELETE ON events FOR EACH ROW EXECUTE FUNCTION answerback_archived()"
    )
