"""hub.time_steps"""

from __future__ import annotations

import pytest

from hub.clock import TICK_EVERY, HubClock, read_tick
from hub.core.hub_time import ClockStep
from hub.time_steps import TimeSteps, describe_step
from tests.hub.hub_harness import HubHarness
from tests.hub.test_clock import TwoClocks


async def test_a_step_is_audited_once_and_the_time_is_stored(harness: HubHarness) -> None:
    """With the step at once, else now and then: an idle hub writes a row a minute."""
    clocks = TwoClocks()
    clock = HubClock(clocks, lambda: "b")
    steps = TimeSteps(clock, harness.units, harness.keys.hub_id)
    await steps.run_due()
    first = harness.read(read_tick)
    clocks.advance(TICK_EVERY / 2)
    await steps.run_due()
    assert harness.read(read_tick) == first
    clocks.wall -= 3_600
    await steps.run_due()
    await steps.run_due()
    assert [row.data["what"] for row in harness.events("clock.stepped")] == ["-1 h"]
    told = harness.read(read_tick)
    assert told is not None
    assert told.time == pytest.approx(clocks.wall + 3_600, abs=1)
    clocks.advance(2 * TICK_EVERY)
    await steps.run_due()
    assert harness.read(read_tick) != told


def test_a_step_is_told_in_few_words() -> None:
    """The largest unit that it is a whole number of."""
    told = {70.2: "+70 s", -3_599.9: "-1 h", 120: "+2 min", 172_800: "+2 d", -7_261: "-7261 s"}
    assert {by: describe_step(ClockStep(0.0, by)) for by in told} == told
