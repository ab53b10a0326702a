"""What a command has printed, as lines: bounded, safe, each with the number it has for good. Pure.

At most `MAX_LINES` lines and `MAX_CHARS` characters are kept, the newest; what went is counted. A line longer than
`MAX_LINE` is cut
where it is shown. Two streams are told apart; each has its own unfinished line, which stands after the finished ones.
"""

from __future__ import annotations

import codecs
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from common.text import clean_output

MAX_LINES: Final = 5_000
MAX_CHARS: Final = 4 * 1024 * 1024
MAX_LINE: Final = 4_096
MAX_OPEN: Final = 16_384
"""Characters of an unfinished line; beyond, it is broken."""
STDERR: Final = 2


@dataclass(frozen=True, slots=True)
class OutLine:
    stream: int
    text: str
    at: float | None = None


@dataclass(slots=True)
class _Stream:
    decoder: codecs.IncrementalDecoder = field(default_factory=lambda: codecs.getincrementaldecoder("utf-8")("replace"))
    open: str = ""
    at: float | None = None


class OutputLines:
    """See the module. Line numbers count from 0 over everything that came."""

    def __init__(self) -> None:
        self.first = 0  # number of the first line kept
        self.seq = 0  # of the last chunk taken
        self.bytes = 0
        self.missed = 0  # chunks that never came
        self.version = 0
        self._lines: deque[OutLine] = deque()
        self._chars = 0
        self._streams: dict[int, _Stream] = {}

    @property
    def end(self) -> int:
        """The number after the last line, unfinished ones included."""
        return self.first + len(self._lines) + len(self._open())

    def line(self, number: int) -> OutLine | None:
        index = number - self.first
        if index < 0:
            return None
        if index < len(self._lines):
            return self._lines[index]
        unfinished = self._open()
        index -= len(self._lines)
        return unfinished[index] if index < len(unfinished) else None

    def all(self) -> list[OutLine]:
        return [*self._lines, *self._open()]

    def feed(self, chunks: Iterable[Mapping[str, Any]]) -> None:
        """Takes chunks in order; one that came already is passed over, a gap is counted."""
        for chunk in chunks:
            seq, stream, data = int(chunk["seq"]), int(chunk["stream"]), bytes(chunk["data"])
            if seq <= self.seq:
                continue
            if self.seq and seq > self.seq + 1:
                self.missed += seq - self.seq - 1
            self.seq = seq
            self.bytes += len(data)
            self._take(stream, data, chunk.get("at"))
        self.version += 1

    def _take(self, number: int, data: bytes, at: float | None) -> None:
        stream = self._streams.setdefault(2 if number == STDERR else 1, _Stream())
        text = stream.open + stream.decoder.decode(data)
        stream.at = at
        whole, newline, stream.open = text.rpartition("\n")
        if newline:
            for line in clean_output(whole, limit=len(whole) * 8 + 1).split("\n"):
                self._add(OutLine(number, _cut(line), at))
        while len(stream.open) > MAX_OPEN:
            head, stream.open = stream.open[:MAX_OPEN], stream.open[MAX_OPEN:]
            if "\r" not in stream.open and "\r" in head:
                stream.open, head = head.rpartition("\r")[2] + stream.open, ""
            if head and "\r" not in stream.open:
                self._add(OutLine(number, _cut(clean_output(head)), at))

    def _open(self) -> list[OutLine]:
        return [
            OutLine(number, _cut(clean_output(stream.open)), stream.at)
            for number, stream in sorted(self._streams.items())
            if stream.open
        ]

    def _add(self, line: OutLine) -> None:
        self._lines.append(line)
        self._chars += len(line.text)
        while len(self._lines) > MAX_LINES or self._chars > MAX_CHARS:
            self._chars -= len(self._lines.popleft().text)
            self.first += 1

    def find(self, text: str, start: int, step: int) -> int | None:
        """The number of the next line with `text` in it (case folded) from `start` on, around the end; None where
        none has."""
        wanted, count = text.casefold(), self.end - self.first
        if not wanted or not count:
            return None
        for offset in range(count):
            number = self.first + (start - self.first + offset * step) % count
            line = self.line(number)
            if line is not None and wanted in line.text.casefold():
                return number
        return None


def _cut(line: str) -> str:
    return line if len(line) <= MAX_LINE else line[: MAX_LINE - 1] + "…"
