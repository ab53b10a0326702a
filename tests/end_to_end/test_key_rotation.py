"""The keys of the store are rotated while messages come in: no job fails, no webhook is refused, nothing is to be read
by whoever steals the database.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from tests.bench.throughput import Load, prepared
from tests.end_to_end.system import SystemHarness

CANARY = "canary-9c41"
ROTATIONS = 2


@pytest.fixture
async def loaded(tmp_path: Path) -> SystemHarness:
    async with SystemHarness(tmp_path) as rig:
        await prepared(rig)
        yield rig
        rig.check_at_most_once()


async def ring(rig: SystemHarness) -> dict[str, str]:
    _, out, _ = await rig.hub("keys", "list", "--json")
    return {row["id"]: row["state"] for row in json.loads(out)["keys"] if row["in_ring"]}


async def test_rotation_under_load(loaded: SystemHarness) -> None:
    """Lesson A7: twice a new key and the old one's end, beside four senders; each message has one answer and one
    process with status 0; the database has none of their words, and after a restart with the last key alone all of
    them are read again.
    """
    folder = loaded.folder / CANARY
    folder.mkdir()
    load = Load(loaded, folder)
    over = asyncio.Event()

    async def sender(number: int) -> None:
        index = number
        while not over.is_set():
            await load.send(f"k-{index}", f"s{number}")
            index += 4
            await asyncio.sleep(0.02)

    async def rotate() -> None:
        try:
            for _ in range(ROTATIONS):
                (old,) = await ring(loaded)
                _, out, _ = await loaded.hub("keys", "rotate", "--json")
                done = json.loads(out)
                assert (done["before"], done["hub"], done["problems"]) == (old, "yes", [])
                await loaded.hub("keys", "retire", old)
                assert list(await ring(loaded)) == [done["primary"]]
        finally:
            over.set()

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(rotate())
        for number in range(4):
            tasks.create_task(sender(number))
    await load.answered()
    load.check()
    stolen = b"".join(path.read_bytes() for path in (loaded.hub_dir / "data").iterdir() if path.is_file())
    assert CANARY.encode() not in stolen
    _, out, _ = await loaded.hub("audit", "verify")
    assert "the audit holds" in out
    await loaded.programs["hub"].stop()
    await loaded.start_hub()
    _, out, _ = await loaded.operator("jobs", "--limit", "5", "--json")
    assert CANARY in out
