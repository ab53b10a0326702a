"""agent.uplink.upgrade: asked first, become afterwards."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from agent.re_exec import NextProgram
from agent.upgrade_report import UpgradeReport, read_upgrade, write_upgrade
from agent.uplink.upgrade import UplinkUpgrade
from common.version import VERSION

TIMEOUT = 20.0


def program(code: str) -> NextProgram:
    return NextProgram((sys.executable,), (sys.executable, "-c", code), dict(os.environ))


async def test_it_is_granted_once_the_next_program_has_answered(tmp_path: Path) -> None:
    """Not before it was asked for; what is installed by then is told."""
    upgrade = UplinkUpgrade(tmp_path, program('print(\'{"version": "9.8.7"}\')'))
    async with asyncio.timeout(TIMEOUT), asyncio.TaskGroup() as group:
        granted = group.create_task(upgrade.granted())
        await asyncio.sleep(0)
        assert read_upgrade(tmp_path) is None
        upgrade.request()
        await granted
    found = read_upgrade(tmp_path)
    assert found is not None
    assert (found.state, found.before, found.after, found.pid) == ("handing_over", VERSION, "9.8.7", os.getpid())


async def test_a_program_that_cannot_be_started_is_never_become(tmp_path: Path) -> None:
    """The uplink goes on, says why, and may be asked again; so one that is no program of its own."""
    for upgrade, why in (
        (UplinkUpgrade(tmp_path, program("import sys; sys.exit('no_such_library')")), "no_such_library"),
        (UplinkUpgrade(tmp_path, None), "not started as a program of its own"),
    ):
        async with asyncio.timeout(TIMEOUT), asyncio.TaskGroup() as group:
            granted = group.create_task(upgrade.granted())
            for _ in range(2):
                before = read_upgrade(tmp_path)
                upgrade.request()
                while (found := read_upgrade(tmp_path)) is None or found == before or found.state != "refused":
                    await asyncio.sleep(0.01)
                assert why in found.reason
            assert not granted.done()
            granted.cancel()


def test_the_next_program_tells_how_it_ended(tmp_path: Path) -> None:
    """Done in the same process; in any other it came to nothing; what was told before stays."""
    report = UpgradeReport("handing_over", 5.0, os.getpid(), "0.9", after="1.0")
    write_upgrade(tmp_path, report)
    UplinkUpgrade(tmp_path, None).note_start()
    found = read_upgrade(tmp_path)
    assert found is not None
    assert (found.state, found.before, found.after) == ("done", "0.9", VERSION)
    UplinkUpgrade(tmp_path, None).note_start()
    assert read_upgrade(tmp_path) == found
    write_upgrade(tmp_path, UpgradeReport("handing_over", 5.0, 1, "0.9", after="1.0"))
    UplinkUpgrade(tmp_path, None).note_start()
    found = read_upgrade(tmp_path)
    assert found is not None
    assert (found.state, found.reason) == ("refused", "the uplink ended meanwhile")
