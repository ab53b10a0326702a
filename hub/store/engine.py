"""`Store`: opens and migrates the database, runs units of work on it, closes it."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeVar

from common.errors import UserError
from hub.store.database import Database, Lock, wait_for
from hub.store.errors import StoreBusy
from hub.store.migrate import migrate
from hub.store.sql import Connection
from hub.store.verbs import Txn
from hub.store.writer import Writer

READERS: Final = 3
MAX_READING: Final = 1_000
_EPOCH: Final = "epoch"
_PATIENCE: Final = 1.0  # seconds that a hub just ended has to let go: a server notices a killed one with a delay

T = TypeVar("T")


class Store:
    """One process's way to the database. Writes go through one thread, reads through a few others."""

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock
        self._writer = Writer(database)
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="store-reader")
        self._reading = threading.BoundedSemaphore(MAX_READING)
        self._mine = threading.local()
        self._connections: list[Connection] = []
        self._lock: Lock | None = None
        self._closed = False

    @classmethod
    def open(cls, url: str, *, folder: Path, clock: Callable[[], float]) -> Store:
        """Opens the store and brings its schema up to date; a relative SQLite path begins at `folder`.

        Raises UserError where the URL is wrong, the file cannot be written or is no store, the disk is full, the schema
        is newer than this program, or has to be changed while a hub is serving.
        """
        database = Database(url, folder)
        with database.saying():
            database.create()
            migrate(database)
        return cls(database, clock)

    @property
    def name(self) -> str:
        """What people know it by: the file, or the URL without its password."""
        return self._database.name

    @property
    def waiting(self) -> int:
        """Units not yet begun."""
        return self._writer.waiting

    @property
    def units(self) -> int:
        """Units run since the start; with `commits`, how well they share."""
        return self._writer.units

    @property
    def commits(self) -> int:
        return self._writer.commits

    def take_over(self) -> int:
        """Makes this process the one hub that serves the store: takes its lock, which ends with the process, and counts
        the epoch up, durably, before it is returned. Commands beside a serving hub do without.

        Raises UserError where another hub has the lock.
        """
        if self._lock is None:
            with self._database.saying():
                lock = self._database.lock()
                if not wait_for(lock, _PATIENCE):
                    raise UserError(
                        f"store {self.name}: another hub serves it", "stop that one first, or set another [store] url"
                    )
            self._lock = lock
        now = self._clock()

        def count_up(txn: Txn) -> int:
            epoch = int(txn.get_meta(_EPOCH) or "0") + 1
            txn.put_meta(_EPOCH, str(epoch))
            txn.put_meta("epoch_at", repr(now))
            return epoch

        return self.write_now(count_up)

    async def write(self, unit: Callable[[Txn], T]) -> T:
        """Runs `unit` in the writer thread; returns its result when the commit is on disk.

        What `unit` raises comes out here and undoes only this unit. Raises StoreBusy, StoreFull or StoreLost. A caller
        who is cancelled while waiting does not take the unit back: it may have been committed. `unit` touches nothing
        but `txn` and values of its own: other code runs at the same time.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._writer.submit(unit, future, loop)
        return await future

    def write_now(self, unit: Callable[[Txn], T]) -> T:
        """`write` for the command line: blocks the thread."""
        future: Future[T] = Future()
        self._writer.submit(unit, future, None)
        return future.result()

    async def read(self, unit: Callable[[Txn], T]) -> T:
        """Runs `unit` on a snapshot, in a reader's thread: no verb that changes anything works there."""
        return await asyncio.wrap_future(self._submit(unit))

    def read_now(self, unit: Callable[[Txn], T]) -> T:
        """`read` for the command line: blocks the thread."""
        return self._submit(unit).result()

    def close(self) -> None:
        """Finishes what is queued, then closes and gives the lock back. May be called twice."""
        if self._closed:
            return
        self._closed = True
        self._writer.close()
        self._readers.shutdown()
        for connection in self._connections:
            connection.close()
        if self._lock is not None:
            self._lock.release()
        self._database.engine.dispose()

    def _submit(self, unit: Callable[[Txn], T]) -> Future[T]:
        if self._closed:
            raise UserError(f"store {self.name}: closed")
        if not self._reading.acquire(blocking=False):
            raise StoreBusy(f"store {self.name}: {MAX_READING} reads wait", "try again in a moment")
        future = self._readers.submit(self._read, unit)
        future.add_done_callback(lambda _: self._reading.release())  # also of one that was cancelled while it waited
        return future

    def _read(self, unit: Callable[[Txn], T]) -> T:
        with self._database.saying():
            db = self._reader()
            try:
                db.begin_read()
                return unit(Txn(db))
            finally:
                self._end_read(db)

    def _reader(self) -> Connection:
        """This thread's own connection."""
        db: Connection | None = getattr(self._mine, "connection", None)
        if db is None:
            db = self._mine.connection = self._database.connect(read_only=True)
            self._connections.append(db)
        return db

    def _end_read(self, db: Connection) -> None:
        try:
            db.say("ROLLBACK")
        except Exception:  # the connection is lost: the next read makes a new one, and what went wrong is on its way up
            self._mine.connection = None
            self._connections.remove(db)
            db.close()
