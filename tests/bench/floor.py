"""The floor: what this machine takes for a bare WebSocket round trip and a bare process start, without any of
Answerback.

`python tests/bench/floor.py serve PORT` is the far end: one message in, one process run to its end, one message out.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path
from typing import Final

from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve

PROGRAM: Final = "/usr/bin/true"


async def _far_end(port: int) -> None:
    async def each(connection: ServerConnection) -> None:
        async for message in connection:
            pid = os.posix_spawn(PROGRAM, [PROGRAM], {})
            os.waitpid(pid, 0)
            await connection.send(message)

    async with serve(each, "127.0.0.1", port, compression=None):
        await asyncio.get_running_loop().create_future()


async def floor(port: int, count: int) -> tuple[list[float], float]:
    """Seconds of each of `count` round trips one after another, and how many a second with 8 connections at once."""
    process = await asyncio.create_subprocess_exec(sys.executable, str(Path(__file__).resolve()), "serve", str(port))
    try:
        deadline = time.monotonic() + 10
        while True:
            try:
                async with connect(f"ws://127.0.0.1:{port}", compression=None) as one:
                    await one.send(b"x")
                    await one.recv()
                break
            except OSError:
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(0.02)
        single: list[float] = []
        async with connect(f"ws://127.0.0.1:{port}", compression=None) as one:
            for _ in range(count):
                began = time.perf_counter()
                await one.send(b"x" * 200)
                await one.recv()
                single.append(time.perf_counter() - began)

        async def many() -> None:
            async with connect(f"ws://127.0.0.1:{port}", compression=None) as one:
                for _ in range(count // 8):
                    await one.send(b"x" * 200)
                    await one.recv()

        began = time.perf_counter()
        async with asyncio.TaskGroup() as tasks:
            for _ in range(8):
                tasks.create_task(many())
        return single, count // 8 * 8 / (time.perf_counter() - began)
    finally:
        process.terminate()
        await process.wait()


if __name__ == "__main__" and sys.argv[1:2] == ["serve"]:
    asyncio.run(_far_end(int(sys.argv[2])))
