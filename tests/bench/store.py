"""What the store can do on this machine: `python tests/bench/store.py [MESSAGES]`.

A message is what it is in the hub, five units of work: request and two audits; plan saved, job added, two audits; claim
and audit; three moves of the job, one chunk, three audits, request done, reply; reply posted.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from ulid import ULID

from common.lifecycle import JobState, RequestState
from common.plan import Plan, Step, plan_hash
from hub.core.records import Job, Reply, Request, StoredChunk
from hub.store.store import Store
from hub.store.transaction import Txn

PLAN = Plan((Step(("/usr/bin/df", "-h"), ("web-1",)),))
HASH = plan_hash(PLAN)
NOW = 1_800_000_000.0


def a_request(number: int, person: str = "alice") -> Request:
    return Request(
        id=str(ULID()),
        number=0,
        state=RequestState.RECEIVED,
        inlet="ops",
        event_id=f"event-{number}",
        conversation="ops",
        chat_user=person,
        person=person,
        text="@web-1 df -h",
        language="en",
        reply_url="http://127.0.0.1:9/reply",
        received_at=NOW,
    )


def a_job(request: Request, agent: str = "web-1", person: str = "alice", at: float = NOW) -> Job:
    return Job(
        id=str(ULID()),
        request_id=request.id,
        person=person,
        agent=agent,
        state=JobState.QUEUED,
        step=0,
        plan_hash=HASH,
        not_after=at + 600,
        queued_at=at,
    )


def message(number: int, agent: str) -> list[Callable[[Txn], object]]:
    """The five units of one message's way."""
    request, job, reply = a_request(number), None, 0
    working = request

    def accept(txn: Txn) -> None:
        nonlocal request
        added = txn.add_request(request)
        assert added is not None
        request = added
        txn.audit("message.accepted", request.id, "alice", {"inlet": "ops", "text": request.text}, NOW)
        txn.audit("request.received", request.id, "alice", {"number": request.number}, NOW)

    def plan(txn: Txn) -> None:
        nonlocal working, job
        working = replace(
            request, state=RequestState.WORKING, plan=PLAN, plan_hash=HASH, rule="disk", planned_at=NOW, decided_at=NOW
        )
        txn.save_request(request, working)
        job = a_job(request, agent=agent)
        txn.add_jobs([job])
        txn.audit("plan.made", request.id, "hub", {"plan_hash": HASH, "source": "explicit"}, NOW)
        txn.audit("job.queued", job.id, "hub", {"plan_hash": HASH, "agent": "web-1"}, NOW)

    def claim(txn: Txn) -> None:
        nonlocal job
        (job,) = txn.claim_jobs(agent, 8, 1, "journal", NOW)
        txn.audit("job.leased", job.id, "hub", {"agent": "web-1", "epoch": 1}, NOW)

    def end(txn: Txn) -> None:
        nonlocal job, reply
        assert job is not None
        accepted = replace(job, state=JobState.ACCEPTED, accepted_at=NOW)
        txn.save_job(job, accepted)
        txn.audit("job.accepted", job.id, "web-1", {"plan_hash": HASH}, NOW)
        running = replace(accepted, state=JobState.RUNNING, started_at=NOW)
        txn.save_job(accepted, running)
        txn.audit("job.started", job.id, "web-1", {"pid": 4711}, NOW)
        txn.add_chunk(StoredChunk(job.id, 1, 1, b"Filesystem      Size  Used Avail Use% Mounted on\n" * 8, NOW))
        done = replace(
            running, state=JobState.SUCCEEDED, ended_at=NOW, exit_code=0, output_bytes=400, output_digest=HASH, chunks=1
        )
        txn.save_job(running, done)
        txn.audit("job.succeeded", job.id, "web-1", {"exit_code": 0, "digest": HASH}, NOW)
        txn.save_request(working, replace(working, state=RequestState.DONE, ended_at=NOW))
        reply = txn.add_reply(Reply(0, request.id, "ops", "final", request.reply_url, '{"text":"ok"}', NOW, NOW))

    def answered(txn: Txn) -> None:
        txn.mark_reply_done(reply, NOW)

    return [accept, plan, claim, end, answered]


@asynccontextmanager
async def a_store() -> AsyncIterator[Store]:
    with tempfile.TemporaryDirectory(dir="/var/tmp") as folder:
        store = Store.open("sqlite:///bench.sqlite", folder=Path(folder), clock=time.time)
        try:
            yield store
        finally:
            store.close()


async def throughput(count: int, senders: int = 64) -> str:
    """Messages a second with `senders` at once, each waiting for every commit."""
    async with a_store() as store:
        numbers = iter(range(count))
        spent = time.process_time()
        begun = time.perf_counter()

        async def sender(agent: str) -> None:
            for number in numbers:
                for unit in message(number, agent):
                    await store.write(unit)

        async with asyncio.TaskGroup() as group:
            for which in range(senders):
                group.create_task(sender(f"agent-{which}"))
        took = time.perf_counter() - begun
        spent = time.process_time() - spent
        shared = store.units / store.commits
        return (
            f"{count / took:7.0f} messages/s, {spent / count * 1e6:5.0f} us CPU a message, {shared:.1f} units a commit"
        )


async def thread_alone(count: int) -> str:
    """The writer's own work: a whole message in one unit, 64 messages a commit, nobody to wake."""
    async with a_store() as store:

        def batch(first: int) -> Callable[[Txn], None]:
            def unit(txn: Txn) -> None:
                for number in range(first, first + 64):
                    for step in message(number, "web-1"):
                        step(txn)

            return unit

        begun = time.perf_counter()
        for first in range(0, count, 64):
            store.write_now(batch(first))
        return f"{count / (time.perf_counter() - begun):7.0f} messages/s"


async def latency(count: int) -> str:
    """One writer at a time: from `write` to the result, commit and sync included."""
    async with a_store() as store:
        times = []
        for number in range(count):
            begun = time.perf_counter()
            await store.write(lambda txn, n=number: txn.audit("bench", str(n), "hub", {}, NOW))
            times.append(time.perf_counter() - begun)
        times.sort()
        return f"p50 {times[count // 2] * 1e3:.2f} ms, p99 {times[count * 99 // 100] * 1e3:.2f} ms"


async def claims(queued: int = 20_000, people: int = 50) -> str:
    """Handing out one job and eight from a long queue of one machine."""
    async with a_store() as store:
        request = a_request(0)
        store.write_now(lambda txn: txn.add_request(request))
        jobs = [
            replace(a_job(request, "web-1", f"person-{n % people:02}", NOW + n / 1000), parent="x", priority=5 - n % 2)
            for n in range(queued)
        ]
        for first in range(0, queued, 1000):
            store.write_now(lambda txn, some=jobs[first : first + 1000]: txn.add_jobs(some))
        said = []
        for limit in (1, 8, 64):
            times = []
            for _ in range(50):
                begun = time.perf_counter()
                claimed = await store.write(lambda txn, n=limit: txn.claim_jobs("web-1", n, 1, "j", NOW))
                times.append(time.perf_counter() - begun)
                assert len(claimed) == limit
            times.sort()
            said.append(f"{limit}: p50 {times[25] * 1e3:.2f} ms, max {times[-1] * 1e3:.2f} ms")
        return "; ".join(said)


async def main(count: int) -> None:
    print(f"one write, alone                     {await latency(1000)}")
    print(f"the writer thread alone              {await thread_alone(count // 64 * 64)}")
    print(f"64 senders through one event loop    {await throughput(count)}")
    print(f"claim from 20,000 jobs of 50 people  {await claims()}")


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 5000))
