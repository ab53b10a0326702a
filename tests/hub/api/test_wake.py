"""hub.api.wake: asked from a console or the command line, over real links, and how it stands."""

from __future__ import annotations

import time

import pytest

from common.link.messages import WAKE_FACT, Wake, Woken
from tests.hub.api.test_verbs import hall
from tests.hub.hub_harness import FakeClock, HubHarness


@pytest.fixture
def fake_clock() -> FakeClock:
    """TLS looks at the real clock: this one starts there."""
    return FakeClock(time.time())


async def test_a_neighbour_is_asked_over_its_link(harness: HubHarness) -> None:
    """The message, its answer, and the end that `waking` tells; the act has its audit row."""
    await harness.add_machine("nas", online=False, facts={"net0": "eth0 52:54:00:00:00:01 10.0.3.9/24"})
    async with hall(harness) as made:
        counter = await made.of("carol")
        assert (await counter.ask("waking", agent="nas"))["state"] == "none"
        alone = await counter.ask("wake", agent="nas")
        assert (alone["code"], alone["text"]) == (
            "no_neighbour",
            "nas cannot be woken: no neighbour on 10.0.3.0/24 is online",
        )
        neighbour = await made.port.connect_reported_agent("web-1")
        await harness.change_machine("web-1", facts={"net0": "eth0 52:54:00:00:00:02 10.0.3.1/24", WAKE_FACT: "1"})
        told = await counter.ask("wake", agent="nas")
        assert (told["code"], told["waking"]) == ("ok", True)
        asked = await neighbour.expect(Wake)
        assert (asked.mac, asked.network) == ("52:54:00:00:00:01", "10.0.3.0/24")
        await neighbour.send(Woken(asked.id))
        await neighbour.round_trip()
        assert (await counter.ask("waking", agent="nas"))["state"] == "waking"
        harness.clock.advance(14)
        harness.fleet.set_online("nas")
        await harness.engine.wakes.run_due()
        end = await counter.ask("waking", agent="nas")
        assert (end["state"], end["text"]) == ("woke", "nas woke after 14 s")
        assert (await counter.ask("wake", agent="nas"))["text"] == "nas is online already"
    assert [row.subject for row in harness.events("act.done")] == ["nas", "nas"]
