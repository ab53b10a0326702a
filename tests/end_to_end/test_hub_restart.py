"""The hub goes away and comes back while a person waits in front of `answerback run`."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.end_to_end.system import SystemHarness


async def test_a_run_is_followed_through_a_restart(rig: SystemHarness, tmp_path: Path) -> None:
    """Its request and job are named; nothing of its output is lost or told twice; the status is its own."""
    gate = tmp_path / "gate"
    rig.forks = False  # every program here is a process of its own from its first instruction
    rig.add_program("waits", f"echo first; until [ -e {gate} ]; do sleep 0.05; done; echo second; exit 3\n")
    await rig.start_hub()
    await rig.add_agent("web-1")
    async with asyncio.TaskGroup() as group:
        ran = group.create_task(rig.operator("run", "web-1", "--", "waits", check=False, within=60))

        async def started() -> bool:
            return any(event["kind"] == "job.started" for event in rig.events())

        await rig.wait_until(started)
        await rig.programs["hub"].stop()
        gate.touch()
        await rig.start_hub()
        code, out, errors = await ran
    assert out == "first\nsecond\n"
    assert code == 1
    assert "r1, job " in errors
    assert "goes on, and is followed again when the hub is back" in errors
    assert "exit 3" in errors
