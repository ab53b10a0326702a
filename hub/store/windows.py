"""The verbs of what operators look at: any window of a filtered, sorted list, and how long that list is.

A `Listing` is made once for a filter and a sort and holds its statements, compiled once. Windows are read by position;
the database walks the index of the order up to there (100,000 jobs: 1.5 ms for the last), or, where no index has the
order or few rows fit the filter, the whole table: callers look at such a list less often (`hub.watching`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import sqlalchemy as sa

from common.filter import Filter
from common.filter_fields import BY_NAME, View
from hub.store.events import EVENT_COLUMNS
from hub.store.filter_sql import COLUMNS, Condition, conditions, said
from hub.store.jobs import JOB
from hub.store.mapping import Mapper
from hub.store.requests import REQUEST
from hub.store.room import Room
from hub.store.schema import events, jobs, one_of, requests
from hub.store.sql import Row, Statement

QUIET: Final = ("agent.reported", "credential.renewed", "job.accepted", "job.dispatched", "jobs.queued", "plan.judged")
"""Kinds of events that are no activity: steps on the way to one that is."""

_OWN_ORDER: Final[Mapping[View, Any]] = {  # newest first: the age goes up
    "jobs": jobs.c.id,
    "requests": requests.c.number,
    "audit": events.c.seq,
    "activity": events.c.seq,
}
_TABLES: Final[Mapping[View, tuple[sa.Table, tuple[sa.ColumnElement[Any], ...]]]] = {
    "jobs": (jobs, JOB.columns),
    "requests": (requests, REQUEST.columns),
    "audit": (events, EVENT_COLUMNS),
    "activity": (events, EVENT_COLUMNS),
}
MAPPERS: Final[Mapping[View, Mapper[Any]]] = {"jobs": JOB, "requests": REQUEST}


class NoSort(ValueError):
    """There is no such column to sort by."""


class Listing:
    """A filtered and sorted list in the store. `sort` is a field or a column, with "-" before it the other way round;
    "" and "age" are newest first. Raises NoSort.
    """

    def __init__(self, filter: Filter, sort: str = "") -> None:  # noqa: A002 - it is one
        self.view: Final = filter.view
        table, columns = _TABLES[filter.view]
        fits: list[Condition] = conditions(filter)
        if filter.view == "activity":
            fits.append(said(f"NOT {one_of('kind', QUIET)}"))
        window = sa.select(*columns).where(*fits).order_by(*_order(filter.view, sort))
        self.window = Statement(window.limit(sa.bindparam("n")).offset(sa.bindparam("lo")))
        self.count = Statement(sa.select(sa.func.count()).select_from(table).where(*fits))
        self.whole = Statement(sa.select(sa.func.count()).select_from(table))
        self.filtered: Final = bool(fits)


def _order(view: View, sort: str) -> list[Any]:
    name = sort.removeprefix("-")
    descending = sort != name
    own = _OWN_ORDER[view]
    field = BY_NAME[view].get(name)
    if name in ("", "age"):
        return [own.asc() if descending else own.desc()]
    if field is not None and field.kind == "age":  # a small age is a late moment
        descending = not descending
    column = COLUMNS[view].get(field.key if field is not None else name)
    if column is None or (view == "requests" and name == "plan"):
        raise NoSort(name)
    turn: Callable[[Any], Any] = sa.desc if descending else sa.asc
    first = turn(column)
    return [first.nulls_last() if getattr(column, "nullable", False) else first, turn(own)]


class WindowRoom(Room):
    def window(self, listing: Listing, lo: int, n: int, now: float) -> list[Row]:
        """Rows `lo` to `lo + n` of the list, as the database gives them: `MAPPERS` make records of them."""
        return self._db.rows(listing.window, {"now": now, "lo": lo, "n": n})

    def list_length(self, listing: Listing, now: float) -> int:
        """How many rows fit the filter."""
        return int(self._db.value(listing.count, {"now": now}))

    def table_length(self, listing: Listing) -> int:
        """How many rows there are, filter or not."""
        return int(self._db.value(listing.whole))
