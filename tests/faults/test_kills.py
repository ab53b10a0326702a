"""tests.faults.kills: a few kills of each program with every test run."""

from __future__ import annotations

from pathlib import Path

import pytest

from common.lifecycle import JobState
from tests.faults.kills import VICTIMS, KillRow, Victim, kill_again_and_again


@pytest.mark.timeout(300)
@pytest.mark.parametrize("victim", VICTIMS)
async def test_killed_under_load(tmp_path: Path, victim: Victim) -> None:
    """Nothing lost, nothing twice; whatever had not started runs; unknown only where a runner was killed."""
    row = await kill_again_and_again(tmp_path / victim, victim, 2)
    assert row.violations == []
    assert row.states[JobState.SUCCEEDED] > 0


def test_what_did_not_start_in_time_is_a_violation() -> None:
    """There was time left; and the table counts by rule."""
    found = {"twice": ["J started 2 times"], "lost": [], "chain": ["odd"]}
    row = KillRow(
        "runner", 3, {JobState.NOT_STARTED: 2, JobState.UNKNOWN: 4, JobState.SUCCEEDED: 9}, 3, ["K"], found, [1.0]
    )
    unheard = "K is unknown, and no runner knows of it"
    assert row.violations == ["J started 2 times", "odd", unheard, "2 ended as not started, with time left"]
    assert row.row() == "| runner | 3 | 15 | 0 | 1 | 1 | 2 | 4 (3 ran) | 1.0 / 1.0 s |"
