"""`Store`: opens and migrates the database, runs units of work on it, closes it."""

from __future__ import annotations

import asyncio
import secrets
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeVar

from common.errors import UserError
from common.identity.sealing import Sealer
from common.link.marks import Mark
from hub.core.fair_queue import Key
from hub.core.recovery import Start, in_history
from hub.core.row_mac import RowAuthenticator
from hub.store.broken import BrokenValues
from hub.store.cipher import ColumnCipher
from hub.store.conversion import DONE, PAGES
from hub.store.database import Database, StoreLock, acquire_within
from hub.store.errors import StoreBusy, StoreFenced, StoreFull
from hub.store.lanes import NOBODY, OUTPUT_TURN, Lane
from hub.store.migrate import migrate
from hub.store.restored import begin_recovery, use_up_steps
from hub.store.room import Room
from hub.store.row_key import keyless, load_row_key
from hub.store.sql import Connection
from hub.store.taken import NAME as TAKEN_NAME
from hub.store.taken import Known, TakenEvents
from hub.store.transaction import Txn
from hub.store.watermark import NAME, Watermark
from hub.store.writer import Writer

READERS: Final = 3
MAX_READS: Final = 1_000
SLOW: Final = 3.0
"""Seconds that a write may take before somebody is told."""
_LOCK_TIMEOUT: Final = 1.0  # seconds: a database server notices a killed hub with a delay

T = TypeVar("T")


class Store:
    """One process's access to the database. Writes go through one thread, reads through READERS others."""

    def __init__(self, database: Database, clock: Callable[[], float], folder: Path, rows: RowAuthenticator) -> None:
        """`folder` is the hub's, where the position and the messages that were taken are kept outside the database."""
        self._database = database
        self._broken = database.cipher.broken if database.cipher is not None else BrokenValues()
        self._rows = rows
        self._clock = clock
        self._watermark = Watermark(folder / NAME)
        self._taken = TakenEvents(folder / TAKEN_NAME)
        self._start: Start | None = None  # set by `acquire`
        self.room = Room(database.path)
        self._waits = False  # it is served, and its start could not be written
        self._cramped = threading.Lock()  # of one who reads, or opens it as usual again, while it is cramped
        self._writer = Writer(database, rows, on_commit=self._note_commit, on_full=self.room.note_full)
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="store-reader")
        self._read_slots = threading.BoundedSemaphore(MAX_READS)
        self._local = threading.local()
        self._connections: list[Connection] = []
        self._lock: StoreLock | None = None
        self._identity: tuple[int, int] | None = None  # of the SQLite file, since `acquire`
        self._closed = False

    @classmethod
    def open(
        cls,
        url: str,
        *,
        folder: Path,
        clock: Callable[[], float],
        look_only: bool = False,
        sealer: Sealer | None = None,
        serving: bool = False,
    ) -> Store:
        """Opens the store and brings its schema up to date; a relative SQLite path begins at `folder`, which also has
        the key that authenticates rows (`row_key`). With `look_only` that is not needed, and no row counts as this
        hub's. `sealer` has the keys that its sealed columns are under; without it they are written as they are, and
        sealed ones do not read. `serving`: for the hub, which comes up on a full disk and only reads then.

        Raises UserError where the URL is wrong, the file cannot be written or is no store, the disk is full, the schema
        is newer than this program, or has to be changed while a hub is serving.
        """
        database = Database(url, folder, ColumnCipher(sealer, clock) if sealer is not None else None)

        def prepare() -> RowAuthenticator:
            with database.translating_errors():
                database.create()
                migrate(database)
                return keyless() if look_only else load_row_key(database, folder)

        try:
            return cls(database, clock, folder, prepare())
        except StoreFull:
            if not serving or database.path is None:
                raise
        Room(database.path).give_up()
        try:
            store = cls(database, clock, folder, prepare())
        except StoreFull:
            database.cramped = True
            store = cls(database, clock, folder, prepare())
        store.room.note_low()
        return store

    @property
    def name(self) -> str:
        """For messages: the file, or the URL without its password."""
        return self._database.name

    @property
    def broken(self) -> BrokenValues:
        """The sealed values that did not open."""
        return self._broken

    @property
    def waiting(self) -> int:
        """Units of work queued for the writer."""
        return self._writer.queued

    @property
    def units(self) -> int:
        """Units run since the start; `units / commits` tells how well group commit works."""
        return self._writer.units

    @property
    def commits(self) -> int:
        return self._writer.commits

    @property
    def waits(self) -> bool:
        """Whether this process serves the store and has no epoch of its own yet: there was no room for its start."""
        return self._waits

    def trouble(self) -> str:
        """Why nothing can be written now: the last batch failed, or one has waited for long. "" where it can."""
        began = self._writer.began
        if self._writer.problem or began is None or time.monotonic() - began < SLOW:
            return self._writer.problem
        return f"store {self.name}: a write has waited for {time.monotonic() - began:.0f} s"

    def acquire(self) -> int:
        """Makes this process the one hub that serves the store: takes the lock, which ends with the process, and
        increments the epoch durably; returns it. Commands that run beside a serving hub do without.

        Where there is no room for that the epoch of the start before is returned, and nothing is written until `begin`
        succeeds (`waits`). Raises UserError where another hub has the lock.
        """
        if self._lock is None:
            with self._database.translating_errors():
                lock = self._database.lock()
                if not acquire_within(lock, _LOCK_TIMEOUT):
                    raise UserError(
                        f"store {self.name}: another hub serves it", "stop that one first, or set another [store] url"
                    )
                self._identity = self._database.identity()
            self._lock = lock
        self.room.look()
        try:
            return self.begin()
        except StoreFull:  # of which the reserve was given up
            self._waits = True
        try:
            return self.begin()
        except StoreFull:
            self.room.note_full()
            return self.read_now(lambda txn: txn.epoch())

    def begin(self) -> int:
        """Writes this process's start, and returns its epoch; blocks the thread. Raises StoreFull.

        Where the position outside the database is not of this store's history, the store was put back from a backup:
        its record of a recovery begins in the same transaction.
        """
        if self._database.cramped:
            with self._cramped:
                self._database.open_as_usual()
        heard, now = self._watermark.read(), self._clock()
        start, seq, number = self._write_now(lambda txn: self._begin(txn, heard, now))
        self._writer.seq, self._writer.number = max(seq, self._writer.seq), number
        self._start, self._waits = start, False
        self._note_position()
        return start.epoch

    def _begin(self, txn: Txn, heard: Mark | None, now: float) -> tuple[Start, int, int]:
        """One more start; with it the audit's head and the highest request number."""
        epoch, seq, number = txn.epoch(), txn.audit_head().seq, txn.highest_number()
        if heard is not None and not in_history(heard, txn.starts(), seq):
            begin_recovery(txn, now, cause="store", witness=str(self._watermark.path), heard=heard)
        recovery = txn.recovery()
        if recovery is not None and recovery.active and not recovery.voided:
            use_up_steps(txn, now)  # again: `restore` may have been without the key that people's rows are saved with
        epoch = max(epoch + 1, recovery.epoch if recovery is not None else 0)  # beyond all that any machine heard
        start = Start(epoch, secrets.token_hex(8), seq)
        txn.add_start(start)
        txn.put_meta("epoch_at", repr(now))
        return start, seq, number

    def check_held_now(self) -> bool:
        """Whether this process still is the one hub of the store; blocks the thread. False where its lock was lost (the
        file taken away, the server's session ended) and could be taken again, so that nobody else has served meanwhile.
        Raises StoreFenced where another process has the lock or the epoch, or the file is another one. What is written
        is checked by itself, whenever a transaction begins.
        """
        lock = self._lock
        if lock is None:
            raise UserError(f"store {self.name}: not acquired")
        if self._writer.fenced is not None:
            raise self._writer.fenced
        held = True
        with self._database.translating_errors():
            if self._database.path is not None and not self._is_same_file():
                raise self._fence(f"store {self.name}: its file was taken away or replaced while the hub served it")
            if not lock.is_held():
                held = False
                lock.release()
                if not lock.acquire():
                    raise self._fence(f"store {self.name}: another process has taken its lock")
        if not self._waits and self.read_now(lambda txn: txn.epoch()) != self._writer.epoch:
            self.write_now(lambda txn: None)  # the writer knows: it may just have begun another start itself
        return held

    def _is_same_file(self) -> bool:
        try:
            return self._database.identity() == self._identity
        except OSError:
            return False

    def _fence(self, problem: str) -> StoreFenced:
        """From here on nothing is written."""
        self._writer.fenced = StoreFenced(problem, "see which other hub serves it; then start this one again")
        return self._writer.fenced

    def mark(self) -> Mark | None:
        """How far the store has come: what is committed. None before `acquire`. Any thread may ask."""
        start = self._start
        return None if start is None else Mark(start.epoch, start.id, self._writer.seq, self._writer.number)

    def _note_position(self) -> None:
        mark = self.mark()
        if mark is not None:
            self._watermark.write(mark)

    def _note_commit(self, taken: list[tuple[str, str]]) -> None:
        self.room.note_commit()
        self._note_position()
        if taken and self._start is not None:
            self._taken.add(taken, self._clock())

    async def taken(self) -> Known:
        """The messages that were taken lately, whatever became of the database since."""
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._taken.read)

    def _note_commands(self) -> None:
        """The same for a command that has changed something beside the hub. Of a store that is not the one that the
        file knows the file stays as it is: it is what proves a restore to the hub's next start.
        """
        try:
            starts, seq, number = self.read_now(lambda txn: (txn.starts(), txn.audit_head().seq, txn.highest_number()))
        except UserError:
            return  # what was committed is committed
        heard = self._watermark.read()
        if starts and (heard is None or in_history(heard, starts, seq)):
            self._watermark.write(Mark(starts[-1].epoch, starts[-1].id, seq, number))

    def begin_again(self, start: Start) -> None:
        """The rest of this run counts as another start, which the unit that calls for it has added."""
        self._start = start

    async def write(
        self, unit: Callable[[Txn], T], lane: Lane = Lane.JOBS, key: Key = NOBODY, cost: int = OUTPUT_TURN
    ) -> T:
        """Runs `unit` in the writer thread, when its lane and key have their turn (`hub.store.lanes`); returns its
        result when the commit is on disk.

        What `unit` raises is raised here and rolls back only this unit. Raises StoreBusy, StoreFull or StoreLost.
        Cancelling the caller does not cancel the unit: it may have been committed. `unit` must use nothing but `txn`
        and immutable values: it runs in another thread.
        """
        self._refuse_waiting()
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._writer.submit(unit, future, loop, lane, key, cost)
        return await future

    def write_now(self, unit: Callable[[Txn], T]) -> T:
        """`write` for the command line: blocks the thread."""
        self._refuse_waiting()
        return self._write_now(unit)

    def _write_now(self, unit: Callable[[Txn], T]) -> T:
        future: Future[T] = Future()
        self._writer.submit(unit, future, None)
        return future.result()

    def refuse_when_full(self) -> None:
        """For what would begin something new. Raises StoreFull while the disk is full, also where this would fit."""
        if self.room.read_only:
            raise StoreFull(f"store {self.name}: the disk is full", "make room; nothing new is taken until then")

    def _refuse_waiting(self) -> None:
        """What is written before the start would be of no epoch."""
        if self._waits:
            raise StoreFull(f"store {self.name}: the disk is full", "make room; the hub only reads until then")

    async def read(self, unit: Callable[[Txn], T]) -> T:
        """Runs `unit` on a read-only snapshot in a reader thread."""
        return await asyncio.wrap_future(self._submit(unit))

    def read_now(self, unit: Callable[[Txn], T]) -> T:
        """`read` for the command line: blocks the thread."""
        return self._submit(unit).result()

    @property
    def ring(self) -> Sealer | None:
        """The keys that it was opened with."""
        return self._database.cipher.ring if self._database.cipher is not None else None

    def is_served(self) -> bool:
        """Whether a hub, this process or another, serves the store now."""
        if self._lock is not None:
            return True
        with self._database.translating_errors():
            lock = self._database.lock()
            if not lock.acquire():
                return True
            lock.release()
        return False

    @property
    def size(self) -> int:
        """Bytes of the SQLite file; 0 on PostgreSQL."""
        return self._database.size

    @property
    def is_postgres(self) -> bool:
        return self._database.path is None

    def clean_pages_now(self) -> None:
        """Rids the database of the pages that have what values were before they were sealed; blocks the thread, and
        whoever writes. To be called when all rows are sealed.
        """
        self._database.clean_pages()
        self.write_now(lambda txn: txn.put_meta(PAGES, DONE))

    def close(self) -> None:
        """Runs the queued units, then closes and releases the lock. May be called twice."""
        if self._closed:
            return
        if self._start is None and self._writer.commits:
            self._note_commands()
        self._closed = True
        self._writer.close()
        self._watermark.close()
        self._taken.close()
        self._readers.shutdown()
        for connection in self._connections:
            connection.close()
        if self._lock is not None:
            self._lock.release()
        self._database.engine.dispose()

    def _submit(self, unit: Callable[[Txn], T]) -> Future[T]:
        if self._closed:
            raise UserError(f"store {self.name}: closed")
        if not self._read_slots.acquire(blocking=False):
            raise StoreBusy(f"store {self.name}: {MAX_READS} reads wait", "try again in a moment")
        future = self._readers.submit(self._read, unit)
        future.add_done_callback(lambda _: self._read_slots.release())  # also of one that was cancelled while it waited
        return future

    def _read(self, unit: Callable[[Txn], T]) -> T:
        with self._database.translating_errors():
            if self._database.cramped:
                with self._cramped:
                    if self._database.cramped:
                        return self._read_cramped(unit)
            db = self._reader()
            try:
                db.begin_read()
                return unit(Txn(db, self._rows))
            finally:
                self._end_read(db)

    def _read_cramped(self, unit: Callable[[Txn], T]) -> T:
        """On a connection of its own: while there is one the file cannot be opened as usual."""
        db = self._database.connect(read_only=True)
        try:
            db.begin_read()
            return unit(Txn(db, self._rows))
        finally:
            db.close()

    def _reader(self) -> Connection:
        """This thread's own connection."""
        db: Connection | None = getattr(self._local, "connection", None)
        if db is None:
            db = self._local.connection = self._database.connect(read_only=True)
            self._connections.append(db)
        return db

    def _end_read(self, db: Connection) -> None:
        try:
            db.execute("ROLLBACK")
        except Exception:  # the connection is lost: the next read makes a new one; the error itself is being raised
            self._local.connection = None
            self._connections.remove(db)
            db.close()
