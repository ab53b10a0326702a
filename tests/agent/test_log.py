"""agent.log: one line an event, whatever the values hold."""

from __future__ import annotations

import io
import logging
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent import log


@pytest.fixture
def written() -> io.StringIO:
    """The log of a program called `test`."""
    stream = io.StringIO()
    log.configure("test", "debug", stream=stream)
    return stream


def test_an_event_is_one_line_of_key_and_value(written: io.StringIO) -> None:
    """Event, level and program come first, then the fields in the order given."""
    log.info("link.up", hub="h1", session="abc", delay=1.5, resumed=True)
    line = written.getvalue()
    assert line.endswith(" level=info program=test event=link.up hub=h1 session=abc delay=1.5 resumed=true\n")
    assert line.startswith("at=20")


def test_levels_below_the_set_one_are_not_written(written: io.StringIO) -> None:
    """`info` hides debug lines and keeps warnings."""
    log.configure("test", "info", stream=written)
    log.debug("quiet")
    log.warning("loud")
    assert "quiet" not in written.getvalue()
    assert "level=warning program=test event=loud" in written.getvalue()


def test_a_secret_named_as_one_is_not_written(written: io.StringIO) -> None:
    """A field called `token` keeps its value out of the log."""
    log.error("join.failed", token="web-1.canary")
    assert "canary" not in written.getvalue()
    assert "token=[hidden]" in written.getvalue()


def test_a_library_s_line_has_the_same_form(written: io.StringIO) -> None:
    """A warning of a library is quoted into one line of ours, its line breaks escaped."""
    logging.getLogger("websockets.client").warning("odd\n%s", "thing")
    assert 'event=library.websockets.client message="odd\\nthing"' in written.getvalue()


def test_a_traceback_stays_on_its_line(written: io.StringIO) -> None:
    """The traceback of a fault is one escaped field."""
    log.exception("uplink.fault", ValueError("bad"))
    assert written.getvalue().count("\n") == 1
    assert "ValueError: bad" in written.getvalue()


@given(st.text())
def test_no_value_can_break_the_line(value: str) -> None:
    """Whatever the value, the line stays one line without control characters, and the value ends where it should."""
    line = log.format_line("test", "info", "x", {"a": value, "z": 1}, 0.0)
    assert line.isprintable()
    assert line.endswith(" z=1")
    quoted = line.removeprefix("at=1970-01-01T00:00:00.000Z level=info program=test event=x a=").removesuffix(" z=1")
    if quoted.startswith('"'):
        assert '"' not in quoted[1:-1].replace("\\\\", "").replace('\\"', "")
    else:
        assert quoted == value


def test_a_long_value_is_cut() -> None:
    """A value past the bound is cut and its true length told."""
    assert log.quote("x" * 5_000) == '"' + "x" * 2_048 + '… (5000 characters)"'


def test_a_lone_surrogate_is_escaped() -> None:
    """What could not be encoded is written as an escape."""
    assert log.quote("a\udcff") == '"a\\udcff"'


def test_our_own_log_file_is_turned_over(tmp_path: Path) -> None:
    """The old lines are in FILE.1, and the same descriptor goes on in a new file."""
    file = tmp_path / "runner.log"
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        os.write(descriptor, b"old\n")
        log.rotate(file, descriptor)
        os.write(descriptor, b"new\n")
    finally:
        os.close(descriptor)
    assert file.read_bytes() == b"new\n"
    assert (tmp_path / "runner.log.1").read_bytes() == b"old\n"


def test_a_stream_that_fails_does_not_stop_the_program(
    written: io.StringIO, capsys: pytest.CaptureFixture[str]
) -> None:
    """An error while writing a line is swallowed."""

    class Full(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(28, "no space left")

    log.configure("test", stream=Full())
    log.info("link.up")
    assert capsys.readouterr().err == ""
