"""agent.uplink.link: what a link in service notices. Most of it shows between two ends, in test_app.py."""

from __future__ import annotations

import asyncio
import logging
import time

import pytest

from agent.state import State
from common.messages import Beat, Report
from tests.agent.scripted import ScriptedHub, ScriptedRunner
from tests.agent.uplink.conftest import Running


async def test_a_clock_that_is_off_is_logged_once(
    hub: ScriptedHub,
    runner: ScriptedRunner,
    state: State,
    running: Running,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """An hour's difference to the hub's clock is a warning with its size, not one with every beat."""
    hub.now = lambda: time.time() - 3_600
    with caplog.at_level(logging.WARNING, "answerback.agent"):
        async with running(state):
            link = await hub.arrival()
            await link.expect(Report)
            for _ in range(3):
                await link.send(Beat(time.time() - 3_600))
            async with asyncio.timeout(5):
                while len([r for r in caplog.records if r.msg == "clock.off"]) < 1:
                    await asyncio.sleep(0.01)
    offs = [record for record in caplog.records if record.msg == "clock.off"]
    assert len(offs) == 1
    assert offs[0].__dict__["fields"]["ahead_of_hub"] == pytest.approx(3_600, abs=5)
