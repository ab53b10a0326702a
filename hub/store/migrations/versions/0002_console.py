"""What the operators' console asks of the store: jobs that can be listed without their plans, holds, drains, edits.

Jobs from before are given their number, inlet, source and time limit. Their command line stays empty where the database
would have to write it: it is shown from the plan, and only the search for words in it does not find them.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

JOB_ENDED = "state IN ('cancelled', 'expired', 'failed', 'not_started', 'succeeded', 'timed_out')"
ODD = "kind IN ('job.anomaly', 'job.foreign', 'job.unheard_of')"

# As in the first step: what the planner cannot know of an empty database.
SQLITE_STATISTICS = (
    "DELETE FROM sqlite_stat1 WHERE idx = 'ix_jobs_ended'",
    *(
        f"INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES ('{index.split()[0]}', '{index.split()[1]}', '{rows}')"  # noqa: S608
        for index, rows in {
            "jobs ix_jobs_ended": "1000000 150000 1",
            "jobs ix_jobs_held": "10 5 1",
            "events ix_events_odd": "10 1",
        }.items()
    ),
)

PLAN_FACTS = {
    "sqlite": (
        "UPDATE jobs SET source = coalesce(r.plan ->> '$.source', ''), "
        "time_limit = coalesce(r.plan ->> ('$.steps[' || jobs.step || '].time_limit'), 0) "
        "FROM requests AS r WHERE r.id = jobs.request_id AND r.plan IS NOT NULL"
    ),
    "postgresql": (
        "UPDATE jobs SET source = coalesce(r.plan::json ->> 'source', ''), "
        "time_limit = coalesce((r.plan::json -> 'steps' -> jobs.step::int ->> 'time_limit')::bigint, 0) "
        "FROM requests AS r WHERE r.id = jobs.request_id AND r.plan IS NOT NULL"
    ),
}


def upgrade() -> None:
    dialect = op.get_bind().dialect.name
    add("requests", text("behalf"), real("hold"))
    add(
        "jobs", whole("number"), text("inlet"), text("source"), text("command"), whole("time_limit"), real("not_before")
    )
    add("approvals", text("nonce"))
    add("agents", real("paused_until", None), real("drain_at", None), text("drain_by"), whole("drain_jobs"))
    add("agents", real("drain_cancel_at", None))
    add("switches", real("until", None))
    op.execute("UPDATE jobs SET number = r.number, inlet = r.inlet FROM requests AS r WHERE r.id = jobs.request_id")
    op.execute(PLAN_FACTS[dialect])
    op.drop_index("ix_jobs_ended", table_name="jobs")
    index("ix_jobs_ended", "jobs", "state", "id", where=JOB_ENDED)
    index("ix_jobs_held", "jobs", "not_before", "agent", where="state = 'queued' AND not_before > 0")
    index("ix_events_odd", "events", "seq", where=ODD)
    if dialect == "sqlite":
        for statement in SQLITE_STATISTICS:
            op.execute(statement)


def add(table: str, *columns: sa.Column[Any]) -> None:
    for column in columns:
        op.add_column(table, column)


def text(name: str) -> sa.Column[str]:
    return sa.Column(name, sa.Text, nullable=False, server_default="")


def whole(name: str) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger, nullable=False, server_default="0")


def real(name: str, default: str | None = "0") -> sa.Column[float]:
    return sa.Column(name, sa.Double, nullable=default is None, server_default=default)


def index(name: str, table: str, *columns: str, where: str) -> None:
    op.create_index(name, table, list(columns), sqlite_where=sa.text(where), postgresql_where=sa.text(where))
