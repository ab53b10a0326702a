"""Rows of before are sealed beside the load, go on after a kill, and leave nothing in the file."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from hub.core.audit_chain import verify
from hub.core.records import Approval, Draft, StoredChunk
from hub.store.conversion import OLD_ROWS, PAGES
from hub.store.database import Database
from hub.store.schema import metadata
from hub.store.store import Store
from hub.store.transaction import Txn
from tests.hub.store.conftest import PLAN
from tests.hub.store.template import RING, open_store

CANARY = "canary-7f3a"
ROWS = 25


def fill(store: Store, make: Any, first: int = 0) -> None:
    """Rows with a canary wherever people and machines are quoted."""

    def unit(txn: Txn) -> None:
        for number in range(first, first + ROWS):
            request = txn.add_request(make.request(text=f"{CANARY} text {number}", plan=PLAN, reason=f"{CANARY} why"))
            job = make.job(request, command=f"/bin/echo {CANARY}", reason=f"{CANARY} job", notes=(f"{CANARY} note",))
            txn.add_jobs([job])
            txn.add_chunk(StoredChunk(job.id, 1, 1, f"{CANARY} output {number}".encode(), make.now))
            txn.add_approval(Approval(request.id, "h", "bob", True, "ops", make.now, reason=f"{CANARY} because"))
            txn.add_reply(make.reply(request.id, body=json.dumps({"text": CANARY})))
            txn.add_draft(Draft(0, request.id, "disk", f"# {CANARY}", "proposed", "bob", make.now))
            txn.audit("message.accepted", request.id, "alice", {"text": f"{CANARY} {number}"}, make.now)
            txn.audit("job.started", job.id, "web-1", {"pid": number}, make.now)

    store.write_now(unit)


def as_of_before(url: str, folder: Path, clock: Callable[[], float], make: Any) -> None:
    """A store that was never sealed."""
    store = open_store(url, folder=folder, clock=clock, sealer=None)
    fill(store, make)

    def forget(txn: Txn) -> None:
        for name in [old.name for old in OLD_ROWS]:
            txn.put_meta("sealing:" + name, "")
        txn.put_meta(PAGES, "")

    store.write_now(forget)
    store.close()


def everything(store: Store) -> list[object]:
    """All records, as whoever reads them has them."""

    def unit(txn: Txn) -> list[object]:
        requests = txn.requests(limit=1000)
        jobs = txn.jobs(limit=1000)
        found: list[object] = [*requests, *jobs, *txn.proposed_drafts(1000), *txn.chain(limit=1000)]
        for request in requests:
            found += [*txn.approvals(request.id), txn.newest_reply(request.id)]
        for job in jobs:
            found += txn.chunks(job.id)
        return found

    return store.read_now(unit)


def plain_rows(url: str, folder: Path) -> dict[str, int]:
    """By table, in how many rows the canary can be read by whoever has the database."""
    engine = Database(url, folder).engine
    found: dict[str, int] = {}
    with engine.connect() as connection:
        for old in OLD_ROWS:
            rows = connection.execute(sa.select(metadata.tables[old.name])).fetchall()
            found[old.name] = sum(any(_has_canary(value) for value in row) for row in rows)
    engine.dispose()
    return found


def _has_canary(value: object) -> bool:
    if isinstance(value, bytes | memoryview):
        return CANARY.encode() in bytes(value)
    return CANARY in str(value)


def convert(store: Store, limit: int = 7) -> int:
    steps = 0
    while store.write_now(lambda txn: txn.seal_old_rows(limit)).table:
        steps += 1
    return steps


def test_rows_of_before_are_read_as_before_and_sealed(
    url: str, tmp_path: Path, clock: Callable[[], float], make: Any
) -> None:
    """Lesson A7: a store of an earlier version is whole before, while and after it is sealed, on either database; new
    rows and old ones lie side by side, and the audit's chain holds throughout.
    """
    as_of_before(url, tmp_path, clock, make)
    assert set(plain_rows(url, tmp_path).values()) == {ROWS}
    store = open_store(url, folder=tmp_path, clock=clock)
    before = everything(store)
    fill(store, make, first=ROWS)
    both = everything(store)
    assert plain_rows(url, tmp_path)["requests"] == ROWS  # the new ones are sealed from the start
    store.write_now(lambda txn: txn.seal_old_rows(3))
    assert everything(store) == both
    convert(store)
    assert everything(store) == both
    assert all(record in both for record in before)
    assert plain_rows(url, tmp_path) == dict.fromkeys(plain_rows(url, tmp_path), 0)
    assert store.read_now(lambda txn: txn.unsealed_tables()) == []
    assert verify(store.read_now(lambda txn: txn.chain(limit=1000)), [], {}, hub="").ok
    store.close()


def test_an_event_may_be_sealed_and_nothing_else(
    url: str, tmp_path: Path, clock: Callable[[], float], make: Any
) -> None:
    """The audit stays append-only: its data may become sealed, once, and no other change is taken."""
    as_of_before(url, tmp_path, clock, make)
    store = open_store(url, folder=tmp_path, clock=clock)
    convert(store)
    store.close()
    engine = Database(url, tmp_path).engine
    changes = {
        "back": "UPDATE events SET data = '{}' WHERE seq = 1",
        "sealed again": "UPDATE events SET data = 'sealed:1:AAAA' WHERE seq = 1",
        "another": "UPDATE events SET data = 'sealed:1:AAAA', kind = 'x' WHERE seq = 2",
        "plain": "UPDATE events SET data = '[]' WHERE seq = 2",
        "gone": "DELETE FROM events WHERE seq = 2",
    }
    for what, statement in changes.items():
        with engine.connect() as connection, pytest.raises(sa.exc.DBAPIError, match="append-only"):
            connection.execute(sa.text(statement))
            pytest.fail(what)
    engine.dispose()


KILLED = """
import sys, os, signal
from pathlib import Path
from tests.hub.store.template import RING
from hub.store.store import Store
folder, after = Path(sys.argv[1]), int(sys.argv[2])
store = Store.open("sqlite:///a.sqlite", folder=folder, clock=lambda: 1_800_000_000.0, sealer=RING)
def unit(txn):
    change, count = txn._db.change, 0
    def counted(statement, params):
        nonlocal count
        count += 1
        if count > after:
            os.kill(os.getpid(), signal.SIGKILL)
        return change(statement, params)
    txn._db.change = counted
    try:
        return txn.seal_old_rows(10)
    finally:
        del txn._db.change
for _ in range(after % 4):
    store.write_now(lambda txn: txn.seal_old_rows(10))
store.write_now(unit)
"""


def test_a_kill_at_any_row_costs_nothing(tmp_path: Path, clock: Callable[[], float], make: Any) -> None:
    """Lesson A7: killed within a step, at one row after the other, it goes on where it was, and nothing is lost."""
    url = "sqlite:///a.sqlite"
    as_of_before(url, tmp_path, clock, make)
    store = open_store(url, folder=tmp_path, clock=clock)
    before = everything(store)
    store.close()
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[3])}
    for after in (0, 3, 10):
        program = (sys.executable, "-c", KILLED, str(tmp_path), str(after))
        assert subprocess.run(program, env=environment, check=False).returncode == -signal.SIGKILL
        store = open_store(url, folder=tmp_path, clock=clock)
        assert everything(store) == before
        store.close()
    store = open_store(url, folder=tmp_path, clock=clock)
    convert(store)
    assert everything(store) == before
    store.close()
    assert not any(plain_rows(url, tmp_path).values())


def test_nothing_of_before_is_left_in_the_file(tmp_path: Path, clock: Callable[[], float], make: Any) -> None:
    """Lesson A7: after the conversion neither the file's free pages nor its log have what the values were. What was
    deleted before without being overwritten is the reason that it is written anew.
    """
    url = "sqlite:///a.sqlite"
    as_of_before(url, tmp_path, clock, make)
    engine = sa.create_engine(f"sqlite:///{tmp_path}/a.sqlite")
    with engine.begin() as connection:  # as an earlier version deleted: the pages go to the free list as they are
        connection.execute(sa.text("PRAGMA secure_delete = OFF"))
        connection.execute(sa.text("DELETE FROM output"))
    engine.dispose()
    store = open_store(url, folder=tmp_path, clock=clock)
    convert(store)
    assert not any(plain_rows(url, tmp_path).values())
    assert CANARY.encode() in _on_disk(tmp_path)
    store.clean_pages_now()
    assert CANARY.encode() not in _on_disk(tmp_path)
    assert store.read_now(lambda txn: txn.pages_clean())
    store.close()
    assert CANARY.encode() not in _on_disk(tmp_path)


def _on_disk(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in sorted(folder.iterdir()) if path.is_file())


def test_a_text_that_looks_sealed_is_sealed_too(tmp_path: Path, clock: Callable[[], float], make: Any) -> None:
    """Somebody wrote into chat, long ago, what a sealed value looks like: it is a text like any other."""
    url = "sqlite:///a.sqlite"
    store = open_store(url, folder=tmp_path, clock=clock, sealer=None)
    forged = "sealed:1:" + "QUFB" * 20
    store.write_now(lambda txn: (txn.add_request(make.request(text=forged)), txn.put_meta("sealing:requests", "")))
    store.close()
    store = open_store(url, folder=tmp_path, clock=clock, sealer=RING)
    convert(store)
    assert [request.text for request in store.read_now(lambda txn: txn.requests())] == [forged]
    store.close()
