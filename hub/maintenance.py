"""What is due. Deadlines are data in the store; each tick reads which have passed. `now` comes from the clock given.

Each tick does a bounded share (`BATCH_SIZE`) so that a large backlog of deadlines does not hold up the rest. A task
here fails for one tick, never for good: what went wrong is logged, shown by `TimerHealth`, and tried again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, field
from typing import Final

from common.errors import WorkFailed
from common.ids import is_name
from common.lifecycle import JOB_DISPATCHED, JobState, RequestState
from hub.chat.compose import ReplyComposer
from hub.cleanup import Cleanup, OverBudget
from hub.core import job as jobs_of_hub
from hub.core import request as requests_of_hub
from hub.core.lost_contact import TOLD_AFTER, give_up, lost_since
from hub.core.records import Job
from hub.engine.engine import Engine
from hub.engine.unit_of_work import UnitOfWork
from hub.identity.agents import REFRESH_SECONDS, AgentRegistry
from hub.identity.logins import end_due
from hub.identity.people import PeopleDirectory
from hub.links.server import LinkServer
from hub.log import logger
from hub.store.errors import StoreFenced
from hub.store.store import Store

BATCH_SIZE: Final = 500
BROKEN_AT_A_TIME: Final = 20
CHECKPOINT_EVERY: Final = 10.0
HOUR: Final = 3600.0
RETRY_AFTER: Final = 10.0
"""Seconds until what failed is tried again, where it would not be due before."""
STORE_AGAIN: Final = 2.0
"""The same where the store was full, busy or away: until then the hub counts as not ready."""
REVOCATION_LAG: Final = 60.0
"""Seconds that a revocation by another process may take from its time stamp to its commit, generously."""
PROGRESS_AFTER: Final = (3.0, 30.0, 300.0)
"""Seconds into a run after which chat is told that it goes on; beyond the last, every so often again."""
_IDENTITIES: Final = {"people": "person_forged", "tokens": "invitation_forged"}

log = logger("timers")


@dataclass(slots=True)
class TimerHealth:
    """Which timers failed when they were last due, by name. Created before the timers, for those who show it."""

    failing: dict[str, str] = field(default_factory=dict)
    over_budget: OverBudget | None = None
    """Somebody has to look, and messages are taken all the same."""

    def note_budget(self, over: OverBudget | None) -> None:
        self.over_budget = over

    def problems(self) -> list[str]:
        """Why the hub is not ready. A store that cannot be written shows here."""
        return [f"{name}: {reason[:200]}" for name, reason in self.failing.items()]


class MaintenanceTasks:
    def __init__(
        self,
        *,
        store: Store,
        engine: Engine,
        fleet: AgentRegistry,
        people: PeopleDirectory,
        links: LinkServer,
        composer: ReplyComposer,
        checkpoint: Callable[[], Awaitable[None]],
        cleanup: Cleanup,
        reload_files: Callable[[], None],
        tell_of_files: Callable[[], Awaitable[None]],
        renew_certificate: Callable[[], None],
        flush: Callable[[float], Awaitable[None]],
        clock: Callable[[], float],
        run_due: Callable[[], Awaitable[None]] | None = None,
        health: TimerHealth | None = None,
    ) -> None:
        self.health = health or TimerHealth()
        self._store = store
        self._engine = engine
        self._fleet = fleet
        self._people = people
        self._links = links
        self._composer = composer
        self._checkpoint = checkpoint
        self.cleanup = cleanup
        self._reload_files = reload_files
        self._tell_of_files = tell_of_files
        self._renew_certificate = renew_certificate
        self._flush = flush
        self._run_due = run_due
        self._clock = clock
        self._refreshed_at = self._began_at = clock()
        self._revoked_done: set[str] = set()  # revoked machines whose jobs were ended
        self._progress_sent: dict[str, int] = {}
        self._lost_told: set[str] = set()  # running jobs of which chat was told that their machine is not heard of

    async def run(self) -> None:
        timers: list[tuple[str, float, Callable[[], Awaitable[None]]]] = [
            ("lapse", 0.5, self.expire),
            ("progress", 1.0, self.progress),
            ("look", REFRESH_SECONDS, self.refresh),
            ("contact", 2.0, self.give_up),
            ("sweep", 5.0, self._engine.intake.sweep),
            ("checkpoint", CHECKPOINT_EVERY, self.checkpoint),
            ("flush", 60.0, self.flush),
            ("clean", HOUR, self.purge),
            ("renew", HOUR, self.renew),
        ]
        if self._run_due is not None:
            timers.append(("keep", 0.5, self._run_due))
        async with asyncio.TaskGroup() as tasks:
            for name, seconds, task in timers:
                tasks.create_task(self._every(name, seconds, task), name=name)

    async def _every(self, name: str, seconds: float, task: Callable[[], Awaitable[None]]) -> None:
        """`name` is what the log and the page of the hub's health call it."""
        failing, again = self.health.failing, RETRY_AFTER
        while True:
            await asyncio.sleep(min(seconds, again) if name in failing else seconds)
            try:
                await task()
                failing.pop(name, None)
            except StoreFenced:
                raise  # another hub serves the store: this process ends
            except WorkFailed as error:
                if failing.get(name) != str(error):
                    log.error("timer.failed", timer=name, reason=str(error))
                failing[name], again = str(error), STORE_AGAIN
            except Exception as error:
                failing[name], again = str(error), RETRY_AFTER
                log.exception("timer.failed", timer=name)

    async def expire(self) -> None:
        """Requests nobody decided on in time, jobs no machine took in time."""
        now = self._clock()
        requests = await self._store.read(lambda txn: txn.due_requests(now))
        jobs = await self._store.read(lambda txn: txn.lapsed_jobs(now, BATCH_SIZE))
        if not requests and not jobs:
            return

        def unit(uow: UnitOfWork) -> None:
            for request in requests[:BATCH_SIZE]:
                current = uow.txn.request(request.id)
                if current is not None and current.state is RequestState.ASKING:
                    uow.apply_transition(current, requests_of_hub.expired(current, now), "hub")
            for job in jobs:
                current_job = uow.txn.job(job.id)
                if current_job is not None and current_job.state is JobState.QUEUED:
                    uow.apply_job_event(current_job, jobs_of_hub.Expire(), "hub")

        await self._engine.write(unit)

    async def progress(self) -> None:
        """Long work shows that it goes on, where the inlet takes more than one reply."""
        now = self._clock()
        running = await self._store.read(lambda txn: txn.jobs(states=(JobState.RUNNING,), limit=BATCH_SIZE))
        alive = {job.id for job in running}
        away = self._fleet.snapshot.away
        self._lost_told = {job.id for job in running if job.id in self._lost_told and job.agent in away}
        self._progress_sent = {job: count for job, count in self._progress_sent.items() if job in alive}
        due = []
        for job in running:
            count = _progress_due(now - (job.started_at or now))
            if self._lost_now(job, now) or count > self._progress_sent.get(job.id, 0):
                self._progress_sent[job.id] = count
                due.append(job)
        if not due:
            return

        def unit(uow: UnitOfWork) -> None:
            for job in due:
                request = uow.txn.request(job.request_id)
                current = uow.txn.job(job.id)
                if request is not None and current is not None and current.state is JobState.RUNNING:
                    uow.effects.replies |= self._composer.enqueue_progress(uow.txn, request, current, now, away)

        await self._engine.write(unit)

    def _lost_now(self, job: Job, now: float) -> bool:
        """Whether chat is to be told now that nothing is heard of the machine which has the job."""
        since = lost_since(job, self._fleet.snapshot.away)
        if since is None or job.id in self._lost_told or now < max(since, self._began_at) + TOLD_AFTER:
            return False
        self._lost_told.add(job.id)
        return True

    async def give_up(self) -> None:
        """Jobs of machines that are not heard of, whose time limit is over: unknown by our word, or started nowhere."""
        now, away = self._clock(), self._fleet.snapshot.away
        stuck = await self._store.read(lambda txn: txn.stuck_jobs(now, BATCH_SIZE)) if away else []
        lost = [job for job in stuck if job.agent in away]
        if not any(give_up(job, away[job.agent], self._began_at, now) for job in lost):
            return

        def unit(uow: UnitOfWork) -> None:
            for job in lost:
                current = uow.txn.job(job.id)
                if current is not None and (move := give_up(current, away[job.agent], self._began_at, now)) is not None:
                    uow.apply_job_event(current, move, "hub")

        await self._engine.write(unit)

    async def refresh(self) -> None:
        """What other processes may have changed: revocations, people, machines, files; and links gone silent."""
        now = self._clock()
        since = self._refreshed_at - REVOCATION_LAG
        if await self._store.read(lambda txn: txn.due_retirements(now)):
            await self._store.write(lambda txn: end_due(txn, now))
        revoked = await self._store.read(lambda txn: txn.revoked_since(since))
        await self._people.refresh()
        await self._fleet.refresh_if_due()
        if await self._engine.recovery.refresh():
            log.info("hub.recovered")
        outcast = {("operator", name) for name in self._people.revoked()}
        outcast |= {("agent", agent.name) for agent in self._fleet.agents() if agent.state in ("locked", "revoked")}
        await self._links.close_untrusted(set(revoked), outcast)
        self._refreshed_at = now
        await self._links.close_lost(now)
        await self._tell_of_broken_values()
        await asyncio.to_thread(self._reload_files)  # many runbooks take a while to be tried out
        await self._tell_of_files()
        waiting = await self._store.read(lambda txn: txn.agents_with_queue())
        await self._end_jobs_of_revoked(waiting)
        self._links.wake(waiting)

    async def _tell_of_broken_values(self) -> None:
        """Values of the store that were changed outside the hub, and people and invitations of somebody else, found
        when somebody read them: each is told once.
        """
        broken = self._store.broken.take(BROKEN_AT_A_TIME)

        def unit(uow: UnitOfWork) -> None:
            for place, _ in broken:
                table, _, key = place.partition("|")
                name = key.partition(" ")[0] if table == "tokens" else key
                if table in _IDENTITIES and is_name(name):
                    uow.report_forged(name, name, _IDENTITIES[table])
                else:
                    uow.report_forged(place.rpartition("|")[2] or place, place)

        for place, why in broken:
            log.error("store.unreadable", place=place, why=why, cure="see docs/at-rest.md")
        if broken:
            await self._engine.write(unit)

    async def _end_jobs_of_revoked(self, waiting: Collection[str]) -> None:
        """A revoked machine takes no job any more, and reports nothing more of those it had."""
        gone = {agent.name for agent in self._fleet.agents() if agent.state == "revoked"}
        names = gone.intersection(waiting) | (gone - self._revoked_done)

        def unit(uow: UnitOfWork) -> None:
            for name in names:
                for job in uow.txn.jobs(states=[JobState.QUEUED, *JOB_DISPATCHED], agent=name, limit=BATCH_SIZE):
                    if job.state is JobState.QUEUED:
                        uow.apply_job_event(job, jobs_of_hub.AskCancel("hub", why="the machine was revoked"), "hub")
                    else:
                        uow.apply_job_event(
                            job, jobs_of_hub.MarkUnknown("the machine was revoked while it had this job"), "hub"
                        )

        if names:
            await self._engine.write(unit)
        self._revoked_done = gone

    async def checkpoint(self) -> None:
        """Signs the head of the audit, so that whatever changes before it is noticed."""
        await self._checkpoint()

    async def flush(self) -> None:
        """Writes the audit rows that sum up deliveries turned away."""
        await self._flush(self._clock())

    async def purge(self) -> None:
        """What was kept long enough; the audit stays."""
        await self.cleanup.run()

    async def renew(self) -> None:
        """The hub's own certificate, before it ends."""
        self._renew_certificate()


def _progress_due(seconds: float) -> int:
    """How many progress messages a job that has run for so long should have had."""
    if seconds >= PROGRESS_AFTER[-1]:
        return len(PROGRESS_AFTER) - 1 + int(seconds // PROGRESS_AFTER[-1])
    return sum(seconds >= after for after in PROGRESS_AFTER)
