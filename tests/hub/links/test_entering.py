"""Machines that come while the store has no room: they are let in, held, and come anew."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from common.link.messages import Report, Resync
from hub.store.errors import StoreFull
from tests.hub.hub_harness import FakeClock, HubHarness
from tests.hub.link_harness import serve_links


@pytest.fixture
def fake_clock() -> FakeClock:
    """TLS looks at the real clock: this one starts there."""
    return FakeClock(time.time())


async def full(*args: Any) -> Any:
    raise StoreFull("store: the disk is full", "make room")


@pytest.mark.parametrize("place", ["hear", "note"])
async def test_a_machine_is_let_in_and_nothing_of_it_is_taken(
    harness: HubHarness, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    """It is online and answered, no report of it is acted upon, nothing is handed to it; with room it comes anew and
    everything it has said is taken then.
    """
    async with serve_links(harness) as port:
        await harness.queued_job()
        harness.store.room.note_low()
        with monkeypatch.context() as broken:
            broken.setattr(harness.engine, "hear" if place == "hear" else "let_in", full)
            end = await port.connect_agent()
            await end.send(Report("journal", "boot", {}))
            await end.round_trip()
        assert harness.fleet.online("web-1")
        assert end.session.unacked == 1
        harness.store.room.open()
        await port.links.release()
        await end.wait_closed()
        again = await port.connect_agent(session=end.session)
        assert not again.resumed
        await again.send(Report("journal", "boot", {}))
        await again.expect(Resync)


async def test_a_store_that_waits_for_its_start_holds_every_machine(
    harness: HubHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without asking it what it has heard: this process has no start to compare that with."""
    async with serve_links(harness) as port:
        port.tls_context("agent", "web-1")
        monkeypatch.setattr(harness.store, "_waits", True)
        asked: list[str] = []

        async def hear(hello: Any, name: str) -> bool:
            asked.append(name)
            return False

        monkeypatch.setattr(harness.engine, "hear", hear)
        harness.store.room.note_low()
        end = await port.connect_agent()
        await end.round_trip()
        assert asked == []
        assert (port.links.count_links(), harness.fleet.online("web-1")) == ((1, 0), True)
        assert port.links._agents["web-1"].held


async def test_a_machine_that_comes_as_the_room_does_is_not_held_for_ever(
    harness: HubHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There was no room when it was noted, and there is when it is attached."""
    async with serve_links(harness) as port:
        with monkeypatch.context() as broken:
            broken.setattr(harness.engine, "let_in", full)
            end = await port.connect_agent()
            async with asyncio.timeout(10):
                await end.wait_closed()
        await port.connect_reported_agent()
