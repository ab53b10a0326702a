"""tests.faults.points"""

from __future__ import annotations

from tests.faults.points import is_point, points_in, stages_in


def test_places_are_found_in_the_source() -> None:
    """Literal ones, and stages; a name that nothing reaches is none."""
    assert {"plan.begun", "plan.made"} <= points_in("hub")
    assert {"uncommitted", "committed", "received", "leaving", "sent", "posted"} <= stages_in("hub")
    assert {"at_uplink", "handed_on", "from_runner", "sent_on"} == stages_in("agent/uplink")
    assert is_point("start.before_marker")
    assert is_point("job.dispatched.committed")
    assert not is_point("start.before_lunch")
    assert not is_point("job.dispatched.forgotten")
