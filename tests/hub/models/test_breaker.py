from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.models.ask import Failed
from hub.models.breaker import FIRST_REST, IN_A_ROW, KEY_REST, LONGEST_REST, MAX_RETRY_AFTER, Breaker

GONE = Failed("gone", "x")


def after(count: int, now: float = 0.0, failure: Failed = GONE) -> Breaker:
    breaker = Breaker()
    for _ in range(count):
        breaker = breaker.failed(failure, now)
    return breaker


def test_the_third_failure_in_a_row_opens_it() -> None:
    """Two do not, and a success in between begins the count anew."""
    assert after(IN_A_ROW - 1).lets(0.0)
    assert not after(IN_A_ROW).lets(0.0)
    assert after(IN_A_ROW - 1).succeeded().failed(GONE, 0.0).lets(0.0)


def test_after_its_rest_one_goes_to_see() -> None:
    """Half open it lets one through, and no second until that one has an outcome; success closes it."""
    breaker = after(IN_A_ROW)
    assert breaker.state(FIRST_REST - 0.01) == "open"
    assert breaker.state(FIRST_REST) == "half_open"
    trying = breaker.begun(FIRST_REST)
    assert breaker.lets(FIRST_REST)
    assert not trying.lets(FIRST_REST)
    assert trying.given_up().lets(FIRST_REST)
    assert trying.succeeded().state(FIRST_REST) == "closed"


def test_each_rest_is_twice_as_long() -> None:
    """Up to a bound."""
    breaker, now, rests = after(IN_A_ROW), 0.0, []
    for _ in range(9):
        assert breaker.until is not None
        rests.append(breaker.until - now)
        now = breaker.until
        breaker = breaker.begun(now).failed(GONE, now)
    assert rests == [1, 2, 4, 8, 16, 32, LONGEST_REST, LONGEST_REST, LONGEST_REST]


def test_some_failures_open_it_at_once() -> None:
    """A key that is refused, and a server that says for how long it is overloaded, within bounds."""
    assert after(1, failure=Failed("unauthorised", "x")).until == KEY_REST
    assert after(1, failure=Failed("overloaded", "x", 7.0)).until == 7.0
    assert after(1, failure=Failed("overloaded", "x", 1e9)).until == MAX_RETRY_AFTER


@pytest.mark.parametrize("kind", ["refused", "cut"])
def test_what_is_the_requests_doing_does_not_count(kind: str) -> None:
    """However often."""
    assert after(10, failure=Failed(kind, "x")).state(0.0) == "closed"  # type: ignore[arg-type]


@given(
    st.lists(st.sampled_from(["gone", "slow", "nonsense", "unauthorised", "overloaded", "refused", "ok"]), max_size=40)
)
def test_it_never_stays_shut(events: list[str]) -> None:
    """Whatever happened, after the longest rest a request may go there."""
    breaker, now = Breaker(), 0.0
    for event in events:
        now += 0.5
        if breaker.lets(now):
            breaker = breaker.begun(now)
            breaker = breaker.succeeded() if event == "ok" else breaker.failed(Failed(event, ""), now)  # type: ignore[arg-type]
    assert breaker.lets(now + MAX_RETRY_AFTER)
