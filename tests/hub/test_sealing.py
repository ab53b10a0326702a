"""Sealing while the hub serves: rows of before, a new ring, the use of keys."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from common.errors import UserError
from common.identity.sealing import Sealer
from hub import sealing
from hub.sealing import SealingTasks
from hub.store.conversion import OLD_ROWS, PAGES
from hub.store.sealing_keys import LOADED
from hub.store.store import Store
from tests.hub.store.conftest import NOW, Make
from tests.hub.store.template import open_store

CANARY = "canary-55aa"
ROWS = 250


class Rig:
    """A store with rows of before, and a ring that comes from `source`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.source: Sealer | Exception = Sealer.generate()
        self.ring = Sealer.from_text(self.source.to_text())
        self.fill()
        self.store = open_store("sqlite:///a.sqlite", folder=folder, clock=lambda: NOW, sealer=self.ring)
        self.tasks = SealingTasks(self.store, self.ring, self.read, lambda: NOW)

    def read(self) -> Sealer:
        if isinstance(self.source, Exception):
            raise self.source
        return Sealer.from_text(self.source.to_text())

    def fill(self) -> None:
        make = Make(itertools.count(1))
        store = open_store("sqlite:///a.sqlite", folder=self.folder, clock=lambda: NOW, sealer=None)

        def unit(txn: Any) -> None:
            for number in range(ROWS):
                txn.add_request(make.request(text=f"{CANARY} {number}"))
            for name in [*(f"sealing:{old.name}" for old in OLD_ROWS), PAGES]:
                txn.put_meta(name, "")

        store.write_now(unit)
        store.close()

    def on_disk(self) -> bytes:
        return b"".join(path.read_bytes() for path in self.folder.iterdir() if path.is_file())


@pytest.fixture
async def rig(tmp_path: Path) -> AsyncIterator[Rig]:
    made = Rig(tmp_path)
    yield made
    made.store.close()


@pytest.fixture(autouse=True)
def no_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """A ring is read again at once, where a test does not say otherwise."""
    monkeypatch.setattr(sealing, "READ_AGAIN_AFTER", 0.0)


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(30):
        while not await condition():
            await asyncio.sleep(0.01)


async def clean(store: Store) -> bool:
    return await store.read(lambda txn: txn.pages_clean())


async def test_rows_of_before_are_sealed_while_it_serves(rig: Rig) -> None:
    """Lesson A7: a few at a time, to the last one, and the file is written anew; other writers get their turn between
    two steps; a hub that comes up again finds nothing to do.
    """
    assert CANARY.encode() in rig.on_disk()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(rig.tasks.run())
        await rig.store.write(lambda txn: txn.put_meta("between", "yes"))
        assert await rig.store.read(lambda txn: txn.unsealed_tables())
        await until(lambda: clean(rig.store))
        task.cancel()
    assert CANARY.encode() not in rig.on_disk()
    texts = [request.text for request in await rig.store.read(lambda txn: txn.requests(limit=ROWS))]
    assert texts == [f"{CANARY} {number}" for number in reversed(range(ROWS))]
    await SealingTasks(rig.store, rig.ring, rig.read, lambda: NOW).convert()


async def test_a_large_file_is_left_to_a_person(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Writing it anew would hold up whoever writes: the log names the command instead."""
    monkeypatch.setattr(sealing, "CLEAN_BELOW", 1000)
    await rig.tasks.convert()
    assert not await clean(rig.store)


async def test_a_new_ring_is_taken_up(rig: Rig) -> None:
    """Lesson A7: the store says that another key seals; the hub reads the ring again, without a restart, and says that
    it has it. Before that the old one seals; a ring that does not read changes nothing.
    """
    await rig.tasks.announce()
    old = rig.ring.ids
    assert await rig.store.read(lambda txn: (txn.primary_key(), txn.get_meta(LOADED))) == (old[0], old[0])
    await rig.tasks.watch()
    assert rig.ring.ids == old
    rig.source = fresh = rig.ring.with_new_key()
    await rig.tasks.watch()
    assert rig.ring.ids == old
    await rig.store.write(lambda txn: txn.note_ring(fresh.ids, NOW))
    rig.source = UserError("the ring cannot be read")
    assert not await rig.tasks._attempt("ring", rig.tasks.watch)
    assert rig.ring.ids == old
    rig.source = fresh
    assert await rig.tasks._attempt("ring", rig.tasks.watch)
    assert rig.ring.ids == fresh.ids
    assert await rig.store.read(lambda txn: txn.get_meta(LOADED)) == " ".join(fresh.ids)
    rig.source = smaller = fresh.first_only()
    await rig.store.write(lambda txn: txn.note_ring(smaller.ids, NOW))
    await rig.tasks.watch()
    assert rig.ring.ids == smaller.ids


async def test_a_ring_without_the_key_is_not_read_all_the_time(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    """A credential that systemd gave at the start stays as it is: it is looked at now and then, and nothing changes."""
    monkeypatch.setattr(sealing, "READ_AGAIN_AFTER", 1000.0)
    await rig.store.write(lambda txn: txn.note_ring(("0" * 16, *rig.ring.ids), NOW))
    reads = 0

    def counted() -> Sealer:
        nonlocal reads
        reads += 1
        return rig.ring

    tasks = SealingTasks(rig.store, rig.ring, counted, lambda: NOW)
    for _ in range(5):
        await tasks.watch()
    assert reads == 1
    assert await rig.store.read(lambda txn: txn.primary_key()) == "0" * 16
    await tasks.announce()  # a hub that comes up: what it has counts
    assert await rig.store.read(lambda txn: txn.primary_key()) == rig.ring.ids[0]


async def test_when_a_key_was_last_used(rig: Rig) -> None:
    """What seals or opens is noted by id; a key that nothing needed keeps its time."""
    await rig.tasks.announce()
    await rig.store.write(lambda txn: txn.note_ring((*rig.ring.ids, "0" * 16), NOW - 100))
    rig.ring.seal(b"x", "place")
    await rig.tasks.note_use()
    used = {key.id: key.used_at for key in await rig.store.read(lambda txn: txn.sealing_keys())}
    assert used == {rig.ring.ids[0]: NOW, "0" * 16: None}
