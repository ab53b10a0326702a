"""Full disks under whole systems; `pytest -s tests/faults/test_disks.py` prints the table for docs/faults.md."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.faults.disks import restart_case, serving_case


async def test_a_disk_that_fills_while_the_hub_serves(tmp_path: Path) -> None:
    """What is new is refused, what fills the disk is told; with room it goes on, and nothing is lost or run twice."""
    outcome = await serving_case(tmp_path)
    print(outcome.row())
    assert outcome.violations == []
    assert outcome.back < 5


@pytest.mark.parametrize("reserve", [True, False])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
async def test_a_hub_that_starts_on_a_full_disk(tmp_path: Path, number: signal.Signals, reserve: bool) -> None:
    """It comes up read-only, its links are live, nothing is handed out; with room everything goes on by itself."""
    outcome = await restart_case(tmp_path, number, reserve=reserve)
    print(outcome.row())
    assert outcome.violations == []
    assert outcome.back < 5
