"""agent.upgrade_report: what the next who reads it may rely on."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from agent.upgrade_report import FILE, MAX_FILE, UpgradeReport, read_upgrade, write_upgrade

REPORT = UpgradeReport("handing_over", 17.5, 4711, "1.0", after="1.1", reason="", jobs=3, took=0.5)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    """The newest report, whole."""
    write_upgrade(tmp_path, REPORT)
    assert read_upgrade(tmp_path) == REPORT
    write_upgrade(tmp_path, replace(REPORT, state="done"))
    assert read_upgrade(tmp_path) == replace(REPORT, state="done")


def test_a_report_that_cannot_be_written_costs_nothing(tmp_path: Path) -> None:
    """The process goes on."""
    write_upgrade(tmp_path / "none", REPORT)
    assert read_upgrade(tmp_path / "none") is None


@pytest.mark.parametrize(
    "changed",
    [
        {"state": "maybe"},
        {"begun": "soon"},
        {"pid": None},
        {"before": 1},
        {"reason": ["x"]},
        {"jobs": "3"},
        {"took": ""},
    ],
)
def test_a_report_that_makes_no_sense_is_none(tmp_path: Path, changed: dict[str, Any]) -> None:
    """Whoever wrote it."""
    (tmp_path / FILE).write_text(json.dumps(asdict(REPORT) | changed))
    assert read_upgrade(tmp_path) is None


@pytest.mark.parametrize("text", ["", "{", "[]", "7", "x" * (MAX_FILE + 1), "[" * 5_000])
def test_a_file_that_is_no_report_is_none(tmp_path: Path, text: str) -> None:
    """Torn, of another form, or too large."""
    (tmp_path / FILE).write_text(text)
    assert read_upgrade(tmp_path) is None
