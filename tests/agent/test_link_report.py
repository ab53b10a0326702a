"""agent.link_report: what the uplink last knew, on disk."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from agent.link_report import LinkReporter, read_report
from tests.each import each_of


def test_what_is_told_is_read(tmp_path: Path) -> None:
    """State, since when, why, and what to do; another reason for the same state does not begin it again."""
    file = tmp_path / "link.json"
    assert read_report(file) is None
    reporter = LinkReporter(file, "1.2")
    reporter.tell("linked", 10.0, hub_version="1.3")
    found = read_report(file)
    assert found is not None
    assert (found.state, found.since, found.version, found.hub_version) == ("linked", 10.0, "1.2", "1.3")
    assert found.pid == os.getpid()
    reporter.tell("away", 20.0, reason="nobody listens")
    reporter.tell("away", 30.0, reason="no answer", cure="start it")
    found = read_report(file)
    assert found is not None
    assert (found.state, found.since, found.reason, found.cure) == ("away", 20.0, "no answer", "start it")


def test_the_same_is_written_once(tmp_path: Path) -> None:
    """A hub that is away for a week costs one write."""
    file = tmp_path / "link.json"
    reporter = LinkReporter(file, "1")
    reporter.tell("away", 1.0, reason="x" * 5_000)
    before = file.stat().st_ino
    reporter.tell("away", 2.0, reason="x" * 5_000)
    assert file.stat().st_ino == before
    assert file.stat().st_size < 2_000


def test_a_report_of_an_older_uplink_is_read(tmp_path: Path) -> None:
    """It does not know of the runner's version; another one's is told like any change."""
    file = tmp_path / "link.json"
    LinkReporter(file, "1.2").tell("linked", 10.0)
    body = json.loads(file.read_text())
    del body["runner_version"]
    file.write_text(json.dumps(body))
    found = read_report(file)
    assert found is not None
    assert (found.version, found.runner_version) == ("1.2", "")
    LinkReporter(file, "1.2", lambda: "1.1").tell("linked", 10.0)
    found = read_report(file)
    assert found is not None
    assert found.runner_version == "1.1"


def test_the_spread_of_a_return_outlives_the_uplink(tmp_path: Path) -> None:
    """Told with a link, kept while there is none; what stands in the file is any program's word."""
    file = tmp_path / "link.json"
    reporter = LinkReporter(file, "1")
    assert reporter.spread == 0
    reporter.tell("linked", 10.0, spread=33.0)
    reporter.tell("away", 20.0, reason="nobody listens")
    assert LinkReporter(file, "1").spread == 33
    file.write_text(file.read_text().replace("33.0", "NaN"))
    assert LinkReporter(file, "1").spread == 0


def test_no_room_costs_no_link(tmp_path: Path) -> None:
    """Where it cannot be written nothing is raised, and the next change is tried again."""
    reporter = LinkReporter(tmp_path / "none" / "link.json", "1")
    reporter.tell("away", 1.0)
    (tmp_path / "none").mkdir()
    reporter.tell("linked", 2.0)
    assert read_report(tmp_path / "none" / "link.json") is not None


@each_of(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"state": "well", "since": 1, "reason": "", "cure": "", "version": "", "hub_version": "", "pid": 1}',
        '{"state": "linked", "since": "x", "reason": "", "cure": "", "version": "", "hub_version": "", "pid": 1}',
        '{"state": "linked", "since": 1, "reason": 5, "cure": "", "version": "", "hub_version": "", "pid": 1}',
        '{"state": "linked", "since": 1, "reason": "", "cure": "", "version": "", "pid": 1, "spread": "x"}',
        "[" * 10_000,
        "x" * 20_000,
    ],
)
def test_a_broken_report_is_none(text: str, tmp_path: Path) -> None:
    """Torn, foreign or too long: there is no report."""
    file = tmp_path / "link.json"
    file.write_text(text)
    assert read_report(file) is None


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_may_not_be_read(tmp_path: Path) -> None:
    """Told apart from a report that is not there."""
    tmp_path.chmod(0)
    with pytest.raises(PermissionError):
        read_report(tmp_path / "link.json")
    tmp_path.chmod(0o700)
