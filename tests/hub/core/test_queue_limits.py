"""How many jobs may wait, in all, of one person, for one machine."""

from __future__ import annotations

from collections.abc import Mapping

from hub.core.queue_limits import QueueCounts, QueueLimits, check_queue_limits, needs_agent_counts
from tests.each import each_of

LIMITS = QueueLimits(total=10, person=6, agent=3)
TWO = ("web-1", "web-2")


@each_of(
    ("total", "person", "agents", "full"),
    [
        (0, 0, {}, ""),
        (8, 4, {}, ""),
        (9, 0, {}, "queue_of_all"),
        (10, 10, {"web-1": 10}, "queue_of_all"),  # the widest limit is named first
        (8, 5, {}, "queue_of_person"),
        (3, 0, {"web-1": 2, "web-2": 1}, ""),
        (3, 0, {"web-2": 3}, "queue_of_agent"),
    ],
)
def test_the_first_limit_that_is_passed_is_named(total: int, person: int, agents: Mapping[str, int], full: str) -> None:
    """Every target is one job more; what just fits fits."""
    sentence = check_queue_limits("carol", TWO, QueueCounts(total, person, agents), LIMITS)
    assert (sentence.values["what"].key if sentence is not None else "") == full


@each_of(("total", "needed"), [(0, False), (2, False), (3, True), (10, True)])
def test_machines_are_counted_only_where_one_can_be_full(total: int, needed: bool) -> None:
    """With fewer jobs in the whole queue than one machine may have, no machine is full."""
    assert needs_agent_counts(total, LIMITS) is needed
