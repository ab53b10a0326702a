"""The last minutes of a machine of the demo world."""

from __future__ import annotations

from tests.tui.rows import agent
from tui.demo.vitals import SLOTS, demo_vitals


def test_it_ends_at_how_the_machine_is_now() -> None:
    """The same at every call, and as many samples of each kind."""
    row = agent("web-1", rtt=0.02, vitals={"load1": 0.5, "memory": 97.0})
    vitals = demo_vitals(row, 7, 1_790_000_000.0)
    assert vitals == demo_vitals(row, 7, 1_790_000_000.0)
    assert (vitals.load[-1], vitals.memory[-1], vitals.rtt[-1]) == (0.5, 97.0, 0.02)
    assert {len(vitals.load), len(vitals.memory), len(vitals.rtt)} == {SLOTS}
    assert all(value is not None and 0 <= value <= 100 for value in vitals.memory)


def test_nothing_is_known_of_one_that_is_away() -> None:
    assert set(demo_vitals(agent("web-1", online=False, rtt=None, vitals={}), 7, 1e9).load) == {None}
