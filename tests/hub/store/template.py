"""A store's file as its migrations leave it: made once a process and copied for each test that wants a new store.

The migrations themselves are tested by `test_migrate`, `test_schema` and whoever opens a store with `Store.open`.
"""

from __future__ import annotations

import functools
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

from common.identity.sealing import Sealer
from hub.store.database import Database
from hub.store.store import Store

RING: Final = Sealer((bytes(range(32)),))
"""The ring of stores that are opened for tests, where a test has none of its own."""


@functools.cache
def migrated_file() -> bytes:
    """The bytes of an SQLite file with the newest schema and nothing in it."""
    with tempfile.TemporaryDirectory(prefix="answerback-template-") as folder:
        Store.open("sqlite:///template.sqlite", folder=Path(folder), clock=float).close()
        return Path(folder, "template.sqlite").read_bytes()


def open_store(url: str, *, folder: Path, clock: Callable[[], float], sealer: Sealer | None = RING) -> Store:
    """`Store.open` with a ring; where the SQLite file is not there yet, its migrations have been run before."""
    database = Database(url, folder)
    if database.path is not None and not database.path.exists():
        database.create()
        database.path.write_bytes(migrated_file())
    return Store.open(url, folder=folder, clock=clock, sealer=sealer)
