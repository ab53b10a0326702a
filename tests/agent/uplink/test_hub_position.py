"""What the machine was told last of its hub's position."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from agent.uplink.hub_position import NOTHING, HubPosition

A, B = "a" * 16, "b" * 16
SEAL = "0" * 32


def mark(epoch: int, start: str, seq: int) -> str:
    return f"{epoch}.{start}.{seq}.45.{SEAL}"


def test_a_position_outlives_the_process(tmp_path: Path) -> None:
    """A new start and steps in the same one; longer ones after shorter and back."""
    path = tmp_path / "hub-position"
    heard = HubPosition(path)
    assert (heard.text, heard.mark) == (NOTHING, None)
    for told in (mark(4, A, 1), mark(4, A, 100_000), mark(4, A, 100_001), mark(5, B, 2)):
        heard.note(told)
        assert HubPosition(path).text == told
    heard.note("")
    heard.note("nonsense")
    assert HubPosition(path).text == mark(5, B, 2)


def test_who_is_obeyed(tmp_path: Path) -> None:
    """Whoever goes on from what was heard, or is of a version that tells nothing; nobody else."""
    heard = HubPosition(tmp_path / "hub-position")
    assert heard.is_obeyed("")
    assert heard.is_obeyed(mark(1, A, 1))
    heard.note(mark(5, A, 10))
    assert heard.is_obeyed(mark(5, A, 11))
    assert heard.is_obeyed(mark(6, B, 1))
    assert heard.is_obeyed("")
    assert not heard.is_obeyed(mark(5, B, 11))
    assert not heard.is_obeyed(mark(4, B, 999))
    assert not heard.is_obeyed("nonsense")


def test_a_file_that_does_not_read_counts_as_missing(tmp_path: Path) -> None:
    for data in (b"", b"\xff\xfe", b"nonsense", mark(5, A, 1).encode()[:-1]):
        (tmp_path / "hub-position").write_bytes(data)
        assert HubPosition(tmp_path / "hub-position").text == NOTHING


def test_a_disk_that_refuses_stops_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """It is logged once; what was heard holds for as long as the process lives."""
    heard = HubPosition(tmp_path / "nowhere" / "hub-position")
    with caplog.at_level(logging.WARNING, "answerback.agent"):
        heard.note(mark(5, A, 1))
        heard.note(mark(5, A, 2))
    assert heard.text == mark(5, A, 2)
    assert len([record for record in caplog.records if record.msg == "hub_position.unwritten"]) == 1
