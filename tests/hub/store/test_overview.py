"""What waits where, and what a person should look at."""

from __future__ import annotations

from typing import Any

import pytest

from common.lifecycle import JobState, RequestState
from common.plan import Plan, Step
from hub.core.records import Approval, Job, Request
from hub.store.overview import JobBacklog
from hub.store.store import Store
from hub.store.transaction import Txn

PLAN = Plan((Step(("/usr/bin/df",), ("web-1",)),))


@pytest.fixture
def request_of(store: Store, make: Any) -> Request:
    made: Request = store.write_now(lambda txn: txn.add_request(make.request()))
    return made


def add(store: Store, make: Any, request: Request, *entries: dict[str, Any]) -> list[Job]:
    jobs = [make.job(request, **entry) for entry in entries]
    store.write_now(lambda txn: txn.add_jobs(jobs))
    return jobs


def test_what_waits_and_runs_on_each_machine(store: Store, make: Any, request_of: Request) -> None:
    """How many in each state, and since when the first; what has ended is not there."""
    now = make.now
    add(
        store,
        make,
        request_of,
        {"agent": "a", "queued_at": now + 1},
        {"agent": "a", "queued_at": now},
        {"agent": "b", "queued_at": now + 2},
        {"agent": "a", "state": JobState.RUNNING, "leased_at": now + 3, "started_at": now + 4},
        {"agent": "a", "state": JobState.LEASED, "leased_at": now + 5},
        {"agent": "b", "state": JobState.UNKNOWN, "ended_at": now + 9, "leased_at": now + 6},
        {"agent": "c", "state": JobState.SUCCEEDED, "ended_at": now},
    )
    assert sorted(store.read_now(lambda txn: txn.queued_by_agent())) == [
        JobBacklog("a", "queued", 2, now),
        JobBacklog("b", "queued", 1, now + 2),
    ]
    assert sorted(store.read_now(lambda txn: txn.open_by_agent())) == [
        JobBacklog("a", "leased", 1, now + 5),
        JobBacklog("a", "running", 1, now + 4),
        JobBacklog("b", "unknown", 1, now + 6),
    ]
    assert [store.read_now(lambda txn, name=name: txn.count_busy(name)) for name in "abc"] == [2, 0, 0]


def test_requests_that_wait(store: Store, make: Any) -> None:
    """By state that is no end; those that ask come by the time they have left, with the yes they have."""
    now = make.now

    def unit(txn: Txn) -> list[Request]:
        made = [
            txn.add_request(make.request(received_at=now)),
            txn.add_request(make.request(state=RequestState.ASKING, planned_at=now + 2, plan=PLAN, decide_by=now + 60)),
            txn.add_request(make.request(state=RequestState.ASKING, planned_at=now + 1, plan=PLAN, decide_by=now + 30)),
            txn.add_request(make.request(state=RequestState.DONE, ended_at=now)),
        ]
        txn.add_approval(Approval(made[1].id, "h", "bob", True, "ops", now))
        txn.add_approval(Approval(made[1].id, "h", "ann", False, "ops", now))
        return made

    made = store.write_now(unit)
    assert store.read_now(lambda txn: txn.requests_waiting()) == {"received": (1, now), "asking": (2, now + 1)}
    assert [one.id for one in store.read_now(lambda txn: txn.asking_requests(10))] == [made[2].id, made[1].id]
    assert len(store.read_now(lambda txn: txn.asking_requests(1))) == 1
    assert [store.read_now(lambda txn, one=one: txn.count_granted(one.id)) for one in made[1:3]] == [1, 0]


def test_stuck_and_unknown(store: Store, make: Any, request_of: Request) -> None:
    """Past the limit and the grace; handed out and not taken up; what nobody knows, newest first."""
    now = make.now
    late, lost, *_ = add(
        store,
        make,
        request_of,
        {"state": JobState.RUNNING, "leased_at": now, "started_at": now - 91, "time_limit": 60},
        {"state": JobState.LEASED, "leased_at": now - 31},
        {"state": JobState.RUNNING, "leased_at": now, "started_at": now - 90, "time_limit": 60},
        {"state": JobState.RUNNING, "leased_at": now, "started_at": now - 9_999, "time_limit": 0},
        {"state": JobState.ACCEPTED, "leased_at": now - 30},
        {"state": JobState.UNKNOWN, "ended_at": now, "leased_at": now - 99},
        {"state": JobState.UNKNOWN, "ended_at": now, "leased_at": now - 99},
    )
    assert {job.id for job in store.read_now(lambda txn: txn.stuck_jobs(now, 10))} == {late.id, lost.id}
    unknown = [job.id for job in store.read_now(lambda txn: txn.unknown_jobs(10))]
    assert len(unknown) == 2
    assert unknown == sorted(unknown, reverse=True)
    assert len(store.read_now(lambda txn: txn.unknown_jobs(1))) == 1


def test_odd_events(store: Store, make: Any) -> None:
    """Contradictions since then, newest first; nothing else."""

    def unit(txn: Txn) -> None:
        for at, kind in enumerate(("job.anomaly", "job.ended", "job.foreign", "job.unheard_of")):
            txn.audit(kind, f"s{at}", "web-1", {"at": at}, make.now + at)

    store.write_now(unit)
    kinds = [event.kind for event in store.read_now(lambda txn: txn.anomalies(make.now + 1, 10))]
    assert kinds == ["job.unheard_of", "job.foreign"]


def test_the_line_of_a_machine(store: Store, make: Any, request_of: Request) -> None:
    """By priority, then age."""
    jobs = add(
        store,
        make,
        request_of,
        {"queued_at": make.now + 2, "priority": 5},
        {"queued_at": make.now + 1, "priority": 5},
        {"queued_at": make.now + 3, "priority": 9},
        {"agent": "other"},
    )
    line = store.read_now(lambda txn: txn.queue_of("web-1", 10))
    assert line == [(job.id, job.priority, job.queued_at) for job in (jobs[2], jobs[1], jobs[0])]
    assert len(store.read_now(lambda txn: txn.queue_of("web-1", 1))) == 1


def test_holds(store: Store, make: Any, request_of: Request) -> None:
    """A held job is handed to nobody; the machines whose holds have just ended are told once."""
    now = make.now
    add(
        store,
        make,
        request_of,
        {"agent": "a", "not_before": now + 5},
        {"agent": "b", "not_before": now + 9},
        {"agent": "c"},
    )
    claim = lambda name, at: store.write_now(lambda txn: txn.claim_jobs(name, 5, 1, "j", at))  # noqa: E731
    assert store.read_now(lambda txn: txn.released_agents(now, now + 4)) == []
    assert claim("a", now + 4.9) == []
    assert store.read_now(lambda txn: txn.released_agents(now + 4, now + 5)) == ["a"]
    assert store.read_now(lambda txn: txn.released_agents(now + 5, now + 6)) == []
    assert len(claim("a", now + 5)) == 1
    assert len(claim("c", now)) == 1
