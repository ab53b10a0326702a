"""What is due. Deadlines are data in the store; a tick looks which have passed. `now` comes from the clock given.

Each tick does a bounded share (`SHARE`) so that a large backlog of deadlines does not hold up the rest. A task here
fails for one tick, never for good: what went wrong is logged and looked at again on the next.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from typing import Final

from common.lifecycle import JOB_HANDED_OUT, JobState, RequestState
from common.sign import CHECKPOINT, SigningKey
from hub import job as jobs_of_hub
from hub import request as requests_of_hub
from hub.audit import checkpoint_bytes
from hub.change import Change
from hub.engine import Engine
from hub.fleet import REFRESH, Fleet
from hub.links import Links
from hub.log import logger
from hub.people import People
from hub.speech import Speech
from hub.store.engine import Store
from hub.store.verbs import Txn

SHARE: Final = 500
CHECKPOINT_EVERY: Final = 10.0
HOUR: Final = 3600.0
AGAIN_AFTER: Final = 10.0
"""Seconds until what failed is tried again, where it would not be due before."""
LATE_NEWS: Final = 60.0
"""Seconds that a revocation by another process may take from its time stamp to its commit, generously."""
PROGRESS_AFTER: Final = (3.0, 30.0, 300.0)
"""Seconds into a run after which chat hears that it goes on; beyond the last, every so often again."""

log = logger("timers")


class Timers:
    def __init__(
        self,
        *,
        store: Store,
        engine: Engine,
        fleet: Fleet,
        people: People,
        links: Links,
        speech: Speech,
        key: SigningKey,
        hub_id: str,
        retention: float,
        reload_files: Callable[[], None],
        renew_certificate: Callable[[], None],
        flush: Callable[[float], Awaitable[None]],
        clock: Callable[[], float],
        keep: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._store = store
        self._engine = engine
        self._fleet = fleet
        self._people = people
        self._links = links
        self._speech = speech
        self._key = key
        self._hub_id = hub_id
        self._retention = retention
        self._reload_files = reload_files
        self._renew_certificate = renew_certificate
        self._flush = flush
        self._keep = keep
        self._clock = clock
        self._looked_at = clock()
        self._gone: set[str] = set()  # revoked machines whose jobs have been seen to
        self._told: dict[str, int] = {}
        self._failing: dict[str, str] = {}

    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._every(0.5, self.lapse), name="lapse")
            if self._keep is not None:
                tasks.create_task(self._every(0.5, self._keep), name="keep")
            tasks.create_task(self._every(1.0, self.progress), name="progress")
            tasks.create_task(self._every(REFRESH, self.look), name="look")
            tasks.create_task(self._every(5.0, self._engine.sweep), name="sweep")
            tasks.create_task(self._every(CHECKPOINT_EVERY, self.checkpoint), name="checkpoint")
            tasks.create_task(self._every(60.0, self.flush), name="flush")
            tasks.create_task(self._every(HOUR, self.clean), name="clean")
            tasks.create_task(self._every(HOUR, self.renew), name="renew")

    async def _every(self, seconds: float, act: Callable[[], Awaitable[None]]) -> None:
        name = getattr(act, "__name__", "?")
        while True:
            await asyncio.sleep(min(seconds, AGAIN_AFTER) if name in self._failing else seconds)
            try:
                await act()
                self._failing.pop(name, None)
            except Exception as error:
                self._failing[name] = str(error)
                log.exception("timer.failed", timer=name)

    def problems(self) -> list[str]:
        """Why the hub is not ready: what failed when it was last due. A store that cannot be written shows here."""
        return [f"{name}: {reason[:200]}" for name, reason in self._failing.items()]

    async def lapse(self) -> None:
        """Requests nobody decided on in time, jobs no machine took in time."""
        now = self._clock()
        requests = await self._store.read(lambda txn: txn.due_requests(now))
        jobs = await self._store.read(lambda txn: txn.lapsed_jobs(now, SHARE))
        if not requests and not jobs:
            return

        def unit(change: Change) -> None:
            for request in requests[:SHARE]:
                current = change.txn.request(request.id)
                if current is not None and current.state is RequestState.ASKING:
                    change.request(current, requests_of_hub.lapsed(current, now), "hub")
            for job in jobs:
                current_job = change.txn.job(job.id)
                if current_job is not None and current_job.state is JobState.QUEUED:
                    change.job(current_job, jobs_of_hub.Lapse(), "hub")

        await self._engine.write(unit)

    async def progress(self) -> None:
        """Long work shows that it goes on, where the inlet takes more than one reply."""
        now = self._clock()
        running = await self._store.read(lambda txn: txn.jobs(states=(JobState.RUNNING,), limit=SHARE))
        alive = {job.id for job in running}
        self._told = {job: count for job, count in self._told.items() if job in alive}
        due = []
        for job in running:
            words = _words_due(now - (job.started_at or now))
            if words > self._told.get(job.id, 0):
                self._told[job.id] = words
                due.append(job)
        if not due:
            return

        def unit(change: Change) -> None:
            for job in due:
                request = change.txn.request(job.request_id)
                current = change.txn.job(job.id)
                if request is not None and current is not None and current.state is JobState.RUNNING:
                    change.effects.replies |= self._speech.progress(change.txn, request, current, now)

        await self._engine.write(unit)

    async def look(self) -> None:
        """What other processes may have changed: revocations, people, machines, files; and links gone silent."""
        now = self._clock()
        since = self._looked_at - LATE_NEWS
        revoked = await self._store.read(lambda txn: txn.revoked_since(since))
        await self._people.refresh()
        await self._fleet.refresh()
        outcast = {("operator", name) for name in self._people.revoked()}
        outcast |= {("agent", agent.name) for agent in self._fleet.agents() if agent.state != "active"}
        await self._links.close_untrusted(set(revoked), outcast)
        self._looked_at = now
        await self._links.close_lost(now)
        await asyncio.to_thread(self._reload_files)  # many runbooks take a while to be tried out
        waiting = await self._store.read(lambda txn: txn.agents_with_queue())
        await self._end_jobs_of_revoked(waiting)
        self._links.wake(waiting)

    async def _end_jobs_of_revoked(self, waiting: Collection[str]) -> None:
        """A revoked machine takes no job any more, and nothing more will be heard of those it had."""
        gone = {agent.name for agent in self._fleet.agents() if agent.state == "revoked"}
        names = gone.intersection(waiting) | (gone - self._gone)

        def unit(change: Change) -> None:
            for name in names:
                for job in change.txn.jobs(states=[JobState.QUEUED, *JOB_HANDED_OUT], agent=name, limit=SHARE):
                    if job.state is JobState.QUEUED:
                        change.job(job, jobs_of_hub.AskCancel("hub", why="the machine was revoked"), "hub")
                    else:
                        change.job(job, jobs_of_hub.Lose("the machine was revoked while it had this job"), "hub")

        if names:
            await self._engine.write(unit)
        self._gone = gone

    async def checkpoint(self) -> None:
        """Signs the head of the audit chain, so that a cut tail is noticed back to here."""
        now = self._clock()

        def unit(txn: Txn) -> None:
            seq, digest = txn.audit_head()
            last = txn.last_checkpoint()
            if seq and (last is None or last.seq < seq):
                signature = self._key.sign(CHECKPOINT, checkpoint_bytes(self._hub_id, seq, digest, now))
                txn.add_checkpoint(seq, digest, signature, self._key.id, now)

        await self._store.write(unit)

    async def flush(self) -> None:
        """Writes the audit rows that sum up deliveries turned away."""
        await self._flush(self._clock())

    async def clean(self) -> None:
        """Output and what is sealed with requests go after the retention; the audit and the rows stay."""
        before = self._clock() - self._retention
        while await self._store.write(lambda txn: txn.drop_output(before)):
            pass
        while await self._store.write(lambda txn: txn.drop_old_sealed(before)):
            pass
        await self._store.write(lambda txn: txn.purge_tokens(before))
        await self._store.write(lambda txn: txn.purge_credentials(before))

    async def renew(self) -> None:
        """The hub's own certificate, before it ends."""
        self._renew_certificate()


def _words_due(seconds: float) -> int:
    """How many times chat should have heard of a job that has run for so long."""
    if seconds >= PROGRESS_AFTER[-1]:
        return len(PROGRESS_AFTER) - 1 + int(seconds // PROGRESS_AFTER[-1])
    return sum(seconds >= after for after in PROGRESS_AFTER)
