"""Deletes what was kept long enough, beside the load.

    what                                          goes
    a reply that was delivered                    its body and address when it is delivered, its row after `replies`
    a reply that was given up                     after `replies`
    output of a job, what is sealed with it       `retention` after the job ended
    a request with its jobs and approvals         `retention` after the last of them ended; never while any is under way
    the ids of deleted messages and jobs          IDS_KEPT later
    output of ended jobs, the oldest first        after OUTPUT_KEPT, while the store is over its `budget` (SQLite)
    invitations, certificates                     `retention` after they ended
    events of the audit                           into the archive's files after [audit] `keep`, or, while the store is
                                                  over its `budget`, after EVENTS_KEPT; their rows then go

Rows are looked for on snapshots. What is deleted at once is bounded, and each unit waits for the one before and rests
several times as long as that took: a message waits behind one unit at most, and most of the time behind none.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final, NamedTuple, TypeVar

from common.values import format_rounded_size
from hub.archive.archiver import Archiver
from hub.config import StoreTable
from hub.log import logger
from hub.store.lanes import Lane
from hub.store.retention import UNIT, Dropped, Page
from hub.store.store import Store
from hub.store.transaction import Txn

IDS_KEPT: Final = 30 * 86_400.0
"""Seconds for which the ids of deleted messages and jobs are still known: platforms deliver again for days at most, and
machines keep what they have not reported for less.
"""
OUTPUT_KEPT: Final = 3_600.0
"""Seconds after a job's end for which no budget takes its output."""
EVENTS_KEPT: Final = 7 * 86_400.0
"""Seconds after which a budget takes events of the audit into the archive, where they fill much less."""
REST: Final = 4.0
"""How long is rested after a unit, in times that it took."""
MAX_REST: Final = 1.0
T = TypeVar("T")

log = logger("cleanup")


class OverBudget(NamedTuple):
    """The store is over its budget, and no more output may go. In bytes."""

    used: int
    budget: int
    since: float  # when it was first found to be

    def sizes(self) -> dict[str, str]:
        """For people."""
        return {"used": format_rounded_size(self.used), "budget": format_rounded_size(self.budget)}


class Cleanup:
    """`run` now and then, by one task."""

    def __init__(
        self,
        store: Store,
        table: StoreTable,
        clock: Callable[[], float],
        *,
        keep_certificates: float = 0.0,
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
        tell: Callable[[OverBudget | None], None] = lambda over: None,
        archiver: Archiver | None = None,
        keep_events: float = 0.0,
    ) -> None:
        """`keep_certificates`: seconds after they ran out, as long as they may be renewed. `tell` is told after
        each run by how much the store is over its budget, None where it is kept. `keep_events`: seconds after which
        the archiver takes them; 0: never.
        """
        self._archiver = archiver
        self._keep_events = keep_events
        self._tell = tell
        self._over: OverBudget | None = None
        self._store = store
        self._clock = clock
        self._keep_certificates = keep_certificates
        self._pause = pause
        self.configure(table)

    def configure(self, table: StoreTable) -> None:
        """What hub.toml says now."""
        self._retention, self._replies, self._budget = table.retention, table.replies, table.budget

    async def run(self) -> None:
        """Everything that is due. Where a unit fails, what was deleted before it stays deleted."""
        now = self._clock()
        before = now - self._retention
        replies = await self._drop_replies(now - self._replies)
        chunks = await self._all(lambda txn: txn.drop_output(before))
        await self._all(lambda txn: txn.drop_old_sealed(before))
        requests, jobs = await self._drop_requests(before, now)
        await self._all(lambda txn: txn.drop_tombstones(now - IDS_KEPT))
        if self._keep_events:
            await self._archive(now - max(self._keep_events, self._retention))
        early = await self._keep_budget(now)
        await self._unit(lambda txn: txn.purge_tokens(before))
        ended = now - max(self._retention, self._keep_certificates)
        await self._unit(lambda txn: txn.purge_credentials(ended))
        log.info("store.cleaned", requests=requests, jobs=jobs, replies=replies, output=chunks, early=early)
        if requests or early:
            data = {"count": requests, "jobs": jobs, "before": before, "early": early}
            await self._unit(lambda txn: txn.audit("store.cleaned", "store", "hub", data, now))

    async def _archive(self, before: float) -> int:
        return 0 if self._archiver is None else await self._archiver.run(before)

    async def _used(self) -> int:
        """Bytes of the store and of the archive."""
        files = 0 if self._archiver is None else await asyncio.to_thread(self._archiver.used_bytes)
        return files + await self._store.read(lambda txn: txn.used_bytes())

    async def _keep_budget(self, now: float) -> int:
        """Archives events early, then deletes output early, the oldest first, until the store fits its budget; returns
        how many chunks.
        """
        before = now - OUTPUT_KEPT
        if not self._budget:
            self._note(None)
            return 0
        dropped = 0
        if self._keep_events and await self._used() > self._budget:
            await self._archive(now - EVENTS_KEPT)
        while (used := await self._used()) > self._budget:
            some = 0 if self._store.is_postgres else await self._unit(lambda txn: txn.drop_output(before))
            if not some:
                break
            dropped += some
        since = self._over.since if self._over is not None else self._clock()
        self._note(OverBudget(used, self._budget, since) if used > self._budget else None)
        return dropped

    def _note(self, over: OverBudget | None) -> None:
        self._over = over
        self._tell(over)

    async def _unit(self, unit: Callable[[Txn], T]) -> T:
        """One unit, and the rest after it."""
        started = time.perf_counter()
        done = await self._store.write(unit, Lane.BACKGROUND)
        await self._pause(min(MAX_REST, REST * (time.perf_counter() - started)))
        return done

    async def _all(self, unit: Callable[[Txn], int]) -> int:
        """The unit until it finds nothing more; returns the sum."""
        total = 0
        while some := await self._unit(unit):
            total += some
        return total

    async def _drop_replies(self, before: float) -> int:
        total, after = 0, 0
        while True:
            page = await self._store.read(partial(_old_replies, before, after))
            for at in range(0, len(page.keys), UNIT):
                total += await self._unit(partial(_drop_replies, page.keys[at : at + UNIT], before))
            if page.after is None:
                return total
            after = page.after

    async def _drop_requests(self, before: float, now: float) -> tuple[int, int]:
        """How many requests and jobs."""
        requests, jobs, after = 0, 0, 0
        while True:
            page = await self._store.read(partial(_old_requests, before, after))
            keys = page.keys
            while keys:
                dropped = await self._unit(partial(_drop_requests, keys, before, now))
                keys = keys[dropped.done :]
                requests, jobs = requests + dropped.requests, jobs + dropped.jobs
            if page.after is None:
                return requests, jobs
            after = page.after


def _old_replies(before: float, after: int, txn: Txn) -> Page:
    return txn.old_replies(before, after)


def _old_requests(before: float, after: int, txn: Txn) -> Page:
    return txn.old_requests(before, after)


def _drop_replies(ids: tuple[int, ...], before: float, txn: Txn) -> int:
    return txn.drop_replies(ids, before)


def _drop_requests(ids: tuple[str, ...], before: float, now: float, txn: Txn) -> Dropped:
    return txn.drop_requests(ids, before, now)
