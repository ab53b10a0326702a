"""Sealing at rest while the hub serves: rows of before are sealed, a new ring is taken up, the use of keys is noted.

A task here fails for one round, never for good: what went wrong is in the log, and tried again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from common.errors import UserError, WorkFailed
from common.identity.sealing import Sealer
from hub.log import logger
from hub.store.lanes import Lane
from hub.store.sealing_keys import LOADED
from hub.store.store import Store
from hub.store.transaction import Txn

WATCH_EVERY: Final = 2.0
"""Seconds between two looks whether the store is to be sealed under another key."""
READ_AGAIN_AFTER: Final = 6.0
"""Seconds until a ring that had not the key yet is read again."""
USE_EVERY: Final = 60.0
ROWS: Final = 100
"""Rows of before that one step looks at."""
TIME_SHARE: Final = 0.1
"""Of the writer's time that the conversion takes, at most."""
RETRY_AFTER: Final = 10.0
CLEAN_BELOW: Final = 256 * 1024 * 1024
"""Bytes of an SQLite file that is written anew beside the load: writers wait for it, up to six seconds at this size.
Measured: 43 MiB a second of the file as it was, on a busy machine.
"""

log = logger("sealing")


class SealingTasks:
    """`run` serves until it is cancelled."""

    def __init__(self, store: Store, ring: Sealer, read_ring: Callable[[], Sealer], clock: Callable[[], float]) -> None:
        """`read_ring` reads the ring from where hub.toml says; raises UserError."""
        self._store = store
        self._ring = ring
        self._read_ring = read_ring
        self._clock = clock
        self._noted = dict(ring.uses)
        self._failing: dict[str, str] = {}
        self._read_again_at = 0.0  # by the loop's clock

    async def run(self) -> None:
        await self._repeat("ring", self.announce)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._every(WATCH_EVERY, "ring", self.watch))
            tasks.create_task(self._every(USE_EVERY, "use", self.note_use))
            tasks.create_task(self.convert())

    async def _every(self, seconds: float, name: str, task: Callable[[], Awaitable[None]]) -> None:
        while True:
            await self._attempt(name, task)
            await asyncio.sleep(seconds)

    async def _attempt(self, name: str, task: Callable[[], Awaitable[None]]) -> bool:
        """Whether it was done; a failure is told once."""
        try:
            await task()
        except (UserError, WorkFailed) as error:
            if self._failing.get(name) != str(error):
                log.error("sealing.failed", task=name, problem=str(error))
                self._failing[name] = str(error)
            return False
        self._failing.pop(name, None)
        return True

    # ---- the ring

    async def announce(self) -> None:
        """The store knows which keys this hub has: none of them is retired before the hub has the next."""
        ids, now = self._ring.ids, self._clock()

        def unit(txn: Txn) -> None:
            if txn.primary_key() != ids[0]:  # of a rotation that was killed, or a database put back from before one
                txn.note_ring(ids, now)
            txn.put_meta(LOADED, " ".join(ids))

        await self._store.write(unit)

    async def watch(self) -> None:
        """Takes up the ring where the store is to be sealed under another first key, or a key was retired."""
        primary, known = await self._store.read(
            lambda txn: (txn.primary_key(), {key.id for key in txn.sealing_keys() if key.state == "retired"})
        )
        loop = asyncio.get_running_loop()
        if primary in ("", self._ring.ids[0]) and not known.intersection(self._ring.ids):
            return
        if loop.time() < self._read_again_at:
            return
        self._read_again_at = loop.time() + READ_AGAIN_AFTER  # where it is not there yet, as a credential never is
        fresh = await asyncio.to_thread(self._read_ring)
        if fresh.ids[0] == primary and self._ring.adopt(fresh):
            self._read_again_at = 0.0
            log.info("sealing.ring_taken_up", keys=list(self._ring.ids))
            await self.announce()

    async def note_use(self) -> None:
        uses = dict(self._ring.uses)
        used = [identifier for identifier, count in uses.items() if count != self._noted.get(identifier, 0)]
        if used:
            now = self._clock()
            await self._store.write(lambda txn: txn.note_key_use(used, now))
            self._noted = uses

    # ---- rows of before

    async def convert(self) -> None:
        """Seals what was written before the store was sealed, at no more than TIME_SHARE of the writer's time."""
        loop = asyncio.get_running_loop()
        sealed, begun = 0, loop.time()
        while True:
            before = loop.time()
            try:
                step = await self._store.write(lambda txn: txn.seal_old_rows(ROWS), Lane.BACKGROUND)
            except (UserError, WorkFailed) as error:
                log.error("sealing.failed", task="rows", problem=str(error))
                await asyncio.sleep(RETRY_AFTER)
                continue
            sealed += step.sealed
            if not step.table:
                break
            await asyncio.sleep((loop.time() - before) * (1 / TIME_SHARE - 1))
        if sealed:
            log.info("sealing.rows_sealed", values=sealed, seconds=round(loop.time() - begun, 1))
        await self._repeat("pages", self.clean)

    async def _repeat(self, name: str, task: Callable[[], Awaitable[None]]) -> None:
        """Until it is done."""
        done = await self._attempt(name, task)
        while not done:
            await asyncio.sleep(RETRY_AFTER)
            done = await self._attempt(name, task)

    async def clean(self) -> None:
        """Once all rows are sealed: the pages of before, where that is quick."""
        if await self._store.read(lambda txn: txn.pages_clean()):
            return
        if not 0 < self._store.size <= CLEAN_BELOW:
            log.warning("sealing.pages_left", cure="stop the hub and run: answerback-hub keys clean")
            return
        await asyncio.to_thread(self._store.clean_pages_now)
        log.info("sealing.pages_clean", bytes=self._store.size)
