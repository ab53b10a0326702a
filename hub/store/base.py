"""The base class of all repositories: one connection, inside a transaction that the caller begins and ends."""

from __future__ import annotations

from hub.store.sql import Connection


class Repository:
    def __init__(self, db: Connection) -> None:
        self._db = db
