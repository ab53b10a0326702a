"""`python -m tests.faults`: what the one command takes, prints and ends with."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.sources import ROOT


def command(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "tests.faults", *words], cwd=ROOT, capture_output=True, text=True, timeout=200
    )


def test_its_help_teaches() -> None:
    told = command("--help").stdout
    assert "matrix, kills, clocks, disks, upgrades, malformed" in told
    assert "S7xF1" in told
    wrong = command("moods")
    assert wrong.returncode == 2
    assert "there is no table moods" in wrong.stderr
    nothing = command("matrix", "--only", "S7xF99")
    assert nothing.returncode == 2
    assert "--only S7xF99" in nothing.stderr


@pytest.mark.timeout(240)
def test_a_table_is_printed() -> None:
    """A cell of the matrix, as a row of the table; its progress on standard error."""
    ran = command("matrix", "--only", "S6xF7")
    assert ran.returncode == 0, ran.stderr
    assert "| S6 leased, frame not written | succeeded |" in ran.stdout
    assert "- F7: connection reset" in ran.stdout
    assert "S6xF7: " in ran.stderr
