"""The last ten minutes of each machine."""

from __future__ import annotations

from hub.core.vitals_history import KINDS, MAX_CARRY, SLOT, SLOTS, VitalsHistory

START = 1_790_000_000.0


def beat(load: float) -> dict[str, float]:
    return {"load1": load, "memory": 40.0, "rtt": 0.01, "disk": 7.0}


def test_the_newest_sample_is_the_last() -> None:
    """One a slot, in their order; nothing is known of the time before."""
    history = VitalsHistory()
    for index in range(3):
        history.record("web-1", beat(index), START + index * SLOT)
    found = history.samples("web-1", START + 2 * SLOT)
    assert tuple(found) == KINDS
    assert found["load1"] == (None,) * (SLOTS - 3) + (0.0, 1.0, 2.0)
    assert found["rtt"][-1] is not None


def test_a_sample_holds_for_a_minute() -> None:
    """With many machines heartbeats are rarer than slots; a machine that is silent longer than that is a gap."""
    history = VitalsHistory()
    history.record("web-1", beat(1.0), START)
    values = history.samples("web-1", START + (MAX_CARRY + 2) * SLOT)["load1"]
    assert values[-MAX_CARRY - 3 :] == (1.0,) * (MAX_CARRY + 1) + (None, None)


def test_it_is_bounded() -> None:
    """Whatever comes, each machine has its ring and no more; one that is no more has none."""
    history = VitalsHistory()
    for index in range(5 * SLOTS):
        history.record("web-1", beat(index), START + index * SLOT)
    values = history.samples("web-1", START + 5 * SLOTS * SLOT)["load1"]
    assert len(values) == SLOTS
    assert values[0] == 4 * SLOTS + 1
    history.forget("web-1")
    assert set(history.samples("web-1", START)["load1"]) == {None}


def test_a_clock_that_jumps_harms_nothing() -> None:
    """Back, and far ahead; values that are no numbers are gaps."""
    history = VitalsHistory()
    history.record("web-1", beat(1.0), START)
    history.record("web-1", beat(2.0), START - 3_600.0)
    assert history.samples("web-1", START)["load1"][-1] == 2.0
    history.record("web-1", {"load1": float("nan")}, START + 1e6)
    assert set(history.samples("web-1", START + 1e6)["load1"]) == {None}
