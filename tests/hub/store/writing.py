"""Run by tests as a process of its own, with the arguments URL FOLDER NAME COUNT [serve].

Writes COUNT events (for ever where it is 0), several at once, and prints each one's number when it has been told that
it is kept. `serve` takes the store over first.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
import time
from pathlib import Path

from hub.store.store import Store
from hub.store.transaction import Txn


async def write(url: str, folder: str, name: str, count: int, *more: str) -> None:
    store = Store.open(url, folder=Path(folder), clock=time.time)
    if "serve" in more:
        store.acquire()
    print("ready", flush=True)
    numbers = iter(range(count)) if count else itertools.count()

    async def sender() -> None:
        for number in numbers:

            def unit(txn: Txn, number: int = number) -> None:
                txn.audit("test.written", f"{name}-{number}", name, {"n": number}, time.time())
                txn.put_meta(f"{name}-{number}", "kept")

            await store.write(unit)
            print(number, flush=True)

    async with asyncio.TaskGroup() as group:
        for _ in range(8):
            group.create_task(sender())
    store.close()


def main() -> None:
    url, folder, name, count, *more = sys.argv[1:]
    asyncio.run(write(url, folder, name, int(count), *more))
