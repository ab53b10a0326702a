"""PostgreSQL under whole systems: a bounded share always, the long ones as slow runs. `-s` prints the rows."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.databases import LONG, SHORT, Outcome, run_case


def check(outcome: Outcome) -> None:
    print(outcome.row())
    assert outcome.violations == []
    assert outcome.back < 45  # seconds on a busy machine: the crash recovery of the server is in it
    if "minute" in outcome.case or "30 s" in outcome.case:
        assert 0 <= outcome.told < 20


@pytest.mark.parametrize("case", SHORT)
async def test_a_server_that_is_disturbed(tmp_path: Path, case: str) -> None:
    """Nothing that was taken is lost or run twice, everything ends, and the hub is back by itself."""
    check(await run_case(tmp_path, case, SHORT[case]))


@pytest.mark.slow
@pytest.mark.parametrize("case", LONG)
async def test_a_server_that_is_disturbed_for_long(tmp_path: Path, case: str) -> None:
    """The same, also beyond what any write waits for; readiness tells of it meanwhile."""
    check(await run_case(tmp_path, case, LONG[case]))
