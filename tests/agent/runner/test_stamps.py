"""agent.runner.stamps"""

from __future__ import annotations

from agent.runner.stamps import MAX_GIVEN, Stamps
from common.confirmation import MAX_ENDED, NO_STAMP


def test_a_stamp_is_good_until_so_many_newer_ones_were_given() -> None:
    """And what has ended is told: the last of it, so that a report is bounded."""
    stamps = Stamps()
    first = stamps.give(1.0)
    assert stamps.made_at(first) == 1.0
    assert stamps.made_at("0" * 16) is None
    given = [stamps.give(float(number)) for number in range(MAX_GIVEN)]
    assert stamps.made_at(first) is None
    assert stamps.ended == (first,)
    assert [stamps.made_at(one) for one in given] == [float(number) for number in range(MAX_GIVEN)]
    given += [stamps.give(float(number)) for number in range(2 * MAX_ENDED)]
    assert stamps.ended == tuple(given[-MAX_GIVEN - MAX_ENDED : -MAX_GIVEN])


def test_after_a_report_nothing_starts_by_what_was_given_before() -> None:
    """Trust: one holder of a name. That is what lets the hub hand out what the report does not name."""
    stamps = Stamps()
    given = {stamps.give(1.0), stamps.give(2.0)}
    stamps.end_all()
    assert set(stamps.ended) == given
    assert [stamps.made_at(one) for one in given] == [None, None]


def test_an_uplink_is_told_a_stamp_while_orders_are_taken() -> None:
    stamps = Stamps()
    told = stamps.tell(5.0, taking_orders=True)
    assert (stamps.made_at(told.id), told.ended) == (5.0, ())
    assert stamps.tell(6.0, taking_orders=False).id == NO_STAMP
