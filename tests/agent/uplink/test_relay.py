"""agent.uplink.relay: what a link in service notices. Most of it shows between two ends, in test_app.py."""

from __future__ import annotations

import asyncio
import logging
import time

import pytest

from agent.state import StateFolder
from agent.uplink import backoff
from agent.uplink.backoff import UplinkBackoff
from common.link.messages import PROTOCOL, Beat, Ended, Report
from tests.agent.fake_peers import AgentFakeHub, FakeRunner
from tests.agent.uplink.conftest import Running


async def test_a_clock_that_is_off_is_logged_once(
    hub: AgentFakeHub,
    runner: FakeRunner,
    state: StateFolder,
    running: Running,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """An hour's difference to the hub's clock is a warning with its size, not one with every beat."""
    hub.now = lambda: time.time() - 3_600
    with caplog.at_level(logging.WARNING, "answerback.agent"):
        async with running(state):
            link = await hub.next_link()
            await link.expect(Report)
            for _ in range(3):
                await link.send(Beat(time.time() - 3_600))
            async with asyncio.timeout(45):
                while len([r for r in caplog.records if r.msg == "clock.off"]) < 1:
                    await asyncio.sleep(0.01)
    offs = [record for record in caplog.records if record.msg == "clock.off"]
    assert len(offs) == 1
    assert offs[0].__dict__["fields"]["ahead_of_hub"] == pytest.approx(3_600, abs=5)


@pytest.mark.parametrize("protocol", [1, PROTOCOL])
async def test_an_older_hub_is_sent_nothing_that_it_would_refuse(
    hub: AgentFakeHub, runner: FakeRunner, state: StateFolder, running: Running, protocol: int
) -> None:
    """What a job left behind goes into the reason for a hub that has no field for it."""
    hub.protocol = protocol
    job = "01ARZ3NDEKTSV4RRFFQ69G5FAV"
    end = Ended(job, "succeeded", 0, None, "", 0, 0, "", False, 1.0, 2.0, 0.0, 0.0, 0, ("unrecorded",))
    async with running(state):
        link = await hub.next_link()
        await link.expect(Report)
        await (await runner.next_attachment()).send(end)
        heard = await link.expect(Ended)
    assert isinstance(heard, Ended)
    if protocol == PROTOCOL:
        assert heard == end
    else:
        assert heard.notes == ()
        assert "not recorded" in heard.reason


async def test_a_beat_changes_the_interval(
    hub: AgentFakeHub, runner: FakeRunner, state: StateFolder, running: Running
) -> None:
    """The next heartbeat comes by it, not by that of the welcome."""
    hub.heartbeat = 600.0
    async with running(state):
        link = await hub.next_link()
        await link.expect(Report)
        await link.send(Beat(time.time(), interval=0.05))
        async with asyncio.timeout(45), asyncio.TaskGroup() as tasks:
            reading = tasks.create_task(link.receive())
            while len(link.heartbeats) < 4:
                await asyncio.sleep(0.01)
            reading.cancel()


async def test_a_hub_that_is_gone_without_a_word_is_dialled_by_what_it_said_of_returns(
    hub: AgentFakeHub, runner: FakeRunner, state: StateFolder, running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that says goodbye, or closes a link by itself, is not."""
    monkeypatch.setattr(backoff, "STABLE_AFTER", 0.0)
    async with running(state) as uplink:
        link = await hub.next_link()
        await link.expect(Report)
        await link.connection.close(1011, "come again")
        link = await hub.next_link()
        assert not uplink._backoff.returning
        gone = asyncio.Event()
        monkeypatch.setattr(UplinkBackoff, "delay_dropped", lambda *args: gone.set() or 0.0)
        link.abort()
        async with asyncio.timeout(45):
            await gone.wait()
