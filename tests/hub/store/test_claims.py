"""Handing out jobs: each once, the right ones first, and nobody waits behind somebody else's heap."""

from __future__ import annotations

import asyncio
import collections
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from common.lifecycle import JobState
from hub.core.records import Job, Request
from hub.store.store import Store


@pytest.fixture
def request_(store: Store, make: Any) -> Request:
    return store.write_now(lambda txn: txn.add_request(make.request()))


def add(store: Store, *jobs: Job) -> None:
    store.write_now(lambda txn: txn.add_jobs(jobs))


def claim(store: Store, limit: int = 1, now: float = 1_800_000_001.0, agent: str = "web-1") -> list[Job]:
    return store.write_now(lambda txn: txn.claim_jobs(agent, limit, 7, "journal-1", now))


def test_a_claimed_job_is_leased(store: Store, make: Any, request_: Request) -> None:
    """The job comes back leased, with epoch and journal, and is so in the store; the next claim finds nothing."""
    job = make.job(request_)
    add(store, job, make.job(request_, agent="web-2"))
    leased = replace(job, state=JobState.LEASED, epoch=7, journal="journal-1", leased_at=make.now + 1)
    assert claim(store, 5) == [leased]
    assert store.read_now(lambda txn: txn.job(job.id)) == leased
    assert claim(store, 5) == []
    assert claim(store, 0, agent="web-2") == []
    assert len(claim(store, 1, agent="web-2")) == 1


@pytest.mark.parametrize("limit", [1, 2, 9])
def test_what_must_not_go_stays(store: Store, make: Any, request_: Request, limit: int) -> None:
    """Lapsed jobs and ones somebody asked to cancel are passed over, also where they would come first."""
    now = make.now + 1
    add(
        store,
        make.job(request_, not_after=now, priority=9, queued_at=make.now - 9),
        make.job(request_, not_after=now - 1, queued_at=make.now - 8),
        make.job(request_, cancel_asked_at=make.now, priority=9, queued_at=make.now - 7),
        make.job(request_, state=JobState.RUNNING),
        good := make.job(request_, not_after=now + 0.001),
        other := make.job(request_, queued_at=make.now + 0.5),
    )
    assert [job.id for job in claim(store, limit, now)] == [good.id, other.id][:limit]


def test_priority_then_age(store: Store, make: Any, request_: Request) -> None:
    """One person's jobs go by priority, then age, then id, in one claim or in many."""
    jobs = [
        make.job(request_, priority=priority, queued_at=make.now + age)
        for priority, age in [(5, 3), (0, 0), (9, 5), (5, 1), (9, 4), (5, 2)]
    ]
    add(store, *jobs)
    order = [jobs[n].id for n in (4, 2, 3, 5, 0, 1)]
    got = [job.id for limit in (1, 2, 1, 9) for job in claim(store, limit)]
    assert got == order


def test_people_take_turns_over_many_claims(store: Store, make: Any, request_: Request) -> None:
    """A heap queued before does not keep another person's jobs back, even where one job is claimed at a time."""
    heap = [make.job(request_, person="alice", queued_at=make.now - 100 + n / 100) for n in range(40)]
    late = [make.job(request_, person="bob", queued_at=make.now + n) for n in range(3)]
    add(store, *heap, *late)
    assert [job.person for _ in range(8) for job in claim(store)] == ["alice", "bob"] * 3 + ["alice", "alice"]
    add(store, make.job(request_, person="carol", queued_at=make.now + 9), make.job(request_, person="bob"))
    assert [job.person for job in claim(store, 4)] == ["carol", "bob", "alice", "alice"]
    add(store, make.job(request_, person="alice", priority=9, queued_at=make.now + 50))
    assert claim(store)[0].priority == 9


def test_turns_are_kept_for_each_machine(store: Store, make: Any, request_: Request) -> None:
    """Being served by one machine is no reason to wait at another."""
    for agent in ("web-1", "web-2"):
        add(
            store,
            *(make.job(request_, person="alice", agent=agent, queued_at=make.now - 9) for _ in range(3)),
            *(make.job(request_, person="bob", agent=agent) for _ in range(3)),
        )
    assert [job.person for _ in range(3) for job in claim(store, agent="web-1")] == ["alice", "bob", "alice"]
    assert [job.person for job in claim(store, 2, agent="web-2")] == ["alice", "bob"]


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 9), st.integers(0, 3)), max_size=25), st.integers(1, 7))
def test_every_job_goes_once_and_priorities_fall(
    store: Store, make: Any, request_: Request, queue: list[tuple[int, int, int]], limit: int
) -> None:
    """However a queue is claimed, each job goes exactly once, and higher priorities go first."""
    jobs = [
        make.job(request_, person=f"p{person}", priority=priority, queued_at=make.now + age)
        for person, age, priority in queue
    ]
    add(store, *jobs)
    got: list[Job] = []
    while batch := claim(store, limit):
        got += batch
    assert sorted(job.id for job in got) == sorted(job.id for job in jobs)
    assert [job.priority for job in got] == sorted((job.priority for job in got), reverse=True)
    store.write_now(lambda txn: [txn.save_job(job, replace(job, state=JobState.UNKNOWN)) for job in got])


def test_a_persons_share_is_even(store: Store, make: Any, request_: Request) -> None:
    """While several people have jobs waiting, none of them is ever two jobs ahead of another."""
    jobs = [make.job(request_, person=f"p{n % 3 if n < 12 else 0}", queued_at=make.now + n % 5) for n in range(30)]
    add(store, *jobs)
    served: collections.Counter[str] = collections.Counter()
    for _ in range(4):
        for job in claim(store, 3):
            served[job.person] += 1
        assert set(served.values()) == {served["p0"]}


async def test_two_claims_at_once_never_share_a_job(store: Store, make: Any, request_: Request) -> None:
    """Claims that arrive together get different jobs."""
    add(store, *(make.job(request_, person=f"p{n % 4}") for n in range(60)))
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(store.write(lambda txn: txn.claim_jobs("web-1", 4, 1, "j", make.now))) for _ in range(20)
        ]
    got = [job.id for task in tasks for job in task.result()]
    assert len(got) == len(set(got)) == 60


def test_a_claim_from_a_long_queue_is_quick(tmp_path: Path, make: Any) -> None:
    """From 20,000 jobs of 50 people one claim costs a few milliseconds, not a walk through them."""
    store = Store.open("sqlite:///a.sqlite", folder=tmp_path, clock=lambda: 0.0)
    request = store.write_now(lambda txn: txn.add_request(make.request()))
    jobs = [make.job(request, person=f"p{n % 50}", queued_at=make.now + n / 1000) for n in range(20_000)]
    add(store, *jobs)
    took = []
    people = []
    for _ in range(100):
        begun = time.perf_counter()
        people += [job.person for job in claim(store)]
        took.append(time.perf_counter() - begun)
    store.close()
    assert collections.Counter(people) == {f"p{n}": 2 for n in range(50)}
    assert sorted(took)[50] < 0.02  # half a millisecond, measured; a walk is 30 and more
