"""The writer thread: order, sharing of commits, and who hears what when something fails."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from common.errors import UserError
from hub.store import writer
from hub.store.database import Database
from hub.store.errors import Conflict, StoreBusy, StoreFull
from hub.store.migrate import migrate
from hub.store.row_key import keyless
from hub.store.sealed_columns import NOTHING
from hub.store.store import Store
from hub.store.transaction import Txn
from hub.store.writer import MAX_BATCH, Writer


def tell(subject: str) -> Callable[[Txn], int]:
    """A unit that leaves one event and gives its seq."""

    def unit(txn: Txn) -> int:
        txn.audit("test.told", subject, "hub", {}, 1.0)
        return txn.audit_head().seq

    return unit


def subjects(store: Store) -> list[str]:
    return [event.subject for event in store.read_now(lambda txn: txn.events(limit=10_000))]


@asynccontextmanager
async def held(store: Store, until: int) -> AsyncIterator[asyncio.TaskGroup]:
    """A group whose tasks' writes become one batch: the writer stands still until that many of them wait."""
    begun, go_on = threading.Event(), threading.Event()

    def unit(txn: Txn) -> None:
        begun.set()
        assert go_on.wait(30)

    async with asyncio.TaskGroup() as group:
        group.create_task(store.write(unit))
        try:
            await asyncio.to_thread(begun.wait, 30)
            yield group
            while store.waiting < until:
                await asyncio.sleep(0)
        finally:
            go_on.set()


async def test_a_thousand_writes_keep_their_order_and_share_commits(store: Store) -> None:
    """Units run in the order they were given, each once, and far fewer commits than units are made."""
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(store.write(tell(f"s{n}"))) for n in range(1000)]
    assert [task.result() for task in tasks] == list(range(1, 1001))
    assert subjects(store) == [f"s{n}" for n in range(1000)]
    assert store.units == 1000
    assert 1000 / MAX_BATCH <= store.commits < 500
    assert store.waiting == 0


async def test_a_failing_unit_hurts_nobody_else(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """In one batch those that raise are undone and hear their own error; the others are kept, without a gap."""
    monkeypatch.setattr(writer, "BATCH_SECONDS", 60.0)

    def failing(error: BaseException) -> Callable[[Txn], None]:
        def unit(txn: Txn) -> None:
            txn.audit("test.undone", "undone", "hub", {}, 1.0)
            txn.put_meta("undone", "yes")
            txn.events()  # so that the event is in the table, not only in memory, when it is undone
            raise error

        return unit

    def clash(txn: Txn) -> None:
        txn.audit("test.undone", "undone", "hub", {}, 1.0)
        txn._db.change_many(_BROKEN, [{}])

    commits = store.commits
    async with held(store, 10) as group:
        errors: list[BaseException] = [ValueError("one"), Conflict("two"), StopIteration(), SystemExit(3)]
        good: list[asyncio.Task[int]] = []
        bad: list[asyncio.Task[Any]] = []

        async def caught(unit: Callable[[Txn], Any]) -> Any:
            try:
                return await store.write(unit)
            except BaseException as error:  # what is under test
                return error

        for number, error in enumerate(errors):
            good.append(group.create_task(store.write(tell(f"good{number}"))))
            bad.append(group.create_task(caught(failing(error))))
        bad.append(group.create_task(caught(clash)))
        good.append(group.create_task(store.write(tell("good4"))))
    assert store.commits == commits + 2
    assert [task.result() for task in good] == [1, 2, 3, 4, 5]
    heard = [task.result() for task in bad]
    assert heard[:2] == errors[:2]
    assert isinstance(heard[2], RuntimeError)
    assert isinstance(heard[3], SystemExit)
    assert "nosuchtable" in str(heard[4])
    assert subjects(store) == [f"good{n}" for n in range(5)]
    assert store.read_now(lambda txn: txn.get_meta("undone")) is None


class _Broken:
    layout = NOTHING

    def compiled_for(self, _dialect: Any, _params: Any) -> tuple[str, dict[str, Any]]:
        return "DELETE FROM nosuchtable", {}


_BROKEN: Any = _Broken()


def test_a_unit_alone_is_undone_too(store: Store) -> None:
    """A unit that has its transaction for itself is rolled back with it, and the next one goes on."""

    def unit(txn: Txn) -> None:
        txn.put_meta("k", "v")
        raise KeyError("k")

    with pytest.raises(KeyError):
        store.write_now(unit)
    with pytest.raises(Exception, match="nosuchtable"):
        store.write_now(lambda txn: txn._db.change(_BROKEN))
    assert store.read_now(lambda txn: txn.get_meta("k")) is None
    assert store.write_now(tell("next")) == 1


async def test_a_result_comes_after_the_commit(store: Store) -> None:
    """What a caller has been told of is there for every other connection."""
    for number in range(50):
        seq = await store.write(tell(f"s{number}"))
        assert await store.read(lambda txn: txn.audit_head().seq) == seq


async def test_a_reader_sees_nothing_of_a_unit_under_way(store: Store) -> None:
    """A reader is not kept waiting by a writer, and sees what was there before it."""
    begun, go_on = threading.Event(), threading.Event()

    def unit(txn: Txn) -> None:
        txn.put_meta("k", "half")
        begun.set()
        assert go_on.wait(30)
        txn.put_meta("k", "whole")

    async with asyncio.TaskGroup() as group:
        group.create_task(store.write(unit))
        await asyncio.to_thread(begun.wait, 30)
        assert await store.read(lambda txn: txn.get_meta("k")) is None
        go_on.set()
    assert await store.read(lambda txn: txn.get_meta("k")) == "whole"


async def test_a_cancelled_caller_does_not_stop_the_others(store: Store) -> None:
    """Who no longer waits is passed over when results are given out."""
    async with held(store, 2) as group:
        gone = group.create_task(store.write(tell("gone")))
        stays = group.create_task(store.write(tell("stays")))
        await asyncio.sleep(0)
        gone.cancel()
    assert gone.cancelled()
    assert stays.result() == 2


def test_several_loops_and_a_loop_that_has_gone(store: Store) -> None:
    """Callers of different event loops, and plain threads, are served; one whose loop is closed harms nobody."""
    results: list[int] = []

    def run(name: str) -> None:
        results.append(asyncio.run(_write(store, name)))

    threads = [threading.Thread(target=run, args=(f"loop{n}",)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    results.append(store.write_now(tell("thread")))
    loop = asyncio.new_event_loop()
    future: asyncio.Future[int] = loop.create_future()
    loop.close()
    store._writer.submit(tell("gone"), future, loop)
    results.append(store.write_now(tell("after")))
    assert sorted(results) == [1, 2, 3, 4, 5, 7]


async def _write(store: Store, name: str) -> int:
    return await store.write(tell(name))


@contextmanager
def a_writer(folder: Path, **more: Any) -> Iterator[tuple[Writer, Database]]:
    database = Database("sqlite:///a.sqlite", folder)
    database.create()
    migrate(database)
    writer = Writer(database, keyless(), **more)
    yield writer, database
    writer.close()


def test_an_interrupt_while_its_thread_starts_is_what_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C comes at the first write: closing has nothing to wait for, and raises nothing in its place."""

    def interrupted(thread: threading.Thread) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(threading.Thread, "start", interrupted)
        with a_writer(tmp_path) as (writer, _):
            try:
                writer.submit(tell("s"), Future(), None)
            finally:
                writer.close()


def test_what_waits_is_bounded(tmp_path: Path) -> None:
    """Over the bound a unit is turned away at once with words; those taken are done, also when the writer closes."""
    begun, go_on = threading.Event(), threading.Event()

    def hold(txn: Txn) -> None:
        begun.set()
        assert go_on.wait(30)

    with a_writer(tmp_path, max_queued=3) as (writer, _):
        futures: list[Future[Any]] = [Future() for _ in range(5)]
        writer.submit(hold, futures[0], None)
        assert begun.wait(30)
        for number in (1, 2, 3):
            writer.submit(tell(f"s{number}"), futures[number], None)
        with pytest.raises(StoreBusy, match="3 changes wait"):
            writer.submit(tell("s4"), futures[4], None)
        go_on.set()
        writer.close()
        assert [future.result(0) for future in futures[:4]] == [None, 1, 2, 3]
        with pytest.raises(UserError, match="closed"):
            writer.submit(tell("s5"), futures[4], None)
        writer.close()


async def test_a_write_that_waits_for_long_is_told_before_it_fails(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While somebody holds what it needs."""
    monkeypatch.setattr("hub.store.store.SLOW", 0.0)
    begun, end = threading.Event(), threading.Event()

    def wait(txn: Txn) -> None:
        begun.set()
        end.wait()

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(store.write(wait))
        await asyncio.to_thread(begun.wait)
        told = store.trouble()
        end.set()
    assert "a write has waited for" in told
    assert store.trouble() == ""


async def test_a_full_disk_fails_the_batch_in_words_and_is_got_over(tmp_path: Path, clock: Any) -> None:
    """While there is no room the units hear so and leave nothing; when there is room writing goes on."""
    store = Store.open("sqlite:///a.sqlite", folder=tmp_path, clock=clock)
    full = True

    def limit(connection: sqlite3.Connection, _record: Any) -> None:
        if full:
            connection.execute("PRAGMA max_page_count = 1")  # SQLite makes that: no page more than there are

    sa.event.listen(store._database.engine, "connect", limit)
    big = {"data": "x" * 50_000}

    def fill(txn: Txn) -> None:
        for number in range(20):
            txn.audit("test.filled", f"f{number}", "hub", big, 1.0)

    async def caught(unit: Callable[[Txn], Any]) -> Any:
        try:
            return await store.write(unit)
        except StoreFull as error:
            return error

    for _ in range(2):
        with pytest.raises(StoreFull, match=r"a\.sqlite: the disk is full: make room"):
            await store.write(fill)
    async with held(store, 3) as group:
        tasks = [group.create_task(caught(unit)) for unit in (tell("a"), fill, tell("b"))]
    assert isinstance(tasks[1].result(), StoreFull)
    kept = [task.result() for task in (tasks[0], tasks[2]) if not isinstance(task.result(), StoreFull)]
    assert len(subjects(store)) == len(kept)
    full = False
    store._writer._drop_connection()
    await store.write(fill)
    assert subjects(store)[-20:] == [f"f{n}" for n in range(20)]
    store.close()


async def test_another_process_that_does_not_end_is_named(
    tmp_path: Path, clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A write lock that somebody else keeps is told in words after the time to wait; then writing goes on."""
    store = Store.open("sqlite:///a.sqlite", folder=tmp_path, clock=clock)

    def no_patience(connection: sqlite3.Connection, _record: Any) -> None:
        connection.execute("PRAGMA busy_timeout = 20")

    sa.event.listen(store._database.engine, "connect", no_patience)
    other = sqlite3.connect(tmp_path / "a.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreBusy, match="another process is writing"):
        await store.write(tell("s"))
    assert "another process is writing" in store.trouble()
    other.execute("ROLLBACK")
    other.close()
    assert await store.write(tell("s")) == 1
    assert store.trouble() == ""
    store.close()
