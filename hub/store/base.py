"""The base class of all repositories: one connection, inside a transaction that the caller begins and ends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from typing import Final, TypeVar

from hub.core.records import EnrolmentToken, Job, Person, Request
from hub.core.row_mac import RowAuthenticator
from hub.store.sql import Connection

Row = TypeVar("Row", Request, Job)
Identity = TypeVar("Identity", Person, EnrolmentToken)
CURES: Final = {
    "people": "nobody gets in with it: answerback-hub operator add NAME --role ROLE writes it anew",
    "tokens": "nobody joins with it: make another with answerback-hub token, or operator add",
}
_MALFORMED: Final = (ValueError, TypeError, AttributeError, RecursionError)


class Repository:
    def __init__(self, db: Connection, rows: RowAuthenticator) -> None:
        self._db = db
        self.rows = rows  # who tells whether a row is this hub's

    def _with_mac(self, before: Row, after: Row, read: Callable[[str], Row | None]) -> Row:
        """`after`, to be saved, with its MAC. A row that is not authentic stays so, whatever a save changes: else the
        next move of a forged row would make it this hub's. `read` gives the row that is there, which decides where
        `before` was made in memory.
        """
        if self.rows.is_authentic(before):
            return replace(after, mac=self.rows.mac(after))
        stored = read(before.id)
        if stored is None or not self.rows.is_authentic(stored):
            return replace(after, mac="")  # not the old one: this move may be the way back to what it was made for
        changes = {
            one.name: getattr(after, one.name)
            for one in fields(after)
            if one.name != "mac" and getattr(after, one.name) != getattr(before, one.name)
        }
        return replace(after, mac=self.rows.mac(replace(stored, **changes)))

    def _own(self, read: Callable[[], Identity], table: str, key: object) -> Identity | None:
        """The person or token of a row; None, and noted for whoever tells people, where this hub did not write it.
        `read` makes the record, which values that somebody else wrote may not even allow.
        """
        if not self.rows.judges:
            return read()
        try:
            record = read()
            if self.rows.is_authentic(record):
                return record
        except _MALFORMED:
            pass
        self._db.broken.note(f"{table}|{key}"[:200], CURES[table])
        return None

    def _merged(self, stored: Identity, before: Identity, after: Identity) -> Identity:
        """What is there with what a save changes, and the MAC of it: other fields may have moved on since `before`."""
        changes = {
            one.name: getattr(after, one.name)
            for one in fields(after)
            if one.name != "mac" and getattr(after, one.name) != getattr(before, one.name)
        }
        merged = replace(stored, **changes)
        return replace(merged, mac=self.rows.mac(merged)) if self.rows.judges else merged
