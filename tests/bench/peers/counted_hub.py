"""A hub that counts what it asks of SQLite: `python -m tests.bench.peers.counted_hub serve --config FILE`.

$ANSWERBACK_COUNTS names the file where the counts stand, four 64-bit numbers: reads, writes and commits of the writer,
and reads of the reader threads, which look now and then whatever happens. Statements are counted as SQLite begins them;
those of triggers are not.
"""

from __future__ import annotations

import mmap
import os
import sqlite3
import struct
import threading
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

VARIABLE: Final = "ANSWERBACK_COUNTS"
LAYOUT: Final = struct.Struct("=QQQQ")
_NOT_COUNTED: Final = ("BEGIN", "SAVEPOINT", "RELEASE", "ROLLBACK", "PRAGMA", "--")


def count_into(file: Path) -> None:
    file.write_bytes(bytes(LAYOUT.size))
    with file.open("r+b") as opened:
        shared = mmap.mmap(opened.fileno(), LAYOUT.size)
    numbers = [0, 0, 0, 0]

    def trace(text: str) -> None:
        text = text.lstrip().upper()
        if not text.startswith(_NOT_COUNTED):
            if threading.current_thread().name.startswith("store-reader"):
                numbers[3] += 1
            else:
                numbers[2 if text.startswith("COMMIT") else 0 if text.startswith("SELECT") else 1] += 1
            LAYOUT.pack_into(shared, 0, *numbers)

    def connected(connection: Any, record: object) -> None:
        assert isinstance(connection, sqlite3.Connection)
        connection.set_trace_callback(trace)

    sa.event.listen(sa.Engine, "connect", connected)


if __name__ == "__main__":
    count_into(Path(os.environ[VARIABLE]))
    from hub.cli.main import main

    main()
