"""hub.time_steps"""

from __future__ import annotations

import pytest

from hub.clock import TICK_EVERY, HubClock, read_tick
from hub.core.hub_time import ClockStep
from hub.time_steps import LOOK_EVERY, SETTLE, TimeSteps, describe_step
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


async def test_a_machine_whose_clock_was_set_is_audited(harness: HubHarness) -> None:
    """By what its heartbeats tell; where the hub's own was set, nobody else's was."""
    clocks, vitals = TwoClocks(), {"web-1": {"clock_ahead": 0.3}, "web-2": {"clock_ahead": -7_200.0}, "web-3": {}}
    steps = TimeSteps(HubClock(clocks, lambda: "b"), harness.units, harness.keys.hub_id, lambda: vitals)

    async def looked(seconds: float = LOOK_EVERY) -> list[tuple[str, object]]:
        clocks.advance(seconds)
        await steps.run_due()
        return [(row.subject, row.data["what"]) for row in harness.events("agent.clock_stepped")]

    await steps.run_due()
    vitals["web-1"], vitals["web-3"] = {"clock_ahead": 4.0}, {"clock_ahead": 9.0}
    assert await looked() == []
    vitals["web-2"] = {"clock_ahead": 0.1}
    assert await looked() == [("web-2", "+2 h")]
    assert await looked() == [("web-2", "+2 h")]
    clocks.wall += 60
    await steps.run_due()
    vitals |= {name: {"clock_ahead": figures["clock_ahead"] - 60} for name, figures in vitals.items()}
    assert await looked(2 * SETTLE) == [("web-2", "+2 h")]
    vitals["web-1"] = {"clock_ahead": 0.0}
    assert len(await looked()) == 2


def test_a_step_is_told_in_few_words() -> None:
    """The largest unit that it is a whole number of."""
    told = {70.2: "+70 s", -3_599.9: "-1 h", 120: "+2 min", 172_800: "+2 d", -7_261: "-7261 s"}
    assert {by: describe_step(ClockStep(0.0, by)) for by in told} == told
