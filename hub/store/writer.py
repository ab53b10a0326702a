"""The writer thread: one transaction for all queued units (group commit), each behind its own savepoint.

A commit costs one fsync whatever it holds, so units that arrive during a commit share the next. Which of them run first
is decided by their lanes (`hub.store.lanes`); the results are told in the order in which the units ran. A batch takes
units for `BATCH_SECONDS` at most and then commits: so whoever comes last waits for that long and one commit, whatever
else there is to do. A unit that raises is rolled back alone and its caller gets the exception; the others' results are
delivered after the commit, with one wake-up for each event loop. Where the commit itself fails, or the database rolls
the whole transaction back, every unit of the batch fails with that error.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Final

from common.errors import UserError
from hub.core.audit_chain import ChainHead
from hub.core.fair_queue import FairQueue, Key
from hub.core.row_mac import RowAuthenticator
from hub.store.database import Database
from hub.store.errors import StoreBusy, StoreFenced, StoreFull, StoreLost
from hub.store.lanes import FLOORS, NOBODY, OUTPUT_TURN, Lane
from hub.store.sql import Connection
from hub.store.transaction import Txn

MAX_QUEUED: Final = 10_000
MAX_BATCH: Final = 256
BATCH_SECONDS: Final = 0.010
"""How long a batch takes more units: longer than a commit takes, so that most of the time is spent on units."""

Unit = Callable[[Txn], Any]


@dataclass(slots=True)
class WriteTask:
    """A queued unit and the future of its caller: an event loop's, or a thread's (`loop` is None)."""

    unit: Unit
    future: asyncio.Future[Any] | Future[Any]
    loop: asyncio.AbstractEventLoop | None
    result: Any = None
    error: BaseException | None = None
    number: int = 0  # the highest request number that the unit has given
    begun: int = 0  # the epoch of the start that the unit has added
    taken: tuple[str, str] | None = None  # the message that the unit has taken


class Writer:
    """Owns the one connection that writes. `units` and `commits` count since the start, for metrics; `seq` and `number`
    are the last row of the audit and the highest request number that its commits have made, 0 where none has.
    """

    def __init__(
        self,
        database: Database,
        rows: RowAuthenticator,
        max_queued: int = MAX_QUEUED,
        on_commit: Callable[[list[tuple[str, str]]], None] = lambda taken: None,
        on_full: Callable[[], None] = lambda: None,
    ) -> None:
        """`on_commit` is called in the writer thread after each commit, before its units are told, with the messages
        that they have taken; `on_full` where there was no room for one.
        """
        self.units = 0
        self.commits = 0
        self.seq = 0
        self.number = 0
        self.epoch = 0  # of the start that this writer has added: it writes only while that is the last one
        self.fenced: StoreFenced | None = None
        self.problem = ""  # why the last batch could not be written; "" where it was
        self.began: float | None = None  # when the batch was begun that is being written, by the monotonic clock
        self._on_commit = on_commit
        self._on_full = on_full
        self._database = database
        self._rows = rows
        self._max_queued = max_queued
        self._connection: Connection | None = None
        self._queue: FairQueue[WriteTask] = FairQueue(
            [FLOORS[lane] for lane in Lane], total=max_queued, quantum=OUTPUT_TURN
        )
        self._gate = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closed = False

    @property
    def queued(self) -> int:
        return len(self._queue)

    def submit(
        self,
        unit: Unit,
        future: asyncio.Future[Any] | Future[Any],
        loop: asyncio.AbstractEventLoop | None,
        lane: Lane = Lane.JOBS,
        key: Key = NOBODY,
        cost: int = OUTPUT_TURN,
    ) -> None:
        """Queues a unit, in turns with those of other keys of its lane; `cost` is that of its turn, OUTPUT_TURN for a
        whole one. Raises StoreBusy where too many are queued.
        """
        with self._gate:
            if self._closed:
                raise UserError(f"store {self._database.name}: closed")
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
                thread.start()  # Ctrl-C may come here: what `close` joins has been started
                self._thread = thread
            if not self._queue.put(lane, key, WriteTask(unit, future, loop), cost):
                raise StoreBusy(
                    f"store {self._database.name}: {self._max_queued} changes wait", "try again in a moment"
                )
            self._gate.notify()

    def close(self) -> None:
        """Runs everything submitted before, then ends the thread."""
        with self._gate:
            self._closed = True
            self._gate.notify()
            thread = self._thread
        if thread is not None:
            thread.join()

    def _run(self) -> None:
        while (first := self._next(wait=True)) is not None:
            batch = [first]
            self._commit(batch)
            _resolve_batch(batch)
        self._drop_connection()

    def _next(self, *, wait: bool) -> WriteTask | None:
        """The unit whose turn it is; None where there is none, with `wait` once there will be none any more."""
        with self._gate:
            while wait and not self._queue and not self._closed:
                self._gate.wait()
            return self._queue.pop()

    def _more(self, batch: list[WriteTask], began: float) -> bool:
        """Adds one more unit to the batch, where it has room and there is one."""
        if len(batch) >= MAX_BATCH or time.monotonic() - began > BATCH_SECONDS:
            return False
        task = self._next(wait=False)
        if task is not None:
            batch.append(task)
        return task is not None

    def _commit(self, batch: list[WriteTask]) -> None:
        """Runs the first unit in a transaction, and with it those that wait; sets the result or error of each."""
        self.began = began = time.monotonic()
        try:
            if self.fenced is not None:
                raise self.fenced
            if self._connection is None:
                self._connection = self._database.connect()
            db = self._connection
            db.epoch = self.epoch
            db.begin_write()
            if self._more(batch, began):
                self._run_together(db, batch, began)
            else:
                self._run_alone(db, batch[0])
            self.units += len(batch)
            self.commits += 1
            done = [task for task in batch if task.error is None]
            self.number = max([self.number, *(task.number for task in done)])
            self.epoch = max([self.epoch, *(task.begun for task in done)])
            self._on_commit([task.taken for task in done if task.taken is not None])
        except BaseException as error:  # whatever it is, the callers get it and the thread goes on
            translated = self._database.translate_error(error)
            if isinstance(translated, StoreFenced):
                self.fenced = translated
            for task in batch:
                task.result, task.error = None, task.error or translated
            self._drop_connection()  # rolls back; the next batch opens a new connection
        self.began = None
        failures = [task.error for task in batch if isinstance(task.error, StoreBusy | StoreFull | StoreLost)]
        self.problem = str(failures[0]) if failures else ""
        if any(isinstance(failure, StoreFull) for failure in failures):
            self._on_full()

    def _run_alone(self, db: Connection, task: WriteTask) -> None:
        """Runs a batch of one, whose transaction needs no savepoint."""
        head = self._run_unit(db, task, None)
        if task.error is None:
            db.execute("COMMIT")
            self._advance(head)
        elif db.in_transaction():
            db.execute("ROLLBACK")
        else:
            raise task.error

    def _run_together(self, db: Connection, batch: list[WriteTask], began: float) -> None:
        head: ChainHead | None = None
        ran = 0
        while ran < len(batch) or self._more(batch, began):
            task = batch[ran]
            ran += 1
            db.execute("SAVEPOINT unit")
            new_head = self._run_unit(db, task, head)
            if task.error is None:
                db.execute("RELEASE SAVEPOINT unit")
                head = new_head
            elif db.in_transaction():
                db.execute("ROLLBACK TO SAVEPOINT unit")
                db.execute("RELEASE SAVEPOINT unit")
            else:
                raise task.error  # the database rolled back the whole transaction, other units included
        db.execute("COMMIT")
        self._advance(head)

    def _advance(self, head: ChainHead | None) -> None:
        if head is not None:
            self.seq = head.seq

    def _run_unit(self, db: Connection, task: WriteTask, head: ChainHead | None) -> ChainHead | None:
        """Runs one unit; returns the audit chain's head after it, or sets the task's error and returns None."""
        txn = Txn(db, self._rows, head)
        try:
            task.result = task.unit(txn)
            txn.flush()
            task.number, task.taken, task.begun = txn.last_number, txn.taken, txn.begun
        except BaseException as error:  # a unit's SystemExit is its caller's, not this thread's
            task.error = self._database.translate_error(error)
            return None
        return txn.head

    def _drop_connection(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _resolve_batch(batch: list[WriteTask]) -> None:
    loops: dict[asyncio.AbstractEventLoop, list[WriteTask]] = {}
    for task in batch:
        if task.loop is None:
            _resolve(task)
        else:
            loops.setdefault(task.loop, []).append(task)
    for loop, tasks in loops.items():
        try:
            loop.call_soon_threadsafe(_resolve_all, tasks)
        except RuntimeError:
            pass  # the loop has been closed: no caller is left


def _resolve_all(tasks: list[WriteTask]) -> None:
    for task in tasks:
        if not task.future.done():  # its caller may have been cancelled
            _resolve(task)


def _resolve(task: WriteTask) -> None:
    if task.error is None:
        task.future.set_result(task.result)
    elif isinstance(task.error, StopIteration):  # which no future can carry
        task.future.set_exception(RuntimeError("a unit raised StopIteration"))
    else:
        task.future.set_exception(task.error)
