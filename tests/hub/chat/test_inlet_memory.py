"""What is known of inlets is there after a restart of the hub, with the silence that went on."""

from __future__ import annotations

from hub.chat.inlet_memory import AWAY, load_heard, write_heard
from hub.core.quiet_inlets import QuietInlets
from tests.hub.hub_harness import HubHarness


async def test_a_silence_goes_on_through_a_restart(harness: HubHarness) -> None:
    quiet = QuietInlets({})
    load_heard(harness.store, quiet, ["ops"], 0.0)  # the first start has nothing to read
    commits = harness.store.commits
    await write_heard(harness.store, quiet, 1_000.0)
    assert harness.store.commits == commits
    quiet.note("ops", 1_000.0)
    await write_heard(harness.store, quiet, 1_001.0)
    await write_heard(harness.store, quiet, 1_060.0)
    assert harness.store.commits == commits + 1
    for away, known in ((AWAY - 1, {"ops": 1_000.0}), (AWAY, {})):
        heard: dict[str, float] = {}
        load_heard(harness.store, QuietInlets(heard), ["ops"], away)
        assert heard == known
