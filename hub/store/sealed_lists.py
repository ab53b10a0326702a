"""Lists that are filtered or sorted by what the database cannot read: rows are opened here and looked at in memory.

What a filter says of plain columns stays a condition of the database. The rest (words anywhere in a row, where the plan
of a request comes from) is what `common.filter.match` makes of those terms, which says the same by test. Rows are read
in pages, in the list's order, only as far as the window asked for reaches; for the list's length all of them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import sqlalchemy as sa

from common.filter.fields import SEARCH_KEYS, ViewName
from common.filter.match import compile_filter
from common.filter.parser import Contains, Filter, Fuzzy, MatchesAny, Term
from hub.store.schema import events, jobs, requests
from hub.store.sealed_columns import SEALED_COLUMNS
from hub.store.sql import Connection, Row, Statement

FIRST_PAGE: Final = 500
PAGE: Final = 5_000
SOURCE: Final = "plan.source"

SEARCHED: Final[Mapping[ViewName, Mapping[str, sa.Column[Any]]]] = {
    "jobs": {"argv": jobs.c.command, **{name: jobs.c[name] for name in SEARCH_KEYS["jobs"] if name != "argv"}},
    "requests": {name: requests.c[name] for name in SEARCH_KEYS["requests"]},
    "audit": {name: events.c[name] for name in SEARCH_KEYS["audit"]},
    "activity": {name: events.c[name] for name in SEARCH_KEYS["activity"]},
}
"""The columns behind the keys in which words are looked for."""


def is_hidden(term: Term) -> bool:
    """Whether the database cannot judge the term: every list has a sealed column among those that words are looked for
    in.
    """
    test = term.predicate
    return isinstance(test, Contains | Fuzzy) or (isinstance(test, MatchesAny) and test.field.key == SOURCE)


def hidden_part(filter: Filter) -> Filter:  # noqa: A002 - it is one
    return replace(filter, terms=tuple(term for term in filter.terms if is_hidden(term)))


def plain_part(filter: Filter) -> Filter:  # noqa: A002
    return replace(filter, terms=tuple(term for term in filter.terms if not is_hidden(term)))


@dataclass(frozen=True, slots=True)
class Scan:
    """How a list's rows are found: `own` is the key of its rows; `sort` a sealed column to sort by, None where the
    statement has the order already.
    """

    statement: Statement
    keys: tuple[str, ...]
    fits: Callable[[Any, float], bool]
    sorted_by: int | None
    descending: bool


def make_scan(
    filter: Filter,  # noqa: A002
    selected: sa.Select[Any],
    own: sa.Column[Any],
    sort: sa.Column[Any] | None,
    descending: bool,
) -> Scan:
    """`selected` has the conditions and the order of the list."""
    wanted = hidden_part(filter)
    columns: dict[str, sa.Column[Any]] = {}
    if any(isinstance(term.predicate, Contains | Fuzzy) for term in wanted.terms):
        columns |= SEARCHED[filter.view]
    if any(isinstance(term.predicate, MatchesAny) for term in wanted.terms):
        columns["plan"] = requests.c.plan
    if sort is not None:
        columns[" sort"] = sort
    bound = [row for column in columns.values() if column in SEALED_COLUMNS for row in SEALED_COLUMNS[column].row]
    kind = [events.c.kind] if own is events.c.seq else []
    listed = list(dict.fromkeys([own, *columns.values(), *bound, *kind]))
    query = selected.with_only_columns(*listed).limit(sa.bindparam("n")).offset(sa.bindparam("lo"))
    names = {column: name for name, column in columns.items() if name != " sort"}
    return Scan(
        Statement(query),
        tuple(names.get(column, "") for column in listed),
        compile_filter(wanted),
        listed.index(sort) if sort is not None else None,
        descending,
    )


def found_keys(db: Connection, scan: Scan, now: float) -> Iterator[Any]:
    """The keys of the rows that fit, in the list's order."""
    if scan.sorted_by is None:
        yield from (row[0] for row in _fitting(db, scan, now))
        return
    pairs = [(row[scan.sorted_by], row[0]) for row in _fitting(db, scan, now)]
    pairs.sort(key=lambda pair: pair[0], reverse=scan.descending)  # stable: ties stay in the list's own order
    yield from (key for _, key in pairs)


def _fitting(db: Connection, scan: Scan, now: float) -> Iterator[Row]:
    lo, size = 0, FIRST_PAGE
    while True:
        rows = db.rows(scan.statement, {"now": now, "lo": lo, "n": size})
        for row in rows:
            if scan.fits(_looked_at(scan.keys, row), now):
                yield row
        if len(rows) < size:
            return
        lo, size = lo + size, PAGE


def _looked_at(keys: tuple[str, ...], row: Row) -> dict[str, Any]:
    looked_at: dict[str, Any] = dict(zip(keys, row, strict=True))
    if "plan" in looked_at:
        plan = looked_at["plan"]
        looked_at["plan"] = json.loads(plan) if plan is not None else None
    return looked_at
