"""One hub a store: this process notices that it is not the one any more, and ends.

A write is refused by itself where another hub has served the store since (`hub.store.sql`): every batch asks for the
epoch in its own transaction, and nothing is handed out that is not committed first. Here the lock is looked at, once a
second, and the process ended that may not write: whoever started it starts it again, and then it says who holds the
store, or serves on.

A lock that was lost and could be taken again is told and audited, and the hub goes on: nobody else served meanwhile.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from common.errors import UserError
from hub.log import logger
from hub.maintenance import TimerHealth
from hub.store.errors import StoreFenced
from hub.store.store import Store

CHECK_EVERY: Final = 1.0
TIMER: Final = "store lock"
"""What the page of the hub's health calls it."""

log = logger("hub")


class Fencing:
    """`run` raises StoreFenced where this is not the hub of its store any more."""

    def __init__(self, store: Store, health: TimerHealth, record: Callable[[str], Awaitable[None]]) -> None:
        """`record` writes a row of the audit of this kind."""
        self._store = store
        self._health = health
        self._record = record

    async def run(self) -> None:
        while True:
            await asyncio.sleep(CHECK_EVERY)
            await self.check()

    async def check(self) -> None:
        failing = self._health.failing
        try:
            held = await asyncio.to_thread(self._store.check_held_now)
            if not held:
                log.error(
                    "store.lock_retaken",
                    store=self._store.name,
                    reason="its lock was lost, and nobody else had it: taken again",
                    cure="see who removes the lock's file, or ends the database server's sessions",
                )
                await self._record("store.lock_retaken")
        except StoreFenced:
            raise
        except UserError as error:  # the database is away, or busy: what is written is refused by itself meanwhile
            failing[TIMER] = str(error)
        else:
            failing.pop(TIMER, None)
