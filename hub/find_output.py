"""Finding text in what a job printed. Pure.

Each stream is searched as one text, so a line that two chunks share is found; upper and lower case of ASCII are alike.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable
from typing import Any, Final

from common.text import clean
from hub.records import Chunk

MAX_MATCHES: Final = 200
LINE: Final = 300  # characters of a line that are told


def find(chunks: Iterable[Chunk], needle: str) -> tuple[list[dict[str, Any]], bool]:
    """Matching lines in order, {"seq", "stream", "line", "text"}: the chunk in which the line begins, its number within
    the stream from 1, and the line made safe. Whether there are more than are told.
    """
    wanted = needle.encode("utf-8", "surrogatepass").lower()
    streams: dict[int, list[Chunk]] = {}
    for chunk in chunks:
        streams.setdefault(chunk.stream, []).append(chunk)
    found: list[tuple[int, int, dict[str, Any]]] = []
    more = False
    for stream, parts in sorted(streams.items()):
        matches = _find_in(parts, wanted)
        more = more or len(matches) > MAX_MATCHES
        found += [
            (seq, line, {"seq": seq, "stream": stream, "line": line, "text": text})
            for seq, line, text in matches[:MAX_MATCHES]
        ]
    found.sort(key=lambda match: match[:2])
    return [match for _, _, match in found[:MAX_MATCHES]], more or len(found) > MAX_MATCHES


def _find_in(parts: list[Chunk], wanted: bytes) -> list[tuple[int, int, str]]:
    """(chunk, line, text) of at most one more than are told."""
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
        text = clean(data[start : min(end, start + 4 * LINE)].decode("utf-8", "replace").rstrip("\r"), limit=LINE)
        found.append((seq, line, text))
        at = end + 1
    return found
