"""Results are told while other machines of the same request still work or wait.

One slow machine must not hold back the rest: some seconds after a result has come chat hears of it, then of those that
came since, at growing intervals; the final reply tells the rest. What was told is on the jobs' rows, so a restart
repeats nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from common.lifecycle import JOB_SETTLED, RequestState
from hub.chat.compose import ReplyComposer
from hub.core.attempts import outcomes
from hub.engine.effects import Effects
from hub.engine.unit_of_work import UnitOfWork, UnitOfWorkRunner
from hub.store.store import Store

FIRST_DELAY: Final = 2.0
"""Seconds after a result in which others may come with it."""
GROWTH: Final = 2.0
MAX_DELAY: Final = 120.0
MAX_REQUESTS: Final = 10_000
BATCH_SIZE: Final = 200


@dataclass(slots=True)
class _Pending:
    due_at: float
    delay: float


class PartialResults:
    """`on_commit` notes requests that have results while they work; `run_due` tells of them. A hint that is lost (more
    requests than MAX_REQUESTS) delays the results to the final reply.
    """

    def __init__(
        self, store: Store, units: UnitOfWorkRunner, composer: ReplyComposer, clock: Callable[[], float]
    ) -> None:
        self._store = store
        self._units = units
        self._composer = composer
        self._clock = clock
        self._pending: dict[str, _Pending] = {}
        self._told: dict[str, _Pending] = {}  # requests that were told of something, with their next delay
        self._resumed = False

    def on_commit(self, effects: Effects) -> None:
        for request in effects.partial:
            self._note(request)
        for request in effects.final_replies:
            self._pending.pop(request, None)
            self._told.pop(request, None)

    def _note(self, request: str) -> None:
        if request in self._pending or len(self._pending) >= MAX_REQUESTS:
            return
        now, told = self._clock(), self._told.get(request)
        if told is None:
            self._pending[request] = _Pending(now + FIRST_DELAY, FIRST_DELAY)
        else:
            self._pending[request] = _Pending(max(now + FIRST_DELAY, told.due_at), told.delay)

    async def run_due(self) -> None:
        if not self._resumed:
            for working in await self._store.read(lambda txn: txn.requests(states=(RequestState.WORKING,), limit=1000)):
                self._note(working.id)
            self._resumed = True
        now = self._clock()
        due = [request for request, pending in self._pending.items() if pending.due_at <= now][:BATCH_SIZE]
        if not due:
            return
        told = await self._units.write(lambda uow: set(self._tell(uow, due)))
        for request in due:
            pending = self._pending.pop(request)
            if request in told and len(self._told) < MAX_REQUESTS:
                delay = min(MAX_DELAY, pending.delay * GROWTH)
                self._told[request] = _Pending(now + delay, delay)

    def _tell(self, uow: UnitOfWork, requests: list[str]) -> Iterator[str]:
        """Enqueues what is new of each; gives those of which something was."""
        for request_id in requests:
            request = uow.txn.request(request_id)
            if request is None or request.state is not RequestState.WORKING:
                continue
            jobs = outcomes(uow.txn.jobs_of(request.id))
            news = [job for job in jobs if job.state in JOB_SETTLED and job.replied_at is None]
            if news and self._composer.enqueue_partial(uow.txn, request, jobs, news, uow.now):
                uow.effects.replies = True
                for job in news:
                    uow.txn.save_job(job, replace(job, replied_at=uow.now))
                yield request.id
