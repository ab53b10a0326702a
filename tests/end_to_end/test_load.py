"""Many messages through a real hub and one real agent: none lost, none twice, whatever is killed."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

import aiohttp
import pytest

from tests.bench.throughput import Load, full, prepared
from tests.end_to_end.system import SystemHarness


@pytest.fixture
async def loaded(tmp_path: Path) -> SystemHarness:
    async with SystemHarness(tmp_path) as rig:
        await prepared(rig)
        yield rig
        rig.check_at_most_once()


async def test_every_message_has_its_one_answer_and_its_one_process(loaded: SystemHarness) -> None:
    """Eight senders as fast as they are answered: as many final replies and processes as messages, all with status
    0.
    """
    await full(loaded, loaded.folder / "full", 200)


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_a_thousand_messages(loaded: SystemHarness) -> None:
    """The same with a thousand."""
    await full(loaded, loaded.folder / "full", 1000)


async def killed(rig: SystemHarness, times: int, count: int) -> None:
    """Sends `count` messages while the hub is killed and started `times` times; every accepted one is answered once."""
    folder = rig.folder / "killed"
    folder.mkdir()
    load = Load(rig, folder)
    over = asyncio.Event()

    async def sender(number: int) -> None:
        index = number
        while not over.is_set() or index < count:
            event = f"k-{index}"
            while True:  # as a platform does: the same delivery again until it is answered
                try:
                    await load.send(event, f"s{number}")
                    break
                except (aiohttp.ClientError, AssertionError):
                    await asyncio.sleep(0.05)
            index += 8
            await asyncio.sleep(0.02)

    async def killer() -> None:
        for turn in range(times):
            await asyncio.sleep(0.2 + 0.13 * (turn % 5))
            hub = rig.programs["hub"]
            os.kill(hub.pid, signal.SIGKILL)
            await hub.process.wait()
            await rig.start_hub()
        over.set()

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(killer())
        for number in range(8):
            tasks.create_task(sender(number))
    await load.answered(60)
    made = {path.name for path in folder.iterdir()}
    assert made == set(load.began)
    for event in load.began:
        # A reply whose delivery was not committed before the kill is posted again: the same reply, never another.
        finals = rig.receiver.finals[event]
        assert len({reply["text"] for reply in finals}) == 1
        assert [job["exit_code"] for job in finals[0]["jobs"]] == [0], finals[0]
    _, out, _ = await rig.hub("audit", "verify")
    assert "the audit holds" in out


async def test_a_hub_killed_under_load_loses_nothing(loaded: SystemHarness) -> None:
    """Three times kill -9 during a load: after it settles every accepted message has its one answer, nothing ran
    twice.
    """
    await killed(loaded, 3, 160)


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_a_hub_killed_twenty_times_loses_nothing(loaded: SystemHarness) -> None:
    """The same, twenty times."""
    await killed(loaded, 20, 1000)
