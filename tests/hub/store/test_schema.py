"""The schema: the states it lets in are the lifecycles', and SQLite finds what the hub asks for by an index."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path

import pytest
import sqlalchemy as sa

from common.lifecycle import JOB_TERMINAL, REQUEST_TERMINAL, JobState, RequestState
from hub.core import records
from hub.store import claims, events, jobs, key_schema, outbox, output, requests, retention, schema, sealed
from hub.store.sql import Statement
from hub.store.store import Store
from tests.each import each_of


@pytest.mark.parametrize(
    ("table", "states", "ends"), [("requests", RequestState, REQUEST_TERMINAL), ("jobs", JobState, JOB_TERMINAL)]
)
def test_the_tables_know_the_lifecycles(
    tmp_path: Path, clock: Callable[[], float], table: str, states: type, ends: frozenset[str]
) -> None:
    """The states that the made tables let in, and those they take for ends, are those of the lifecycle."""
    store = Store.open("sqlite:///a.sqlite", folder=tmp_path, clock=clock)
    with store._database.engine.connect() as connection:
        checks = {check["name"]: check["sqltext"] for check in sa.inspect(connection).get_check_constraints(table)}
        trigger = connection.scalar(
            sa.text("SELECT sql FROM sqlite_master WHERE name = :name"), {"name": f"{table}_end"}
        )
    store.close()
    assert set(re.findall(r"'(\w+)'", checks[f"ck_{table}_state"])) == {str(state) for state in states}
    assert set(re.findall(r"'(\w+)'", checks[f"ck_{table}_ended"])) == {str(state) for state in ends}
    assert set(re.findall(r"'(\w+)'", trigger.split("BEGIN")[0])) == {str(state) for state in ends}


@each_of(
    ("record", "table"),
    [
        (records.Request, schema.requests),
        (records.Job, schema.jobs),
        (records.StoredChunk, schema.output),
        (records.Approval, schema.approvals),
        (records.AuditEvent, schema.events),
        (records.Reply, schema.outbox),
        (records.Agent, schema.agents),
        (records.Person, schema.people),
        (records.IssuedCertificate, schema.credentials),
        (records.EnrolmentToken, schema.tokens),
        (records.SealedItem, schema.sealed),
        (records.Draft, schema.drafts),
        (records.StandingApproval, schema.standing_approvals),
        (records.OfferedKeyChange, key_schema.key_changes),
        (records.KeyAnswer, key_schema.key_answers),
        (records.MachineKeys, key_schema.machine_keys),
        (records.PersonPasskey, schema.passkeys),
    ],
)
def test_tables_hold_their_records_and_nothing_else(record: type, table: sa.Table) -> None:
    """Every field of a record is a column of its table, and the other way round."""
    assert {field.name for field in fields(record)} == set(table.c.keys())


def test_what_is_asked_often_is_found_by_an_index(tmp_path: Path, clock: Callable[[], float]) -> None:
    """In a new store, whose tables are empty, SQLite plans every hot statement as it must for a full one."""
    expected = {
        (claims, "_SOME"): "ix_jobs_queue (agent=?)",
        (claims, "_PRIORITY"): "ix_jobs_queue (agent=?)",
        (claims, "_OLDEST_OF_PERSON"): "ix_jobs_queue (agent=? AND priority=? AND person=?)",
        (claims, "_PEOPLE"): "ix_jobs_queue (agent=? AND priority=? AND person>?)",
        (jobs, "_BY_ID"): "sqlite_autoindex_jobs_1 (id=?)",
        (jobs, "_OF_REQUEST"): "ix_jobs_request_id (request_id=?)",
        (jobs, "_OPEN"): "ix_jobs_open (agent=? AND state=?)",
        (jobs, "_LAPSED"): "ix_jobs_lapse (not_after<?)",
        (jobs, "_COUNT_ALL"): "COVERING INDEX",
        (jobs, "_COUNT_PERSON"): "COVERING INDEX ix_jobs_queued_person (person=?",
        (jobs, "_COUNT_AGENT"): "COVERING INDEX ix_jobs_queue (agent=?)",
        (jobs, "_STATS"): "COVERING INDEX ix_jobs_queue",
        (jobs, "_AGENTS"): "COVERING INDEX ix_jobs_queue",
        (requests, "_BY_ID"): "sqlite_autoindex_requests_1 (id=?)",
        (requests, "_BY_EVENT"): "sqlite_autoindex_requests_2 (inlet=? AND event_id=?)",
        (requests, "_DUE"): "ix_requests_open (state=?)",
        (requests, "_RECEIVED"): "ix_requests_open (state=?)",
        (requests, "_COUNT"): "ix_requests_open",
        (requests, "_COUNT_OF"): "ix_requests_open (state=? AND person=?)",
        (outbox, "_DUE"): "ix_outbox_due (next_at<?)",
        (outbox, "_COUNT"): "ix_outbox_",
        (outbox, "_WAITING"): "ix_outbox_",
        (output, "_AFTER"): "sqlite_autoindex_output_1 (job_id=? AND seq>?)",
        (output, "_OLD"): "sqlite_autoindex_output_1 (job_id<?)",
        (output, "_DROP"): "sqlite_autoindex_output_1 (job_id=? AND seq=?)",
        (retention, "_REPLIES"): "INTEGER PRIMARY KEY (rowid>?)",
        (retention, "_REQUESTS"): "INTEGER PRIMARY KEY (rowid>?",
        (retention, "_JOBS"): "ix_jobs_request_id (request_id=?)",
        (retention, "_DROP_TOMBSTONES"): "ix_tombstones_at (at<?)",
        (sealed, "_OF"): "ix_sealed_request_id (request_id=?)",
        (sealed, "_DROP_OLD"): "ix_sealed_at (at<?)",
        (sealed, "_EARLIER"): "ix_requests_conversation (inlet=? AND conversation=? AND number<?)",
        (sealed, "_PROPOSED"): "ix_drafts_proposed",
        (events, "_CHAIN"): "INTEGER PRIMARY KEY (rowid>?)",
    }
    store = Store.open("sqlite:///a.sqlite", folder=tmp_path, clock=clock)
    with store._database.engine.connect() as connection:
        for (module, name), index in expected.items():
            statement: Statement = getattr(module, name)
            text, constants = statement.compiled_for(connection.dialect, {})
            params = dict.fromkeys(re.findall(r":(\w+)", text), 1) | dict(constants)
            plan = " | ".join(row[3] for row in connection.exec_driver_sql("EXPLAIN QUERY PLAN " + text, params))
            assert index in plan, f"{name}: {plan}"
    store.close()


@pytest.mark.parametrize("number", range(3))
def test_counts_by_state_are_answered_by_indexes(tmp_path: Path, clock: Callable[[], float], number: int) -> None:
    """Each third of the count by state walks its own partial index, not the table."""
    store = Store.open("sqlite:///a.sqlite", folder=tmp_path, clock=clock)
    with store._database.engine.connect() as connection:
        text, _ = jobs._COUNTS[number].compiled_for(connection.dialect, {})
        plan = " | ".join(row[3] for row in connection.exec_driver_sql("EXPLAIN QUERY PLAN " + text))
    store.close()
    assert "USING COVERING INDEX ix_jobs_" in plan
