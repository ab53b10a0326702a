"""agent.runner.socket, on the runner's real socket"""

from __future__ import annotations

import asyncio
import os
import struct
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from agent.runner.limits import RunnerLimits
from common.link.codec import encode
from common.link.messages import Ended, Report, Started

ROOT = os.geteuid() == 0


@pytest.mark.skipif(not ROOT, reason="only root can become somebody else")
async def test_strangers_are_turned_away(home: Any, kit: Any) -> None:
    """A user who may open the socket but is not named gets no word; one who is named gets the report."""
    code = """
import os, socket, sys
os.setuid(12345)
s = socket.socket(socket.AF_UNIX)
s.connect(sys.argv[1])
try:
    print(len(s.recv(4)))
except ConnectionResetError:
    print(0)
"""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:  # pytest's own is closed to others
        Path(folder).chmod(0o755)
        home.socket = Path(folder) / "r.sock"
        for allowed, answer in (((), "0"), ((12345,), "4")):
            async with kit.serving(home, allowed=allowed):
                home.socket.chmod(0o666)
                command = [sys.executable, "-I", "-c", code, str(home.socket)]
                said = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=True)
            assert said.stdout.strip() == answer


@pytest.mark.parametrize(
    "data",
    [
        struct.pack(">I", 0),
        struct.pack(">I", 0xFFFFFFFF),
        struct.pack(">I", 1024 * 1024 + 1) + b"x" * 100,
        struct.pack(">I", 3) + b"abc",
        struct.pack(">I", len(encode(Report("j", "b", {})))) + encode(Report("j", "b", {})),  # not for the hub to send
    ],
)
async def test_what_is_no_frame_ends_the_connection_and_nothing_else(home: Any, kit: Any, data: bytes) -> None:
    """Garbage, a length past the bound, a message that is not the hub's: cut off; the next uplink finds order."""
    async with kit.serving(home):
        uplink = await kit.Uplink.known(home)
        job = uplink.order("/bin/sh", "-c", "sleep 0.1; echo done")
        await uplink.next(Started, job)
        uplink.send_bytes(data)
        await uplink.closed()
        again = await kit.Uplink.known(home)
        assert (await again.next(Ended, job)).outcome == "succeeded"
        assert again.output(job) == b"done\n"


async def test_frames_may_come_in_pieces_and_in_heaps(home: Any, kit: Any) -> None:
    """The socket is a stream: bytes one by one and many messages at once mean the same."""
    async with kit.serving(home):
        uplink = await kit.Uplink.known(home)
        data = encode(home.dispatch(order := home.order("/bin/true")))
        for byte in struct.pack(">I", len(data)) + data:
            uplink.send_bytes(bytes([byte]))
            await asyncio.sleep(0)
        await uplink.next(Ended, order.job)
        jobs = [uplink.order("/bin/true") for _ in range(50)]
        for job in jobs:
            await uplink.next(Ended, job)


async def test_it_does_not_read_on_while_the_disk_lags(home: Any, kit: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A slow disk slows the uplink down; what is read is bounded, and nothing is lost when it goes on."""
    from agent.runner import journal

    real, slow = os.fdatasync, asyncio.Event()
    loop = asyncio.get_running_loop()

    def stuck(file: int) -> None:
        asyncio.run_coroutine_threadsafe(slow.wait(), loop).result(kit.PATIENCE)
        real(file)

    waiting: list[int] = []
    append = journal.Journal.append

    def counted(self: journal.Journal, *records: Any, **more: Any) -> None:
        append(self, *records, **more)
        waiting.append(self.pending_count)

    monkeypatch.setattr(journal.Journal, "append", counted)
    limits = RunnerLimits(max_pending_writes=5)
    async with kit.serving(home, limits):
        uplink = await kit.Uplink.known(home)
        await uplink.next(Ended, uplink.order("/bin/true"))
        monkeypatch.setattr(journal.os, "fdatasync", stuck)
        orders = [home.order("/bin/true") for _ in range(40)]
        for order in orders:
            uplink.send(home.dispatch(order))
        for _ in range(50):
            await asyncio.sleep(0)
        slow.set()
        for order in orders:
            assert (await uplink.end(order.job)).outcome == "succeeded"
        assert max(waiting) == 5
