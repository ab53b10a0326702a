from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.planning.llm_servers.circuit_breaker import (
    FAILURE_THRESHOLD,
    MAX_OPEN_SECONDS,
    MAX_RETRY_AFTER,
    MIN_OPEN_SECONDS,
    UNAUTHORISED_OPEN_SECONDS,
    CircuitBreaker,
)
from hub.planning.llm_servers.types import AttemptFailed

GONE = AttemptFailed("gone", "x")


def after(count: int, now: float = 0.0, failure: AttemptFailed = GONE) -> CircuitBreaker:
    breaker = CircuitBreaker()
    for _ in range(count):
        breaker = breaker.failed(failure, now)
    return breaker


def test_the_third_failure_in_a_row_opens_it() -> None:
    """Two do not, and a success in between begins the count anew."""
    assert after(FAILURE_THRESHOLD - 1).allows(0.0)
    assert not after(FAILURE_THRESHOLD).allows(0.0)
    assert after(FAILURE_THRESHOLD - 1).succeeded().failed(GONE, 0.0).allows(0.0)


def test_after_its_rest_one_goes_to_see() -> None:
    """Half open it lets one through, and no second until that one has an outcome; success closes it."""
    breaker = after(FAILURE_THRESHOLD)
    assert breaker.state(MIN_OPEN_SECONDS - 0.01) == "open"
    assert breaker.state(MIN_OPEN_SECONDS) == "half_open"
    trying = breaker.started(MIN_OPEN_SECONDS)
    assert breaker.allows(MIN_OPEN_SECONDS)
    assert not trying.allows(MIN_OPEN_SECONDS)
    assert trying.cancelled().allows(MIN_OPEN_SECONDS)
    assert trying.succeeded().state(MIN_OPEN_SECONDS) == "closed"


def test_each_rest_is_twice_as_long() -> None:
    """Up to a bound."""
    breaker, now, rests = after(FAILURE_THRESHOLD), 0.0, []
    for _ in range(9):
        assert breaker.open_until is not None
        rests.append(breaker.open_until - now)
        now = breaker.open_until
        breaker = breaker.started(now).failed(GONE, now)
    assert rests == [1, 2, 4, 8, 16, 32, MAX_OPEN_SECONDS, MAX_OPEN_SECONDS, MAX_OPEN_SECONDS]


def test_some_failures_open_it_at_once() -> None:
    """A key that is refused, and a server that says for how long it is overloaded, within bounds."""
    assert after(1, failure=AttemptFailed("unauthorised", "x")).open_until == UNAUTHORISED_OPEN_SECONDS
    assert after(1, failure=AttemptFailed("overloaded", "x", 7.0)).open_until == 7.0
    assert after(1, failure=AttemptFailed("overloaded", "x", 1e9)).open_until == MAX_RETRY_AFTER


@pytest.mark.parametrize("kind", ["refused", "cut"])
def test_what_is_the_requests_doing_does_not_count(kind: str) -> None:
    """However often."""
    assert after(10, failure=AttemptFailed(kind, "x")).state(0.0) == "closed"  # type: ignore[arg-type]


@given(
    st.lists(st.sampled_from(["gone", "slow", "nonsense", "unauthorised", "overloaded", "refused", "ok"]), max_size=40)
)
def test_it_never_stays_shut(events: list[str]) -> None:
    """Whatever happened, after the longest rest a request may go there."""
    breaker, now = CircuitBreaker(), 0.0
    for event in events:
        now += 0.5
        if breaker.allows(now):
            breaker = breaker.started(now)
            breaker = breaker.succeeded() if event == "ok" else breaker.failed(AttemptFailed(event, ""), now)  # type: ignore[arg-type]
    assert breaker.allows(now + MAX_RETRY_AFTER)
