"""Filters as conditions for the database say what they say in memory, on SQLite and PostgreSQL alike."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from common.api.codec import encode
from common.filter.fields import FIELDS_BY_NAME, VIEWS
from common.filter.match import compile_filter
from common.filter.parser import parse
from common.lifecycle import JOB_TERMINAL, JobState, RequestState
from common.plan import Plan, Step
from hub.api.views import event_view, job_view, request_view
from hub.core.records import Agent
from hub.store.filter_sql import COLUMNS, FLAGS
from hub.store.lists import MAPPERS, ListQuery
from hub.store.store import Store
from hub.store.transaction import Txn
from tests.each import each_of

PLAN = Plan((Step(("/usr/bin/df", "-h"), ("web-1",)),), source="runbook:disk")
COMMANDS = ("/usr/bin/df -h", "/usr/bin/echo '重启 nginx'", "/bin/ls 100%_x", "")


@pytest.fixture
def full(store: Store, make: Any) -> Store:
    """Jobs in every state, on machines with labels, their requests and events."""

    def unit(txn: Txn) -> None:
        for name, labels in {
            "web-eu-1": {"env": "prod", "role": "web"},
            "web-us-2": {"env": "prod-2"},
            "Web-eu-3": {"role": "env"},
            "db[1]": {},
        }.items():
            txn.add_agent(Agent(name, labels, "active", make.now))
        variety = itertools.cycle(itertools.product(("web-eu-1", "web-us-2", "Web-eu-3", "db[1]"), COMMANDS))
        for number, state in enumerate([*JobState, *JobState, *JobState]):
            agent, command = next(variety)
            person = ("alice", "bob", "al_ce")[number % 3]
            inlet = ("ops", "console")[number % 2]
            waits = RequestState.ASKING if number % 2 else RequestState.DONE
            request = txn.add_request(
                make.request(
                    person=person,
                    inlet=inlet,
                    state=waits,
                    decide_by=make.now + number if number % 2 else None,
                    ended_at=None if number % 2 else make.now,
                    received_at=make.now - 10 * number,
                    text=command,
                    plan=PLAN,
                    behalf="carol" if number % 5 == 0 else "",
                )
            )
            handed = None if state in (JobState.QUEUED, JobState.EXPIRED) else make.now - 10 * number
            job = make.job(
                request,
                agent=agent,
                state=state,
                number=request.number,
                inlet=inlet,
                source=("runbook:disk", "operator")[number % 2],
                command=command,
                queued_at=make.now - 10 * number,
                leased_at=handed,
                started_at=handed,
                time_limit=30 * (number % 3),
                not_before=make.now + 5 if number % 4 == 0 else 0.0,
                ended_at=make.now - number if state in JOB_TERMINAL or state is JobState.UNKNOWN else None,
                exit_code=(0, 1, None)[number % 3] if state in JOB_TERMINAL else None,
                duration=number / 2 if state in JOB_TERMINAL else None,
                output_bytes=1000 * number,
                priority=number % 10,
                reason="磁盘 full" if number % 7 == 0 else "",
                cancel_asked_at=make.now if number % 6 == 0 else None,
                id=f"01J{number:04}ZZZZZZZZZZZZZZZZZZZ",
            )
            txn.add_jobs([job])
            data = {"outcome": state.value, "reason": job.reason, "count": number}
            txn.audit("job.ended" if number % 2 else "request.approved", job.id, agent, data, make.now - number)

    store.write_now(unit)
    return store


JOBS = (
    "",
    "state:running,queued",
    "state:failed",
    "state:failed,timed_out",
    "state:unknown,failed",
    "state:queued",
    "!state:queued",
    "is:open",
    "is:ended",
    "is:bad,open",
    "is:stuck",
    "!is:stuck",
    "is:held",
    "is:cancelling",
    "agent:web-*",
    "agent:web-eu-1",
    "agent:web-??-2",
    'agent:"db[1]"',
    "agent:db[*",
    "!agent:web-*",
    "user:al_ce",
    "user:*ce",
    "user:alice,bob",
    "src:ops",
    "rb:disk",
    "rb:d*",
    "plan:operator",
    "id:0007ZZZZZZZZZZZZZZZZZZZ",
    "id:01J0007*",
    "r:3,5",
    "r>30",
    "age>100s",
    "age<=100s",
    "!age>100s",
    "ended<10s",
    "!ended<10s",
    "took>5s",
    "left>1m",
    "left<1s",
    "exit:0",
    "exit!=0",
    "!exit:0",
    "!exit!=0",
    "pri>=8",
    "output>10k",
    "label:env=prod",
    "label:env=prod*",
    "label:env",
    "!label:env",
    "label:role=env",
    "nginx",
    "NGINX",
    "重启",
    "磁盘",
    "%",
    "_x",
    '"100%_"',
    "zzzzzz",
    "-f dfh",
    "-f 重x",
    "-f %x",
    "!nginx !df",
    "state:running,queued agent:web-* age>10s user:alice label:env",
)


@each_of("text", JOBS)
def test_jobs(full: Store, make: Any, text: str) -> None:
    """The rows that the database gives are those that fit in memory, newest first, and as many as it counts."""
    labels = {agent.name: agent.labels for agent in full.read_now(lambda txn: txn.agents())}
    everything = full.read_now(lambda txn: txn.jobs(limit=1000))
    filter_, fits = parse("jobs", text), compile_filter(parse("jobs", text))
    wanted = [
        job.id
        for job in everything
        if fits({**encode(job_view(job)), "labels": labels[job.agent], "argv": job.command}, make.now)
    ]
    listing = ListQuery(filter_)
    rows = full.read_now(lambda txn: txn.list_rows(listing, 0, 1000, make.now))
    assert [MAPPERS["jobs"].from_row(row).id for row in rows] == wanted
    assert full.read_now(lambda txn: txn.list_length(listing, make.now)) == len(wanted)


REQUESTS = (
    "",
    "state:asking",
    "!state:asking",
    "is:open",
    "is:ended",
    "is:edited",
    "user:bob src:console",
    "rb:disk",
    "rb:d?s*",
    "!rb:disk",
    "rb:dis",
    "plan:runbook:*",
    "left<10s",
    "!left<10s",
    "age>100s",
    "r:2,4",
    "df",
    "-f nginx",
    "id:zzzz",
)


@each_of("text", REQUESTS)
def test_requests(full: Store, make: Any, text: str) -> None:
    """The same for requests."""
    everything = full.read_now(lambda txn: txn.requests(limit=1000))
    fits = compile_filter(parse("requests", text))
    wanted = [request.number for request in everything if fits(encode(request_view(request)), make.now)]
    listing = ListQuery(parse("requests", text))
    rows = full.read_now(lambda txn: txn.list_rows(listing, 0, 1000, make.now))
    assert [MAPPERS["requests"].from_row(row).number for row in rows] == wanted


EVENTS = (
    "kind:job.*",
    "!kind:job.*",
    "actor:web-*",
    "subject:01J0003*",
    "seq>5",
    "age<10s",
    "磁盘",
    "FAILED",
    r'"\"count\":3"',
    "-f outcomefailed",
)


@each_of("text", EVENTS)
def test_events(full: Store, make: Any, text: str) -> None:
    """The same for the audit, whose data is searched as JSON."""
    everything = full.read_now(lambda txn: txn.events(limit=1000, newest_first=True))
    fits = compile_filter(parse("audit", text))
    wanted = [event.seq for event in everything if fits(encode(event_view(event)), make.now)]
    listing = ListQuery(parse("audit", text))
    rows = full.read_now(lambda txn: txn.list_rows(listing, 0, 1000, make.now))
    assert [row[0] for row in rows] == wanted


def test_every_field_and_flag_has_its_column() -> None:
    """What can be written for a list of the store can be asked of the store."""
    for view in VIEWS:
        if view == "agents":
            continue
        for field in FIELDS_BY_NAME[view].values():
            if field.kind == "flag":
                assert set(field.choices) == set(FLAGS[view])
            elif field.kind != "label" and field.key != "plan.source":
                assert field.key in COLUMNS[view], (view, field.name)


PLANS = {
    "": "sqlite_autoindex_jobs_1",
    "state:failed": "ix_jobs_ended (state=?)",
    "state:running": "ix_jobs_open",
    "state:queued,running": "ix_jobs_open",
    "state:queued": "ix_jobs_",
    "is:stuck": "ix_jobs_open",
    "agent:web-1": "ix_jobs_agent (agent=?)",
    "agent:web-*": "ix_jobs_agent (agent>? AND agent<?)",
    "user:bob": "ix_jobs_person (person=?)",
    "r:42": "ix_jobs_request_id (request_id=?)",
}


@each_of(("text", "plan"), PLANS.items())
def test_what_is_asked_often_is_found_by_an_index(
    tmp_path: Path, clock: Callable[[], float], text: str, plan: str
) -> None:
    """In a new store SQLite plans the lists that operators look at all day as it must for 100,000 jobs."""
    store = Store.open("sqlite:///a.sqlite", folder=tmp_path, clock=clock)
    listing = ListQuery(parse("jobs", text))
    with store._database.engine.connect() as connection:
        sql, params = listing.window.compiled_for(connection.dialect, {"now": 0.0, "n": 10, "lo": 0})
        rows = connection.exec_driver_sql("EXPLAIN QUERY PLAN " + sql, dict(params)).fetchall()
    store.close()
    told = " | ".join(str(row[3]) for row in rows)
    assert plan in told, told


def test_conditions_are_never_null_where_they_are_negated(full: Store, make: Any) -> None:
    """Every filter and its negation share all jobs between them."""
    whole = full.read_now(lambda txn: txn.table_length(ListQuery(parse("jobs", ""))))
    for text in ("exit:0", "exit!=0", "took>5s", "ended<10s", "is:cancelling", "label:env", "nginx", "state:failed"):
        counts = [
            full.read_now(lambda txn, some=sign + text: txn.list_length(ListQuery(parse("jobs", some)), make.now))
            for sign in ("", "!")
        ]
        assert sum(counts) == whole, text


def test_a_job_that_moves_fits_another_filter(full: Store, make: Any) -> None:
    """Nothing of a list is kept between two looks."""
    listing = ListQuery(parse("jobs", "state:queued"))
    count = full.read_now(lambda txn: txn.list_length(listing, make.now))
    job = next(job for job in full.read_now(lambda txn: txn.jobs(limit=1000)) if job.state is JobState.QUEUED)
    full.write_now(lambda txn: txn.save_job(job, replace(job, state=JobState.CANCELLED, ended_at=make.now)))
    assert full.read_now(lambda txn: txn.list_length(listing, make.now)) == count - 1
