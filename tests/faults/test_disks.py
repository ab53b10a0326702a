"""Full disks under whole systems. `-s` prints the rows."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.disks import CASES


@pytest.mark.parametrize("case", CASES)
async def test_a_full_disk(tmp_path: Path, case: str) -> None:
    """What is new is refused, links stay, nothing is handed out, what fills the disk is told; with room everything goes
    on by itself, and nothing is lost or run twice.
    """
    outcome = await CASES[case](tmp_path)
    print(outcome.row())
    assert outcome.violations == []
    assert outcome.back < 5
