"""The parts put together: what each does after a commit, and what they share."""

from __future__ import annotations

import pytest

from common.lifecycle import RequestState
from hub.base import build_base
from hub.chat.outbound import OutboundState
from hub.engine.effects import Effects
from hub.files import Files
from hub.parts import Parts, build
from hub.status import readiness_problems
from tests.hub.hub_harness import HubHarness


@pytest.fixture
async def parts(harness: HubHarness) -> Parts:
    """The parts on the harness's folder and store."""
    files = Files.of(harness.config, harness.clock)
    made = build(
        build_base(harness.config, harness.hub_clock, harness.keys, files, harness.store, harness.engine.epoch)
    )
    await made.base.people.refresh()
    await made.base.fleet.refresh()
    return made


async def test_a_message_goes_from_the_webhook_to_the_delivery(parts: Parts, harness: HubHarness) -> None:
    """Every part is there as soon as they are built: accepted, planned, and the delivery is woken for the reply."""
    assert not parts.delivery._wakeup.is_set()
    receipt = await parts.engine.intake.accept("ops", harness.make_incoming("@web-1 bash"))
    assert harness.request(receipt.request).state is RequestState.REFUSED
    assert parts.delivery._wakeup.is_set()


async def test_only_replies_wake_the_delivery(parts: Parts) -> None:
    """Other commits are none of its business."""
    parts.base.fan_out.publish(Effects(changed={"R"}, wake={"web-1"}))
    assert not parts.delivery._wakeup.is_set()


async def test_what_consoles_watch_follows_commits_and_machines(parts: Parts) -> None:
    """The operators' API is told of both."""
    for change in (
        lambda: parts.base.fan_out.publish(Effects(changed={"R"})),
        lambda: parts.base.fleet.set_online("x"),
    ):
        parts.api.overview._dirty = False
        change()
        assert parts.api.overview._dirty


async def test_a_timer_that_fails_is_a_reason_not_to_be_ready(parts: Parts) -> None:
    """The page and the timers share what fails."""
    parts.links.listening = True
    assert readiness_problems(parts.links, parts.maintenance.health) == []
    parts.maintenance.health.failing["lapse"] = "the disk is full"
    assert readiness_problems(parts.links, parts.maintenance.health) == ["lapse: the disk is full"]


async def test_an_inlet_that_gets_no_news_is_seen(parts: Parts, harness: HubHarness) -> None:
    """The page, the metrics and the rows of refusals know of outbound modes; inlets with webhooks have none."""
    state = OutboundState("ops", connected_at=0.0, heard_at=5.0, error="the platform refuses the token")
    parts.outbound._states["ops"] = state
    deps = parts.web.state.webhook._deps
    assert deps.warnings() == ["inlet ops: the platform refuses the token"]
    gauges = await deps.gauges()
    assert (gauges.inlets_up, gauges.inlets_heard) == ({"ops": False}, {"ops": 5.0})
    for _ in range(20):
        await parts.outbound._refusals.count("ops", "old", "kim")
    before = len(harness.events("message.refused"))
    harness.clock.advance(3_600)
    await parts.maintenance.flush()
    assert len(harness.events("message.refused")) == before + 1


async def test_replies_find_the_sockets_of_outbound_modes(parts: Parts) -> None:
    """The delivery worker calls over those that the supervisor has opened."""
    assert parts.delivery._sockets is parts.outbound._sockets
