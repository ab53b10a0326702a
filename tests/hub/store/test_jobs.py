"""Jobs in the store."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ulid import ULID

from common.lifecycle import JobState
from hub.core.records import Job, Request
from hub.store.errors import Conflict
from hub.store.store import Store


@pytest.fixture
def request_(store: Store, make: Any) -> Request:
    return store.write_now(lambda txn: txn.add_request(make.request()))


def add(store: Store, *jobs: Job) -> None:
    store.write_now(lambda txn: txn.add_jobs(jobs))


def test_a_job_comes_back_as_it_was(store: Store, make: Any, request_: Request) -> None:
    """Every field survives, large numbers and empty ones too."""
    job = make.job(request_)
    add(store, job)
    assert store.read_now(lambda txn: txn.job(job.id)) == job
    full = replace(
        job,
        state=JobState.FAILED,
        epoch=2**40,
        journal="j",
        leased_at=1.5,
        accepted_at=2.5,
        started_at=3.5,
        ended_at=4.5,
        exit_code=255,
        signal=9,
        reason="killed",
        duration=0.001,
        output_bytes=2**50,
        output_digest="d" * 64,
        truncated=True,
        chunks=320,
        cpu_user=0.25,
        cpu_system=0.125,
        max_rss=2**35,
        notes=("left 4711 python3, 4712 sh", "lost 12345"),
        cancel_asked_at=3.75,
        cancel_asked_by="bob",
    )
    store.write_now(lambda txn: txn.save_job(job, full))
    assert store.read_now(lambda txn: txn.job(job.id)) == full
    assert store.read_now(lambda txn: txn.job(str(ULID()))) is None


def test_a_steps_job_is_made_once_for_each_machine(store: Store, make: Any, request_: Request) -> None:
    """A second job for the same step and machine is refused, and nothing of that lot is kept; a retry has a parent."""
    first = make.job(request_, parent="")
    add(store, first)
    other = make.job(request_, agent="web-2", parent="")
    with pytest.raises(Conflict):
        add(store, other, make.job(request_, parent=""))
    with pytest.raises(Conflict):
        add(store, replace(other, id=first.id))
    add(store, make.job(request_, parent=first.id), make.job(request_, step=1, parent=""))
    found = store.read_now(lambda txn: txn.jobs_of(request_.id))
    assert [(job.step, job.agent) for job in found] == [(0, "web-1"), (0, "web-1"), (1, "web-1")]
    add(store)


def test_a_job_needs_its_request(store: Store, make: Any) -> None:
    """A job of a request that is not there is refused by the database."""
    with pytest.raises(Exception, match=r"(?i)foreign key"):
        add(store, make.job(make.request()))


def test_a_save_on_an_old_view_conflicts(store: Store, make: Any, request_: Request) -> None:
    """A lease on a view from before a cancel loses, and so does anything on a view from before the lease."""
    job = make.job(request_)
    add(store, job)
    leased = replace(job, state=JobState.LEASED, leased_at=make.now)
    cancelled = replace(job, cancel_asked_at=make.now, cancel_asked_by="bob")
    store.write_now(lambda txn: txn.save_job(job, cancelled))
    with pytest.raises(Conflict):
        store.write_now(lambda txn: txn.save_job(job, leased))
    both = replace(cancelled, state=JobState.LEASED)
    store.write_now(lambda txn: txn.save_job(cancelled, both))
    with pytest.raises(Conflict):
        store.write_now(lambda txn: txn.save_job(cancelled, replace(cancelled, reason="x")))
    assert store.read_now(lambda txn: txn.job(job.id)) == both


def test_an_end_is_final(store: Store, make: Any, request_: Request) -> None:
    """The database itself refuses a second end, and an end without its time."""
    job = make.job(request_)
    add(store, job)
    with pytest.raises(Exception, match="ck_jobs_ended"):
        store.write_now(lambda txn: txn.save_job(job, replace(job, state=JobState.CANCELLED)))
    ended = replace(job, state=JobState.CANCELLED, ended_at=make.now)
    store.write_now(lambda txn: txn.save_job(job, ended))
    with pytest.raises(Exception, match="an end is final"):
        store.write_now(lambda txn: txn.save_job(ended, replace(ended, state=JobState.SUCCEEDED)))
    noted = replace(ended, reason="noted later")
    store.write_now(lambda txn: txn.save_job(ended, noted))
    assert store.read_now(lambda txn: txn.job(job.id)) == noted


def test_a_job_is_found_by_a_part_of_its_id(store: Store, make: Any, request_: Request) -> None:
    """The beginning, the end or the whole of an id finds jobs, newest first, ten at most; anything else finds none."""
    jobs = [make.job(request_, id=f"01K{n:022}{'A' if n % 2 else 'B'}") for n in range(24)]
    add(store, *jobs)

    def found(part: str) -> list[str]:
        return [job.id for job in store.read_now(lambda txn: txn.find_jobs(part))]

    assert found(jobs[7].id) == [jobs[7].id]
    assert found(jobs[7].id.lower()) == [jobs[7].id]
    assert found("7A") == [jobs[17].id, jobs[7].id]
    assert found("01K") == [job.id for job in reversed(jobs)][:10]
    assert found("A") == [job.id for job in reversed(jobs) if job.id.endswith("A")][:10]
    for part in ("", "%", "_", "ZZZ", "' OR 1=1 --", "01K" * 20, "01Ｋ"):
        assert found(part) == []


def test_lapsed_open_and_queued_jobs_are_found(store: Store, make: Any, request_: Request) -> None:
    """What ran out of time, what a machine has, and which machines have something waiting."""
    lapsing = [make.job(request_, not_after=make.now + n, agent="web-2") for n in (5, 1, 3)]
    states = [
        make.job(request_, state=state, ended_at=make.now if state > "z" else None)
        for state in (JobState.LEASED, JobState.ACCEPTED, JobState.RUNNING, JobState.UNKNOWN, JobState.QUEUED)
    ]
    ended = make.job(request_, state=JobState.SUCCEEDED, ended_at=make.now, not_after=make.now)
    add(store, *lapsing, *states, ended)
    assert store.read_now(lambda txn: txn.lapsed_jobs(make.now + 3, 10)) == [lapsing[1], lapsing[2]]
    assert store.read_now(lambda txn: txn.lapsed_jobs(make.now + 9, 1)) == [lapsing[1]]
    assert {job.id for job in store.read_now(lambda txn: txn.open_jobs("web-1"))} == {job.id for job in states[:4]}
    assert store.read_now(lambda txn: txn.open_jobs("web-2")) == []
    assert store.read_now(lambda txn: txn.agents_with_queue()) == ["web-1", "web-2"]


def test_counts_of_jobs(store: Store, make: Any, request_: Request) -> None:
    """By state, in the queue, of a person, for a machine; how long the oldest has waited."""
    assert store.read_now(lambda txn: txn.queue_stats()) == (0, None)
    jobs = [
        make.job(request_, person=person, agent=agent, queued_at=make.now + n)
        for n, (person, agent) in enumerate([("alice", "web-1"), ("alice", "web-2"), ("bob", "web-1")])
    ]
    running = make.job(request_, state=JobState.RUNNING, queued_at=make.now - 99)
    ended = make.job(request_, state=JobState.EXPIRED, ended_at=make.now)
    add(store, *jobs, running, ended)
    counts = store.read_now(lambda txn: txn.job_counts())
    expected = {JobState.QUEUED: 3, JobState.RUNNING: 1, JobState.EXPIRED: 1}
    assert counts == {state: expected.get(state, 0) for state in JobState}
    assert store.read_now(lambda txn: txn.queue_stats()) == (3, make.now)
    asked = [{}, {"person": "alice"}, {"agent": "web-1"}, {"person": "alice", "agent": "web-1"}, {"person": "eve"}]
    assert [store.read_now(lambda txn, a=a: txn.count_queued(**a)) for a in asked] == [3, 2, 2, 1, 0]


def test_lists_are_newest_first_and_bounded(store: Store, make: Any, request_: Request) -> None:
    """Jobs can be had by state, machine and person, page by page, newest first."""
    jobs = [
        make.job(request_, id=f"01K{n:023}", agent=f"web-{n % 2}", person=("alice", "bob", "eve")[n % 3])
        for n in range(6)
    ]
    add(store, *jobs)

    def found(**asked: Any) -> list[int]:
        return [int(job.id[3:]) for job in store.read_now(lambda txn: txn.jobs(**asked))]

    assert found() == [5, 4, 3, 2, 1, 0]
    assert found(limit=2) == [5, 4]
    assert found(limit=2, before_id=jobs[4].id) == [3, 2]
    assert found(agent="web-1") == [5, 3, 1]
    assert found(person="bob") == [4, 1]
    assert found(agent="web-0", person="bob", states=[JobState.QUEUED]) == [4]
    assert found(states=[JobState.RUNNING]) == []


def test_how_many_jobs_of_a_step_are_waited_for(store: Store, make: Any, request_: Request) -> None:
    """Queued and handed out ones are; ended and unknown ones are not, nor those of other steps and requests."""
    other = store.write_now(lambda txn: txn.add_request(make.request()))
    states = list(JobState)
    jobs = [make.job(request_, state=state, ended_at=make.now, step=1) for state in states]
    add(store, *jobs, make.job(request_, step=0), make.job(other, step=1))
    waited_for = {JobState.QUEUED, JobState.LEASED, JobState.ACCEPTED, JobState.RUNNING}
    assert store.read_now(lambda txn: txn.count_unsettled(request_.id, 1)) == len(waited_for)
    assert store.read_now(lambda txn: txn.count_unsettled(request_.id, 0)) == 1
    assert store.read_now(lambda txn: txn.count_unsettled(request_.id, 2)) == 0
