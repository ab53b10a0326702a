"""Who and what there is in the demo world."""

from __future__ import annotations

import pytest

from common.ids import is_name
from common.plan import Plan, Step
from tui.demo import cast


@pytest.mark.parametrize("count", [3, 10, 64, 1_000, 10_000])
def test_machines_have_names_that_are_names(count: int) -> None:
    """About as many as asked for, no two alike, each with its labels; the same every time."""
    names = cast.machine_names(count)
    assert len(set(names)) == len(names)
    assert names == sorted(names) == cast.machine_names(count)
    assert 0.9 * count - 8 <= len(names) <= count
    assert all(is_name(name) for name in names)
    assert all(set(cast.labels_of(name)) == {"role", "region", "env"} for name in names[:50])


def test_every_play_could_be_a_plan() -> None:
    """The demo shows nothing that a hub would not take."""
    for play in (*cast.SAMPLE_COMMANDS, cast.STUCK, cast.STREAM, cast.RISKY, cast.SAFE, cast.ROLLBACK, cast.QUEUED):
        assert Plan((Step(play.argv, ("web-1",)),), "explicit").steps[0].argv == play.argv
        assert 0 <= play.failure_rate <= 1
        assert 0 < play.seconds[0] <= play.seconds[1]
        assert not play.second_factor or play.approval_reason
    assert len(cast.CODE) == 6
