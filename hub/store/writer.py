"""The writer thread: one transaction for everything that waits (group commit), each unit behind its own savepoint.

A commit costs a sync of the disk whatever it holds, so what arrives while one is under way shares the next. Units run
in the order they were given. One that raises is rolled back alone and its caller gets the exception; callers whose unit
went well hear so after the commit, all callers of one event loop in one wake-up. Where the commit itself fails, or the
database throws the transaction away, every unit of the batch has failed and hears why.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Final

from common.errors import UserError
from hub.audit import Head
from hub.store.database import Database
from hub.store.errors import StoreBusy
from hub.store.sql import Connection
from hub.store.verbs import Txn

MAX_WAITING: Final = 10_000
MAX_BATCH: Final = 256

Unit = Callable[[Txn], Any]


@dataclass(slots=True)
class Ticket:
    """A unit that waits, and whoever waits for it: an event loop's future, or a thread's."""

    unit: Unit
    future: asyncio.Future[Any] | Future[Any]
    loop: asyncio.AbstractEventLoop | None
    result: Any = None
    error: BaseException | None = None


class Writer:
    """Owns the one connection that writes. `units` and `commits` count since the start, for metrics."""

    def __init__(self, database: Database, max_waiting: int = MAX_WAITING) -> None:
        self.units = 0
        self.commits = 0
        self._database = database
        self._max_waiting = max_waiting
        self._connection: Connection | None = None
        self._queue: queue.SimpleQueue[Ticket | None] = queue.SimpleQueue()
        self._gate = threading.Lock()
        self._thread: threading.Thread | None = None
        self._closed = False

    @property
    def waiting(self) -> int:
        return self._queue.qsize()

    def submit(
        self, unit: Unit, future: asyncio.Future[Any] | Future[Any], loop: asyncio.AbstractEventLoop | None
    ) -> None:
        """Raises StoreBusy where too much waits already."""
        with self._gate:
            if self._closed:
                raise UserError(f"store {self._database.name}: closed")
            if self._queue.qsize() >= self._max_waiting:
                raise StoreBusy(
                    f"store {self._database.name}: {self._max_waiting} changes wait", "try again in a moment"
                )
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
                self._thread.start()
            self._queue.put(Ticket(unit, future, loop))

    def close(self) -> None:
        """Ends when everything that was submitted before is done."""
        with self._gate:
            if not self._closed:
                self._closed = True
                self._queue.put(None)
            thread = self._thread
        if thread is not None:
            thread.join()

    def _run(self) -> None:
        going_on = True
        while going_on:
            batch: list[Ticket] = []
            ticket = self._queue.get()
            while True:
                if ticket is None:
                    going_on = False
                    break
                batch.append(ticket)
                if len(batch) == MAX_BATCH:
                    break
                try:
                    ticket = self._queue.get_nowait()
                except queue.Empty:
                    break
            if batch:
                self._commit(batch)
                _deliver(batch)
        self._drop_connection()

    def _commit(self, batch: list[Ticket]) -> None:
        """Runs the batch in one transaction and leaves its result or error on each ticket."""
        try:
            if self._connection is None:
                self._connection = self._database.connect()
            db = self._connection
            db.begin_write()
            if len(batch) == 1:
                self._run_alone(db, batch[0])
            else:
                self._run_together(db, batch)
            self.units += len(batch)
            self.commits += 1
        except BaseException as error:  # whatever it is, the callers are told and the thread lives on
            said = self._database.said(error)
            for ticket in batch:
                ticket.result, ticket.error = None, ticket.error or said
            self._drop_connection()  # rolls back what there may be; the next batch begins afresh

    def _run_alone(self, db: Connection, ticket: Ticket) -> None:
        """Without a savepoint: the transaction is the unit's own."""
        self._run_unit(db, ticket, None)
        if ticket.error is None:
            db.say("COMMIT")
        elif db.in_transaction():
            db.say("ROLLBACK")
        else:
            raise ticket.error

    def _run_together(self, db: Connection, batch: list[Ticket]) -> None:
        head: Head | None = None
        for ticket in batch:
            db.say("SAVEPOINT unit")
            reached = self._run_unit(db, ticket, head)
            if ticket.error is None:
                db.say("RELEASE SAVEPOINT unit")
                head = reached
            elif db.in_transaction():
                db.say("ROLLBACK TO SAVEPOINT unit")
                db.say("RELEASE SAVEPOINT unit")
            else:
                raise ticket.error  # the database gave up the whole transaction, neighbours included
        db.say("COMMIT")

    def _run_unit(self, db: Connection, ticket: Ticket, head: Head | None) -> Head | None:
        """Runs one unit; the end of the chain as it leaves it, or the error on its ticket."""
        txn = Txn(db, head)
        try:
            ticket.result = ticket.unit(txn)
            txn.flush()
        except BaseException as error:  # a unit's SystemExit is its caller's, not this thread's
            ticket.error = self._database.said(error)
            return None
        return txn.head

    def _drop_connection(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _deliver(batch: list[Ticket]) -> None:
    loops: dict[asyncio.AbstractEventLoop, list[Ticket]] = {}
    for ticket in batch:
        if ticket.loop is None:
            _settle(ticket)
        else:
            loops.setdefault(ticket.loop, []).append(ticket)
    for loop, tickets in loops.items():
        try:
            loop.call_soon_threadsafe(_settle_all, tickets)
        except RuntimeError:
            pass  # the loop has been closed: nobody waits there any more


def _settle_all(tickets: list[Ticket]) -> None:
    for ticket in tickets:
        if not ticket.future.done():  # its caller may have been cancelled
            _settle(ticket)


def _settle(ticket: Ticket) -> None:
    if ticket.error is None:
        ticket.future.set_result(ticket.result)
    elif isinstance(ticket.error, StopIteration):  # which no future can carry
        ticket.future.set_exception(RuntimeError("a unit raised StopIteration"))
    else:
        ticket.future.set_exception(ticket.error)
