"""Records to rows and back, and guarded updates: written once for all tables."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import fields
from operator import attrgetter
from typing import Any, Final, Generic, TypeVar

import sqlalchemy as sa

from common.plan import canonical_json
from hub.core.unreadable import Unreadable
from hub.store.errors import Conflict
from hub.store.sql import Connection, Row, Statement

T = TypeVar("T")
Converter = Callable[[Any], Any]
ON_CONFLICT_DO_NOTHING: Final = " ON CONFLICT DO NOTHING"
"""SQL for both databases: do nothing where a unique row exists already; the row count tells whether it did."""


def to_json(value: Any) -> str | None:
    return None if value is None else canonical_json(value).decode()


def from_json(value: str | None) -> Any:
    return None if value is None else json.loads(value)


class Mapper(Generic[T]):
    """Maps records (dataclasses) of one kind to rows of their table: same names, same order, some values converted.

    `converters` has (to the row, to the record) for each converted field; `generated` are fields that the database
    sets.
    """

    def __init__(
        self,
        kind: type[T],
        table: sa.Table,
        key: str,
        converters: Mapping[str, tuple[Converter, Converter]] | None = None,
        generated: Collection[str] = (),
        unreadable: Mapping[str, Converter] | None = None,
    ) -> None:
        """`unreadable` says what of a converted field stands in the record where its value does not open."""
        self._record_type: Callable[..., T] = kind
        self._table = table
        self._key = key
        self._names = tuple(field.name for field in fields(kind))  # type: ignore[arg-type]
        self._values: Callable[[T], tuple[Any, ...]] = attrgetter(*self._names)
        both: dict[str, tuple[Converter, Converter]] = {
            name: (_identity, bool) for name in self._names if isinstance(table.c[name].type, sa.Boolean)
        }
        both.update(converters or {})
        self._to_row = {name: to_row for name, (to_row, _) in both.items() if to_row is not _identity}
        self._to_record = tuple((self._names.index(name), to_record) for name, (_, to_record) in both.items())
        self._unreadable = {self._names.index(name): convert for name, convert in (unreadable or {}).items()}
        self._generated = frozenset(generated)
        self._updates: dict[tuple[tuple[str, ...], tuple[str, ...]], Statement] = {}
        self.columns = tuple(table.c[name] for name in self._names)
        self.select = sa.select(*self.columns)
        stored = [name for name in self._names if name not in self._generated]
        self.insert = (
            table.insert().values({name: sa.bindparam(name) for name in stored}).inline()
        )  # inline: no RETURNING but what a tail adds

    def from_row(self, row: Row) -> T:
        values = list(row)
        for index, convert in self._to_record:
            if index in self._unreadable and isinstance(values[index], Unreadable):
                convert = self._unreadable[index]
            values[index] = convert(values[index])
        return self._record_type(*values)

    def from_rows(self, rows: Iterable[Row]) -> list[T]:
        return [self.from_row(row) for row in rows]

    def row(self, record: T) -> dict[str, Any]:
        """The parameters of an INSERT."""
        values = dict(zip(self._names, self._values(record), strict=True))
        for name, convert in self._to_row.items():
            values[name] = convert(values[name])
        for name in self._generated:
            del values[name]
        return values

    def save(self, db: Connection, before: T, after: T, guards: tuple[str, ...]) -> None:
        """Updates the fields that differ, if the row's `guards` are still as in `before`; else raises Conflict."""
        old, new = self._values(before), self._values(after)
        changed = tuple(name for name, was, now in zip(self._names, old, new, strict=True) if was != now)
        if not changed:
            return
        if self._key in changed:
            raise ValueError(f"{self._table.name}: before and after are two different rows")
        values = dict(zip(self._names, new, strict=True))
        params = {name: self._to_row.get(name, _identity)(values[name]) for name in changed}
        was = dict(zip(self._names, old, strict=True))
        params["key"] = was[self._key]
        for name in guards:
            params["was_" + name] = self._to_row.get(name, _identity)(was[name])
        if db.change(self._update(changed, guards), params) != 1:
            raise Conflict(f"{self._table.name} {was[self._key]}: has moved on, or is not there")

    def _update(self, changed: tuple[str, ...], guards: tuple[str, ...]) -> Statement:
        statement = self._updates.get((changed, guards))
        if statement is None:
            columns = self._table.c
            core = (
                self._table.update()
                .where(columns[self._key] == sa.bindparam("key"))
                .where(*(columns[name].is_not_distinct_from(sa.bindparam("was_" + name)) for name in guards))
                .values({name: sa.bindparam(name) for name in changed})
            )
            statement = self._updates[changed, guards] = Statement(core)
        return statement


def _identity(value: Any) -> Any:
    return value
