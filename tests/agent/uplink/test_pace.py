"""agent.uplink.pace: how the waits grow, and what bounds them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.uplink.pace import Pace, renew_at, retry_renewal_at


def most() -> float:
    """Dice that roll the upper end."""
    return 1.0


def none() -> float:
    """Dice that roll the lower end."""
    return 0.0


def test_waits_double_up_to_a_minute() -> None:
    """The upper end of the jitter is 2^k seconds and never more than 60; the lower end is always 0."""
    pace = Pace()
    assert [pace.unreachable(most) for _ in range(8)] == [1, 2, 4, 8, 16, 32, 60, 60]
    assert pace.unreachable(none) == 0


def test_a_good_link_starts_again_from_one_second() -> None:
    """After a link that lasted, the first wait is short however many tries failed before."""
    pace = Pace(failures=9)
    assert pace.lost(60.0, most) == 1
    assert pace.unreachable(most) == 2


def test_links_that_break_at_once_wait_a_little_longer_each_time() -> None:
    """A hub that welcomes and dies is tried after 1, 2, 4, 4 … seconds at most, never after a minute."""
    pace = Pace()
    assert [pace.lost(0.1, most) for _ in range(5)] == [1, 2, 4, 4, 4]
    assert Pace(failures=9).lost(0.1, most) == 4


@pytest.mark.parametrize(("spread", "longest"), [(30.0, 30.0), (0.0, 1.0), (-5.0, 1.0), (1e9, 600.0)])
def test_a_goodbye_spreads_the_return(spread: float, longest: float) -> None:
    """The first wait after a goodbye is within what the hub asked for, bounded by ten minutes."""
    assert Pace(5).dismissed(spread, most) == longest
    assert Pace(5).dismissed(spread, none) == 0


@pytest.mark.parametrize(
    ("retry_after", "shortest", "longest"),
    [(10.0, 10.0, 12.5), (0.0, 270.0, 330.0), (-1.0, 270.0, 330.0), (1e9, 3600.0, 4500.0)],
)
def test_a_refusal_is_honoured(retry_after: float, shortest: float, longest: float) -> None:
    """Never earlier than the hub asked; about every five minutes where it did not ask to come again."""
    assert Pace().refused(retry_after, none) == shortest
    assert Pace().refused(retry_after, most) == pytest.approx(longest)


@given(st.floats(0, 2e9), st.floats(1, 1e8), st.floats(0, 1))
def test_renewal_falls_into_the_last_third(start: float, life: float, roll: float) -> None:
    """At two thirds of the life or later, and with a quarter of it left for retries."""
    at = renew_at(start, start + life, lambda: roll)
    assert start + life * 0.66 <= at <= start + life * 0.751 + 1e-3


@given(st.floats(-1e7, 1e7), st.floats(0, 1))
def test_an_unanswered_renewal_is_asked_again_within_the_hour(left: float, roll: float) -> None:
    """Between ten seconds and an hour later, also when the certificate has run out."""
    assert 10 <= retry_renewal_at(0.0, left, lambda: roll) <= 3600
