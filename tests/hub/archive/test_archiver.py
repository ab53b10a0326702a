"""Events go into files and out of the database: none is lost at any step, and all of it stays one log (security lesson
A7).
"""

from __future__ import annotations

import itertools
import json
import os
import signal
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from common import crashpoints
from common.audit.archive import check_file, list_archive, verify_archive
from common.audit.verification import Witness
from hub.archive.archiver import UNUSED, Archiver
from hub.store.archived import UNIT
from hub.store.store import Store
from tests.hub.archive.log import HUB, KEY, SECRET, Log

KEYS = {KEY.id: KEY.public}


def names(log: Log) -> list[str]:
    return sorted(path.name for path in log.archive.folder.iterdir()) if log.archive.folder.exists() else []


async def test_old_events_are_in_files_and_the_log_is_one(log: Log) -> None:
    """Not the newest checkpoint's, nor what is too young; each file ends at a signed checkpoint; the rows read as they
    did, on the hub and for whoever has the files and the key alone.
    """
    log.add(10)
    before, early = log.rows(), log.at - 9
    assert await log.archiver().run(log.at - 1e6) == 0
    assert await log.archiver().run(early) == 40
    assert [(file.first, file.last) for file in log.archive.files()] == [(1, 20), (21, 40)]
    assert log.here() == (41, 52)
    assert log.rows()[:50] == before
    assert [row.kind for row in log.rows()[50:]] == ["audit.archived"] * 2
    log.sign()
    report = log.verify()
    assert (report.ok, report.checked, report.problem) == (True, 52, "")
    notes = Witness("notes", [(HUB, note) for note in log.notes])
    outside = verify_archive(log.archive.folder, KEYS, [notes])
    assert (outside.ok, outside.checked, outside.witnessed_to, outside.problem) == (True, 40, 40, "")
    assert await log.archiver().run(early) == 0
    log.add(4)
    assert await log.archiver().run(log.at + 1) > 0
    assert log.verify().ok
    assert log.here()[0] > 41


async def test_what_is_sealed_in_the_database_is_sealed_in_the_file(log: Log) -> None:
    """Nothing of a text is in a file, nor is it compressed beside the key; after a rotation of the ring it opens."""
    log.add(6)
    await log.archiver().run(log.at)
    files = log.archive.files()
    assert files
    for file in files:
        data = file.path.read_bytes()
        assert SECRET.encode() not in data
        assert b"alice" not in data
        assert file.path.stat().st_mode & 0o777 == 0o600
        manifest = check_file(file.path, HUB, KEYS)
        assert manifest.key
        wrapped = log.store.read_now(lambda txn, key=manifest.key: txn._db.data_key(key))
        assert wrapped == bytes.fromhex(manifest.wrapped)
    assert any(SECRET in row.data for row in log.rows()[:5])
    assert os.stat(log.archive.folder).st_mode & 0o777 == 0o700


STEPS = ["archive.writing", "archive.durable", "archive.noted", "archive.dropping"]


@pytest.mark.parametrize("step", STEPS)
async def test_killed_at_any_step_nothing_is_lost(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """A process of its own is killed there. The log holds as it stands, and the next run ends what was begun."""
    monkeypatch.setattr("hub.store.archived.UNIT", 7)
    log = Log(url, tmp_path)
    log.add(10)
    before, at, notes = log.rows(), log.at, log.notes
    log.close()
    orders = tmp_path / "orders"
    crashpoints.write_order(orders, step, skip=1)
    child = os.fork()
    if not child:
        _run_to_the_kill(url, tmp_path, at, orders)
    _, status = os.waitpid(child, 0)
    assert os.WTERMSIG(status) == signal.SIGKILL, status
    assert orders.read_text().startswith(f"hit {step}")
    log = Log(url, tmp_path, at, notes)
    try:
        assert log.rows()[: len(before)] == before
        log.sign()
        assert (log.verify().ok, log.verify().problem) == (True, "")
        await log.archiver().run(at + 1)
        assert log.rows()[: len(before)] == before
        assert log.here()[0] == 51
        covered = [(file.first, file.last) for file in log.archive.files()]
        assert (covered[0][0], covered[-1][1]) == (1, 50)
        assert all(second[0] == first[1] + 1 for first, second in itertools.pairwise(covered))
        assert [name for name in names(log) if not name.endswith(".archive")] == []
        log.sign()
        assert log.verify().ok
    finally:
        log.close()


def _run_to_the_kill(url: str, folder: Path, at: float, orders: Path) -> None:
    """In the child; never returns."""
    import asyncio

    try:
        crashpoints.configure({crashpoints.FILE_VARIABLE: str(orders), crashpoints.TEST_VARIABLE: "1"})
        log = Log(url, folder, at)
        asyncio.new_event_loop().run_until_complete(log.archiver().run(at + 1))
    finally:
        os._exit(3)


async def test_rows_go_only_as_far_as_the_store_says(log: Log) -> None:
    """No other may be deleted: the database itself refuses."""
    log.add(4)
    statement = "DELETE FROM events WHERE seq = 1"
    with pytest.raises(Exception, match="events is append-only"):
        _execute(log, statement)
    await log.archiver(5).run(log.at - 10)
    first = log.here()[0]
    assert first > 1
    with pytest.raises(Exception, match="events is append-only"):
        _execute(log, f"DELETE FROM events WHERE seq = {first}")  # noqa: S608


def _execute(log: Log, statement: str) -> None:
    with log.store._database.engine.connect() as connection:
        connection.exec_driver_sql(statement)


async def test_what_does_not_hold_stays(url: str, tmp_path: Path) -> None:
    """Events that somebody changed are not archived: nothing is signed over them, and nothing deleted."""
    if not url.startswith("sqlite"):
        pytest.skip("changed as a file")
    log = Log(url, tmp_path)
    log.add(6)
    with sqlite3.connect(log.store.name) as database:
        database.execute("DROP TRIGGER events_no_update")
        database.execute("UPDATE events SET actor = 'mallory' WHERE seq = 7")
    assert await log.archiver().run(log.at) == 0
    assert log.here()[0] == 1
    assert log.archive.files() == []
    log.close()


async def test_a_folder_that_cannot_be_written_deletes_nothing(log: Log) -> None:
    log.add(6)
    log.archive.folder.write_text("no folder")
    assert await log.archiver().run(log.at) == 0
    assert log.here()[0] == 1


async def test_files_of_a_history_that_was_given_up_are_moved_aside(log: Log, tmp_path: Path) -> None:
    """A database from before the files were written is put back, and other things happen: its own events are archived,
    and nothing of the others is deleted.
    """
    log.add(6)
    other = Log("sqlite:///other.sqlite", tmp_path / "other", 2_000_000.0)
    other.archive.folder = log.archive.folder
    other.add(8)
    await other.archiver().run(other.at)
    other.close()
    assert len(names(log)) == 2
    await log.archiver(5).run(log.at)
    kept = names(log)
    assert len([name for name in kept if name.endswith(UNUSED)]) == 2
    assert log.here()[0] > 1
    log.sign()
    assert (log.verify().ok, log.verify().problem) == (True, "")


async def test_a_message_waits_behind_one_small_unit(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows are deleted some at a time, and after each step the archiver rests at least as long as it took."""
    log.add(3, events=UNIT // 2)
    rests: list[float] = []
    dropped: list[int] = []

    async def pause(seconds: float) -> None:
        rests.append(seconds)

    write: Callable[[Callable[..., Any]], Awaitable[Any]] = log.store.write

    async def watched(unit: Callable[..., Any]) -> Any:
        done = await write(unit)
        if isinstance(done, int):
            dropped.append(done)
        return done

    monkeypatch.setattr(Store, "write", staticmethod(watched))
    archiver = Archiver(log.store, log.archive, KEY, lambda: log.at, pause)
    assert await archiver.run(log.at + 1) == UNIT
    assert max(dropped) <= UNIT
    assert len(rests) >= len(dropped)
    manifest = json.loads(list_archive(log.archive.folder)[0].path.read_bytes().splitlines()[0])
    assert manifest["last"] == UNIT
