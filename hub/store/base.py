"""The base class of all repositories: one connection, inside a transaction that the caller begins and ends."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace
from typing import TypeVar

from hub.core.records import Job, Request
from hub.core.row_mac import RowAuthenticator
from hub.store.sql import Connection

Row = TypeVar("Row", Request, Job)


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
