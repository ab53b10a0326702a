from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.planning.llm_servers.token_budget import TokenBudget


def test_a_minute_and_a_day() -> None:
    """What is over is refused with the time until there is enough; both refill steadily."""
    budget = TokenBudget(minute=600, day=1_200)
    assert budget.reserve("a", 600, 0.0) == 0
    assert budget.reserve("a", 60, 0.0) == pytest.approx(6.0)
    assert budget.reserve("a", 60, 6.0) == 0
    assert budget.reserve("a", 540, 60.0) == 0
    day = 1_200 / 86_400  # tokens a second
    assert budget.reserve("a", 100, 200.0) == pytest.approx((100 - 200 * day) / day)
    assert budget.reserve("a", 100, 8_000.0) == 0


def test_the_estimate_is_put_right() -> None:
    """What was not used comes back; what was used beyond it is owed; never more than the purse holds."""
    budget = TokenBudget(minute=100, day=1_000)
    budget.reserve("a", 80, 0.0)
    budget.adjust("a", 80, 10, 0.0)
    assert budget.remaining("a", 0.0) == (90, 990)
    budget.adjust("a", 0, 200, 0.0)
    assert budget.remaining("a", 0.0) == (-110, 790)
    budget.adjust("a", 5_000, 0, 0.0)
    assert budget.remaining("a", 0.0) == (100, 1_000)


def test_more_than_a_purse_holds_never_comes() -> None:
    """Told as infinity, and nothing is taken."""
    budget = TokenBudget(minute=100, day=0)
    assert budget.reserve("a", 101, 0.0) == float("inf")
    assert budget.reserve("a", 100, 0.0) == 0


def test_zero_is_no_bound() -> None:
    """Any amount, at once."""
    budget = TokenBudget(minute=0, day=0)
    for now in (0.0, 1.0, 0.5):
        assert budget.reserve("a", 10**12, now) == 0
        budget.adjust("a", 10**12, 5, now)


def test_people_are_apart_and_bounded() -> None:
    """One's use is not another's; the one not seen for longest is forgotten."""
    budget = TokenBudget(minute=10, day=0, max_people=2)
    assert [budget.reserve(name, 10, 0.0) for name in "abc"] == [0, 0, 0]
    assert len(budget) == 2
    assert budget.reserve("c", 10, 0.0) > 0
    assert budget.reserve("a", 10, 0.0) == 0


@given(st.lists(st.tuples(st.integers(1, 200), st.floats(0, 30)), max_size=60))
def test_no_more_than_the_rate_gets_through(asked: list[tuple[int, float]]) -> None:
    """However it is asked: one purse full, and what refilled."""
    budget, now, through = TokenBudget(minute=300, day=0), 0.0, 0
    for tokens, later in asked:
        now += later
        if budget.reserve("a", tokens, now) == 0:
            through += tokens
    assert through <= 300 + now * 5 + 1e-6


def test_a_clock_that_is_set_back_gives_nothing() -> None:
    """And takes nothing."""
    budget = TokenBudget(minute=60, day=0)
    budget.reserve("a", 60, 100.0)
    assert budget.reserve("a", 60, 50.0) == 60.0
    assert budget.remaining("a", 130.0)[0] == pytest.approx(30.0)
