"""Deleting what was kept long enough, beside the load."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from common.lifecycle import RequestState
from common.link.messages import Output, Report
from common.values import Size
from hub.archive.archiver import Archiver
from hub.archive.reader import AuditArchive
from hub.cleanup import IDS_KEPT, MAX_REST, Cleanup, OverBudget
from hub.core.records import Job, Request
from hub.status import budget_warnings
from hub.store.retention import UNIT
from hub.store.transaction import Txn
from hub.witness.signer import CheckpointSigner
from tests.hub.hub_harness import FakeClock, HubHarness, ended_message

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
    assert (row.data["count"], row.data["jobs"]) == (1, 1)
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


async def test_the_budget_is_kept_by_output_alone(harness: HubHarness) -> None:
    """The oldest goes first, none of the last hour and nothing of a job that runs; what is left over is told."""
    old, new, running = await harness.leased_job(), await harness.leased_job(), await harness.leased_job()
    for job, ends in ((old, True), (running, False)):
        await harness.handle_agent_events("web-1", *_chunks(job.id), *([ended_message(job.id)] if ends else []))
    harness.clock.advance(1_800)
    await harness.handle_agent_events("web-1", *_chunks(new.id), ended_message(new.id))
    harness.clock.advance(1_801)
    told: list[OverBudget | None] = []
    used = harness.read(lambda txn: txn.used_bytes())
    table = replace(harness.config.store, budget=Size(used - 100_000))
    work = Cleanup(harness.store, table, harness.clock, pause=_no_pause, tell=told.append)
    await work.run()
    assert told == [None]
    assert harness.read(lambda txn: txn.used_bytes()) <= table.budget
    assert _sizes(harness, old, new, running) == [0, 160_000, 160_000]
    work.configure(replace(table, budget=Size(1)))
    await work.run()
    assert told[1] is not None
    assert told[1] == (harness.read(lambda txn: txn.used_bytes()), 1, harness.clock.now)
    assert budget_warnings(told[1])[0].startswith("disk budget: the store fills ")
    assert _sizes(harness, old, new, running) == [0, 160_000, 160_000]
    harness.clock.advance(3_600)
    await work.run()
    assert _sizes(harness, old, new, running) == [0, 0, 160_000]
    assert [row.data["early"] for row in harness.events("store.cleaned")] == [10, 10]
    work.configure(replace(table, budget=Size(0)))
    await work.run()
    assert told[-1] is None
    assert budget_warnings(None) == []


def _chunks(job: str) -> list[Output]:
    return [Output(job, seq, 1, bytes(16_000), 0.0) for seq in range(1, 11)]


def _sizes(harness: HubHarness, *jobs: Job) -> list[int]:
    return [harness.read(lambda txn, job=job: txn.output_size(job.id)) for job in jobs]


async def test_a_message_waits_behind_one_unit_at_most(harness: HubHarness) -> None:
    """A unit is small, the next is not given to the writer before the last is done, and rests are as long as they took
    or longer: a message that comes at any moment of the clean-up has one unit before it.
    """
    now = harness.clock.now
    for number in range(3 * UNIT):
        harness.write(lambda txn, number=number: txn.add_request(_ended(number, now)))
    harness.clock.advance(harness.config.store.retention + DAY)
    write = harness.store.write
    begun = 0
    sizes: list[int] = []
    rests: list[float] = []
    before: list[int] = []

    async def watched(unit: Callable[[Txn], Any], *more: Any) -> Any:
        def counted(txn: Txn) -> Any:
            nonlocal begun
            begun += 1
            had = len(txn.requests(limit=10_000))
            done = unit(txn)
            sizes.append(had - len(txn.requests(limit=10_000)))
            return done

        return await write(counted, *more)

    async def rest(seconds: float) -> None:
        rests.append(seconds)
        await asyncio.sleep(0)

    harness.store.write = watched  # type: ignore[method-assign]
    work = Cleanup(harness.store, harness.config.store, harness.clock, pause=rest)

    async def messages() -> None:
        while not over.is_set():
            known = begun
            before.append(await write(lambda txn, known=known: begun - known))  # type: ignore[misc]

    over = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(messages())
        await work.run()
        over.set()
    assert max(before) <= 1
    assert (sum(sizes), max(sizes)) == (3 * UNIT - 1, UNIT)
    assert len(rests) == begun
    assert min(rests) > 0


def _ended(number: int, now: float) -> Request:
    return Request(
        id=f"R{number}", number=0, state=RequestState.DONE, inlet="ops", event_id=f"old-{number}", conversation="room",
        chat_user="u", person="alice", text="x", language="en", reply_url="", received_at=now, ended_at=now,
    )  # fmt: skip


async def test_old_events_go_into_the_archive_and_a_budget_counts_it(tmp_path: Path) -> None:
    """After `keep`, at least after the retention; a budget takes them sooner, before any output goes."""
    harness = HubHarness(tmp_path, FakeClock())
    try:
        start, hub = harness.clock.now, harness.keys.hub_id
        signer = CheckpointSigner(harness.keys.job_key, hub, lambda: None)

        def sign() -> None:
            harness.write(
                lambda txn: txn.audit("test.row", "r", "t", {"text": os.urandom(1_000).hex()}, harness.clock.now)
            )
            while harness.read(signer.advance):
                pass
            harness.write(lambda txn: signer.sign(txn, harness.clock.now))

        harness.write(lambda txn: signer.announce(txn, None, start))
        for _ in range(200):
            sign()
        archive = AuditArchive(tmp_path / "archive", hub, harness.keys.job_keys)
        archiver = Archiver(harness.store, archive, harness.keys.job_key, harness.clock, _no_pause)
        told: list[OverBudget | None] = []
        work = Cleanup(
            harness.store,
            harness.config.store,
            harness.clock,
            pause=_no_pause,
            tell=told.append,
            archiver=archiver,
            keep_events=60 * DAY,
        )
        harness.clock.advance(80 * DAY)
        sign()
        await work.run()
        assert archive.files() == []  # requests of that time are still here
        full = harness.read(lambda txn: txn.used_bytes())
        work.configure(replace(harness.config.store, budget=Size(full - 200_000)))
        await work.run()
        (file,) = archive.files()
        assert told[-1] is None
        assert harness.read(lambda txn: txn.used_bytes()) + archiver.used_bytes() <= full - 200_000
        assert archiver.used_bytes() == file.path.stat().st_size < full / 2
        harness.clock.advance(11 * DAY)
        sign()
        work.configure(harness.config.store)
        await work.run()
        assert len(archive.files()) == 1
        harness.clock.advance(80 * DAY)
        sign()
        await work.run()
        assert len(archive.files()) == 2
        work.configure(replace(harness.config.store, budget=Size(1)))
        await work.run()
        for more, fits in ((-100_000, False), (50_000, True)):
            budget = harness.read(lambda txn: txn.used_bytes()) + archiver.used_bytes() + more
            work.configure(replace(harness.config.store, budget=Size(budget)))
            await work.run()
            assert (told[-1] is None) is fits  # the files count
    finally:
        harness.store.close()
