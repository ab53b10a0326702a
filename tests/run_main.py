"""Our command lines run inside the test's own process: `main()` with arguments and standard streams of its own.

A process of its own takes half a second to start; this takes milliseconds and shows the same: status, standard output
and standard error, and what became of an error. For tests that are plain functions (`main` has its own event loop).
"""

from __future__ import annotations

import io
import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, Any


@dataclass(frozen=True)
class CommandResult:
    """What a command came to."""

    code: int
    out: bytes
    err: str

    @property
    def text(self) -> str:
        return self.out.decode()

    @property
    def json(self) -> Any:
        """The one JSON document on standard output."""
        return json.loads(self.out)


@contextmanager
def redirected_streams(stdin: bytes) -> Iterator[tuple[IO[bytes], IO[bytes]]]:
    """Standard streams of one's own, as files."""
    before = sys.stdin, sys.stdout, sys.stderr
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        given.write(stdin)
        given.seek(0)
        ours = [io.TextIOWrapper(file, encoding="utf-8", write_through=True) for file in (given, out, err)]
        sys.stdin, sys.stdout, sys.stderr = ours
        try:
            yield out, err
        finally:
            sys.stdin, sys.stdout, sys.stderr = before
            for stream in ours:
                stream.detach()


def run_main(main: Callable[[], None], *argv: str, stdin: bytes = b"") -> CommandResult:
    """One of our `main()`s with these arguments, to its end."""
    before, code = sys.argv, 0
    with redirected_streams(stdin) as (out, err):
        sys.argv = ["program", *argv]
        try:
            main()
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else 1
        finally:
            sys.argv = before
        sys.stdout.flush()
        sys.stderr.flush()
        out.seek(0)
        err.seek(0)
        return CommandResult(code, out.read(), err.read().decode())
