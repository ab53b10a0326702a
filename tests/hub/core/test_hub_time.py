"""hub.core.hub_time"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.hub_time import MAX_BEHIND, SLEW, STEP, Reading, Tick, parse_tick, resumed, slewed, step_between

TICK = Tick(time=1_000_000.0, wall=1_000_000.0, boot=500.0, boot_id="b")
HOUR = 3_600.0


def test_a_step_is_told_from_time_that_passes() -> None:
    """By the clock that nobody sets, whatever passed in between; what a clock is disciplined by is none."""
    before = Reading(1_000_000.0, 500.0)
    for by in (-31_557_600.0, -HOUR, -STEP, STEP, 70.0, HOUR):
        for passed in (0.0, 0.5, 86_400.0):
            assert step_between(before, Reading(before.wall + passed + by, before.boot + passed)) == pytest.approx(by)
    assert step_between(before, Reading(before.wall + 1.9, before.boot)) == 0
    assert step_between(before, Reading(before.wall + 86_400.0, before.boot + 86_400.0)) == 0


@pytest.mark.parametrize(
    ("boot_id", "boot", "wall", "passed"),
    [
        ("b", 700.0, 200.0, 200.0),
        ("b", 700.0, 200.0 - HOUR, 200.0),  # set back while the hub was down
        ("b", 700.0, 200.0 + HOUR, 200.0),
        ("c", 30.0, 200.0, 200.0),  # the machine was restarted: the wall clock is all there is
        ("c", 30.0, -HOUR, 0.0),  # and it never leads back
        ("", 700.0, 200.0, 200.0),
        ("b", 30.0, 200.0, 200.0),
        ("c", 30.0, MAX_BEHIND - 1, MAX_BEHIND - 1),
    ],
)
def test_the_time_goes_on_over_a_restart(boot_id: str, boot: float, wall: float, passed: float) -> None:
    """By what has passed, as far as that is known, and never back."""
    assert resumed(TICK, Reading(TICK.wall + wall, boot), boot_id) == TICK.time + passed


def test_a_clock_that_was_wrong_by_days_is_not_gone_on_from() -> None:
    """A machine without a battery, whose hub was started before its clock was set."""
    right = TICK.wall + MAX_BEHIND + 10
    assert resumed(TICK, Reading(right, 505.0), "b") == right


def test_without_a_tick_the_wall_clock_counts() -> None:
    """A new store, one of a version before, or a value that does not read."""
    assert resumed(None, Reading(5.0, 1.0), "b") == 5.0
    for text in (None, "", "{", "[]", '{"time": 1}', '{"time": "x", "wall": 1.0, "boot": 1.0, "boot_id": ""}'):
        assert parse_tick(text) is None
    assert parse_tick(TICK.to_json()) == TICK


@given(ahead=st.floats(-1e8, 1e8), passed=st.floats(0, 1e8))
def test_what_a_step_has_left_shrinks_and_never_turns(ahead: float, passed: float) -> None:
    """By SLEW of the time that passes: a life is off by that share at most."""
    after = slewed(ahead, passed)
    assert abs(after) <= abs(ahead)
    assert after * ahead >= 0
    assert abs(ahead - after) <= SLEW * passed + 1e-6
