"""The store as a whole: opening, one hub at a time, other processes beside it, sudden death, no room."""

from __future__ import annotations

import asyncio
import os
import stat
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import pytest

import hub.cli.main
from common.errors import UserError
from hub.chat.inlets import load_config
from hub.cli import admin
from hub.core.audit_chain import verify
from hub.core.recovery import Start
from hub.store import migrate as migrate_module
from hub.store.database import Database
from hub.store.errors import StoreBusy, StoreFenced, StoreFull, StoreLost
from hub.store.store import Store
from hub.store.transaction import Txn
from tests import fork_server
from tests.faults.disks import small_disk
from tests.fork_server import ForkedProcess
from tests.run_main import run_main


@dataclass(frozen=True)
class Writer:
    """Another process that writes to a store, and the numbers that it prints."""

    process: ForkedProcess
    out: IO[str]


def start_writer(url: str, folder: Path, name: str, count: int = 0, *more: str) -> Writer:
    reading, writing = os.pipe()
    with open(writing, "wb") as out, open(os.devnull, "rb") as nothing:
        argv = ("tests.hub.store.writing", url, str(folder), name, str(count), *more)
        process = fork_server.start(argv, stdin=nothing, stdout=out, stderr=out)
    return Writer(process, open(reading))


@contextmanager
def writing(url: str, folder: Path, name: str, count: int = 0, *more: str) -> Iterator[Writer]:
    """Another process that writes to the store, ready; killed in the end if it still runs."""
    writer = start_writer(url, folder, name, count, *more)
    with writer.out:
        try:
            assert writer.out.readline() == "ready\n"
            yield writer
        finally:
            writer.process.abandon()


def told(writer: Writer, count: int | None = None) -> list[int]:
    """The numbers the process was told are kept: the next `count`, or all to its end but a line cut short."""
    lines = (writer.out.readline() for _ in range(count)) if count is not None else writer.out
    return [int(line) for line in lines if line.endswith("\n")]


def whole(store: Store) -> list[str]:
    """The subjects of the audit, in order, once its chain has been verified."""
    rows = store.read_now(lambda txn: txn.chain(limit=1_000_000))
    report = verify(rows, [], {}, hub="")
    assert report.ok, report.problem
    return [row.subject for row in rows]


def test_a_new_store_is_its_owners_alone(tmp_path: Path, clock: Callable[[], float]) -> None:
    """A relative path begins at the folder; file and folder are made for their owner alone."""
    store = Store.open("sqlite:///data/answerback.sqlite", folder=tmp_path, clock=clock)
    file = tmp_path / "data" / "answerback.sqlite"
    assert store.name == str(file)
    store.write_now(lambda txn: txn.put_meta("k", "v"))
    for path in (file, *file.parent.glob("answerback.sqlite-*")):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600, path
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    store.close()
    again = Store.open(f"sqlite:///{file}", folder=tmp_path / "elsewhere", clock=clock)
    assert again.read_now(lambda txn: txn.get_meta("k")) == "v"
    again.close()


def test_commits_are_synced(store: Store) -> None:
    """The writer's connection waits for the disk, keeps foreign keys, and never writes outside a transaction."""
    if store.name.startswith("postgresql"):
        assert store.write_now(lambda txn: _said(txn, "SHOW synchronous_commit")) == "on"
        return
    expected = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "recursive_triggers": 1}
    for name, value in expected.items():
        assert store.write_now(lambda txn, n=name: _said(txn, f"PRAGMA {n}")) == value


def _said(txn: Txn, words: str) -> Any:
    txn._db.execute(words)
    return txn._db._cursor.fetchone()[0]


def test_the_epoch_counts_up_and_the_second_hub_is_refused(
    url: str, tmp_path: Path, clock: Callable[[], float]
) -> None:
    """Each hub that takes over gets a higher epoch; while one has the store a second is refused and commands work."""
    first = Store.open(url, folder=tmp_path, clock=clock)
    second = Store.open(url, folder=tmp_path, clock=clock)
    assert first.acquire() == 1
    with pytest.raises(UserError, match="another hub serves it: stop that one first"):
        second.acquire()
    second.write_now(lambda txn: txn.put_meta("k", "beside"))
    assert first.read_now(lambda txn: txn.get_meta("k")) == "beside"
    first.close()
    assert second.acquire() == 2
    second.close()
    third = Store.open(url, folder=tmp_path, clock=clock)
    assert third.acquire() == 3
    third.close()
    third.close()


def lose_lock(store: Store) -> None:
    """As somebody who tidies up does it, or a database server that ends a session."""
    if not store.is_postgres:
        path = Path(store.name)
        path.with_name(path.name + ".lock").unlink()
        return
    lock: Any = store._lock
    pid = lock._connection.connection.dbapi_connection.info.backend_pid
    with store._database.engine.connect() as other:
        assert other.exec_driver_sql(f"SELECT pg_terminate_backend({pid}, 5000)").scalar()


def test_a_hub_whose_epoch_was_passed_writes_nothing(store: Store, url: str, tmp_path: Path) -> None:
    """Two holders of one store (lesson F12): the lock was taken from under it and another hub serves. Each write is
    refused inside its own transaction, before anybody has looked, and what the other one wrote is all that there is. A
    command beside the two writes as ever.
    """
    assert store.acquire() == 1
    store.write_now(lambda txn: txn.audit("first.hub", "s", "hub", {}, 1.0))
    lose_lock(store)
    other = Store.open(url, folder=tmp_path, clock=float, sealer=store.ring)
    try:
        assert other.acquire() == 2
        with pytest.raises(StoreFenced, match=r"another hub serves the store since: it is at epoch 2, this one is of"):
            store.write_now(lambda txn: txn.audit("first.hub", "s", "hub", {}, 2.0))
        with pytest.raises(StoreFenced):
            store.write_now(lambda txn: txn.audit("first.hub", "s", "hub", {}, 2.0))
        with pytest.raises(StoreFenced):
            store.check_held_now()
        other.write_now(lambda txn: txn.audit("second.hub", "s", "hub", {}, 3.0))
        assert other.check_held_now()
    finally:
        other.close()
    beside = Store.open(url, folder=tmp_path, clock=float, sealer=store.ring)
    try:
        beside.write_now(lambda txn: txn.audit("a.command", "s", "terminal", {}, 4.0))
        kinds = [event.kind for event in beside.read_now(lambda txn: txn.events())]
    finally:
        beside.close()
    assert kinds == ["first.hub", "second.hub", "a.command"]


def test_a_lock_that_was_lost_is_noticed(store: Store, url: str, tmp_path: Path) -> None:
    """Where nobody else has it, it is taken again and the hub goes on; another one is refused as before."""
    store.acquire()
    assert store.check_held_now()
    lose_lock(store)
    assert not store.check_held_now()
    assert store.check_held_now()
    store.write_now(lambda txn: txn.audit("first.hub", "s", "hub", {}, 1.0))
    other = Store.open(url, folder=tmp_path, clock=float, sealer=store.ring)
    try:
        with pytest.raises(UserError, match="another hub serves it"):
            other.acquire()
    finally:
        other.close()


def test_a_lock_that_somebody_else_took_ends_it(store: Store) -> None:
    """Even before that one has written anything: two that serve are one too many."""
    store.acquire()
    lose_lock(store)
    lock = store._database.lock()
    assert lock.acquire()
    try:
        with pytest.raises(StoreFenced, match="another process has taken its lock: see which other hub"):
            store.check_held_now()
        with pytest.raises(StoreFenced):
            store.write_now(lambda txn: None)
    finally:
        lock.release()


def test_another_start_of_its_own_is_no_other_hub(store: Store) -> None:
    """A recovery raises the epoch while the hub serves: the writer learns it with the commit."""
    store.acquire()
    store.write_now(lambda txn: txn.add_start(Start(7, "abcd", txn.audit_head().seq)))
    assert store.check_held_now()
    store.write_now(lambda txn: txn.audit("first.hub", "s", "hub", {}, 1.0))


def test_a_file_that_was_replaced_ends_it(tmp_path: Path, clock: Callable[[], float]) -> None:
    """A backup that is put back under a serving hub: what it wrote on would go to a file without a name."""
    store = Store.open("sqlite:///a.sqlite", folder=tmp_path, clock=clock)
    try:
        store.acquire()
        file = tmp_path / "a.sqlite"
        copy = tmp_path / "copy"
        copy.write_bytes(file.read_bytes())
        copy.rename(file)
        with pytest.raises(StoreFenced, match="its file was taken away or replaced while the hub served it"):
            store.check_held_now()
        with pytest.raises(StoreFenced):
            store.write_now(lambda txn: None)
    finally:
        store.close()


async def test_reading_is_a_snapshot_and_changes_nothing(store: Store) -> None:
    """A unit that reads sees one state of the store, however much is written meanwhile, and cannot write."""
    store.write_now(lambda txn: txn.put_meta("k", "1"))
    read, written = threading.Event(), threading.Event()

    def twice(txn: Txn) -> tuple[Any, Any]:
        before = txn.get_meta("k")
        read.set()
        assert written.wait(30)
        return before, txn.get_meta("k")

    async with asyncio.TaskGroup() as group:
        task = group.create_task(store.read(twice))
        await asyncio.to_thread(read.wait, 30)
        await store.write(lambda txn: txn.put_meta("k", "2"))
        written.set()
    assert task.result() == ("1", "1")
    with pytest.raises(Exception, match=r"(?i)read.?only"):
        await store.read(lambda txn: txn.put_meta("k", "3"))
    with pytest.raises(KeyError):
        await store.read(lambda txn: {}["nothing"])
    assert await store.read(lambda txn: txn.get_meta("k")) == "2"


async def test_reads_that_wait_are_bounded(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over the bound a read is turned away in words; a cancelled one gives its place back."""
    monkeypatch.setattr(store, "_read_slots", threading.BoundedSemaphore(4))
    go_on = threading.Event()

    async def held() -> None:
        await store.read(lambda txn: go_on.wait(30))

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(held()) for _ in range(4)]
        await asyncio.sleep(0)
        with pytest.raises(StoreBusy, match="reads wait"):
            await store.read(lambda txn: None)
        tasks[3].cancel()  # the fourth waits for one of three threads
        await asyncio.wait([tasks[3]])
        extra = group.create_task(store.read(lambda txn: 7))
        await asyncio.sleep(0)
        go_on.set()
    assert tasks[3].cancelled()
    assert extra.result() == 7


def test_a_closed_store_says_so(store: Store, url: str, tmp_path: Path, clock: Callable[[], float]) -> None:
    """After close nothing is taken, and what was taken before has been done."""
    other = Store.open(url, folder=tmp_path, clock=clock)
    other.write_now(lambda txn: txn.put_meta("k", "v"))
    other.close()
    for act in (other.write_now, other.read_now):
        with pytest.raises(UserError, match="closed"):
            act(lambda txn: None)


def test_sudden_death_loses_nothing_that_was_told(url: str, tmp_path: Path, clock: Callable[[], float]) -> None:
    """After kill -9 in the midst of writing, all that was told to be kept is there, what is there is whole units, the
    chain has no fault, and the next hub may take over at once.
    """
    for round_ in range(3):
        with writing(url, tmp_path, f"w{round_}", 0, "serve") as writer:
            numbers = told(writer, 100 + 57 * round_)
            writer.process.kill()
            numbers += told(writer)
        store = Store.open(url, folder=tmp_path, clock=clock)
        assert store.acquire() == 2 * round_ + 2
        subjects = set(whole(store))
        assert {f"w{round_}-{number}" for number in numbers} <= subjects
        for subject in subjects:
            assert store.read_now(lambda txn, s=subject: txn.get_meta(s)) == "kept"
        store.close()


def test_processes_that_write_at_once_make_one_chain(url: str, tmp_path: Path, clock: Callable[[], float]) -> None:
    """Commands that write beside a hub that writes all the time make one chain with it, and nothing told is missing."""
    names = ("hub", "one", "two")

    def one_more(txn: Txn) -> int:
        txn.audit("test.written", "test-0", "test", {}, 1.0)
        return txn.audit_head().seq

    numbers: dict[str, list[int]] = {}
    store = Store.open(url, folder=tmp_path, clock=clock)
    with ExitStack() as stack:
        writers = [stack.enter_context(writing(url, tmp_path, name)) for name in names]
        listeners = [
            threading.Thread(target=lambda n=name, w=writer: numbers.update({n: told(w)}))
            for name, writer in zip(names, writers, strict=True)
        ]
        for listener in listeners:
            listener.start()
        before: Counter[str] = Counter()  # whose event this process wrote right behind: they do write at once
        while any(before[name] < 3 for name in names):
            seq = store.write_now(one_more)
            (row, *_) = store.read_now(lambda txn, after=seq - 2: txn.chain(after, 2))
            before[row.subject.split("-")[0]] += 1
        for writer, listener in zip(writers, listeners, strict=True):
            writer.process.kill()
            listener.join()
    subjects = set(whole(store))
    store.close()
    assert {f"{name}-{number}" for name in names for number in numbers[name]} <= subjects


def test_a_new_store_may_be_opened_by_many_at_once(url: str, tmp_path: Path, clock: Callable[[], float]) -> None:
    """Several processes that open the same empty store at the same moment all get it, migrated once."""
    for writer in [start_writer(url, tmp_path, f"p{n}", 3) for n in range(4)]:
        with writer.out:
            said = writer.out.read()
        assert writer.process.join() == 0, said
    store = Store.open(url, folder=tmp_path, clock=clock)
    assert len(whole(store)) == 12
    store.close()


def open_file(folder: Path) -> Store:
    return Store.open("sqlite:///a.sqlite", folder=folder, clock=float)


async def test_a_hub_opens_a_store_on_a_full_disk(tmp_path: Path, clock: Callable[[], float]) -> None:
    """Not even the files that SQLite wants beside it fit. It is read, also by several at once,
    nothing is written, and the epoch is that of the start before, until there is room and `begin` is asked again.
    """
    with small_disk(tmp_path, 4 * 1024 * 1024) as disk:
        first = Store.open("sqlite:///a.sqlite", folder=tmp_path, clock=clock)
        assert first.acquire() == 1
        first.write_now(lambda txn: txn.audit("test.before", "x", "hub", {}, 1.0))
        first.close()
        disk.fill()
        with pytest.raises(StoreFull, match="disk is full"), closing(open_file(tmp_path)) as command:
            command.write_now(lambda txn: txn.audit("test.large", "x", "hub", {"x": "x" * 200_000}, 1.0))
        store = Store.open("sqlite:///a.sqlite", folder=tmp_path, clock=clock, serving=True)
        try:
            assert (store.acquire(), store.waits, store.mark()) == (1, True, None)
            subjects = await asyncio.gather(*(store.read(lambda txn: len(txn.events())) for _ in range(20)))
            assert set(subjects) == {len(whole(store))} == {1}
            with pytest.raises(StoreFull, match="only reads until then"):
                store.write_now(lambda txn: txn.put_meta("x", "y"))
            with pytest.raises(StoreFull, match="only reads until then"):
                await store.write(lambda txn: txn.put_meta("x", "y"))
            with pytest.raises(StoreFull):
                store.begin()
            disk.make_room()
            assert (store.begin(), store.waits) == (2, False)
            store.write_now(lambda txn: txn.audit("test.after", "y", "hub", {}, 1.0))
            assert whole(store) == ["x", "y"]
        finally:
            store.close()


def test_a_full_disk_and_an_older_schema(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The hub does not come up on a schema that it does not know: what to do is said, and nothing was changed."""
    monkeypatch.setattr(migrate_module, "TARGET", "0021")
    with small_disk(tmp_path, 4 * 1024 * 1024) as disk:
        old = Database("sqlite:///a.sqlite", tmp_path)
        old.create()
        migrate_module.migrate(old)
        monkeypatch.undo()
        disk.fill()
        with pytest.raises(StoreFull, match="schema has to be brought up to date") as caught:
            Store.open("sqlite:///a.sqlite", folder=tmp_path, clock=float, serving=True)
        assert "MiB of room and start again" in caught.value.cure
        disk.make_room()
        Store.open("sqlite:///a.sqlite", folder=tmp_path, clock=float, serving=True).close()


async def test_a_real_full_disk(tmp_path: Path, clock: Callable[[], float]) -> None:
    """Without room writing fails in words that name the file; what was kept stays, and with room it goes on."""
    with small_disk(tmp_path, 2 * 1024 * 1024):
        store = Store.open("sqlite:///a.sqlite", folder=tmp_path, clock=clock)
        ballast = tmp_path / "ballast"
        ballast.write_bytes(b"x" * 900_000)
        kept = 0
        with pytest.raises(StoreFull, match=r"a\.sqlite: the disk is full: make room"):
            for number in range(1000):
                await store.write(lambda txn, n=number: txn.audit("test.filled", str(n), "hub", {"x": "x" * 5000}, 1.0))
                kept += 1
        assert kept > 5
        with pytest.raises(StoreFull):
            await store.write(lambda txn: [txn.audit("t", str(n), "hub", {"x": "x" * 5000}, 1.0) for n in range(200)])
        assert whole(store) == [str(n) for n in range(kept)]
        ballast.unlink()
        await store.write(lambda txn: txn.audit("test.after", "after", "hub", {}, 1.0))
        assert whole(store)[-1] == "after"
        store.close()


@pytest.mark.parametrize(
    ("url", "problem"),
    [
        ("mysql://host/db", "no database that Answerback keeps its store in"),
        ("nonsense", "cannot be read"),
        ("sqlite://", "names no file"),
        ("sqlite:///:memory:", "names no file"),
        ("postgresql://host", "names no file or database"),
    ],
)
def test_a_wrong_url_is_named(tmp_path: Path, clock: Callable[[], float], url: str, problem: str) -> None:
    """A URL that is none of a store is refused with the two forms that are."""
    with pytest.raises(UserError, match=problem) as caught:
        Store.open(url, folder=tmp_path, clock=clock)
    assert "sqlite:///FILE or postgresql://" in str(caught.value)


def test_a_password_is_never_said(tmp_path: Path, clock: Callable[[], float]) -> None:
    """A server that cannot be reached is named without the password in its URL."""
    pytest.importorskip("psycopg")
    with pytest.raises(UserError, match="see that the server runs") as caught:
        Store.open(f"postgresql://bob:hunter2@/db?host={tmp_path}", folder=tmp_path, clock=clock)
    assert "hunter2" not in str(caught.value)


def test_a_file_that_is_no_store_is_named(tmp_path: Path, clock: Callable[[], float]) -> None:
    """Another file, a folder, or a folder that cannot be made in the store's place is refused with its name."""
    (tmp_path / "text").write_text("not a database, and long enough to have a header" * 10)
    with pytest.raises(UserError, match="text: not an SQLite file"):
        Store.open("sqlite:///text", folder=tmp_path, clock=clock)
    for name in ("", "text/below"):
        (tmp_path / "folder").mkdir(exist_ok=True)
        with pytest.raises(UserError, match="see that this user may write there"):
            Store.open(f"sqlite:///{name or 'folder'}", folder=tmp_path, clock=clock)


@contextmanager
def nobody() -> Iterator[None]:
    """Without the rights of root, which no file's mode holds back."""
    if os.getuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def test_a_store_that_may_not_be_written_is_named(tmp_path: Path, clock: Callable[[], float]) -> None:
    """A file or folder without the right to write is refused with its name and the cure."""
    folder = Path(tempfile.mkdtemp())  # tmp_path lies below a folder that only its owner may enter
    try:
        folder.chmod(0o555)
        with nobody(), pytest.raises(UserError, match=r"a\.sqlite: .*: see that this user may write there"):
            Store.open(f"sqlite:///{folder}/a.sqlite", folder=tmp_path, clock=clock)
        folder.chmod(0o755)
        Store.open(f"sqlite:///{folder}/a.sqlite", folder=tmp_path, clock=clock).close()
        (folder / "a.sqlite").chmod(0o444)
        folder.chmod(0o555)
        with nobody(), pytest.raises(UserError, match=r"a\.sqlite: .*: see that this user may write there"):
            Store.open(f"sqlite:///{folder}/a.sqlite", folder=tmp_path, clock=clock)
    finally:
        folder.chmod(0o755)
        for file in folder.iterdir():
            file.unlink()
        folder.rmdir()


def test_a_damaged_file_is_named(tmp_path: Path, clock: Callable[[], float]) -> None:
    """A store whose pages are damaged says which file, and to restore a backup."""
    store = Store.open("sqlite:///a.sqlite", folder=tmp_path, clock=clock)
    store.write_now(lambda txn: [txn.audit("t", "s", "hub", {"x": "x" * 3000}, 1.0) for _ in range(50)])
    store.close()
    file = tmp_path / "a.sqlite"
    data = bytearray(file.read_bytes())
    for page in range(8, len(data) // 4096):
        data[page * 4096 : page * 4096 + 16] = b"\xff" * 16
    file.write_bytes(data)
    with pytest.raises(StoreLost, match=r"a\.sqlite: .*: stop the hub and restore a backup"):
        Store.open("sqlite:///a.sqlite", folder=tmp_path, clock=clock).read_now(lambda txn: txn.chain())


@pytest.mark.parametrize("way", ["argument", "input"])
def test_a_hub_is_made_on_either_database(way: str, url: str, tmp_path: Path) -> None:
    """`init --store URL`: the admin and the certificate are in that database, hub.toml names it; a second hub in it is
    refused, and leaves nothing behind.
    """
    words = ["--admin", "alice", "--store", url if way == "argument" else "-"]
    stdin = f"{url}\n".encode() if way == "input" else b""
    made = run_main(hub.cli.main.main, "init", str(tmp_path / "hub"), *words, stdin=stdin)
    assert made.code == 0, made.err
    config = load_config(tmp_path / "hub" / "hub.toml")
    with admin.open_store(config, 1.0) as store:
        person = store.read_now(lambda txn: txn.person("alice"))
        events = [row.kind for row in store.read_now(lambda txn: list(txn.chain(limit=10)))]
    assert person is not None
    assert person.roles == ("admin",)
    assert "hub.created" in events
    assert run_main(hub.cli.main.main, "check", "--config", str(tmp_path / "hub" / "hub.toml")).code == 0
    if url.startswith("postgresql"):
        assert not list((tmp_path / "hub").rglob("*.sqlite"))
        second = run_main(hub.cli.main.main, "init", str(tmp_path / "second"), *words, stdin=stdin)
        assert (second.code, "holds a hub already: name an empty database" in second.err) == (2, True)
        assert not (tmp_path / "second").exists()


def test_a_database_that_is_not_there_makes_no_hub(tmp_path: Path) -> None:
    """One sentence with the server's reason, without the password, and nothing is left behind."""
    url = "postgresql://answerback:canary@127.0.0.1:1/none"
    ended = run_main(hub.cli.main.main, "init", str(tmp_path / "hub"), "--store", url)
    assert ended.code in (1, 2)
    assert "127.0.0.1" in ended.err
    assert "canary" not in ended.err + ended.text
    assert not (tmp_path / "hub").exists()
