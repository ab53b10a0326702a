"""tui.cli.streams: bytes into files, safe text onto terminals, whole lines behind names."""

from __future__ import annotations

import io
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.api.work import JobChunk
from tui.cli.streams import MAX_PARTIAL_LINE, OutputPrinter


class Sink(io.TextIOWrapper):
    """A standard stream that says whether it is a terminal."""

    def __init__(self, terminal: bool) -> None:
        self.bytes = io.BytesIO()
        self.terminal = terminal
        super().__init__(self.bytes, encoding="utf-8", errors="strict", newline="\n")

    def isatty(self) -> bool:
        return self.terminal

    @property
    def written(self) -> bytes:
        return self.bytes.getvalue()


def shown(*chunks: tuple[str, int, bytes], named: bool = False, terminal: bool = False) -> tuple[bytes, bytes]:
    """What is on standard output and error after these chunks of (agent, stream, data)."""
    out, err = Sink(terminal), Sink(terminal)
    before = sys.stdout, sys.stderr
    sys.stdout, sys.stderr = out, err
    try:
        streams = OutputPrinter(named=named)
        for agent, stream, data in chunks:
            streams.write(JobChunk(job=f"job of {agent}", agent=agent, seq=1, stream=stream, data=data))
        streams.flush_partial()
    finally:
        sys.stdout, sys.stderr = before
    return out.written, err.written


@given(st.lists(st.tuples(st.sampled_from([1, 2]), st.binary()), max_size=10))
def test_files_get_the_bytes(chunks: list[tuple[int, bytes]]) -> None:
    """Standard output and error apart, byte for byte, however the chunks are cut."""
    out, err = shown(*(("web-1", stream, data) for stream, data in chunks))
    assert out == b"".join(data for stream, data in chunks if stream == 1)
    assert err == b"".join(data for stream, data in chunks if stream == 2)


@given(st.lists(st.binary(), max_size=10), st.booleans())
def test_no_control_byte_reaches_a_terminal(chunks: list[bytes], named: bool) -> None:
    """Whatever a program prints and however it is cut: printable text and newlines, all of it UTF-8."""
    out, _ = shown(*(("web-1", 1, data) for data in chunks), named=named, terminal=True)
    text = out.decode()
    assert not [char for char in text if char != "\n" and (ord(char) < 32 or 127 <= ord(char) < 160)]


@pytest.mark.parametrize(
    "hostile",
    [
        b"\x1b]0;owned\x07",
        b"\x1b[31mred\x1b[0m",
        b"\x1b]52;c;aGk=\x07",
        b"\xc2\x9b31m",
        b"\x1bP1$r\x1b\\",
        b"a\rb",
        b"\x08",
    ],
)
def test_known_tricks_do_nothing(hostile: bytes) -> None:
    """Titles, colours, the clipboard, 8-bit controls, device control, going back over what was written."""
    out, _ = shown(("web-1", 1, b"before " + hostile + b" after\n"), terminal=True)
    assert not {0x1B, 0x07, 0x08, 0x0D, 0x9B} & set(out)
    assert out.endswith(b"after\n")


def test_a_character_cut_in_two_is_one_character() -> None:
    """The end of a chunk may fall within a Chinese character."""
    data = "磁盘\n".encode()
    for cut in range(len(data)):
        out, _ = shown(("web-1", 1, data[:cut]), ("web-1", 1, data[cut:]), terminal=True)
        assert out == data


def lines(chunks: list[tuple[str, int, bytes]]) -> list[str]:
    return shown(*chunks, named=True)[0].decode().splitlines()


def test_several_machines_do_not_share_a_line() -> None:
    """A line is written when it is whole, behind its machine's name, also where the chunks of two interleave."""
    told = lines([("web-1", 1, b"one "), ("web-2", 1, b"two "), ("web-1", 1, b"half\nnext"), ("web-2", 1, b"halves\n")])
    assert told == ["web-1 | one half", "web-2 | two halves", "web-1 | next"]


def test_the_last_line_may_lack_its_end() -> None:
    """It is shown when the stream ends, once."""
    assert lines([("web-1", 1, b"no newline")]) == ["web-1 | no newline"]
    assert lines([("web-1", 1, b"a\n\nb\n")]) == ["web-1 | a", "web-1 | ", "web-1 | b"]


def test_a_line_without_end_is_written_in_parts() -> None:
    """Nothing is held without bound."""
    told = lines([("web-1", 1, b"x" * MAX_PARTIAL_LINE), ("web-1", 1, b"y"), ("web-1", 1, b"z")])
    assert [len(line) for line in told] == [len("web-1 | ") + MAX_PARTIAL_LINE + 1, len("web-1 | z")]


def test_standard_error_of_several_machines_is_named_too() -> None:
    """And goes to standard error."""
    out, err = shown(("web-1", 2, b"oops\n"), ("web-2", 1, b"fine\n"), named=True)
    assert (out, err) == (b"web-2 | fine\n", b"web-1 | oops\n")


def test_a_hostile_name_is_made_safe(capsys: pytest.CaptureFixture[Any]) -> None:
    """Names come from machines."""
    out, _ = shown(("web\x1b[2J", 1, b"x\n"), named=True)
    assert out == b"web\\x1b[2J | x\n"
