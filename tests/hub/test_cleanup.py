"""Deleting what was kept long enough, beside the load."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from itertools import pairwise
from typing import Any

from common.lifecycle import RequestState
from common.link.messages import Report
from hub.cleanup import IDS_KEPT, MAX_REST, Cleanup
from hub.core.records import Request
from hub.store.retention import UNIT
from hub.store.transaction import Txn
from tests.hub.hub_harness import HubHarness, ended_message

DAY = 86_400.0


async def _no_pause(seconds: float) -> None:
    assert 0 <= seconds <= MAX_REST


def cleanup(harness: HubHarness) -> Cleanup:
    return Cleanup(harness.store, harness.config.store, harness.clock, pause=_no_pause)


async def test_ended_requests_go_after_the_retention(harness: HubHarness) -> None:
    """With their jobs and output; told in one audit row, and the machine that repeats a deleted job is told to forget
    it.
    """
    job = await harness.leased_job()
    await harness.handle_agent_events("web-1", ended_message(job.id))
    for reply in harness.replies():
        harness.write(lambda txn, reply=reply: txn.mark_reply_done(reply.id, harness.clock.now))
    await harness.submit("@web-1 uptime")  # the newest stays
    harness.clock.advance(harness.config.store.retention - 60)
    await cleanup(harness).run()
    assert harness.job(job.id).id == job.id
    assert harness.replies(harness.request(job.request_id)) == []
    harness.clock.advance(120)
    await cleanup(harness).run()
    assert harness.read(lambda txn: (txn.job(job.id), txn.request(job.request_id))) == (None, None)
    (row,) = harness.events("store.cleaned")
    assert (row.data["requests"], row.data["jobs"]) == (1, 1)
    before = len(harness.events("job.foreign")) + len(harness.events("job.unheard_of"))
    told = await harness.handle_agent_events("web-1", ended_message(job.id))
    assert told.forgets == [job.id]
    told = await harness.handle_agent_events("web-1", Report(journal="j", boot="b", open={job.id: "ended"}))
    assert told.resync is not None
    assert told.resync.forget == (job.id,)
    assert len(harness.events("job.foreign")) + len(harness.events("job.unheard_of")) == before
    harness.clock.advance(IDS_KEPT + 1)
    await cleanup(harness).run()
    assert harness.read(lambda txn: txn.jobs_gone("web-1", [job.id])) == frozenset()


async def test_a_message_waits_behind_one_unit_at_most(harness: HubHarness) -> None:
    """A unit is small, the next is not given to the writer before the last is done, and rests are several times as
    long: a message that comes at any moment of the clean-up has one unit before it.
    """
    now = harness.clock.now
    for number in range(3 * UNIT):
        harness.write(lambda txn, number=number: txn.add_request(_ended(harness, number, now)))
    harness.clock.advance(harness.config.store.retention + DAY)
    write, ahead, worst, units = harness.store.write, 0, 0, 0

    async def counted(unit: Callable[[Txn], Any]) -> Any:
        nonlocal ahead, worst, units
        ahead += 1
        units += 1
        worst = max(worst, ahead)
        try:
            return await write(unit)
        finally:
            ahead -= 1

    rests: list[float] = []

    async def rest(seconds: float) -> None:
        rests.append(seconds)

    harness.store.write = counted  # type: ignore[method-assign]
    work = Cleanup(harness.store, harness.config.store, harness.clock, pause=rest)
    sizes: list[int] = []

    async def messages() -> None:
        while not done.is_set():
            sizes.append(await write(lambda txn: len(txn.requests(limit=10_000))))
            await asyncio.sleep(0)

    done = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(messages())
        await work.run()
        done.set()
    assert worst == 1
    assert len(rests) == units
    assert max(rests) > 0
    gone = [before - after for before, after in pairwise(sizes)]
    assert max(gone, default=0) <= UNIT
    assert len({size for size in sizes if size > 1}) > 1  # messages came in between
    assert len(harness.read(lambda txn: txn.requests(limit=10_000))) == 1


def _ended(harness: HubHarness, number: int, now: float) -> Any:
    return Request(
        id=f"R{number}", number=0, state=RequestState.DONE, inlet="ops", event_id=f"old-{number}", conversation="room",
        chat_user="u", person="alice", text="x", language="en", reply_url="", received_at=now, ended_at=now,
    )  # fmt: skip
