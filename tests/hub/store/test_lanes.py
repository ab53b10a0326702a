"""Which units go before which in the writer: a real store, whose writer stands still until they all wait."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from typing import Any

from hub.core.fair_queue import Key
from hub.store.lanes import FLOORS, Lane
from hub.store.store import Store
from hub.store.transaction import Txn


async def order_of(store: Store, *given: tuple[str, Lane, Key]) -> list[str]:
    """Units that were given while the writer was busy, in the order in which they ran."""
    begun, go_on, ran = threading.Event(), threading.Event(), list[str]()

    def busy(txn: Txn) -> None:
        begun.set()
        assert go_on.wait(30)

    def unit_of(name: str) -> Callable[[Txn], Any]:
        return lambda txn: ran.append(name)

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(store.write(busy))
        await asyncio.to_thread(begun.wait, 30)
        told = [tasks.create_task(store.write(unit_of(name), lane, key)) for name, lane, key in given]
        while store.waiting < len(given):
            await asyncio.sleep(0)
        go_on.set()
    assert len(told) == len(ran)
    return ran


async def test_people_do_not_wait_behind_output_nor_housekeeping(store: Store) -> None:
    """A pile of output and of what can wait is there first; what a person asks for, and a machine says, goes before."""
    output = [(f"o{n}", Lane.OUTPUT, Key("", "web-1")) for n in range(40)]
    late = [(f"b{n}", Lane.BACKGROUND, Key("", "")) for n in range(40)]
    others = [("reply", Lane.REPLIES), ("job", Lane.JOBS), ("person", Lane.PEOPLE)]
    ran = await order_of(store, *output, *late, *((name, lane, Key("", "")) for name, lane in others))
    assert ran[:3] == ["person", "job", "reply"]


async def test_output_goes_on_and_machines_take_turns(store: Store) -> None:
    """Behind any number of others it has one unit in so many; and of machines the quiet one is not behind the loud."""
    loud = [(f"o{n}", Lane.OUTPUT, Key("", "web-1")) for n in range(5)]
    quiet = [("q", Lane.OUTPUT, Key("", "web-2"))]
    jobs = [(f"j{n}", Lane.JOBS, Key("", "")) for n in range(100)]
    ran = await order_of(store, *loud, *quiet, *jobs)
    written = [ran.index(name) for name in ("o0", "q", "o1", "o2")]
    assert written == [FLOORS[Lane.OUTPUT] * n + n - 1 for n in (1, 2, 3, 4)]
