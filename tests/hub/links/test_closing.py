"""Links that end together, over real sockets."""

from __future__ import annotations

import time

import pytest

from common.link.messages import Bye
from hub.links.closing import announce_restart
from tests.hub.hub_harness import FakeClock, HubHarness
from tests.hub.link_harness import serve_links


@pytest.fixture
def fake_clock() -> FakeClock:
    """TLS looks at the real clock: this one starts there."""
    return FakeClock(time.time())


async def test_all_are_told_once_and_closed(harness: HubHarness) -> None:
    """Machines over what time to come back; a person that the hub goes."""
    await harness.add_machine("web-2")
    async with serve_links(harness) as port:
        ends = [await port.connect_reported_agent(name) for name in ("web-1", "web-2")]
        console = await port.connect_console("alice")
        await announce_restart([port.link("web-1"), port.link("web-2")], list(port.links._consoles))
        for end in ends:
            assert (await end.expect(Bye)).spread == 0.2
            assert await end.wait_closed() == 1001
        assert await console.wait_closed() == 1001
