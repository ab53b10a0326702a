"""Output as lines: numbered for good, bounded, safe."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from common.api.jobs import OutputChunk
from tests.tui.rows import chunk
from tui.model.output_lines import MAX_CHARS, MAX_LINE, MAX_LINES, OutputLines


def fed(*chunks: OutputChunk) -> OutputLines:
    lines = OutputLines()
    lines.append_chunks(chunks)
    return lines


def texts(lines: OutputLines) -> list[str]:
    return [line.text for line in lines.to_list()]


def test_lines_that_come_in_pieces() -> None:
    """A line, and a character, may be cut by a chunk's end anywhere."""
    data = "早上\nzweite\nlast".encode()
    whole = fed(*(chunk(index + 1, data[index : index + 1]) for index in range(len(data))))
    assert texts(whole) == ["早上", "zweite", "last"]
    assert whole.bytes == len(data)


def test_two_streams_are_told_apart() -> None:
    """An unfinished line of one is not continued by the other."""
    lines = fed(chunk(1, b"out"), chunk(2, b"err\n", stream=2), chunk(3, b"put\n"))
    assert [(line.stream, line.text) for line in lines.to_list()] == [(2, "err"), (1, "output")]


def test_a_repeat_is_passed_over_and_a_gap_counted() -> None:
    """Nothing is shown twice; what never came is said."""
    lines = fed(chunk(1, b"a\n"), chunk(1, b"a\n"), chunk(4, b"b\n"))
    assert (texts(lines), lines.missed_chunks) == (["a", "b"], 2)


def test_numbers_stay_when_old_lines_go() -> None:
    """The line that a reader has found keeps its number; what went is counted."""
    lines = OutputLines()
    for seq in range(12):
        lines.append_chunks([chunk(seq + 1, b"".join(b"%d\n" % (seq * 1000 + index) for index in range(1000)))])
    assert (lines.first, lines.end) == (12_000 - MAX_LINES, 12_000)
    kept = lines.line(11_999)
    assert kept is not None
    assert kept.text == "11999"
    assert lines.line(0) is None


def test_long_lines_cost_no_more_than_the_bound() -> None:
    """A flood without a newline is cut where it is shown and bounded where it is kept."""
    lines = OutputLines()
    for seq in range(1, 400):
        lines.append_chunks([chunk(seq, b"x" * 32_768)])
    assert all(len(line.text) <= MAX_LINE for line in lines.to_list())
    assert sum(len(line.text) for line in lines.to_list()) <= MAX_CHARS + MAX_LINE


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


def numbered(first: int, last: int, size: int = 100) -> list[OutputChunk]:
    """The chunks `first` to `last` of an output whose lines are their numbers."""
    data = "".join(f"{number}\n" for number in range(1_000)).encode()
    return [chunk(seq, data[(seq - 1) * size : seq * size]) for seq in range(first, last + 1)]


def test_pages_of_one_output_have_the_same_numbers() -> None:
    """Where they have a chunk in common; half a line at a page's beginning is left out."""
    whole, page = fed(*numbered(1, 30)), fed(*numbered(10, 20))
    page.drop_first_partial()
    assert page.first_seq > 10
    assert page.rebase(whole)
    assert page.first > 0
    for number in range(page.first, page.end - 1):
        mine, theirs = page.line(number), whole.line(number)
        assert mine is not None
        assert theirs is not None
        assert mine.text == theirs.text == str(number)
    assert whole.seq_at(page.first) <= page.seq_at(page.first) <= 20
    assert not fed(*numbered(25, 30)).rebase(fed(*numbered(1, 20)))


def test_what_is_kept_says_with_which_chunk_it_begins() -> None:
    """Also after lines were dropped; from there on what is not kept can be asked for."""
    lines = OutputLines(max_lines=50)
    assert lines.first_seq == 0
    lines.append_chunks(numbered(1, 30))
    first = lines.line(lines.first)
    assert first is not None
    again = fed(*numbered(lines.first_seq - 1, 30))
    assert first.text in texts(again)


def test_finding_without_going_around() -> None:
    """Ends where the lines end, both ways."""
    lines = fed(chunk(1, b"a\nb\na\nb\n"))
    assert lines.find("a", 3, 1) == 0
    assert lines.find("a", 3, 1, wrap_around=False) is None
    assert lines.find("b", 0, -1, wrap_around=False) is None
    assert lines.find("a", 3, -1, wrap_around=False) == 2
