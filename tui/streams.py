"""The output of jobs, as it comes, onto this process's standard output and error.

Into a file or a pipe the bytes go as they are. On a terminal, and where several machines speak at once, they are made
safe first; behind a machine's name only whole lines are written, so that two machines never share one.
"""

from __future__ import annotations

import codecs
import sys
from collections.abc import Mapping
from typing import Any, Final, TextIO

from common.text import clean, clean_output

LONGEST_LINE: Final = 32 * 1024
"""Characters after which a line behind a name is written although it has not ended."""


class _Source:
    """One of the two streams of one job, on its way to one of ours."""

    def __init__(self, target: TextIO, name: str) -> None:
        self.target = target
        self.name = clean(name, limit=80)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")  # a chunk may end within a character
        self._begun = ""  # the line that has not ended

    def show(self, data: bytes) -> None:
        text = self._decoder.decode(data)
        self.target.write(clean_output(text, limit=8 * len(text) + 1))

    def show_lines(self, data: bytes, *, last: bool = False) -> None:
        text = self._begun + self._decoder.decode(data, last)
        *whole, self._begun = text.split("\n")
        if len(self._begun) > LONGEST_LINE or (last and self._begun):
            whole, self._begun = [*whole, self._begun], ""
        self.target.write("".join(f"{self.name} | {clean_output(line)}\n" for line in whole))


class Streams:
    """For one request. A chunk is what the hub pushes: job, agent, stream (1 or 2), data."""

    def __init__(self, *, named: bool) -> None:
        self._named = named
        self._sources: dict[tuple[str, int], _Source] = {}

    def write(self, chunk: Mapping[str, Any]) -> None:
        target = sys.stderr if chunk["stream"] == 2 else sys.stdout
        if not self._named and not target.isatty():
            target.buffer.write(chunk["data"])
        else:
            key = (str(chunk["job"]), int(chunk["stream"]))
            if key not in self._sources:
                self._sources[key] = _Source(target, str(chunk["agent"]))
            (self._sources[key].show_lines if self._named else self._sources[key].show)(chunk["data"])
        target.flush()

    def end(self) -> None:
        """Writes the lines that never ended."""
        if self._named:
            for source in self._sources.values():
                source.show_lines(b"", last=True)
                source.target.flush()
