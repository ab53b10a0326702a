"""What is told and kept of a fault of the console's own."""

from __future__ import annotations

import stat
from pathlib import Path

from tui.client.faults import MAX_FRAMES, FaultLog, describe_fault, format_fault
from tui.terminal.sanitize import is_safe

NOW = 1_790_000_000.0


def failing(depth: int, words: str) -> None:
    secret = "kept-in-a-variable"  # noqa: F841 - what must not be told
    if depth:
        failing(depth - 1, words)
    else:
        raise ValueError(words)


def fault(words: str, depth: int = 2) -> Exception:
    try:
        failing(depth, words)
    except ValueError as error:
        return error
    raise AssertionError


def test_what_it_was_and_where_in_one_safe_line() -> None:
    """The kind, the error's own words made safe and short, the place; no code of six digits."""
    words = describe_fault(fault("\x1b[31mwrong 123456 of 1234567\n" + "x" * 500))
    assert words.startswith("ValueError: ")
    assert "(test_faults.py:" in words
    assert is_safe(words)
    assert "123456 " not in words
    assert "1234567" in words
    assert len(words) < 260
    assert describe_fault(KeyError("x")) == "KeyError: 'x'"


def test_the_report_has_places_and_no_values() -> None:
    """The way through the program, bounded; nothing of what variables held."""
    text = format_fault("approve", fault("no", depth=100), NOW)
    assert text.startswith("2026-09-21T14:13:20Z approve: ValueError: no")
    assert text.count("\n") == MAX_FRAMES + 1
    assert "failing" in text
    assert "kept-in-a-variable" not in text


def test_the_log_is_its_owners_alone_and_grows(tmp_path: Path) -> None:
    """Each fault is appended; nobody else may read it."""
    log = FaultLog(tmp_path / "console.log")
    for name in ("approve", "retry"):
        log.write(name, fault("no"), NOW)
    text = (tmp_path / "console.log").read_text()
    assert text.index(" approve: ") < text.index(" retry: ")
    assert stat.S_IMODE((tmp_path / "console.log").stat().st_mode) == 0o600
    assert log.write_error == ""


def test_a_log_that_cannot_be_written_is_told_and_breaks_nothing(tmp_path: Path) -> None:
    """The reason names the file; without a log nothing is done."""
    log = FaultLog(tmp_path / "missing" / "console.log")
    log.write("approve", fault("no"), NOW)
    assert str(log.path) in log.write_error
    FaultLog(None).write("approve", fault("no"), NOW)
