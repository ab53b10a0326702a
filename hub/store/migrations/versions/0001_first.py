"""The first schema."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    create_tables()
    if op.get_bind().dialect.name == "sqlite":
        statements: tuple[str, ...] = (*SQLITE_TRIGGERS, "ANALYZE", *SQLITE_STATISTICS)
    else:
        statements = POSTGRES_TRIGGERS
    for statement in statements:
        op.execute(statement)


def text(name: str, nullable: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=nullable)


def real(name: str, nullable: bool = False) -> sa.Column[float]:
    return sa.Column(name, sa.Double, nullable=nullable)


def whole(name: str, nullable: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=nullable)


def flag(name: str) -> sa.Column[bool]:
    return sa.Column(name, sa.Boolean, nullable=False)


def data(name: str) -> sa.Column[bytes]:
    return sa.Column(name, sa.LargeBinary, nullable=False)


def counter(name: str, autoincrement: bool = True) -> sa.Column[int]:
    kind = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    return sa.Column(name, kind, nullable=False, autoincrement=autoincrement)


def primary(table: str, *columns: str) -> sa.PrimaryKeyConstraint:
    return sa.PrimaryKeyConstraint(*columns, name=op.f(f"pk_{table}"))


def unique(table: str, *columns: str) -> sa.UniqueConstraint:
    return sa.UniqueConstraint(*columns, name=op.f(f"uq_{table}_{'_'.join(columns)}"))


def check(table: str, name: str, condition: str) -> sa.CheckConstraint:
    return sa.CheckConstraint(condition, name=op.f(f"ck_{table}_{name}"))


def foreign(table: str, column: str, target: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint([column], [target], name=op.f(f"fk_{table}_{column}"))


def index(name: str, table: str, *columns: str, where: str | None = None, unique: bool = False) -> None:
    partial: dict[str, Any] = (
        {} if where is None else {"sqlite_where": sa.text(where), "postgresql_where": sa.text(where)}
    )
    op.create_index(name, table, list(columns), unique=unique, **partial)


REQUEST_ENDED = "state IN ('cancelled', 'done', 'expired', 'refused', 'rejected')"
JOB_ENDED = "state IN ('cancelled', 'expired', 'failed', 'not_started', 'succeeded', 'timed_out')"
JOB_STATES = (
    "state IN ('accepted', 'cancelled', 'expired', 'failed', 'leased', 'not_started', "
    "'queued', 'running', 'succeeded', 'timed_out', 'unknown')"
)

SQLITE_TRIGGERS = (
    *(
        f"CREATE TRIGGER {table}_no_{act.lower()} BEFORE {act} ON {table} "
        f"BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
        for table in ("events", "checkpoints")
        for act in ("UPDATE", "DELETE")
    ),
    "CREATE TRIGGER events_in_order BEFORE INSERT ON events "
    "WHEN NEW.seq <> (SELECT coalesce(max(seq), 0) + 1 FROM events) "
    "BEGIN SELECT RAISE(ABORT, 'events follow one another without a gap'); END",
    *(
        f"CREATE TRIGGER {table}_end BEFORE UPDATE OF state ON {table} "
        f"WHEN OLD.{ended} AND NEW.state <> OLD.state "
        f"BEGIN SELECT RAISE(ABORT, '{table}: an end is final'); END"
        for table, ended in (("requests", REQUEST_ENDED), ("jobs", JOB_ENDED))
    ),
)

# What the tables of a hub look like after a while: of many jobs few are open, so the partial indexes are the way in.
# SQLite's planner cannot know that of an empty database and would walk through a machine's whole history. (ANALYZE
# makes the table; telling it figures by hand is SQLite's own advice for plans that must not change with the data.)
SQLITE_STATISTICS = tuple(
    f"INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES ('{index.split()[0]}', '{index.split()[1]}', '{rows}')"  # noqa: S608
    for index, rows in {
        "requests sqlite_autoindex_requests_1": "1000000 1",
        "requests sqlite_autoindex_requests_2": "1000000 300000 1",
        "requests ix_requests_person": "1000000 20000 1",
        "requests ix_requests_open": "100 30 3",
        "jobs sqlite_autoindex_jobs_1": "1000000 1",
        "jobs ix_jobs_request_id": "1000000 2",
        "jobs ix_jobs_agent": "1000000 5000 1",
        "jobs ix_jobs_person": "1000000 20000 1",
        "jobs ix_jobs_open": "100 4 2",
        "jobs ix_jobs_ended": "1000000 150000",
        "jobs ix_jobs_queue": "1000 20 15 5 2 1 1",
        "jobs ix_jobs_queued_person": "1000 50 50",
        "jobs ix_jobs_lapse": "1000 2 2",
        "jobs uq_jobs_step": "1000000 2 2 1",
        "outbox ix_outbox_due": "100 1 1",
        "outbox ix_outbox_order": "100 1 1",
        "outbox uq_outbox_final": "1000000 1",
        "output sqlite_autoindex_output_1": "1000000 4 1",
        "events ix_events_subject": "10000000 6 1",
    }.items()
)

POSTGRES_TRIGGERS = (
    "CREATE FUNCTION answerback_append_only() RETURNS trigger LANGUAGE plpgsql AS "
    "$$ BEGIN RAISE EXCEPTION USING MESSAGE = TG_TABLE_NAME || ' is append-only'; END $$",
    *(
        f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
        "FOR EACH STATEMENT EXECUTE FUNCTION answerback_append_only()"
        for table in ("events", "checkpoints")
    ),
    "CREATE FUNCTION answerback_in_order() RETURNS trigger LANGUAGE plpgsql AS "
    "$$ BEGIN IF NEW.seq <> (SELECT coalesce(max(seq), 0) + 1 FROM events) THEN "
    "RAISE EXCEPTION 'events follow one another without a gap'; END IF; RETURN NEW; END $$",
    "CREATE TRIGGER events_in_order BEFORE INSERT ON events FOR EACH ROW EXECUTE FUNCTION answerback_in_order()",
    "CREATE FUNCTION answerback_end_is_final() RETURNS trigger LANGUAGE plpgsql AS "
    "$$ BEGIN RAISE EXCEPTION USING MESSAGE = TG_TABLE_NAME || ': an end is final'; END $$",
    *(
        f"CREATE TRIGGER {table}_end BEFORE UPDATE OF state ON {table} FOR EACH ROW "
        f"WHEN (OLD.{ended} AND NEW.state <> OLD.state) EXECUTE FUNCTION answerback_end_is_final()"
        for table, ended in (("requests", REQUEST_ENDED), ("jobs", JOB_ENDED))
    ),
)


def create_tables() -> None:
    op.create_table(
        "agents",
        text("name"),
        text("labels"),
        text("state"),
        real("joined_at"),
        whole("generation"),
        real("last_seen", nullable=True),
        text("version"),
        text("journal"),
        text("boot"),
        text("facts", nullable=True),
        real("paused_at", nullable=True),
        text("paused_by"),
        text("pause_reason"),
        primary("agents", "name"),
        check("agents", "generation", "generation >= 0"),
        check("agents", "state", "state IN ('active', 'locked', 'revoked')"),
    )
    op.create_table(
        "checkpoints",
        counter("seq", autoincrement=False),
        text("hash"),
        data("signature"),
        text("key"),
        real("at"),
        primary("checkpoints", "seq"),
    )
    op.create_table(
        "credentials",
        text("fingerprint"),
        text("kind"),
        text("name"),
        whole("generation"),
        real("issued_at"),
        real("not_after"),
        real("revoked_at", nullable=True),
        text("key_hash"),
        primary("credentials", "fingerprint"),
        check("credentials", "kind", "kind IN ('agent', 'operator')"),
    )
    index("ix_credentials_name", "credentials", "kind", "name")
    index("ix_credentials_revoked", "credentials", "revoked_at")
    op.create_table(
        "events",
        counter("seq", autoincrement=False),
        real("at"),
        text("kind"),
        text("subject"),
        text("actor"),
        text("data"),
        text("previous"),
        text("hash"),
        primary("events", "seq"),
    )
    index("ix_events_subject", "events", "subject", "seq")
    op.create_table(
        "meta",
        text("key"),
        text("value"),
        primary("meta", "key"),
    )
    op.create_table(
        "outbox",
        counter("id"),
        text("request_id"),
        text("inlet"),
        text("kind"),
        text("url"),
        text("body"),
        real("created_at"),
        real("next_at"),
        whole("attempts"),
        text("state"),
        text("error"),
        real("done_at", nullable=True),
        primary("outbox", "id"),
        check("outbox", "kind", "kind IN ('final', 'late', 'progress', 'question')"),
        check("outbox", "state", "state IN ('dead', 'done', 'pending')"),
        sqlite_autoincrement=True,
    )
    index("ix_outbox_due", "outbox", "next_at", "id", where="state = 'pending'")
    index("ix_outbox_order", "outbox", "request_id", "id", where="state = 'pending'")
    index("uq_outbox_final", "outbox", "request_id", where="kind = 'final' AND request_id <> ''", unique=True)
    op.create_table(
        "people",
        text("name"),
        text("roles"),
        real("created_at"),
        data("totp_secret"),
        whole("totp_last_step"),
        whole("totp_failures"),
        real("totp_locked_until"),
        real("revoked_at", nullable=True),
        primary("people", "name"),
    )
    op.create_table(
        "requests",
        counter("number"),
        text("id"),
        text("state"),
        text("inlet"),
        text("event_id"),
        text("conversation"),
        text("chat_user"),
        text("person"),
        text("text"),
        text("language"),
        text("reply_url"),
        real("received_at"),
        text("plan", nullable=True),
        text("plan_hash"),
        whole("approvers"),
        flag("second_factor"),
        flag("own_approval"),
        text("rule"),
        text("reason"),
        real("decide_by", nullable=True),
        whole("step"),
        real("planned_at", nullable=True),
        real("decided_at", nullable=True),
        real("ended_at", nullable=True),
        text("parent"),
        primary("requests", "number"),
        check("requests", "ended", f"NOT ({REQUEST_ENDED}) OR ended_at IS NOT NULL"),
        check("requests", "language", "language IN ('en', 'zh')"),
        check(
            "requests",
            "state",
            "state IN ('asking', 'cancelled', 'done', 'expired', 'received', 'refused', 'rejected', 'working')",
        ),
        unique("requests", "id"),
        unique("requests", "inlet", "event_id"),
        sqlite_autoincrement=True,
    )
    index("ix_requests_open", "requests", "state", "person", where="state IN ('asking', 'received', 'working')")
    index("ix_requests_person", "requests", "person", "number")
    op.create_table(
        "switches",
        text("name"),
        text("by"),
        real("at"),
        text("reason"),
        primary("switches", "name"),
    )
    op.create_table(
        "tokens",
        text("hash"),
        text("kind"),
        text("name"),
        text("labels"),
        real("created_at"),
        real("expires_at"),
        text("created_by"),
        real("used_at", nullable=True),
        primary("tokens", "hash"),
        check("tokens", "kind", "kind IN ('agent', 'operator')"),
    )
    op.create_table(
        "turns",
        text("agent"),
        text("person"),
        whole("turn"),
        primary("turns", "agent", "person"),
    )
    op.create_table(
        "approvals",
        text("request_id"),
        text("plan_hash"),
        text("person"),
        flag("granted"),
        text("via"),
        real("at"),
        text("reason"),
        flag("second_factor"),
        primary("approvals", "request_id", "person"),
        foreign("approvals", "request_id", "requests.id"),
    )
    op.create_table(
        "jobs",
        text("id"),
        text("request_id"),
        text("person"),
        text("agent"),
        text("state"),
        whole("step"),
        text("plan_hash"),
        real("not_after"),
        real("queued_at"),
        whole("priority"),
        whole("epoch"),
        text("journal"),
        real("leased_at", nullable=True),
        real("accepted_at", nullable=True),
        real("started_at", nullable=True),
        real("ended_at", nullable=True),
        whole("exit_code", nullable=True),
        whole("signal", nullable=True),
        text("reason"),
        real("duration", nullable=True),
        whole("output_bytes"),
        text("output_digest"),
        flag("truncated"),
        whole("chunks"),
        real("cpu_user"),
        real("cpu_system"),
        whole("max_rss"),
        real("cancel_asked_at", nullable=True),
        text("cancel_asked_by"),
        text("parent"),
        primary("jobs", "id"),
        check("jobs", "ended", f"NOT ({JOB_ENDED}) OR ended_at IS NOT NULL"),
        check("jobs", "priority", "priority BETWEEN 0 AND 9"),
        check("jobs", "state", JOB_STATES),
        foreign("jobs", "request_id", "requests.id"),
    )
    index("ix_jobs_agent", "jobs", "agent", "id")
    index("ix_jobs_ended", "jobs", "state", where=JOB_ENDED)
    index("ix_jobs_lapse", "jobs", "not_after", "state", where="state = 'queued'")
    index("ix_jobs_open", "jobs", "agent", "state", where="state IN ('accepted', 'leased', 'running', 'unknown')")
    index("ix_jobs_person", "jobs", "person", "id")
    index("ix_jobs_queue", "jobs", "agent", "priority", "person", "queued_at", "id", "state", where="state = 'queued'")
    index("ix_jobs_queued_person", "jobs", "person", "state", where="state = 'queued'")
    index("ix_jobs_request_id", "jobs", "request_id")
    index("uq_jobs_step", "jobs", "request_id", "step", "agent", where="parent = ''", unique=True)
    op.create_table(
        "output",
        text("job_id"),
        sa.Column("seq", sa.BigInteger, nullable=False, autoincrement=False),
        whole("stream"),
        data("data"),
        real("at"),
        primary("output", "job_id", "seq"),
        check("output", "seq", "seq >= 1"),
        check("output", "stream", "stream IN (1, 2)"),
        foreign("output", "job_id", "jobs.id"),
    )
