"""The table of clocks: a bounded share of it always, the whole of it as slow runs that print their rows."""

from __future__ import annotations

from pathlib import Path

import pytest

from common.lifecycle import JobState
from tests.faults.clocks import (
    AGENT_CLOCKS,
    HUB_STEPS,
    MINUTE,
    PLACES,
    YEAR,
    Outcome,
    agent_case,
    hub_case,
    restart_case,
    told,
)


async def test_a_machine_four_minutes_behind_starts_nothing_late(tmp_path: Path) -> None:
    """P5: of forty commands the eight that got no place in time are refused by the agent, by its boot clock."""
    outcome = await agent_case(tmp_path, -4 * MINUTE)
    assert outcome.violations == []
    assert (outcome.late, outcome.links) == (0, 1)
    assert outcome.states == {JobState.SUCCEEDED: PLACES, JobState.NOT_STARTED: 8}


async def test_a_hub_whose_clock_is_set_drops_no_link_and_ends_nothing(tmp_path: Path) -> None:
    """Queued, accepted and running, by 70 s and back: everything runs, over one link a start of the agent."""
    outcome = await hub_case(tmp_path, [70.0])
    assert outcome.violations == []
    assert (set(outcome.states), outcome.links) == ({JobState.SUCCEEDED}, 1)


def show(outcome: Outcome) -> None:
    """A row of the table in docs/faults.md, for `-s`."""
    print(f"\n{outcome.row()}", flush=True)


@pytest.mark.slow
@pytest.mark.parametrize("ahead", AGENT_CLOCKS, ids=told)
async def test_the_table_of_agents_clocks(tmp_path: Path, ahead: float) -> None:
    """Nothing late, nothing refused for the clock; a year ahead is told, and nothing is started."""
    outcome = await agent_case(tmp_path, ahead)
    show(outcome)
    assert outcome.violations == []
    assert outcome.late == 0
    if ahead == YEAR:
        assert (outcome.states, outcome.links) == ({JobState.EXPIRED: PLACES + 8}, 0)
    else:
        assert (outcome.states, outcome.links) == ({JobState.SUCCEEDED: PLACES, JobState.NOT_STARTED: 8}, 1)


@pytest.mark.slow
@pytest.mark.parametrize("step", HUB_STEPS, ids=told)
async def test_the_table_of_steps_of_the_hubs_clock(tmp_path: Path, step: float) -> None:
    """Everything runs, over one link."""
    outcome = await hub_case(tmp_path, [step])
    show(outcome)
    assert outcome.violations == []
    assert (set(outcome.states), outcome.links) == ({JobState.SUCCEEDED}, 1)


@pytest.mark.slow
@pytest.mark.parametrize("step", HUB_STEPS, ids=told)
async def test_the_table_of_steps_while_the_hub_is_down(tmp_path: Path, step: float) -> None:
    """What waits goes on waiting, and runs."""
    outcome = await restart_case(tmp_path, step)
    show(outcome)
    assert outcome.violations == []
    assert (set(outcome.states), outcome.links) == ({JobState.SUCCEEDED}, 1)
