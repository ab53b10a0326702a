"""Power failures under whole systems: a bounded share always, the long runs slow. `-s` prints the rows."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.outages import LONG, SHORT, UNEXPLAINED, Outcome, run_case, unexplained


def check(outcome: Outcome) -> None:
    print(outcome.row())
    assert outcome.violations == []


@pytest.mark.parametrize("case", SHORT)
async def test_the_power_fails(tmp_path: Path, case: str) -> None:
    """What was taken is there, nothing runs twice. Unknown is only what was handed out with the hub's word to start, or
    accepted, and had not ended when the power of its machine failed: nobody can know how far that came.
    """
    check(await run_case(tmp_path, case, SHORT[case]))


def test_unknown_is_only_what_was_handed_out_with_a_word() -> None:
    """Not what left later, and not what still waited for the word."""
    assert unexplained({"A", "B", "C"}, {"A", "C"}, {"A", "B"}) == [f"B {UNEXPLAINED}", f"C {UNEXPLAINED}"]


async def test_a_hub_that_does_not_sync_is_found_out(tmp_path: Path) -> None:
    """The control: with `synchronous = OFF` messages are lost that were answered with 2xx."""
    outcome = await run_case(tmp_path, "the hub, not synced", ["hub"], "tests.faults.unsynced_hub")
    print(outcome.row())
    assert any("was answered with 2xx and is not there" in found for found in outcome.violations), outcome


@pytest.mark.slow
@pytest.mark.parametrize("case", LONG)
async def test_the_power_fails_again_and_again(tmp_path: Path, case: str) -> None:
    check(await run_case(tmp_path, case, LONG[case]))
