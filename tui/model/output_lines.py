"""What a command has printed, as lines: bounded, safe, each with a number that never changes. Pure.

At most `MAX_LINES` lines and `MAX_CHARS` characters are kept, the newest; what went is counted. A line longer than
`MAX_LINE` is cut
where it is shown. Two streams are told apart; each has its own unfinished line, which stands after the finished ones.
"""

from __future__ import annotations

import codecs
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from common.api.jobs import OutputChunk
from common.text import clean_output

MAX_LINES: Final = 5_000
MAX_CHARS: Final = 4 * 1024 * 1024
MAX_LINE: Final = 4_096
MAX_PARTIAL: Final = 16_384
"""Characters of an unfinished line; beyond, it is broken."""
STDERR: Final = 2


@dataclass(frozen=True, slots=True)
class OutputLine:
    stream: int
    text: str
    at: float | None = None


@dataclass(slots=True)
class _Stream:
    decoder: codecs.IncrementalDecoder = field(default_factory=lambda: codecs.getincrementaldecoder("utf-8")("replace"))
    partial: str = ""
    at: float | None = None


class OutputLines:
    """See the module. Line numbers count from 0 over everything that came, or from where `rebase` put it."""

    def __init__(self, max_lines: int = MAX_LINES) -> None:
        self.first = 0  # number of the first line kept
        self._max_lines = max_lines
        self._starts: deque[tuple[int, int]] = deque()  # line number, and the chunk with which it could begin
        self.seq = 0  # of the last chunk taken
        self.bytes = 0
        self.missed_chunks = 0  # chunks that never came
        self.version = 0
        self._lines: deque[OutputLine] = deque()
        self._chars = 0
        self._streams: dict[int, _Stream] = {}

    @property
    def end(self) -> int:
        """The number after the last line, unfinished ones included."""
        return self.first + len(self._lines) + len(self._partial_lines())

    def line(self, number: int) -> OutputLine | None:
        index = number - self.first
        if index < 0:
            return None
        if index < len(self._lines):
            return self._lines[index]
        unfinished = self._partial_lines()
        index -= len(self._lines)
        return unfinished[index] if index < len(unfinished) else None

    def to_list(self) -> list[OutputLine]:
        return [*self._lines, *self._partial_lines()]

    def append_chunks(self, chunks: Iterable[OutputChunk]) -> None:
        """Takes chunks in order; one that came already is skipped, a gap is counted."""
        for chunk in chunks:
            if chunk.seq <= self.seq:
                continue
            if self.seq and chunk.seq > self.seq + 1:
                self.missed_chunks += chunk.seq - self.seq - 1
            self.seq = chunk.seq
            self.bytes += len(chunk.data)
            number = self.first + len(self._lines)
            if not self._starts or self._starts[-1][0] < number:
                self._starts.append((number, chunk.seq))
            self._append_bytes(chunk.stream, chunk.data, chunk.at)
        self.version += 1

    def _append_bytes(self, number: int, data: bytes, at: float | None) -> None:
        stream = self._streams.setdefault(2 if number == STDERR else 1, _Stream())
        text = stream.partial + stream.decoder.decode(data)
        stream.at = at
        whole, newline, stream.partial = text.rpartition("\n")
        if newline:
            for line in clean_output(whole, limit=len(whole) * 8 + 1).split("\n"):
                self._add(OutputLine(number, _truncate(line), at))
        while len(stream.partial) > MAX_PARTIAL:
            head, stream.partial = stream.partial[:MAX_PARTIAL], stream.partial[MAX_PARTIAL:]
            if "\r" not in stream.partial and "\r" in head:
                stream.partial, head = head.rpartition("\r")[2] + stream.partial, ""
            if head and "\r" not in stream.partial:
                self._add(OutputLine(number, _truncate(clean_output(head)), at))

    def _partial_lines(self) -> list[OutputLine]:
        return [
            OutputLine(number, _truncate(clean_output(stream.partial)), stream.at)
            for number, stream in sorted(self._streams.items())
            if stream.partial
        ]

    def _add(self, line: OutputLine) -> None:
        self._lines.append(line)
        self._chars += len(line.text)
        while len(self._lines) > self._max_lines or self._chars > MAX_CHARS:
            self._chars -= len(self._lines.popleft().text)
            self.first += 1
        while len(self._starts) > 1 and self._starts[1][0] <= self.first:
            self._starts.popleft()

    # ---- which chunks these are, for what is kept elsewhere

    @property
    def first_seq(self) -> int:
        """The chunk in which the first line kept ends, at the latest, and at most begins one before; 0 where nothing
        has come."""
        return self._starts[0][1] if self._starts else 0

    def seq_at(self, number: int) -> int:
        """The chunk in which line `number` begins, at the latest."""
        return next((seq for start, seq in reversed(self._starts) if start <= number), self.first_seq)

    def drop_first_partial(self) -> None:
        """Drops what the first chunk ended: where there were chunks before it, its first line is half a line."""
        if len(self._starts) > 1:
            while self.first < self._starts[1][0]:
                self._chars -= len(self._lines.popleft().text)
                self.first += 1
            self._starts.popleft()
            self.version += 1

    def rebase(self, other: OutputLines) -> bool:
        """Gives lines the numbers that they have in `other`, which was made of some of the same chunks; whether there
        are such."""
        theirs = {seq: number for number, seq in other._starts}
        shift = next((theirs[seq] - number for number, seq in reversed(self._starts) if seq in theirs), None)
        if shift is None:
            return False
        self.first += shift
        self._starts = deque((number + shift, seq) for number, seq in self._starts)
        self.version += 1
        return True

    def find(self, text: str, start: int, step: int, *, wrap_around: bool = True) -> int | None:
        """The number of the next line with `text` in it (case folded) from `start` on, `around` the end or not; None
        where none has."""
        wanted, count = text.casefold(), self.end - self.first
        if not wanted or not count:
            return None
        for offset in range(count):
            place = start - self.first + offset * step
            if not wrap_around and not 0 <= place < count:
                return None
            number = self.first + place % count
            line = self.line(number)
            if line is not None and wanted in line.text.casefold():
                return number
        return None


def _truncate(line: str) -> str:
    return line if len(line) <= MAX_LINE else line[: MAX_LINE - 1] + "…"
