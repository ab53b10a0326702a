"""hub.storage, as the hub asks it; whole systems on full disks are in tests/faults/disks.py."""

from __future__ import annotations

from typing import Any

import pytest

from hub.engine.unit_of_work import UnitOfWork
from hub.storage import StorageState, StorageTasks
from hub.store.errors import StoreFull
from hub.store.room import LOW, NEEDED
from tests.hub.hub_harness import HubHarness


class Disk:
    """What the store's file system has free; what was called."""

    def __init__(self, harness: HubHarness, monkeypatch: pytest.MonkeyPatch) -> None:
        self.free = 10 * NEEDED
        self.called: list[Any] = []
        self.tasks = StorageTasks(
            state=StorageState(harness.store),
            folder=harness.folder,
            begun=self.begun,
            write=harness.units.write,
            release=self.release,
            changed=lambda: self.called.append("changed"),
            hub_id=harness.keys.hub_id,
            clock=harness.hub_clock,
        )
        monkeypatch.setattr(harness.store.room, "free", lambda: self.free)

    async def begun(self, epoch: int) -> None:
        self.called.append(epoch)

    async def release(self) -> None:
        self.called.append("release")


@pytest.fixture
def disk(harness: HubHarness, monkeypatch: pytest.MonkeyPatch) -> Disk:
    return Disk(harness, monkeypatch)


async def test_a_disk_that_fills_is_told_and_left_again(harness: HubHarness, disk: Disk) -> None:
    """What fills it in words while it is full, links released when it is not, both in the audit, once."""
    state = disk.tasks.state
    await disk.tasks.look()
    assert (state.mode, state.sentence("en"), disk.called) == ("normal", "", [])
    disk.free = LOW - 1
    for _ in range(3):
        await disk.tasks.look()
    assert state.mode == "read-only"
    assert "database" in state.sentence("en")
    assert "数据库" in state.sentence("zh")
    disk.free = NEEDED - 1
    await disk.tasks.look()
    assert state.mode == "read-only"
    disk.free = NEEDED
    await disk.tasks.look()
    assert (state.mode, disk.called[-1]) == ("normal", "release")
    assert [len(harness.events(kind)) for kind in ("hub.read_only", "hub.writable")] == [0, 1]


async def test_the_reserves_room_is_tried(harness: HubHarness, disk: Disk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A commit found no room and the reserve was given up: what is written next tells whether that is enough."""
    room = harness.store.room
    disk.free = LOW - 1
    room.note_full()

    async def write(unit: Any) -> None:
        raise StoreFull("store: the disk is full", "make room")

    with monkeypatch.context() as broken:
        broken.setattr(disk.tasks, "_write", write)
        await disk.tasks.look()
        assert room.stuck
    for _ in range(3):
        await disk.tasks.look()
        assert not room.stuck
        room.stuck = True
    assert len(harness.events("hub.read_only")) == 1


async def test_nothing_new_is_taken_and_nothing_handed_out(harness: HubHarness) -> None:
    """Messages, the operators' own requests, orders; what is queued waits and goes when there is room."""
    job = await harness.queued_job()
    harness.store.room.note_low()
    with pytest.raises(StoreFull, match="nothing new is taken"):
        await harness.submit("@web-1 uptime")
    with pytest.raises(StoreFull, match="nothing new is taken"):
        harness.store.refuse_when_full()
    assert await harness.engine.dispatch("web-1", "journal-1", 8) == []
    assert harness.job(job.id).state.value == "queued"

    def note(uow: UnitOfWork) -> None:
        uow.audit("test.ended", "x", "hub", {})

    await harness.units.write(note)  # what ends something may be written
    harness.store.room.open()
    assert len(await harness.engine.dispatch("web-1", "journal-1", 8)) == 1


async def test_a_start_that_could_not_be_written_is_made_up_for(
    harness: HubHarness, disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not before there is room; then the hub is told its epoch, and goes on."""
    begins: list[int] = []

    def begin() -> int:
        begins.append(1)
        if len(begins) == 1:
            raise StoreFull("store: the disk is full", "make room")
        harness.store._waits = False
        return 7

    harness.store.room.note_full()
    monkeypatch.setattr(harness.store, "_waits", True)
    monkeypatch.setattr(harness.store, "begin", begin)
    disk.free = NEEDED - 1
    await disk.tasks.look()
    assert begins == []
    disk.free = NEEDED
    await disk.tasks.look()
    assert disk.tasks.state.read_only
    await disk.tasks.look()
    assert not disk.tasks.state.read_only
    assert [call for call in disk.called if call != "changed"] == [7, "release"]


def test_before_it_is_measured_the_cure_is_told(harness: HubHarness) -> None:
    """By whoever looks in the first second."""
    harness.store.room.note_low()
    for language, word in (("en", "Make room"), ("zh", "腾出空间")):
        assert word in StorageState(harness.store).sentence(language)  # type: ignore[arg-type]
