"""What jobs print, in the store."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from ulid import ULID

from common.lifecycle import JobState, RequestState
from hub.core.records import Job, Request, StoredChunk
from hub.store.store import Store


@pytest.fixture
def request_(store: Store, make: Any) -> Request:
    return store.write_now(lambda txn: txn.add_request(make.request()))


@pytest.fixture
def job(store: Store, make: Any, request_: Request) -> Job:
    made = make.job(request_)
    store.write_now(lambda txn: txn.add_jobs([made]))
    return made


def test_what_is_kept_is_counted_in_bytes(store: Store, make: Any, job: Job) -> None:
    """Nothing of a job that printed nothing; characters of several bytes as their bytes."""
    assert store.read_now(lambda txn: txn.output_size(job.id)) == 0
    for seq, data in enumerate(("好\n".encode(), b"\x00\xff" * 3), 1):
        store.write_now(lambda txn, seq=seq, data=data: txn.add_chunk(StoredChunk(job.id, seq, 1, data, make.now)))
    assert store.read_now(lambda txn: txn.output_size(job.id)) == 10
    assert store.read_now(lambda txn: txn.output_size("another")) == 0


def test_chunks_come_back_in_order_once(store: Store, make: Any, job: Job) -> None:
    """A chunk sent twice is kept once, the first stays, and pages follow one another."""
    chunks = [StoredChunk(job.id, seq, 1 + seq % 2, bytes(range(256)) * 128, make.now + seq) for seq in range(1, 6)]
    for chunk in reversed(chunks):
        assert store.write_now(lambda txn, c=chunk: txn.add_chunk(c)) is True
    assert store.write_now(lambda txn: txn.add_chunk(replace(chunks[2], data=b"other"))) is False
    assert store.read_now(lambda txn: txn.chunks(job.id)) == chunks
    assert store.read_now(lambda txn: txn.chunks(job.id, after_seq=2, limit=2)) == chunks[2:4]
    assert store.read_now(lambda txn: txn.chunks("nothing")) == []


@pytest.mark.parametrize(("seqs", "reached"), [((), 0), ((1,), 1), ((2,), 0), ((1, 2, 4, 5), 2), ((3, 1, 2), 3)])
def test_how_far_there_is_no_gap(store: Store, make: Any, job: Job, seqs: tuple[int, ...], reached: int) -> None:
    """The agent is credited only as far as every chunk is there."""
    for seq in seqs:
        store.write_now(lambda txn, s=seq: txn.add_chunk(StoredChunk(job.id, s, 1, b"x", make.now)))
    assert store.read_now(lambda txn: txn.output_seq(job.id)) == reached


@pytest.mark.parametrize("bad", [{"seq": 0}, {"stream": 3}, {"job_id": "nothing"}])
def test_the_database_refuses_what_is_no_chunk(store: Store, make: Any, job: Job, bad: dict[str, Any]) -> None:
    """Numbers begin at 1, there are two streams, and output belongs to a job."""
    with pytest.raises(Exception, match=r"(?i)constraint"):
        store.write_now(lambda txn: txn.add_chunk(replace(StoredChunk(job.id, 1, 1, b"x", make.now), **bad)))


def test_old_output_goes_and_a_running_jobs_stays(store: Store, make: Any, request_: Request) -> None:
    """Output of jobs that ended before the time goes, a bounded lot at a time; what runs or ended later stays."""

    values = {"state": RequestState.DONE, "ended_at": make.now - 400}
    done = store.write_now(lambda txn: txn.add_request(make.request(**values)))

    def made(made_at: float, request: Request = done, **more: Any) -> Job:
        return make.job(request, id=str(ULID.from_timestamp(made_at)), **more)

    old = [made(make.now - 500, state=JobState.SUCCEEDED, ended_at=make.now - 400) for _ in range(2)]
    running = made(make.now - 500, state=JobState.RUNNING)
    late = made(make.now - 500, state=JobState.SUCCEEDED, ended_at=make.now - 10)
    new = made(make.now - 50, state=JobState.SUCCEEDED, ended_at=make.now - 40)
    waited = made(
        make.now - 500, request_, state=JobState.SUCCEEDED, ended_at=make.now - 400
    )  # for others, by its request
    jobs = [*old, running, late, new, waited]
    store.write_now(lambda txn: txn.add_jobs(jobs))
    for each in jobs:
        for seq in (1, 2, 3):
            store.write_now(lambda txn, j=each, s=seq: txn.add_chunk(StoredChunk(j.id, s, 1, b"x", make.now)))
    drops = [store.write_now(lambda txn: txn.drop_output(make.now - 100, limit=4)) for _ in range(3)]
    assert drops == [4, 2, 0]
    left = [len(store.read_now(lambda txn, j=each: txn.chunks(j.id))) for each in jobs]
    assert left == [0, 0, 3, 3, 3, 3]


def test_a_unit_deletes_output_of_about_a_mebibyte(store: Store, make: Any) -> None:
    """However few chunks that are: what is deleted is written over, and messages wait meanwhile."""
    at = make.now - 400
    ended = make.request(state=RequestState.DONE, ended_at=at)
    request = store.write_now(lambda txn: txn.add_request(ended))
    job = make.job(request, id=str(ULID.from_timestamp(at)), state=JobState.SUCCEEDED, ended_at=at)
    store.write_now(lambda txn: txn.add_jobs([job]))
    for seq in range(1, 51):
        store.write_now(lambda txn, s=seq: txn.add_chunk(StoredChunk(job.id, s, 1, bytes(64 * 1024), at)))
    drops = [store.write_now(lambda txn: txn.drop_output(make.now)) for _ in range(5)]
    assert (sum(drops), max(drops)) == (50, 16)
