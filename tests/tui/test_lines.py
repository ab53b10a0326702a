"""Output as lines: numbered for good, bounded, safe."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tui.lines import MAX_CHARS, MAX_LINE, MAX_LINES, OutputLines


def chunk(seq: int, data: bytes, stream: int = 1) -> dict[str, object]:
    return {"seq": seq, "stream": stream, "data": data}


def fed(*chunks: dict[str, object]) -> OutputLines:
    lines = OutputLines()
    lines.feed(chunks)
    return lines


def texts(lines: OutputLines) -> list[str]:
    return [line.text for line in lines.all()]


def test_lines_that_come_in_pieces() -> None:
    """A line, and a character, may be cut by a chunk's end anywhere."""
    data = "早上\nzweite\nlast".encode()
    whole = fed(*(chunk(index + 1, data[index : index + 1]) for index in range(len(data))))
    assert texts(whole) == ["早上", "zweite", "last"]
    assert whole.bytes == len(data)


def test_two_streams_are_told_apart() -> None:
    """An unfinished line of one is not continued by the other."""
    lines = fed(chunk(1, b"out"), chunk(2, b"err\n", stream=2), chunk(3, b"put\n"))
    assert [(line.stream, line.text) for line in lines.all()] == [(2, "err"), (1, "output")]


def test_a_repeat_is_passed_over_and_a_gap_counted() -> None:
    """Nothing is shown twice; what never came is said."""
    lines = fed(chunk(1, b"a\n"), chunk(1, b"a\n"), chunk(4, b"b\n"))
    assert (texts(lines), lines.missed) == (["a", "b"], 2)


def test_numbers_stay_when_old_lines_go() -> None:
    """The line that a reader has found keeps its number; what went is counted."""
    lines = OutputLines()
    for seq in range(12):
        lines.feed([chunk(seq + 1, b"".join(b"%d\n" % (seq * 1000 + index) for index in range(1000)))])
    assert (lines.first, lines.end) == (12_000 - MAX_LINES, 12_000)
    kept = lines.line(11_999)
    assert kept is not None
    assert kept.text == "11999"
    assert lines.line(0) is None


def test_long_lines_cost_no_more_than_the_bound() -> None:
    """A flood without a newline is cut where it is shown and bounded where it is kept."""
    lines = OutputLines()
    for seq in range(1, 400):
        lines.feed([chunk(seq, b"x" * 32_768)])
    assert all(len(line.text) <= MAX_LINE for line in lines.all())
    assert sum(len(line.text) for line in lines.all()) <= MAX_CHARS + MAX_LINE


def test_search_goes_round() -> None:
    """From a line on, in either direction, around the end, case folded."""
    lines = fed(chunk(1, b"one\nTwo\nthree\ntwo\n"))
    assert lines.find("two", 2, 1) == 3
    assert lines.find("two", 0, -1) == 3
    assert lines.find("nothing", 0, 1) is None


@given(st.lists(st.binary(max_size=40), max_size=12))
def test_no_control_character_is_left(data: list[bytes]) -> None:
    """Whatever bytes a program prints."""
    lines = fed(*(chunk(seq, piece) for seq, piece in enumerate(data, 1)))
    for text in texts(lines):
        assert not any(ord(char) < 0x20 or 0x7F <= ord(char) < 0xA0 for char in text)
