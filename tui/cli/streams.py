"""The output of jobs, as it comes, onto this process's standard output and error.

Into a file or a pipe the bytes go as they are. On a terminal, and where several machines write at once, they are made
safe first; behind a machine's name only whole lines are written, so that two machines never share one.
"""

from __future__ import annotations

import codecs
import sys
from typing import Final, TextIO

from common.api.work import JobChunk
from common.text import clean, clean_output

MAX_PARTIAL_LINE: Final = 32 * 1024
"""Characters after which a line behind a name is written although it has not ended."""


class _JobStream:
    """One of the two streams of one job, on its way to one of ours."""

    def __init__(self, target: TextIO, name: str) -> None:
        self.target = target
        self.name = clean(name, limit=80)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")  # a chunk may end within a character
        self._partial = ""  # the line that has not ended

    def write(self, data: bytes) -> None:
        text = self._decoder.decode(data)
        self.target.write(clean_output(text, limit=8 * len(text) + 1))

    def write_lines(self, data: bytes, *, last: bool = False) -> None:
        text = self._partial + self._decoder.decode(data, last)
        *whole, self._partial = text.split("\n")
        if len(self._partial) > MAX_PARTIAL_LINE or (last and self._partial):
            whole, self._partial = [*whole, self._partial], ""
        self.target.write("".join(f"{self.name} | {clean_output(line)}\n" for line in whole))


class OutputPrinter:
    """For one request; with `named` each line stands behind its machine's name."""

    def __init__(self, *, named: bool) -> None:
        self._named = named
        self._streams: dict[tuple[str, int], _JobStream] = {}

    def write(self, chunk: JobChunk) -> None:
        target = sys.stderr if chunk.stream == 2 else sys.stdout
        if not self._named and not target.isatty():
            target.buffer.write(chunk.data)
        else:
            key = (chunk.job, chunk.stream)
            if key not in self._streams:
                self._streams[key] = _JobStream(target, chunk.agent)
            (self._streams[key].write_lines if self._named else self._streams[key].write)(chunk.data)
        target.flush()

    def flush_partial(self) -> None:
        """Writes the lines that never ended."""
        if self._named:
            for source in self._streams.values():
                source.write_lines(b"", last=True)
                source.target.flush()
