"""What every room of verbs stands on: one connection, inside a transaction that somebody else begins and ends."""

from __future__ import annotations

from hub.store.sql import Connection


class Room:
    def __init__(self, db: Connection) -> None:
        self._db = db
