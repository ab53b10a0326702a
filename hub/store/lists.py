"""The lists of the console: any window of a filtered, sorted list, and the list's length.

What is sealed is filtered and sorted in memory (`sealed_lists`); everything else by the database.

A `ListQuery` is made once for a filter and a sort order and holds its compiled statements. Windows are read by OFFSET:
the database walks the index of the order up to there (100,000 jobs: 1.5 ms for the last) or, where no index has the
order or few rows match the filter, the whole table; callers read such a list less often (`hub.api.live_lists`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any, Final

import sqlalchemy as sa

from common.api.events import ACTIVITY, QUIET_KINDS
from common.filter.fields import FIELDS_BY_NAME, ViewName
from common.filter.parser import Filter
from hub.store.base import Repository
from hub.store.columns import one_of
from hub.store.events import EVENT_COLUMNS
from hub.store.filter_sql import COLUMNS, Condition, filter_conditions, literal_condition
from hub.store.jobs import JOB
from hub.store.mapping import Mapper
from hub.store.requests import REQUEST
from hub.store.schema import events, jobs, requests
from hub.store.sealed_columns import SEALED_COLUMNS
from hub.store.sealed_lists import found_keys, is_hidden, make_scan
from hub.store.sql import Row, Statement

_OWN_ORDER: Final[Mapping[ViewName, Any]] = {  # newest first: the age goes up
    "jobs": jobs.c.id,
    "requests": requests.c.number,
    "audit": events.c.seq,
    "activity": events.c.seq,
}
_TABLES: Final[Mapping[ViewName, tuple[sa.Table, tuple[sa.ColumnElement[Any], ...]]]] = {
    "jobs": (jobs, JOB.columns),
    "requests": (requests, REQUEST.columns),
    "audit": (events, EVENT_COLUMNS),
    "activity": (events, EVENT_COLUMNS),
}
MAPPERS: Final[Mapping[ViewName, Mapper[Any]]] = {"jobs": JOB, "requests": REQUEST}


class UnknownSort(ValueError):
    """There is no such column to sort by."""


class ListQuery:
    """A filtered and sorted list in the store. `sort` is a field or a column, with "-" before it the other way round;
    "" and "age" are newest first. Raises UnknownSort.
    """

    def __init__(self, filter: Filter, sort: str = "") -> None:  # noqa: A002 - it is one
        self.view: Final = filter.view
        table, columns = _TABLES[filter.view]
        fits: list[Condition] = filter_conditions(filter)
        own, (order, hidden_sort, descending) = _OWN_ORDER[filter.view], _order(filter.view, sort)
        if filter.view == "activity":
            told = " OR ".join(f"kind LIKE '{beginning}%'" for beginning in ACTIVITY)
            fits.append(literal_condition(f"({told}) AND NOT {one_of('kind', QUIET_KINDS)}"))
        window = sa.select(*columns).where(*fits).order_by(*order)
        self.own: Final = own
        self.rows: Final = sa.select(*columns)
        self.own_at: Final = columns.index(own)
        hidden = hidden_sort is not None or any(map(is_hidden, filter.terms))
        self.scan: Final = make_scan(filter, window, own, hidden_sort, descending) if hidden else None
        self.window = Statement(window.limit(sa.bindparam("n")).offset(sa.bindparam("lo")))
        self.count = Statement(sa.select(sa.func.count()).select_from(table).where(*fits))
        self.total = Statement(sa.select(sa.func.count()).select_from(table))
        self.filtered: Final = bool(filter.terms) or bool(fits)


def _order(view: ViewName, sort: str) -> tuple[list[Any], sa.Column[Any] | None, bool]:
    """The order for the database, the sealed column to sort by in memory, and whether downwards."""
    name = sort.removeprefix("-")
    descending = sort != name
    own = _OWN_ORDER[view]
    field = FIELDS_BY_NAME[view].get(name)
    if name in ("", "age"):
        return [own.asc() if descending else own.desc()], None, descending
    if field is not None and field.kind == "age":  # a small age is a late moment
        descending = not descending
    column = COLUMNS[view].get(field.key if field is not None else name)
    if column is None or (view == "requests" and name == "plan"):
        raise UnknownSort(name)
    direction: Callable[[Any], Any] = sa.desc if descending else sa.asc
    if isinstance(column, sa.Column) and column in SEALED_COLUMNS:
        return [direction(own)], column, descending
    first = direction(column)
    return [first.nulls_last() if getattr(column, "nullable", False) else first, direction(own)], None, descending


class ListRepository(Repository):
    def list_rows(self, query: ListQuery, lo: int, n: int, now: float) -> list[Row]:
        """Rows `lo` to `lo + n` of the list; `MAPPERS` turns them into records."""
        if query.scan is None:
            return self._db.rows(query.window, {"now": now, "lo": lo, "n": n})
        keys = list(islice(found_keys(self._db, query.scan, now), lo, lo + n))
        rows = (
            {row[query.own_at]: row for row in self._db.select(query.rows.where(query.own.in_(keys)))} if keys else {}
        )
        return [rows[key] for key in keys]

    def list_length(self, query: ListQuery, now: float) -> int:
        """How many rows fit the filter."""
        if query.scan is not None:
            return sum(1 for _ in found_keys(self._db, query.scan, now))
        return int(self._db.value(query.count, {"now": now}))

    def table_length(self, query: ListQuery) -> int:
        """How many rows there are, filter or not."""
        return int(self._db.value(query.total))
