"""hub.clock"""

from __future__ import annotations

import threading
import time

import pytest

from hub.clock import HubClock, boot_id, hub_time_of, read_clocks, read_tick, write_tick
from hub.core.hub_time import SLEW, Reading
from tests.hub.hub_harness import HubHarness

HOUR = 3_600.0


class TwoClocks:
    """A wall clock that is set, and time that passes."""

    def __init__(self) -> None:
        self.wall, self.boot = 1_000_000.0, 500.0

    def __call__(self) -> Reading:
        return Reading(self.wall, self.boot)

    def advance(self, seconds: float) -> None:
        self.wall += seconds
        self.boot += seconds


@pytest.mark.parametrize("step", [-HOUR, -70.0, 70.0, HOUR, 31_557_600.0])
def test_the_time_goes_on_whatever_is_done_to_the_wall_clock(step: float) -> None:
    """Ten minutes after a step are ten minutes, within what catches up; the step is told once."""
    clocks = TwoClocks()
    clock = HubClock(clocks, lambda: "b")
    assert clock() == clock.wall() == 1_000_000.0
    clocks.advance(60)
    assert clock() == 1_000_060.0
    clocks.wall += step
    assert clock() == 1_000_060.0
    assert clock.ahead == -step
    clocks.advance(600)
    assert clock() == pytest.approx(1_000_660.0, abs=SLEW * 660)
    assert [found.by for found in clock.take_steps()] == [pytest.approx(step)]
    assert clock.take_steps() == []
    clocks.advance(abs(step) / SLEW + 1)
    assert clock() == pytest.approx(clock.wall())
    assert clock.ahead == 0


def test_the_time_never_goes_back() -> None:
    """Also by steps that are too small to be told."""
    clocks = TwoClocks()
    clock = HubClock(clocks, lambda: "b")
    seen = [clock()]
    for by in (-1.5, 0.1, -70.0, -1.9, 200.0, -0.5):
        clocks.wall += by
        clocks.boot += 0.01
        seen.append(clock())
    assert seen == sorted(seen)


def test_the_time_goes_on_in_the_next_process() -> None:
    """A tick holds what was counted; a step while the hub was down is told at its start."""
    clocks = TwoClocks()
    first = HubClock(clocks, lambda: "b")
    clocks.wall -= HOUR
    tick = first.tick()
    clocks.advance(30)
    clocks.wall += 2 * HOUR
    second = HubClock(clocks, lambda: "b")
    second.resume(tick)
    assert second() == pytest.approx(1_000_030.0, abs=1)
    assert [found.by for found in second.take_steps()] == [pytest.approx(2 * HOUR)]


def test_the_real_clocks_agree_with_themselves() -> None:
    """No step where nobody sets a clock; safe from many threads."""
    clock = HubClock()
    threads = [threading.Thread(target=lambda: [clock() for _ in range(2_000)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert clock() == pytest.approx(time.time(), abs=1)
    assert clock.take_steps() == []
    assert boot_id()


def test_a_command_beside_the_hub_has_the_hubs_time(harness: HubHarness) -> None:
    """Or an invitation of 10 minutes would be over, or live for an hour, where the clock was set."""
    assert hub_time_of(harness.store, 123.0) == 123.0
    clocks = TwoClocks()
    clocks.wall, clocks.boot = read_clocks()
    clock = HubClock(clocks)
    clocks.wall -= HOUR
    harness.store.write_now(lambda txn: write_tick(txn, clock))
    tick = harness.read(read_tick)
    assert tick is not None
    assert tick.time == pytest.approx(clocks.wall + HOUR, abs=1)
    assert hub_time_of(harness.store, clocks.wall) == pytest.approx(time.time(), abs=5)
