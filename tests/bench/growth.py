"""make bench-growth: bytes that a message leaves in the database and the log, by table, and what is left of it later.

Each message is a signed webhook that runs a real process and is answered (see throughput). Bytes are pages as SQLite
counts them (`dbstat`), a table's with its indexes, beyond those of the hub before the first message. Measured when the
last reply is posted, when delivered replies are old enough to be deleted, when the requests are, and when the events of
the audit are archived; then with the files of the archive. Prints JSON.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from hub.archive.archiver import Archiver
from hub.chat.inlets import load_config  # after the path is set: the bench is run as a file
from hub.cleanup import Cleanup
from hub.cli.admin import archive_of, open_store
from hub.identity.keys import load_keys
from tests.bench.throughput import full, prepared
from tests.end_to_end.system import SystemHarness

MINUTE: Final = 60.0
BY_NAME: Final = (
    "SELECT coalesce(m.tbl_name, d.name), sum(d.pgsize) FROM dbstat d LEFT JOIN sqlite_master m USING (name) GROUP BY 1"
)


def by_table(file: Path) -> dict[str, int]:
    """Bytes of each table with its indexes; free pages are nobody's."""
    with sqlite3.connect(file) as database:
        return dict(database.execute(BY_NAME))


def growth(before: dict[str, int], after: dict[str, int], count: int) -> dict[str, float]:
    """Bytes a message, the largest first."""
    found = {name: (size - before.get(name, 0)) / count for name, size in after.items() if size != before.get(name, 0)}
    listed = sorted(found.items(), key=lambda one: -one[1])
    return {"total": round(sum(found.values()), 1), **{name: round(size, 1) for name, size in listed}}


async def clean(hub: Path, later: float, keep_events: float = 0.0) -> int:
    """What the hub deletes `later` seconds from now; returns the archive's bytes."""
    config = load_config(hub / "hub.toml")
    keys = load_keys(config)
    with open_store(config, time.time()) as store:
        archiver = Archiver(store, archive_of(config, keys), keys.audit.key, time.time, nothing)
        work = Cleanup(
            store,
            config.store,
            lambda: time.time() + later,
            pause=nothing,
            archiver=archiver,
            keep_events=keep_events,
        )
        await work.run()
        return archiver.used_bytes()


async def nothing(seconds: float) -> None:
    """No rest: nobody waits."""


async def bench(count: int = 2000) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="answerback-growth-") as name:
        folder = Path(name)
        async with SystemHarness(folder, forks=False) as rig:
            await prepared(rig)
            await full(rig, folder / "warm", 50)
            file, log = rig.hub_dir / "data" / "answerback.sqlite", rig.programs["hub"].log
            empty, words = by_table(file), log.stat().st_size
            await full(rig, folder / "full", count)
            words = log.stat().st_size - words
            kept = load_config(rig.hub_dir / "hub.toml").store
            await rig.programs["hub"].stop()
            full_size = by_table(file)
            await clean(rig.hub_dir, kept.replies + MINUTE)
            week = by_table(file)
            await clean(rig.hub_dir, kept.retention + MINUTE)
            quarter = by_table(file)
            kept_events = load_config(rig.hub_dir / "hub.toml").audit.keep
            archive = await clean(rig.hub_dir, kept_events + MINUTE, kept_events)
            year = by_table(file)
    return {
        "messages": count,
        "log": round(words / count, 1),
        "answered": growth(empty, full_size, count),
        "after_replies": growth(empty, week, count),
        "after_retention": growth(empty, quarter, count),
        "after_archive": growth(empty, year, count),
        "archive": round(archive / count, 1),
    }


if __name__ == "__main__":
    print(json.dumps(asyncio.run(bench(int(sys.argv[1]) if len(sys.argv) > 1 else 2000)), indent=2))
