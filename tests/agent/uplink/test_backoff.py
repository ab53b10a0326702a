"""agent.uplink.backoff: how the waits grow, and what bounds them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.uplink.backoff import UplinkBackoff, renew_at, retry_renewal_at
from common.identity.credential import Validity


def most() -> float:
    """Dice that roll the upper end."""
    return 1.0


def none() -> float:
    """Dice that roll the lower end."""
    return 0.0


def test_waits_double_up_to_a_minute() -> None:
    """The upper end of the jitter is 2^k seconds and never more than 60; the lower end is always 0."""
    pace = UplinkBackoff()
    assert [pace.delay_unreachable(most) for _ in range(8)] == [1, 2, 4, 8, 16, 32, 60, 60]
    assert pace.delay_unreachable(none) == 0


def test_a_good_link_starts_again_from_one_second() -> None:
    """After a link that lasted, the first wait is short however many tries failed before."""
    pace = UplinkBackoff(failures=9)
    assert pace.delay_lost(60.0, most) == 1
    assert pace.delay_unreachable(most) == 2


def test_links_that_break_at_once_wait_a_little_longer_each_time() -> None:
    """A hub that welcomes and dies is tried after 1, 2, 4, 4 … seconds at most, never after a minute."""
    pace = UplinkBackoff()
    assert [pace.delay_lost(0.1, most) for _ in range(5)] == [1, 2, 4, 4, 4]
    assert UplinkBackoff(failures=9).delay_lost(0.1, most) == 4


@pytest.mark.parametrize(("spread", "longest"), [(30.0, 30.0), (0.0, 1.0), (-5.0, 1.0), (1e9, 600.0)])
def test_a_goodbye_spreads_the_return(spread: float, longest: float) -> None:
    """The first wait after a goodbye is within what the hub asked for, bounded by ten minutes."""
    assert UplinkBackoff(5).delay_bye(spread, most) == longest
    assert UplinkBackoff(5).delay_bye(spread, none) == 0


def test_a_hub_that_goes_without_a_word_gets_its_machines_back_over_what_it_said() -> None:
    """Else everybody would dial in the first second; and the wait does not grow while it is being restarted."""
    pace = UplinkBackoff()
    pace.note_spread(33.0)
    assert pace.delay_dropped(60.0, most) == 33
    assert [pace.delay_unreachable(most) for _ in range(6)] == [33] * 3 + [1, 2, 4]
    pace.note_spread(33.0)
    assert pace.delay_unreachable(most) == 8  # it was not this hub's going


def test_a_small_fleet_is_back_soon() -> None:
    """A hub that needs half a minute for its restart is dialled once a second; then the waits grow."""
    pace = UplinkBackoff()
    pace.note_spread(0.2)
    assert pace.delay_dropped(60.0, most) == 1
    assert [pace.delay_unreachable(most) for _ in range(32)] == [1] * 29 + [1, 2, 4]
    pace.note_spread(1e9)
    assert pace.delay_dropped(60.0, most) == 600


def test_a_hub_that_is_killed_again_and_again_is_dialled_as_soon_as_before() -> None:
    """What it welcomed for a second does not count as a failure, three times; then the waits grow, up to 4 s."""
    pace = UplinkBackoff(failures=9)
    waits = []
    for _ in range(7):
        pace.note_spread(0.2)
        waits.append(pace.delay_dropped(0.5, most))
    assert waits == [1, 1, 1, 1, 2, 4, 4]
    assert pace.delay_dropped(60.0, most) == 1
    pace.note_spread(0.2)
    assert pace.delay_dropped(0.5, most) == 1


def test_an_uplink_that_has_just_been_started_knows_the_spread_of_the_one_before() -> None:
    """After a power failure everybody starts together; what a file says of it is bounded."""
    assert UplinkBackoff.started(33.0).delay_unreachable(most) == 33
    assert UplinkBackoff.started(-1.0).delay_unreachable(most) == 1
    assert UplinkBackoff.started(1e9).delay_unreachable(most) == 600


@pytest.mark.parametrize(
    ("retry_after", "shortest", "longest"),
    [(10.0, 10.0, 12.5), (0.0, 270.0, 330.0), (-1.0, 270.0, 330.0), (1e9, 3600.0, 4500.0)],
)
def test_a_refusal_is_honoured(retry_after: float, shortest: float, longest: float) -> None:
    """Never earlier than the hub asked; about every five minutes where it did not ask to come again."""
    assert UplinkBackoff().delay_refused(retry_after, none) == shortest
    assert UplinkBackoff().delay_refused(retry_after, most) == pytest.approx(longest)


@given(st.floats(0, 2e9), st.floats(1, 1e8), st.floats(0, 1))
def test_renewal_falls_into_the_middle(start: float, life: float, roll: float) -> None:
    """At half of the life or up to a twelfth later: five twelfths of it are left for retries."""
    at = renew_at(Validity(1, start, start + life), lambda: roll)
    assert start + life * 0.499 <= at <= start + life * 0.584 + 1e-3


@given(st.floats(-1e7, 1e7), st.integers(1, 10_000), st.floats(0, 1))
def test_an_unanswered_renewal_is_asked_again_within_the_hour(left: float, failures: int, roll: float) -> None:
    """Between half a minute and an hour later, also when the certificate has run out."""
    assert 30 <= retry_renewal_at(0.0, left, failures, lambda: roll) <= 3600


@given(st.floats(0, 1))
def test_a_night_leaves_room_for_many_tries(roll: float) -> None:
    """From the middle of a day's certificate on, a hub that gives no answer is asked twenty times and more."""
    now, tries = 0.0, 0
    while now < 10 * 3600.0:
        tries += 1
        now = retry_renewal_at(now, 12 * 3600.0, tries, lambda: roll)
    assert 20 <= tries <= 120


def test_the_first_tries_come_soon() -> None:
    """A hub that was restarting is asked again after a minute, then two, then four."""
    assert [retry_renewal_at(0.0, 36_000.0, failures, most) for failures in (1, 2, 3, 9)] == [60, 120, 240, 1800]
