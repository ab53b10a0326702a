"""Searching text in a job's output. Pure.

Each stream is searched as one text, so a line that two chunks share is found; upper and lower case of ASCII are alike.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from typing import Final

from common.api.jobs import OutputMatch
from common.text import clean
from hub.core.records import StoredChunk

MAX_MATCHES: Final = 200
MAX_LINE_CHARS: Final = 300  # of a line in the answer


def search(chunks: Iterable[StoredChunk], needle: str) -> tuple[tuple[OutputMatch, ...], bool]:
    """Matching lines in the order in which they were written, and whether there are more than `MAX_MATCHES`."""
    wanted = needle.encode("utf-8", "surrogatepass").lower()
    streams: dict[int, list[StoredChunk]] = {}
    for chunk in chunks:
        streams.setdefault(chunk.stream, []).append(chunk)
    found: list[OutputMatch] = []
    more = False
    for stream, parts in sorted(streams.items()):
        matches = _search_stream(parts, wanted)
        more = more or len(matches) > MAX_MATCHES
        found += [
            OutputMatch(seq=seq, stream=stream, line=line, text=text) for seq, line, text in matches[:MAX_MATCHES]
        ]
    found.sort(key=lambda match: (match.seq, match.line))
    return tuple(found[:MAX_MATCHES]), more or len(found) > MAX_MATCHES


def _search_stream(parts: list[StoredChunk], wanted: bytes) -> list[tuple[int, int, str]]:
    """(chunk, line, text) of at most one more than `MAX_MATCHES`: the chunk in which the line begins, its number within
    the stream from 1, and the line made safe to show.
    """
    data = b"".join(part.data for part in parts)
    begins: list[int] = []
    at = 0
    for part in parts:
        begins.append(at)
        at += len(part.data)
    lower = data.lower()
    found: list[tuple[int, int, str]] = []
    at, line, counted = 0, 1, 0
    while len(found) <= MAX_MATCHES and (hit := lower.find(wanted, at)) >= 0:
        start = data.rfind(b"\n", 0, hit) + 1
        end = data.find(b"\n", hit)
        end = len(data) if end < 0 else end
        line += data.count(b"\n", counted, start)
        counted = start
        seq = parts[bisect_right(begins, start) - 1].seq
        text = clean(
            data[start : min(end, start + 4 * MAX_LINE_CHARS)].decode("utf-8", "replace").rstrip("\r"),
            limit=MAX_LINE_CHARS,
        )
        found.append((seq, line, text))
        at = end + 1
    return found
