"""hub.fencing: with a real hub as a process, and with the parts of one."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from hub.fencing import TIMER, Fencing
from hub.maintenance import TimerHealth
from hub.store.errors import StoreFenced, StoreLost
from tests.end_to_end.system import SystemHarness, free_port
from tests.hub.hub_harness import HubHarness


def lock_file(store: str) -> Path:
    return Path(store + ".lock")


async def test_a_lock_that_was_lost_is_told_once_and_the_hub_goes_on(harness: HubHarness) -> None:
    told: list[str] = []
    health = TimerHealth()

    async def record(kind: str) -> None:
        told.append(kind)

    fencing = Fencing(harness.store, health, record)
    harness.store.acquire()
    await fencing.check()
    assert told == []
    lock_file(harness.store.name).unlink()
    await fencing.check()
    await fencing.check()
    assert told == ["store.lock_retaken"]
    assert health.problems() == []


async def test_a_database_that_is_away_is_trouble_and_no_end(
    harness: HubHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page of the hub's health says it, until it is back; where another hub serves, the process ends."""
    health = TimerHealth()

    async def record(kind: str) -> None: ...

    fencing = Fencing(harness.store, health, record)
    harness.store.acquire()

    def away() -> bool:
        raise StoreLost("store x: gone", "see that the server runs")

    with monkeypatch.context() as patch:
        patch.setattr(harness.store, "check_held_now", away)
        await fencing.check()
        assert health.problems() == [f"{TIMER}: store x: gone: see that the server runs"]
    await fencing.check()
    assert health.problems() == []
    lock = harness.store._database.lock()
    lock_file(harness.store.name).unlink()
    assert lock.acquire()
    try:
        with pytest.raises(StoreFenced):
            await fencing.check()
    finally:
        lock.release()


@pytest.mark.timeout(180)
async def test_a_hub_whose_store_another_one_serves_ends(tmp_path: Path) -> None:
    """With two real hubs: the lock's file is replaced, the second one starts, and the first one writes nothing more,
    says why and ends with 1, so that systemd starts it again; that start says who has the store.
    """
    async with SystemHarness(tmp_path) as rig:
        await rig.init()
        first = await rig.start_hub()
        await rig.ask("alice", "help")
        (lock,) = (rig.hub_dir / "data").glob("*.lock")
        for name in ("http", "links"):
            port = free_port()
            rig.edit_config(f':{getattr(rig, name)}"', f':{port}"')
            setattr(rig, name, port)
        first.process.send_signal(signal.SIGSTOP)  # or it takes the new lock's file before the second one is there
        new = lock.with_name("new.lock")
        new.touch(0o600)
        new.rename(lock)
        second = await rig.start("second", "hub", "serve", "--config", str(rig.config))
        await rig.wait_until(rig.ready, second)
        first.process.send_signal(signal.SIGCONT)
        assert await first.process.wait() == 1
        said = first.log.read_text()
        assert "hub.fenced" in said
        assert "another hub serves the store since" in said or "another process has taken its lock" in said
        assert said.splitlines()[-1].startswith("answerback-hub: ")
        await rig.ask("alice", "status")
        third = await rig.start("third", "hub", "serve", "--config", str(rig.config))
        assert await third.process.wait() == 2
        assert "another hub serves it: stop that one first" in third.log.read_text()
        starts = [event["data"]["epoch"] for event in rig.events() if event["kind"] == "hub.started"]
        assert starts == [1, 2]
        assert [event for event in rig.events() if event["kind"] == "hub.stopped"] == []
