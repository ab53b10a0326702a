"""Finding text in what a job printed."""

from __future__ import annotations

from typing import Any

from common.api.codec import encode
from hub.api import output_search
from hub.api.output_search import MAX_LINE_CHARS, MAX_MATCHES
from hub.core.records import StoredChunk


def search(parts: list[StoredChunk], needle: str) -> tuple[list[dict[str, Any]], bool]:
    """The encoded matches, and whether there are more."""
    found, more = output_search.search(parts, needle)
    return encode(found), more


def chunks(*parts: tuple[int, bytes]) -> list[StoredChunk]:
    return [StoredChunk("J", seq, stream, data, 0.0) for seq, (stream, data) in enumerate(parts, 1)]


def test_lines_with_the_text() -> None:
    """Each with its number, and the chunk that it begins in; a line that matches twice is told once."""
    found, more = search(chunks((1, b"one\ntwo two\n"), (1, b"three\nTWO\n")), "two")
    assert found == [
        {"seq": 1, "stream": 1, "line": 2, "text": "two two"},
        {"seq": 2, "stream": 1, "line": 4, "text": "TWO"},
    ]
    assert not more


def test_a_line_that_two_chunks_share() -> None:
    """Is found, and begins in the first of them; the other stream between them does not matter."""
    found, _ = search(chunks((1, b"a\nneed"), (2, b"noise\n"), (1, b"le here\n")), "NEEDLE")
    assert found == [{"seq": 1, "stream": 1, "line": 2, "text": "needle here"}]


def test_both_streams_in_order() -> None:
    """As they came."""
    found, _ = search(chunks((2, b"x1\n"), (1, b"x2\n"), (2, b"x3\n")), "x")
    assert [(match["stream"], match["text"]) for match in found] == [(2, "x1"), (1, "x2"), (2, "x3")]


def test_chinese_and_hostile_text() -> None:
    """Bytes are searched as they are; what is told can be shown; what is not there is not found."""
    found, _ = search(chunks((1, "磁盘 \x1b[2J已满\n".encode() + b"\xff bad\n")), "磁盘")
    assert found[0]["text"] == "磁盘 \\x1b[2J已满"
    assert search(chunks((1, b"\xff bad\r\n")), "bad")[0][0]["text"].endswith(" bad")
    assert search(chunks((1, b"abc")), "abd") == ([], False)
    assert search([], "x") == ([], False)


def test_there_are_bounds() -> None:
    """So many lines, and so much of each; that there are more is said."""
    found, more = search(chunks((1, b"x\n" * (MAX_MATCHES + 5))), "x")
    assert len(found) == MAX_MATCHES
    assert more
    found, more = search(chunks((1, b"x\n" * MAX_MATCHES)), "x")
    assert len(found) == MAX_MATCHES
    assert not more
    ((match,), _) = search(chunks((1, b"x" * 1_000_000)), "x")
    assert len(match["text"]) == MAX_LINE_CHARS
