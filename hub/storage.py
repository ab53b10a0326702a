"""The store's disk while the hub serves: what is told while it is full, and the way back to normal.

A commit that finds no room makes the hub read-only (`hub.store.room`). A hub that starts on a full disk has no epoch of
its own yet: it shows what there is, its links are live and hand nothing out, and what machines report waits there. Once
there is room the start is written, everybody's session goes on at its epoch, and the links that were held come anew.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from common.catalogue import Language, Sentence
from common.errors import UserError, WorkFailed
from common.values import format_rounded_size
from hub.clock import HubClock, write_tick
from hub.engine.unit_of_work import UnitOfWork
from hub.log import logger
from hub.store.disk_use import DiskUse, measure
from hub.store.room import NEEDED
from hub.store.store import Store

LOOK_EVERY: Final = 1.0
MEASURE_EVERY: Final = 10.0
"""Seconds for which what fills the disk is told as it was measured."""

log = logger("storage")


@dataclass(slots=True)
class StorageState:
    """What everybody who tells of the disk asks."""

    store: Store
    since: float = 0.0  # when the hub became read-only
    use: DiskUse | None = field(default=None)

    @property
    def read_only(self) -> bool:
        return self.store.room.read_only

    @property
    def mode(self) -> str:
        return "read-only" if self.read_only else "normal"

    def sentence(self, language: Language) -> str:
        """What is wrong, what fills the disk, and the cure; "" where nothing is wrong."""
        if not self.read_only:
            return ""
        if self.use is None:
            return Sentence("storage_full").render(language)
        values = {**self.use.sizes(), "needed": format_rounded_size(NEEDED)}
        return Sentence("storage_full_of", values).render(language)


class StorageTasks:
    """`run` serves until it is cancelled."""

    def __init__(
        self,
        *,
        state: StorageState,
        folder: Path,
        begun: Callable[[int], Awaitable[None]],
        write: Callable[[Callable[[UnitOfWork], None]], Awaitable[None]],
        release: Callable[[], Awaitable[None]],
        changed: Callable[[], None],
        hub_id: str,
        clock: HubClock,
    ) -> None:
        """`begun` is told the epoch of a start that could be written only now; `release` has links that were held
        come anew; `changed` says that there is something else to show.
        """
        self.state = state
        self._store = state.store
        self._folder = folder
        self._begun = begun
        self._write = write
        self._release = release
        self._changed = changed
        self._hub_id = hub_id
        self._clock = clock
        self._told = self._audited = False
        self._measured_at = 0.0

    async def run(self) -> None:
        if not self._store.room.read_only:
            await asyncio.to_thread(self._store.room.make_reserve)
        while True:
            try:
                await self.look()
            except (UserError, OSError) as error:
                log.warning("storage.not_looked", problem=str(error))
            await asyncio.sleep(LOOK_EVERY)

    async def look(self) -> None:
        """One look: what is told, and whether it can go on."""
        room = self._store.room
        room.look()
        if not room.read_only:
            if self._store.trouble():  # a server that was away or locked: nobody else may write for a while
                await self._attempt(self._tick)
            return
        await self._measure()
        if not self._told:
            self._told = True
            self._tell_full()
        if room.database is not None and (room.free() or 0) < NEEDED:
            if room.stuck and not self._store.waits:  # whether the reserve's room is enough
                unit = self._tick if self._audited else self._note("hub.read_only")
                self._audited = await self._attempt(unit) or self._audited
            return
        if self._store.waits:
            try:
                epoch = await asyncio.to_thread(self._store.begin)
            except WorkFailed:
                return
            await self._begun(epoch)
        if await self._attempt(self._note("hub.writable")):
            await asyncio.to_thread(room.open)
            self._told = self._audited = False
            self.state.use = None
            log.info("storage.normal", seconds=round(self._clock() - self.state.since))
            self._changed()
            await self._release()

    async def _attempt(self, unit: Callable[[UnitOfWork], None]) -> bool:
        try:
            await self._write(unit)
        except WorkFailed:
            return False
        return True

    def _tick(self, uow: UnitOfWork) -> None:
        write_tick(uow.txn, self._clock)

    def _note(self, kind: str) -> Callable[[UnitOfWork], None]:
        since = self.state.since
        data = {"since": since, **({} if self.state.use is None else self.state.use.sizes())}
        return lambda uow: uow.audit(kind, self._hub_id, "hub", data)

    async def _measure(self) -> None:
        now = self._clock()
        if not self._told:
            self.state.since = now
        elif 0 <= now - self._measured_at < MEASURE_EVERY:
            return
        self._measured_at = now
        if self._store.room.database is not None:
            self.state.use = await asyncio.to_thread(measure, self._store.room.database, self._folder)
        self._changed()

    def _tell_full(self) -> None:
        use = {} if self.state.use is None else self.state.use.sizes()
        cure = "make room: the hub goes on by itself"
        log.error("storage.full", begun=not self._store.waits, cure=cure, **use)
