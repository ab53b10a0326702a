"""Statements and commits of a hub a message, and syncs of all its processes, counted from outside."""

from __future__ import annotations

import asyncio
import contextlib
import re
import shutil
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tests.bench.peers.counted_hub import LAYOUT, VARIABLE
from tests.end_to_end.system import SystemHarness


@dataclass(frozen=True)
class Counts:
    """A message's share. `looks` are reads of the reader threads, which other things ask for too; `syncs` is None where
    there is no strace.
    """

    reads: float
    writes: float
    commits: float
    looks: float = 0.0
    syncs: float | None = None

    def plain(self) -> dict[str, Any]:
        return asdict(self)


async def start_counted_hub(rig: SystemHarness) -> Path:
    """Starts the rig's hub as one that counts; the file of its counts."""
    file = rig.folder / "counts"
    await rig.start(
        "hub", "tests.bench.peers.counted_hub", "serve", "--config", str(rig.config), env={VARIABLE: str(file)}
    )
    await rig.wait_until(rig.ready, rig.programs["hub"])
    return file


def read_counts(file: Path) -> tuple[int, ...]:
    return LAYOUT.unpack(file.read_bytes())


def share(before: tuple[int, ...], after: tuple[int, ...], messages: int, syncs: int | None = None) -> Counts:
    each = (round((late - early) / messages, 1) for early, late in zip(before, after, strict=True))
    return Counts(*each, syncs=None if syncs is None else round(syncs / messages, 2))


class Syncs:
    """How often the processes asked the disk to sync, once the block has ended; None where there is no strace."""

    def __init__(self) -> None:
        self.count: int | None = None


@contextlib.asynccontextmanager
async def counting_syncs(*pids: int) -> AsyncIterator[Syncs]:
    found = Syncs()
    if shutil.which("strace") is None:
        yield found
        return
    words = [word for pid in pids for word in ("-p", str(pid))]
    process = await asyncio.create_subprocess_exec(
        *("strace", "-f", "-q", "-c", "-e", "trace=fsync,fdatasync,sync_file_range", *words),
        stderr=asyncio.subprocess.PIPE,
    )
    await asyncio.sleep(1)  # it says nothing when it has attached
    try:
        yield found
    finally:
        process.send_signal(2)
        _, said = await process.communicate()
    rows = re.findall(r"^\s*[\d.]+\s+[\d.]+\s+\d+\s+(\d+)\s+(?:\d+\s+)?f(?:data)?sync$", said.decode(), re.MULTILINE)
    found.count = sum(map(int, rows))
