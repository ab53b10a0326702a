"""The tables, for SQLite and PostgreSQL. The migrations create them; a test compares the two.

`requests`, `jobs`, `outbox`, `agents`, `people` hold the current row; `events` beside them is append-only: the audit.
The database itself refuses: states outside the lifecycle, a second final answer to one request, a second job
for one step on one machine, a change to an event, a gap in the chain, a move out of an ended state (the last three by
triggers, see the first migration).

Times are seconds since the epoch (double precision), JSON is canonical text, ids are ULIDs as text.
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from common.lifecycle import JOB_DISPATCHED, JOB_TERMINAL, REQUEST_TERMINAL, JobState, RequestState
from hub.store.columns import added_column, check, flag, index, integer, one_of, text, time

metadata: Final = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# SQLite generates keys only where the column type is spelt INTEGER.
Counter: Final = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


JOBS_OPEN: Final = JOB_DISPATCHED | {JobState.UNKNOWN}
REQUESTS_OPEN: Final = frozenset(RequestState) - REQUEST_TERMINAL

QUEUED: Final = sa.text("state = 'queued'")
OPEN: Final = sa.text(one_of("state", JOBS_OPEN))
ENDED: Final = sa.text(one_of("state", JOB_TERMINAL))
REQUEST_OPEN: Final = sa.text(one_of("state", REQUESTS_OPEN))
PENDING: Final = sa.text("state = 'pending'")


requests: Final = sa.Table(
    "requests",
    metadata,
    sa.Column("number", Counter, primary_key=True),
    sa.Column("id", sa.Text, nullable=False, unique=True),
    text("state"),
    text("inlet"),
    text("event_id"),
    text("conversation"),
    text("chat_user"),
    text("person"),
    text("text"),
    text("language"),
    text("reply_url"),
    time("received_at", nullable=False),
    sa.Column("plan", sa.Text),
    text("plan_hash"),
    integer("approvers"),
    flag("second_factor"),
    flag("own_approval"),
    text("rule"),
    text("reason"),
    time("decide_by"),
    integer("step"),
    time("planned_at"),
    time("decided_at"),
    time("ended_at"),
    text("parent"),
    added_column(text("behalf"), ""),
    added_column(time("hold", nullable=False), "0"),
    added_column(text("outcome"), ""),
    added_column(text("thread"), ""),
    added_column(flag("button"), sa.false()),
    added_column(text("mac"), ""),  # hub/core/row_mac.py
    sa.UniqueConstraint("inlet", "event_id"),
    check("state", one_of("state", RequestState)),
    check("ended", f"NOT ({one_of('state', REQUEST_TERMINAL)}) OR ended_at IS NOT NULL"),
    check("language", one_of("language", ("en", "zh"))),
    sqlite_autoincrement=True,  # a number that people have seen is never reused
)
index("ix_requests_person", requests.c.person, requests.c.number)
index("ix_requests_open", requests.c.state, requests.c.person, where=REQUEST_OPEN)
index(
    "ix_requests_conversation", requests.c.inlet, requests.c.conversation, requests.c.number
)  # earlier messages of a conversation

jobs: Final = sa.Table(
    "jobs",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("request_id", sa.Text, sa.ForeignKey("requests.id"), nullable=False),
    text("person"),
    text("agent"),
    text("state"),
    integer("step"),
    text("plan_hash"),
    time("not_after", nullable=False),
    time("queued_at", nullable=False),
    integer("priority"),
    integer("epoch"),
    text("journal"),
    time("leased_at"),
    time("accepted_at"),
    time("started_at"),
    time("ended_at"),
    integer("exit_code", nullable=True),
    integer("signal", nullable=True),
    text("reason"),
    time("duration"),
    integer("output_bytes"),
    text("output_digest"),
    flag("truncated"),
    integer("chunks"),
    sa.Column("cpu_user", sa.Double, nullable=False),
    sa.Column("cpu_system", sa.Double, nullable=False),
    integer("max_rss"),
    time("cancel_asked_at"),
    text("cancel_asked_by"),
    text("parent"),
    added_column(integer("number"), "0"),
    added_column(text("inlet"), ""),
    added_column(text("source"), ""),
    added_column(text("command"), ""),
    added_column(integer("time_limit"), "0"),
    added_column(time("not_before", nullable=False), "0"),
    added_column(text("notes"), ""),
    time("replied_at"),
    added_column(text("mac"), ""),
    added_column(text("life"), ""),
    added_column(integer("redeliveries"), "0"),
    added_column(text("redelivery_code"), ""),
    added_column(text("stamp"), ""),
    check("state", one_of("state", JobState)),
    check("ended", f"NOT ({one_of('state', JOB_TERMINAL)}) OR ended_at IS NOT NULL"),
    check("priority", "priority BETWEEN 0 AND 9"),
)
index("ix_jobs_request_id", jobs.c.request_id)
index("ix_jobs_agent", jobs.c.agent, jobs.c.id)
index("ix_jobs_person", jobs.c.person, jobs.c.id)
index("ix_jobs_open", jobs.c.agent, jobs.c.state, where=OPEN)
index("ix_jobs_ended", jobs.c.state, jobs.c.id, where=ENDED)
# `state` at the end of these three: SQLite does not infer it from the partial index and would read the row for it.
index(
    "ix_jobs_queue",  # claims: one seek for each person, however long the queue
    jobs.c.agent,
    jobs.c.priority,
    jobs.c.person,
    jobs.c.queued_at,
    jobs.c.id,
    jobs.c.state,
    where=QUEUED,
)
index("ix_jobs_queued_person", jobs.c.person, jobs.c.state, where=QUEUED)
index("ix_jobs_lapse", jobs.c.not_after, jobs.c.state, where=QUEUED)
HELD: Final = sa.text("state = 'queued' AND not_before > 0")
index("ix_jobs_held", jobs.c.not_before, jobs.c.agent, where=HELD)
ONE_JOB: Final = sa.text("parent = ''")
index(
    "uq_jobs_step",  # one job for each step and machine; a retry has a parent
    jobs.c.request_id,
    jobs.c.step,
    jobs.c.agent,
    unique=True,
    where=ONE_JOB,
)

turns: Final = sa.Table(
    "turns",  # fairness: the person who was served longest ago on a machine goes first
    metadata,
    sa.Column("agent", sa.Text, primary_key=True),
    sa.Column("person", sa.Text, primary_key=True),
    integer("turn"),
)

output: Final = sa.Table(
    "output",
    metadata,
    sa.Column("job_id", sa.Text, sa.ForeignKey("jobs.id"), primary_key=True),
    sa.Column("seq", sa.BigInteger, primary_key=True, autoincrement=False),
    integer("stream"),
    sa.Column("data", sa.LargeBinary, nullable=False),
    time("at", nullable=False),
    check("seq", "seq >= 1"),
    check("stream", "stream IN (1, 2)"),
)

approvals: Final = sa.Table(
    "approvals",
    metadata,
    sa.Column("request_id", sa.Text, sa.ForeignKey("requests.id"), primary_key=True),
    text("plan_hash"),
    sa.Column("person", sa.Text, primary_key=True),
    flag("granted"),
    text("via"),
    time("at", nullable=False),
    text("reason"),
    flag("second_factor"),
    added_column(text("nonce"), ""),
    added_column(text("proofs"), "[]"),  # JSON list (common/approval_proof.py)
)

standing_approvals: Final = sa.Table(
    "standing_approvals",  # a yes that holds for a while: of one plan, for one person
    metadata,
    sa.Column("number", Counter, primary_key=True),
    sa.Column("request_id", sa.Text, sa.ForeignKey("requests.id"), nullable=False),  # with which it was given
    text("plan_hash"),
    text("person"),
    text("granted_by"),
    text("via"),
    time("granted_at", nullable=False),
    time("expires_at", nullable=False),
    integer("max_uses"),
    integer("uses"),
    flag("second_factor"),
    time("revoked_at"),
    text("revoked_by"),
    text("command"),
    text("targets"),  # JSON list
    text("mac"),
    sqlite_autoincrement=True,
)
STANDING: Final = sa.text("revoked_at IS NULL")
index("ix_standing_approvals_plan", standing_approvals.c.plan_hash, standing_approvals.c.person, where=STANDING)

outbox: Final = sa.Table(
    "outbox",
    metadata,
    sa.Column("id", Counter, primary_key=True),
    text("request_id"),  # "" for a reply about no request, so no foreign key
    text("inlet"),
    text("kind"),
    text("url"),
    text("body"),
    time("created_at", nullable=False),
    time("next_at", nullable=False),
    integer("attempts"),
    text("state"),
    text("error"),
    time("done_at"),
    check("kind", one_of("kind", ("final", "question", "progress", "late"))),
    check("state", one_of("state", ("pending", "done", "dead"))),
    sqlite_autoincrement=True,
)
index("ix_outbox_due", outbox.c.next_at, outbox.c.id, where=PENDING)
index("ix_outbox_order", outbox.c.request_id, outbox.c.id, where=PENDING)
cards: Final = sa.Table(
    "cards",
    metadata,
    sa.Column("request_id", sa.Text, sa.ForeignKey("requests.id"), primary_key=True),
    text("ref"),
    time("posted_at", nullable=False),
)
ONE_FINAL: Final = sa.text("kind = 'final' AND request_id <> ''")
index("uq_outbox_final", outbox.c.request_id, unique=True, where=ONE_FINAL)

people: Final = sa.Table(
    "people",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    text("roles"),  # JSON list
    time("created_at", nullable=False),
    sa.Column("totp_secret", sa.LargeBinary, nullable=False),
    integer("totp_last_step"),
    integer("totp_failures"),
    time("totp_locked_until", nullable=False),
    time("revoked_at"),
    sa.Column("totp_pending", sa.LargeBinary, nullable=False),
    time("totp_pending_until", nullable=False),
    text("chat"),  # JSON list
    added_column(integer("totp_console_failures"), "0"),
    added_column(time("totp_console_locked_until", nullable=False), "0"),
    added_column(text("mac"), ""),
)

recovery_codes: Final = sa.Table(
    "recovery_codes",  # instead of a code of the second factor, each once
    metadata,
    sa.Column("person", sa.Text, primary_key=True),
    sa.Column("hash", sa.Text, primary_key=True),
    time("made_at", nullable=False),
    time("used_at"),
)

passkeys: Final = sa.Table(
    "passkeys",  # of people, for the confirm page (hub/core/passkeys.py)
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    text("person"),
    text("line"),
    text("credential_id"),
    text("label"),
    time("created_at", nullable=False),
    sa.Index("ix_passkeys_person", "person"),
)

agents: Final = sa.Table(
    "agents",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    text("labels"),  # JSON object
    text("state"),
    time("joined_at", nullable=False),
    integer("generation"),
    time("last_seen"),
    text("version"),
    text("journal"),
    text("boot"),
    sa.Column("facts", sa.Text),  # JSON object
    time("paused_at"),
    text("paused_by"),
    text("pause_reason"),
    time("paused_until"),
    time("drain_at"),
    added_column(text("drain_by"), ""),
    added_column(integer("drain_jobs"), "0"),
    time("drain_cancel_at"),
    time("refused_at"),
    time("refused_since"),
    time("clock_ahead"),
    added_column(text("refused_code"), ""),
    added_column(text("links"), ""),
    added_column(text("lives"), ""),
    check("state", one_of("state", ("active", "locked", "revoked"))),
    check("generation", "generation >= 0"),
)

credentials: Final = sa.Table(
    "credentials",
    metadata,
    sa.Column("fingerprint", sa.Text, primary_key=True),
    text("kind"),
    text("name"),
    integer("generation"),
    time("issued_at", nullable=False),
    time("not_after", nullable=False),
    time("revoked_at"),
    text("key_hash"),
    time("used_at"),
    time("retires_at"),
    sa.Column("issuer", sa.Text, nullable=False, server_default=""),
    sa.Column("trusts", sa.Text, nullable=False, server_default=""),
    sa.Column("successor", sa.Text, nullable=False, server_default=""),
    check("kind", one_of("kind", ("agent", "operator"))),
)
index("ix_credentials_name", credentials.c.kind, credentials.c.name)
index("ix_credentials_revoked", credentials.c.revoked_at)
RETIRING: Final = sa.text("retires_at IS NOT NULL AND revoked_at IS NULL")
index("ix_credentials_retiring", credentials.c.retires_at, where=RETIRING)

tokens: Final = sa.Table(
    "tokens",
    metadata,
    sa.Column("hash", sa.Text, primary_key=True),
    text("kind"),
    text("name"),
    text("labels"),  # JSON object
    time("created_at", nullable=False),
    time("expires_at", nullable=False),
    text("created_by"),
    time("used_at"),
    added_column(text("mac"), ""),
    check("kind", one_of("kind", ("agent", "operator"))),
)

SEALED: Final = ("picture", "reading", "prompt", "answer")
DRAFT_STATES: Final = ("proposed", "accepted", "rejected")

sealed: Final = sa.Table(
    "sealed",  # private data of a request, encrypted; the audit has its digests
    metadata,
    sa.Column("id", Counter, primary_key=True),
    sa.Column("request_id", sa.Text, sa.ForeignKey("requests.id"), nullable=False),
    text("kind"),
    sa.Column("data", sa.LargeBinary, nullable=False),
    time("at", nullable=False),
    check("kind", one_of("kind", SEALED)),
    sqlite_autoincrement=True,
)
index("ix_sealed_request_id", sealed.c.request_id, sealed.c.id)
index("ix_sealed_at", sealed.c.at)

drafts: Final = sa.Table(
    "drafts",  # runbooks proposed from approved plans, for an admin to review
    metadata,
    sa.Column("number", Counter, primary_key=True),
    sa.Column("request_id", sa.Text, sa.ForeignKey("requests.id"), nullable=False),
    text("name"),
    text("body"),  # the runbook's TOML
    text("state"),
    text("by"),
    time("at", nullable=False),
    text("decided_by"),
    time("decided_at"),
    text("reason"),
    check("state", one_of("state", DRAFT_STATES)),
    sqlite_autoincrement=True,
)
PROPOSED: Final = sa.text("state = 'proposed'")
index("ix_drafts_proposed", drafts.c.number, where=PROPOSED)

switches: Final = sa.Table(
    "switches",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    text("by"),
    time("at", nullable=False),
    text("reason"),
    time("until"),
)

meta: Final = sa.Table("meta", metadata, sa.Column("key", sa.Text, primary_key=True), text("value"))

data_keys: Final = sa.Table(
    "data_keys",  # what values are sealed under, wrapped by the ring's keys
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("wrapped", sa.LargeBinary, nullable=False),
    time("created_at", nullable=False),
    integer("seals"),  # values that may have been sealed under it
)

sealing_keys: Final = sa.Table(
    "sealing_keys",  # the ring's keys by id, never the keys themselves
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    text("state"),
    time("added_at", nullable=False),
    time("used_at"),
    time("retired_at"),
    check("state", one_of("state", ("primary", "decrypt", "retired"))),
)

events: Final = sa.Table(
    "events",
    metadata,
    sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=False),
    time("at", nullable=False),
    text("kind"),
    text("subject"),
    text("actor"),
    text("data"),  # canonical JSON
    text("previous"),
    text("hash"),
)
index("ix_events_subject", events.c.subject, events.c.seq)
ANOMALY: Final = sa.text(one_of("kind", ("job.anomaly", "job.foreign", "job.unheard_of", "row.forged")))
index("ix_events_odd", events.c.seq, where=ANOMALY)  # contradicting reports, which a person should check

tombstones: Final = sa.Table(
    "tombstones",  # of deleted requests and jobs, whose ids triggers refuse (hub/store/retention.py)
    metadata,
    sa.Column("kind", sa.Text, primary_key=True),
    sa.Column("id", sa.Text, primary_key=True),  # a message's event id, or a job's
    sa.Column("owner", sa.Text, primary_key=True),  # its inlet, or machine
    time("at", nullable=False),
    check("kind", one_of("kind", ("event", "job"))),
    sqlite_with_rowid=False,
)
index("ix_tombstones_at", tombstones.c.at)

checkpoints: Final = sa.Table(
    "checkpoints",
    metadata,
    sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True, autoincrement=False),
    text("hash"),
    sa.Column("signature", sa.LargeBinary, nullable=False),
    text("key"),
    time("at", nullable=False),
    added_column(text("root"), ""),
    added_column(integer("previous"), "0"),
)
