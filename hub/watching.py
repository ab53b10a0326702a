"""The lists that consoles look at: one query for each list that has changed, at most ten times a second, shared by all
who look at the same one.

A commit says only "something changed". A list is then read again when its turn has come: not before a tenth of a second
after the last time, and later where reading it is costly, so that all lists together take no more than `SHARE` of one
reader's time; at most `AT_ONCE` are read at a time, which leaves the store's other readers to the rest of the hub. How
long a list is, is counted at most once a second. What was read becomes the list's `Sight`; each console then hears what
it was not told yet, when it has the push before (`hub.consoles`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, Protocol

from common.filter import Filter
from common.filter_fields import View
from hub.consoles import ConsoleLink, Subscription
from hub.fleet import Fleet
from hub.live import Sight, Told
from hub.log import logger
from hub.making import MAKERS, Made
from hub.roster import AgentList, Roster
from hub.rows import Row
from hub.store.boards import jobs_by_agent
from hub.store.engine import Store
from hub.store.verbs import Txn
from hub.store.windows import Listing

TICK: Final = 0.1
SHARE: Final = 0.3
COUNT_SHARE: Final = 0.05
COUNT_EVERY: Final = 1.0
TIMELY_EVERY: Final = 1.0
ANYWAY_EVERY: Final = 5.0
AT_ONCE: Final = 2

log = logger("watching")


class Query(NamedTuple):
    """What a console looks at; the same query is the same list."""

    filter: Filter
    sort: str
    lo: int
    n: int


class Looker(Protocol):
    """Reads one list. `again_at` is when it would be read again though nothing changes, by the loop's clock."""

    again_at: float

    async def look(self, now: float) -> Sight: ...


@dataclass(slots=True, eq=False)
class List:
    """A list that somebody looks at."""

    looker: Looker
    query: Query
    watchers: dict[Subscription, ConsoleLink] = field(default_factory=dict)
    sight: Sight | None = None
    dirty: bool = True
    looking: bool = False
    next_at: float = 0.0  # by the loop's clock
    again_at: float = 0.0  # looked at then, changed or not: time passes too

    def due_at(self) -> float:
        return self.next_at if self.dirty else max(self.next_at, self.again_at)


class Watching:
    """See the module. `run` serves until it is cancelled."""

    def __init__(self, store: Store, fleet: Fleet, clock: Callable[[], float]) -> None:
        self._store = store
        self._fleet = fleet
        self._clock = clock
        self._lists: dict[Query, List] = {}
        self._roster = Roster(fleet)
        self._changed = asyncio.Event()
        self._counted_at = float("-inf")
        self.looks = 0  # lists read since the start, for those who measure

    # ---- subscriptions

    def watch(self, link: ConsoleLink, call: int, query: Query) -> Subscription:
        """A subscription to the list of `query`; raises NoSort."""
        found = self._lists.get(query)
        if found is None:
            found = self._lists[query] = List(self._looker(query), query)
        told, seen = Told(), found

        async def look() -> Any:
            if seen.sight is None:
                return None
            push, more = told.news(seen.sight)
            if more:
                subscription.at_once()
            return push

        subscription = Subscription(call, look, wants=lambda effects: False, every=TICK)
        subscription.dropped = lambda: self._leave(seen, subscription)
        found.watchers[subscription] = link
        self._changed.set()
        return subscription

    def _leave(self, seen: List, subscription: Subscription) -> None:
        seen.watchers.pop(subscription, None)
        if not seen.watchers and self._lists.get(seen.query) is seen:
            del self._lists[seen.query]

    def _looker(self, query: Query) -> Looker:
        if query.filter.view == "agents":
            return AgentLooker(self._fleet, self._roster, query)
        return StoreLooker(self._store, self._fleet, query)

    # ---- changes

    def store_changed(self) -> None:
        """Something was committed."""
        self._mark("jobs", "requests", "audit", "activity")

    def fleet_changed(self) -> None:
        """A machine came, left, or has another row."""
        self._mark("agents", "jobs")

    def _mark(self, *views: View) -> None:
        calm = [seen for seen in self._lists.values() if not seen.dirty and seen.query.filter.view in views]
        for seen in calm:
            seen.dirty = True
        if calm:
            self._changed.set()

    # ---- looking

    async def run(self) -> None:
        clock = asyncio.get_running_loop().time
        gate = asyncio.Semaphore(AT_ONCE)
        async with asyncio.TaskGroup() as tasks:
            while True:
                self._changed.clear()
                for seen in list(self._lists.values()):
                    if not seen.looking and seen.due_at() <= clock():
                        seen.looking = True
                        tasks.create_task(self._look(seen, gate), name=f"look {seen.query.filter.view}")
                waits = [seen.due_at() for seen in self._lists.values() if not seen.looking]
                pause = max(0.0, min(waits) - clock()) if waits else None
                with suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await self._changed.wait()

    async def _look(self, seen: List, gate: asyncio.Semaphore) -> None:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        seen.dirty = False
        try:
            async with gate:
                begun = loop.time()
                if seen.query.filter.view == "agents":
                    await self._count_jobs()
                seen.sight = await seen.looker.look(self._clock())
                self.looks += 1
        except Exception:
            log.exception("list.failed", view=seen.query.filter.view)
            seen.next_at = loop.time() + ANYWAY_EVERY
        else:
            now = loop.time()
            seen.next_at = begun + max(TICK, (now - begun) * len(self._lists) / SHARE)
            timely = seen.query.filter.timely or seen.query.filter.view == "agents"
            seen.again_at = min(begun + (TIMELY_EVERY if timely else ANYWAY_EVERY), seen.looker.again_at)
            for subscription, link in list(seen.watchers.items()):
                link.poke(subscription)
        finally:
            seen.looking = False
            self._changed.set()

    async def _count_jobs(self) -> None:
        """How many jobs each machine has waiting and under way, once a second for all lists."""
        now = self._clock()
        if 0 <= now - self._counted_at < COUNT_EVERY:
            return
        self._counted_at = now
        self._roster.queued, self._roster.running = await self._store.read(jobs_by_agent)


class AgentLooker:
    def __init__(self, fleet: Fleet, roster: Roster, query: Query) -> None:
        self._list = AgentList(roster, fleet, query.filter, query.sort)
        self._query = query
        self.again_at = float("inf")

    async def look(self, now: float) -> Sight:
        rows, total, whole = self._list.window(self._query.lo, self._query.n, now)
        return Sight(rows, total, whole, self._query.lo)


class StoreLooker:
    """Reads a list of the store. Rows that come back the same are not made again."""

    def __init__(self, store: Store, fleet: Fleet, query: Query) -> None:
        self._store = store
        self._fleet = fleet
        self._query = query
        self._listing = Listing(query.filter, query.sort)
        self._make = MAKERS[query.filter.view]
        self._made: dict[Any, Made] = {}
        self._total = self._all = 0
        self._count_at = float("-inf")  # by the loop's clock
        self.again_at = float("inf")

    async def look(self, now: float) -> Sight:
        lo, n = self._query.lo, self._query.n
        rows = await self._store.read(lambda txn: self._window(txn, now))
        end = lo + len(rows)
        whole = len(rows) < n and (len(rows) > 0 or lo == 0)  # the window reaches the list's end
        clock = asyncio.get_running_loop().time
        if clock() >= self._count_at:
            begun = clock()
            self._all, self._total = await self._store.read(lambda txn: self._count(txn, now, end if whole else None))
            self._count_at = clock() + max(COUNT_EVERY, (clock() - begun) / COUNT_SHARE)
            self.again_at = float("inf")
        else:
            self.again_at = self._count_at  # it may be longer or shorter by now
        total = end if whole else max(self._total, end)
        return Sight(tuple(rows), total, max(self._all, total), lo)

    def _window(self, txn: Txn, now: float) -> list[Row]:
        """In a reader's thread; what it keeps is touched by one look at a time."""
        made: dict[Any, Made] = {}
        for stored in txn.window(self._listing, self._query.lo, self._query.n, now):
            made[stored[0]] = self._make(txn, self._fleet, stored, self._made.get(stored[0]), now)
        self._made = made
        return [entry.row for entry in made.values()]

    def _count(self, txn: Txn, now: float, known: int | None) -> tuple[int, int]:
        whole = txn.table_length(self._listing)
        if known is not None:
            return whole, known
        return whole, txn.list_length(self._listing, now) if self._listing.filtered else whole
