"""Celery with Redis as one draws a durable queue of commands: a task runs a process, redis-server syncs every write, a
task is off the queue when it has ended."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

from tests.bench.peers.openssh import MissingPeer, peers_python, program
from tests.end_to_end.system import free_port

CHILD: Final = Path(__file__).with_name("celery_child.py")


class Celery:
    def __init__(self, folder: Path, workers: int = 2) -> None:
        self._folder = folder
        self._workers = workers
        self._port = free_port()
        self._client: asyncio.subprocess.Process | None = None
        self.pids: list[int] = []  # redis-server, the worker, the client

    async def one_by_one(self, count: int) -> list[float]:
        return [float(value) for value in (await self._ask("one", count))["seconds"]]

    async def as_many_as_go(self, count: int, in_flight: int) -> dict[str, Any]:
        """`rate`, and `seconds` of each, with so many waited for at a time."""
        return await self._ask(f"many {in_flight}", count)

    async def _ask(self, what: str, count: int) -> dict[str, Any]:
        client = self._client
        assert client is not None
        assert client.stdin is not None
        assert client.stdout is not None
        client.stdin.write(f"{what} {count}\n".encode())
        line = await client.stdout.readline()
        if not line:
            raise MissingPeer(f"Celery's client ended; see {self._folder}")
        found: dict[str, Any] = json.loads(line)
        return found

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Celery]:
        folder, python = self._folder, str(peers_python())
        folder.mkdir()
        redis = await asyncio.create_subprocess_exec(
            *(program("redis-server"), "--port", str(self._port), "--bind", "127.0.0.1", "--dir", str(folder)),
            *("--appendonly", "yes", "--appendfsync", "always", "--save", "", "--logfile", str(folder / "redis.log")),
        )
        environment = {"PATH": "/usr/bin:/bin", "REDIS_PORT": str(self._port), "PYTHONPATH": str(CHILD.parent)}
        worker = None
        try:
            with (folder / "worker.log").open("wb") as log:
                worker = await asyncio.create_subprocess_exec(
                    *(python, "-m", "celery", "-A", CHILD.stem, "worker", "-c", str(self._workers), "-l", "WARNING"),
                    *("--without-gossip", "--without-mingle", "--without-heartbeat"),
                    cwd=folder,
                    env=environment | ({"C_FORCE_ROOT": "1"}),
                    stdout=log,
                    stderr=log,
                )
            with (folder / "client.log").open("wb") as log:
                self._client = await asyncio.create_subprocess_exec(
                    *(python, str(CHILD)),
                    env=environment,
                    stdin=asyncio.subprocess.PIPE,
                    stdout=asyncio.subprocess.PIPE,
                    stderr=log,
                    limit=2**24,
                )
            async with asyncio.timeout(60):
                await self.one_by_one(1)
            self.pids = [redis.pid, worker.pid, self._client.pid]
            yield self
        finally:
            for process in (self._client, worker, redis):
                if process is not None and process.returncode is None:
                    process.terminate()
                    await process.wait()
