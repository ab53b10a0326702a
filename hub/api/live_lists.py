"""The lists that consoles follow: one query for each list that has changed, at most ten times a second, shared by all
who follow the same one.

A commit marks the lists that it may concern. A list is read again when its turn has come: not before a tenth of a
second after the last time, and later where reading it is costly, so that all lists together take no more than
`READ_TIME_SHARE` of one reader's time; at most `MAX_CONCURRENT_READS` are read at a time, which leaves the store's
other readers to the rest of the hub. How long a list is, is counted at most once a second. What was read becomes the
list's `ListSnapshot`; each console is then sent what it has not received yet, once it has taken the push before
(`hub.links.console`). A list of which nobody has taken what was read before is not read again until somebody does: a
console that nobody reads costs the others nothing.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from common.api.codec import encode
from common.api.versions import VIEW_VERSIONS
from common.filter.fields import VIEWS, ViewName
from hub.api.agent_list import AgentRowCache
from hub.api.list_delta import Cursor, ListSnapshot
from hub.api.list_reader import COUNT_INTERVAL, AgentListReader, ListReader, StoreListReader, WindowQuery
from hub.api.subscription import Access, PersonSubscription
from hub.identity.agents import AgentRegistry
from hub.links.console import Caller
from hub.log import logger
from hub.store.overview import count_jobs_by_agent
from hub.store.store import Store

MIN_READ_INTERVAL: Final = 0.1
READ_TIME_SHARE: Final = 0.3
TIMELY_REFRESH: Final = 1.0
IDLE_REFRESH: Final = 5.0
MAX_CONCURRENT_READS: Final = 2

log = logger("watching")


@dataclass(slots=True, eq=False)
class LiveList:
    """A list that somebody follows."""

    reader: ListReader
    query: WindowQuery
    subscribers: dict[ListSubscription, None] = field(default_factory=dict)
    snapshot: ListSnapshot | None = None
    dirty: bool = True
    reading: bool = False
    not_before: float = 0.0  # by the loop's clock
    refresh_at: float = 0.0  # read then, changed or not: filters may depend on the time

    @property
    def view(self) -> ViewName:
        return self.query.filter.view

    def due_at(self) -> float:
        if self.subscribers and all(subscription.is_behind for subscription in self.subscribers):
            return math.inf
        return self.not_before if self.dirty else max(self.not_before, self.refresh_at)


class ListSubscription(PersonSubscription):
    """A console that follows a list, and what it has received of it."""

    def __init__(self, caller: Caller, access: Access, lists: LiveLists, live_list: LiveList) -> None:
        super().__init__(caller, access, MIN_READ_INTERVAL)
        self.is_behind = False  # it has not looked since the list was read last
        self._lists = lists
        self._list = live_list
        self._cursor = Cursor(VIEW_VERSIONS[live_list.view])

    async def read(self) -> Any | None:
        self.is_behind = False
        self._lists.taken()
        if self._list.snapshot is None:
            return None
        push, more = self._cursor.diff(self._list.snapshot)
        if more:
            self.poll_now()
        return None if push is None else encode(push)

    def close(self) -> None:
        self._lists.unsubscribe(self._list, self)


class LiveLists:
    """See the module. `run` serves until it is cancelled."""

    def __init__(self, store: Store, fleet: AgentRegistry, clock: Callable[[], float]) -> None:
        self._store = store
        self._fleet = fleet
        self._clock = clock
        self._lists: dict[WindowQuery, LiveList] = {}
        self._clean: dict[ViewName, dict[LiveList, None]] = {view: {} for view in VIEWS}
        self._agent_rows = AgentRowCache(fleet)
        self._changed = asyncio.Event()
        self._counted_at = float("-inf")
        self.reads = 0  # lists read since the start, for measurements

    # ---- subscriptions

    def subscribe(self, caller: Caller, access: Access, query: WindowQuery) -> ListSubscription:
        """A subscription to the list of `query`; raises UnknownSort."""
        live_list = self._lists.get(query)
        if live_list is None:
            live_list = self._lists[query] = LiveList(self._reader_of(query), query)
        subscription = ListSubscription(caller, access, self, live_list)
        live_list.subscribers[subscription] = None
        self._changed.set()
        return subscription

    def unsubscribe(self, live_list: LiveList, subscription: ListSubscription) -> None:
        live_list.subscribers.pop(subscription, None)
        if not live_list.subscribers and self._lists.get(live_list.query) is live_list:
            del self._lists[live_list.query]
            self._clean[live_list.view].pop(live_list, None)

    def _reader_of(self, query: WindowQuery) -> ListReader:
        if query.filter.view == "agents":
            return AgentListReader(self._fleet, self._agent_rows, query)
        return StoreListReader(self._store, self._fleet, query)

    def taken(self) -> None:
        """A console has taken what it was sent: its list may be read again."""
        self._changed.set()

    # ---- changes

    def store_changed(self) -> None:
        """Something was committed."""
        self._mark_dirty("jobs", "requests", "audit", "activity")

    def fleet_changed(self) -> None:
        """A machine came, left, or has another row."""
        self._mark_dirty("agents", "jobs")

    def _mark_dirty(self, *views: ViewName) -> None:
        """Costs nothing more for lists that are marked already."""
        for view in views:
            clean = self._clean[view]
            if clean:
                for live_list in clean:
                    live_list.dirty = True
                clean.clear()
                self._changed.set()

    # ---- reading

    async def run(self) -> None:
        clock = asyncio.get_running_loop().time
        gate = asyncio.Semaphore(MAX_CONCURRENT_READS)
        async with asyncio.TaskGroup() as tasks:
            while True:
                self._changed.clear()
                for live_list in list(self._lists.values()):
                    if not live_list.reading and live_list.due_at() <= clock():
                        live_list.reading = True
                        tasks.create_task(self._read_list(live_list, gate), name=f"read {live_list.view}")
                waits = [live_list.due_at() for live_list in self._lists.values() if not live_list.reading]
                soonest = min(waits, default=math.inf)
                pause = max(0.0, soonest - clock()) if soonest < math.inf else None
                with suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await self._changed.wait()

    async def _read_list(self, live_list: LiveList, gate: asyncio.Semaphore) -> None:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        self._mark_clean(live_list)
        try:
            async with gate:
                begun = loop.time()
                if live_list.view == "agents":
                    await self._count_jobs()
                live_list.snapshot = await live_list.reader.read(self._clock())
                self.reads += 1
        except Exception:
            log.exception("list.failed", view=live_list.view)
            live_list.not_before = loop.time() + IDLE_REFRESH
        else:
            now = loop.time()
            live_list.not_before = begun + max(MIN_READ_INTERVAL, (now - begun) * len(self._lists) / READ_TIME_SHARE)
            timely = live_list.query.filter.is_time_dependent or live_list.view == "agents"
            live_list.refresh_at = min(
                begun + (TIMELY_REFRESH if timely else IDLE_REFRESH), live_list.reader.refresh_at
            )
            for subscription in list(live_list.subscribers):
                subscription.is_behind = True
                subscription.notify()
        finally:
            live_list.reading = False
            self._changed.set()

    def _mark_clean(self, live_list: LiveList) -> None:
        """What is committed from now on marks it again. A list that nobody follows any more is not marked."""
        live_list.dirty = False
        if self._lists.get(live_list.query) is live_list:
            self._clean[live_list.view][live_list] = None

    async def _count_jobs(self) -> None:
        """Counts the jobs that each machine has waiting and under way, once a second for all lists."""
        now = self._clock()
        if 0 <= now - self._counted_at < COUNT_INTERVAL:
            return
        self._counted_at = now
        self._agent_rows.queued, self._agent_rows.running = await self._store.read(count_jobs_by_agent)
