"""Simulated machines that take orders: `python -m tests.bench.peers.fleet FOLDER PORT COUNT`.

As in tests/bench/links.py each has a certificate and a TLS link of its own; here it also answers an order as a runner
does, accepted, started, ended, and runs nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import resource
import sys
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Final

import uvloop

from common.link.messages import Accepted, Dispatch, Ended, KeyChange, KnownKeys, Message, Started
from common.plan import Order
from tests.bench.links import Fleet, Simulated
from tests.end_to_end.system import ROOT

NOTHING: Final = hashlib.sha256().hexdigest()


class Working(Simulated):
    def answers(self, message: Message) -> Sequence[Message]:
        if isinstance(message, KeyChange):
            return (KnownKeys("", True, "", {}),)  # asked before the first order; nobody's own signature counts here
        if not isinstance(message, Dispatch):
            return ()
        order, now = Order.from_bytes(message.order), time.time()
        return (
            Accepted(order.job, order.plan_hash),
            Started(order.job, 4711, now),
            Ended(order.job, "succeeded", 0, None, "", 0, 0, NOTHING, False, now, now, 0.0, 0.0, 0),
        )


class WorkingFleet(Fleet):
    async def run(self) -> None:
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._tell())
            for number, name in enumerate(self.names):
                tasks.create_task(Working(name, self).run(number / 200))


@contextlib.asynccontextmanager
async def linked(folder: Path, port: int, count: int) -> AsyncIterator[None]:
    """So many machines, invited already, once all of them have their link."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.bench.peers.fleet", str(folder), str(port), str(count)),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        async with asyncio.TaskGroup() as tasks:
            async with asyncio.timeout(60 + count / 20):
                await reach(process.stdout, count)
            reading = tasks.create_task(process.stdout.read())
            try:
                yield
            finally:
                reading.cancel()
    finally:
        process.kill()
        await process.wait()


async def reach(told: asyncio.StreamReader, count: int) -> None:
    while json.loads(await told.readline())["linked"] < count:
        pass


if __name__ == "__main__":
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with contextlib.suppress(KeyboardInterrupt):
        uvloop.run(WorkingFleet(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), 20).run())
