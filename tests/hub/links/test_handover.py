"""Jobs that a unit leased for a link: sent at once, in the session that held the place or not at all."""

from __future__ import annotations

import time

import pytest

from common.lifecycle import JobState
from common.link.messages import Dispatch
from common.plan import Order
from tests.hub.hub_harness import FakeClock, HubHarness
from tests.hub.link_harness import serve_links


@pytest.fixture
def fake_clock() -> FakeClock:
    """TLS looks at the real clock: this one starts there."""
    return FakeClock(time.time())


async def test_what_a_message_asks_for_leaves_with_its_commit(harness: HubHarness) -> None:
    """One unit of the store, and the order is on its way; the machine is not asked to look at the queue."""
    async with serve_links(harness) as port:
        end = await port.connect_reported_agent()
        units = harness.store.units
        receipt = await harness.accept("@web-1 uptime")
        order = Order.from_bytes((await end.expect(Dispatch)).order)
        assert harness.store.units == units + 1
        (job,) = harness.jobs(harness.request(receipt.request))
        assert (order.job, job.state) == (job.id, JobState.LEASED)
        link = port.links._agents["web-1"]
        assert (link.outstanding, link._held) == ({job.id}, 0)


async def test_places_and_dispatches_share_the_window(harness: HubHarness) -> None:
    """No more is handed out than the window holds, whichever way; what was held and not used is given to the queue."""
    async with serve_links(harness, window=2) as port:
        await port.connect_reported_agent()
        handover = port.links.handover
        held = [handover.hold_place("web-1") for _ in range(3)]
        assert [place is not None for place in held] == [True, True, False]
        job = await harness.queued_job()
        link = port.links._agents["web-1"]
        await port.settled("web-1")
        assert harness.job(job.id).state is JobState.QUEUED
        for place in held:
            if place is not None:
                handover.free_place(place)
        await port.wait_until(lambda: link.outstanding == {job.id})


async def test_what_was_leased_for_a_session_that_is_over_goes_back(harness: HubHarness) -> None:
    """It is not sent in another session, whose report may have said already that the machine does not have it; it goes
    into the queue again and from there to the new link, once.
    """
    async with serve_links(harness) as port:
        await port.connect_reported_agent()
        places, handed = harness.engine.places, port.links.handover.hand_over
        link = port.links._agents["web-1"]
        session = link.session

        def lost(leased: object) -> bool:
            port.links.handover.hand_over = handed  # type: ignore[method-assign]
            link.session = type(session)("agent", id="another", epoch=session.epoch)
            try:
                return handed(leased)  # type: ignore[arg-type]
            finally:
                link.session = session

        port.links.handover.hand_over = lost  # type: ignore[method-assign]
        assert places.hold is not None
        receipt = await harness.accept("@web-1 uptime")
        (job,) = harness.jobs(harness.request(receipt.request))
        await port.wait_until(lambda: link.outstanding == {job.id})
        assert harness.kinds(job.id) == ["job.dispatched", "job.released", "job.dispatched"]


async def test_nobody_holds_a_place_on_a_link_that_is_not_there(harness: HubHarness) -> None:
    """Nor on one that has not reported yet."""
    async with serve_links(harness) as port:
        assert port.links.handover.hold_place("web-1") is None
        await port.connect_agent("web-1")
        assert port.links.handover.hold_place("web-1") is None
