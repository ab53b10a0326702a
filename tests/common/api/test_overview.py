"""The overview: what the hub pushes, and what of it is derived."""

from __future__ import annotations

import pytest

from common.api.codec import decode, encode
from common.api.overview import HubView, LaneView, NeedView, Overview, QueuePause, QueueView
from common.link.messages import Unsure
from tests.common.api.checked import wire
from tests.hub.api.test_overview import made
from tests.hub.hub_harness import HubHarness


async def test_a_push_with_everything_in_it(harness: HubHarness) -> None:
    """Every kind of need, each with its own fields."""
    overview = made(harness)
    overview._hub = HubView(id="h", version="0.1.0", epoch=1)
    await harness.submit("@web-1 systemctl restart nginx.service")
    lost = await harness.leased_job()
    await harness.handle_agent_events("web-1", Unsure(lost.id, "gone"))
    await harness.leased_job()
    await harness.add_machine("web-2", online=False)
    await harness.queued_job("@web-2 uptime")
    await harness.change_machine("web-1", drain_at=harness.clock.now, drain_by="bob", drain_jobs=2)
    harness.write(lambda txn: txn.audit("job.anomaly", lost.id, "web-1", {"what": "odd"}, harness.clock.now))
    harness.write(lambda txn: txn.pause_queue("bob", harness.clock.now, "why", None))
    harness.fleet.vitals["web-1"] = {"rtt": 0.5}
    harness.clock.advance(50)
    await overview.refresh()
    push = wire(overview.view("en"))
    found = decode(Overview, push)
    assert encode(found) == push
    assert {need.kind for need in found.needs_you} == {"approve", "stuck", "unknown", "anomaly", "drain", "offline"}
    assert found.is_queue_paused
    lane = found.lane("queued")
    assert lane is not None
    assert (lane.state, found.lane("nothing")) == ("paused", None)
    assert found.fleet.worst[0].agent == "web-1"


@pytest.mark.parametrize(
    ("need", "identity"),
    [
        (NeedView(kind="approve", number=42, agent="", since=1.0), "r42"),
        (NeedView(kind="stuck", number=42, job="j", agent="a", since=1.0), "j"),
        (NeedView(kind="offline", agent="a", since=1.0), "a"),
        (NeedView(kind="asleep", since=1.0), ""),
    ],
)
def test_what_a_need_is_about(need: NeedView, identity: str) -> None:
    """The job, the request or the machine."""
    assert need.id == identity


def test_a_hub_without_an_overview() -> None:
    """Its queue says a little of it."""
    pause = QueuePause(by="bob", at=1.0)
    found = QueueView(depth=1, states={"queued": 1}, paused=pause, now=2.0).as_overview()
    assert (found.is_partial, found.is_queue_paused, found.counts, found.hub.now) == (True, True, {"queued": 1}, 2.0)


def test_lanes_by_their_stage_and_how_many_ask() -> None:
    """A lane's id is its stage; without a count nothing waits for approval."""
    overview = Overview(lanes=(LaneView(stage="queued"),), counts={"asking": 3})
    assert [lane.id for lane in overview.lanes] == ["queued"]
    assert (overview.asking, Overview().asking) == (3, 0)
