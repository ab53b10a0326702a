"""agent.runner.order_life"""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.runner.order_life import AGREES, OrderLife, on_confirmation, on_receipt
from common.plan import Order
from tests.agent.runner.test_verify import order

HUB = 1_000_000.0
"""The hub's clock when the order is made; the machine has been up for BOOT seconds then."""
BOOT = 50.0
MINUTE, HOUR, YEAR = 60.0, 3_600.0, 31_557_600.0
LIFE = 600.0


def made(*, confirm: bool = True, issued: bool = True) -> Order:
    return replace(order(), not_after=HUB + LIFE, confirm=confirm, issued_at=HUB if issued else 0.0)


def confirmed(ahead: float, transit: float = 0.0, answer: float = 0.0) -> OrderLife:
    """The life of an order that was `transit` seconds on its way to a machine whose clock is `ahead`, and whose
    confirmation, signed halfway, came `answer` seconds after the receipt.
    """
    boot = BOOT + transit
    life = on_receipt(made(), HUB + transit + ahead, boot)
    left = LIFE - transit - answer / 2
    return on_confirmation(life, left, HUB + transit + answer + ahead, boot + answer)


@pytest.mark.parametrize("ahead", [0.0, -4 * MINUTE, 4 * MINUTE, -HOUR, HOUR, -YEAR, YEAR])
@pytest.mark.parametrize("transit", [0.0, 90.0])
def test_no_clock_makes_an_order_late_and_none_refuses_it(ahead: float, transit: float) -> None:
    """P5: what is left counts from the acceptance on, wherever the machine's clock stands and however long the order
    was on its way.
    """
    life = confirmed(ahead, transit)
    for at, starts in ((transit, True), (LIFE - 1, True), (LIFE + 0.01, False)):
        assert (life.over(HUB + at + ahead, BOOT + at) <= 0) is starts


@given(
    ahead=st.floats(-2 * YEAR, 2 * YEAR),
    transit=st.floats(0, 2 * LIFE),
    answer=st.floats(0, LIFE),
    step=st.floats(-YEAR, YEAR),
    wait=st.floats(0, 2 * LIFE),
)
def test_an_order_never_starts_late(ahead: float, transit: float, answer: float, step: float, wait: float) -> None:
    """P5: for any clock, any delays, and a clock that is set in between."""
    life = confirmed(ahead, transit, answer)
    at = transit + answer + wait
    if life.over(HUB + at + ahead + step, BOOT + at) <= 0:
        assert at <= LIFE + 1e-3


@given(
    ahead=st.floats(-2 * YEAR, 2 * YEAR),
    way_up=st.floats(0, LIFE),
    age=st.floats(0, LIFE),
    transit=st.floats(0, 2 * LIFE),
    wait=st.floats(0, 2 * LIFE),
    step=st.floats(-YEAR, YEAR),
)
def test_an_order_with_the_hubs_word_never_starts_late(
    ahead: float, way_up: float, age: float, transit: float, wait: float, step: float
) -> None:
    """Trust: no late start (P5). A stamp made at HUB - age - way_up arrived at HUB - age, and what is left counts from
    there. However long stamp and order were on their way, and whatever becomes of the machine's clock.
    """
    boot, made_at = BOOT + 2 * LIFE, BOOT + 2 * LIFE - age - way_up
    received = boot + transit
    life = on_receipt(made(), HUB + transit + ahead, received)
    word = {"since": made_at, "issued_at": HUB}
    life = on_confirmation(life, LIFE + age, HUB + transit + ahead, received, **word)
    at = transit + wait
    if life.over(HUB + at + ahead + step, boot + at) <= 0:
        assert at <= LIFE - way_up + 1e-3
    if at < LIFE - way_up - 1e-3 and step == 0.0 and ahead == 0.0:
        assert life.over(HUB + at, boot + at) <= 0


def test_with_a_word_the_wall_clock_is_heard_where_it_agrees() -> None:
    """A stamp may be older than the order: what the hub signed last bounds its clock."""
    boot = BOOT + 20
    for ahead, heard in ((0.0, True), (AGREES - 1, True), (1 - AGREES, True), (20.0, False), (-20.0, False)):
        life = on_confirmation(
            on_receipt(made(), HUB + ahead, boot), LIFE + 20, HUB + ahead, boot, since=BOOT, issued_at=HUB
        )
        assert (life.until_wall == HUB + LIFE) is heard, ahead


def test_the_wall_clock_is_heard_where_it_agrees() -> None:
    """A virtual machine that was paused: its boot clock stood still, its wall clock tells."""
    paused = 700.0
    assert confirmed(0.0).over(HUB + paused, BOOT + 1) > 0
    assert confirmed(AGREES - 1).over(HUB + paused, BOOT + 1) > 0
    assert confirmed(HOUR).over(HUB + HOUR + paused, BOOT + 1) <= 0
    assert confirmed(-HOUR).over(HUB - HOUR + paused, BOOT + 1) <= 0


def test_an_order_that_was_recorded_gains_nothing() -> None:
    """What is left is told for an acceptance; one that has come late only shortens it."""
    life = on_receipt(made(), HUB + HOUR, BOOT + HOUR)
    assert on_confirmation(life, LIFE - HOUR, HUB + HOUR, BOOT + HOUR).over(HUB + HOUR, BOOT + HOUR) > 0
    late = on_confirmation(on_receipt(made(), HUB, BOOT), LIFE, HUB + 500, BOOT + 500)
    assert late.over(HUB + 599, BOOT + 599) <= 0 < late.over(HUB + 601, BOOT + 601)


def test_an_order_that_is_not_confirmed_counts_by_both_clocks() -> None:
    """The stricter: a machine ahead refuses, one behind counts from the receipt."""
    for ahead, over in ((0.0, -LIFE), (HOUR, HOUR - LIFE), (-HOUR, -LIFE)):
        life = on_receipt(made(confirm=False), HUB + ahead, BOOT)
        assert life.over(HUB + ahead, BOOT) == over
        assert life.hub_now(BOOT) == HUB + max(ahead, 0.0)


def test_an_order_of_an_older_hub_counts_by_the_wall_clock_as_it_did() -> None:
    """And by the boot clock against setting it back."""
    life = on_receipt(made(issued=False), HUB, BOOT)
    assert life.over(HUB - HOUR, BOOT + LIFE + 1) > 0
    assert life.over(HUB + LIFE + 1, BOOT) > 0
    assert life.over(HUB, BOOT) == -LIFE


def test_the_hubs_clock_is_known_by_what_it_signed() -> None:
    """At least: approvals expire by it, whatever the machine's own clock says."""
    assert on_receipt(made(), HUB - YEAR, BOOT).hub_now(BOOT + 1) == HUB + 1
    assert confirmed(YEAR, transit=90).hub_now(BOOT + 90) == HUB + 90
