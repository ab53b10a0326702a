"""Upgrades under load: a bounded share always, the long run slow."""

from __future__ import annotations

from pathlib import Path

import pytest

from common.lifecycle import JobState
from tests.faults.upgrades import Outcome, upgrade_case

LONG = pytest.mark.timeout(1_200)


def check(outcome: Outcome, rounds: int) -> None:
    """0 lost, 0 twice, 0 not started, 0 unknown: every command has succeeded, and what printed through it is whole."""
    print(f"\n{outcome.row()}", flush=True)
    assert outcome.violations == []
    assert set(outcome.states) == {JobState.SUCCEEDED}
    assert outcome.printed == rounds
    assert outcome.handed > 0, "no job ran through an upgrade: the load is too small"


async def test_runner_and_uplink_are_upgraded_under_load(tmp_path: Path) -> None:
    """Two rounds of both programs."""
    check(await upgrade_case(tmp_path, 2, both=True), 2)


@pytest.mark.slow
@LONG
@pytest.mark.parametrize("both", [False, True], ids=["runner", "both"])
async def test_upgrades_every_few_seconds(tmp_path: Path, both: bool) -> None:
    """Twenty upgrades over some nine hundred commands."""
    check(await upgrade_case(tmp_path, 20, both=both), 20)
