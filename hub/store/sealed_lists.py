"""Lists that are filtered or sorted by what the database cannot read: rows are opened here and looked at in memory.

What a filter says of plain columns stays a condition of the database. The rest (words anywhere in a row, where the plan
of a request comes from) is judged here, and says the same as `common.filter.match` by test. Rows are read in pages, in
the list's order, only as far as the window asked for reaches; for the list's length all of them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import sqlalchemy as sa

from common.filter.fields import SEARCH_KEYS, ViewName
from common.filter.parser import Contains, Filter, Fuzzy, MatchesAny, Term, pattern_regex
from hub.core.unreadable import is_unreadable
from hub.store.schema import events, jobs, requests
from hub.store.sealed_columns import SEALED_COLUMNS, Field, layout_of
from hub.store.sql import Connection, Row, Statement

FIRST_PAGE: Final = 500
PAGE: Final = 5_000
MAX_KNOWN: Final = 200_000
"""Rows of one list whose fit is remembered: some 20 MiB at most."""
RowTest = Callable[[Row], bool]
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
    """How a list's rows are found. `statement` gives them as they are stored, the list's own key first; `tests` say of
    an opened row whether it fits; `sorted_by` is the sealed column to sort by, None where the statement has the order
    already. `known` remembers what became of a row as it is stored, so that a list that is read again opens only what
    has changed.
    """

    statement: Statement
    reads: tuple[Field, ...]
    tests: tuple[RowTest, ...]
    sorted_by: int | None
    descending: bool
    known: dict[Any, tuple[int, bool]]


def make_scan(
    filter: Filter,  # noqa: A002
    selected: sa.Select[Any],
    own: sa.Column[Any],
    sort: sa.Column[Any] | None,
    descending: bool,
) -> Scan:
    """`selected` has the conditions and the order of the list."""
    terms = hidden_part(filter).terms
    columns: list[sa.Column[Any]] = []
    if any(isinstance(term.predicate, Contains | Fuzzy) for term in terms):
        columns += SEARCHED[filter.view].values()
    if any(isinstance(term.predicate, MatchesAny) for term in terms):
        columns.append(requests.c.plan)
    if sort is not None:
        columns.append(sort)
    bound = [row for column in columns if column in SEALED_COLUMNS for row in SEALED_COLUMNS[column].row]
    kind = [events.c.kind] if own is events.c.seq else []
    listed = list(dict.fromkeys([own, *columns, *bound, *kind]))
    query = selected.with_only_columns(*listed)
    places = {column: at for at, column in enumerate(listed)}
    return Scan(
        Statement(query.limit(sa.bindparam("n")).offset(sa.bindparam("lo")), as_stored=True),
        layout_of(query, {}).reads,
        tuple(_test(term, filter.view, places) for term in terms),
        places[sort] if sort is not None else None,
        descending,
        {},
    )


def _test(term: Term, view: ViewName, places: Mapping[sa.Column[Any], int]) -> RowTest:
    test, negated = term.predicate, term.negated
    if isinstance(test, MatchesAny):
        at, fits = places[requests.c.plan], [pattern_regex(pattern).fullmatch for pattern in test.patterns]

        def planned(row: Row) -> bool:
            known = row[at] is not None and not is_unreadable(row[at])
            source = json.loads(row[at])["source"] if known else None
            return (source is not None and any(fit(source) for fit in fits)) is not negated

        return planned
    words = (test.text,) if isinstance(test, Contains) else test.letters if isinstance(test, Fuzzy) else ()
    found = [
        (places[column], tuple(_lower(json.dumps(word)[1:-1] if key == "data" else word) for word in words))
        for key, column in SEARCHED[view].items()
    ]
    return lambda row: any(_in_order(_lower(row[at]), texts) for at, texts in found) is not negated


def _lower(text: str) -> bytes:
    """Lower case for ASCII alone, as `common.filter.match` compares."""
    return text.encode("utf-8", "surrogatepass").lower()


def _in_order(text: bytes, words: Sequence[bytes]) -> bool:
    """The words one behind the other, anything between."""
    at = 0
    for word in words:
        at = text.find(word, at)
        if at < 0:
            return False
        at += len(word)
    return True


def found_keys(db: Connection, scan: Scan, now: float) -> Iterator[Any]:
    """The keys of the rows that fit, in the list's order."""
    if scan.sorted_by is None:
        yield from (row[0] for row in _fitting(db, scan, now))
        return
    at, fields = scan.sorted_by, [field for field in scan.reads if field.at == scan.sorted_by]
    pairs = [(db.opened(fields, row)[at], row[0]) for row in _fitting(db, scan, now)]
    pairs.sort(key=lambda pair: pair[0], reverse=scan.descending)  # stable: ties stay in the list's own order
    yield from (key for _, key in pairs)


def _fitting(db: Connection, scan: Scan, now: float) -> Iterator[Row]:
    """Rows that fit, as they are stored."""
    lo, size, known = 0, FIRST_PAGE, scan.known
    while True:
        rows = db.rows(scan.statement, {"now": now, "lo": lo, "n": size})
        for row in rows:
            stored, before = hash(row), known.get(row[0])
            if before is None or before[0] != stored:
                if len(known) >= MAX_KNOWN:
                    known.clear()
                opened = db.opened(scan.reads, row) if scan.tests else row
                before = known[row[0]] = stored, all(test(opened) for test in scan.tests)
            if before[1]:
                yield row
        if len(rows) < size:
            return
        lo, size = lo + size, PAGE
