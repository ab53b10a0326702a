"""Reads a window of a list: of the machines from memory, of all others from the store."""

from __future__ import annotations

import asyncio
from typing import Any, Final, NamedTuple, Protocol

from common.filter.parser import Filter
from hub.api.agent_list import AgentList, AgentRowCache
from hub.api.list_delta import ListSnapshot
from hub.api.row_cache import BUILDERS, CachedRow
from hub.api.rows import Row
from hub.identity.agents import AgentRegistry
from hub.store.lists import ListQuery
from hub.store.store import Store
from hub.store.transaction import Txn

COUNT_TIME_SHARE: Final = 0.05
COUNT_INTERVAL: Final = 1.0


class WindowQuery(NamedTuple):
    """The window of a list that a console follows; the same query is the same list."""

    filter: Filter
    sort: str
    lo: int
    n: int


class ListReader(Protocol):
    """Reads one list. `refresh_at` is when it would be read again though nothing changes, by the loop's clock."""

    refresh_at: float

    async def read(self, now: float) -> ListSnapshot: ...


class AgentListReader:
    def __init__(self, fleet: AgentRegistry, agent_rows: AgentRowCache, query: WindowQuery) -> None:
        self._list = AgentList(agent_rows, fleet, query.filter, query.sort)
        self._query = query
        self.refresh_at = float("inf")

    async def read(self, now: float) -> ListSnapshot:
        rows, total, whole = self._list.window(self._query.lo, self._query.n, now)
        return ListSnapshot(rows, total, whole, self._query.lo)


class StoreListReader:
    """Reads a list of the store. Rows that have not changed are not built again."""

    def __init__(self, store: Store, fleet: AgentRegistry, query: WindowQuery) -> None:
        self._store = store
        self._fleet = fleet
        self._query = query
        self._listing = ListQuery(query.filter, query.sort)
        self._build_row = BUILDERS[query.filter.view]
        self._cached_rows: dict[Any, CachedRow] = {}
        self._total = self._all = 0
        self._count_at = float("-inf")  # by the loop's clock
        self.refresh_at = float("inf")

    async def read(self, now: float) -> ListSnapshot:
        lo, n = self._query.lo, self._query.n
        rows = await self._store.read(lambda txn: self._read_window(txn, now))
        end = lo + len(rows)
        whole = len(rows) < n and (len(rows) > 0 or lo == 0)  # the window reaches the end of the list
        clock = asyncio.get_running_loop().time
        if clock() >= self._count_at:
            begun = clock()
            self._all, self._total = await self._store.read(lambda txn: self._count(txn, now, end if whole else None))
            self._count_at = clock() + max(COUNT_INTERVAL, (clock() - begun) / COUNT_TIME_SHARE)
            self.refresh_at = float("inf")
        else:
            self.refresh_at = self._count_at  # it may be longer or shorter by now
        total = end if whole else max(self._total, end)
        return ListSnapshot(tuple(rows), total, max(self._all, total), lo)

    def _read_window(self, txn: Txn, now: float) -> list[Row]:
        """In a reader's thread; the cache is used by one read at a time."""
        cached: dict[Any, CachedRow] = {}
        for stored in txn.list_rows(self._listing, self._query.lo, self._query.n, now):
            cached[stored[0]] = self._build_row(txn, self._fleet, stored, self._cached_rows.get(stored[0]), now)
        self._cached_rows = cached
        return [entry.row for entry in cached.values()]

    def _count(self, txn: Txn, now: float, known: int | None) -> tuple[int, int]:
        whole = txn.table_length(self._listing)
        if known is not None:
            return whole, known
        return whole, txn.list_length(self._listing, now) if self._listing.filtered else whole
