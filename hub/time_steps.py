"""A wall clock was set, the hub's or a machine's: told and audited. And the hub's time, stored now and then.

A machine tells with each heartbeat how far its clock is ahead of the hub's: where that changes by seconds from one to a
later one, its clock was set, unless the hub's was.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Final

from hub.clock import TICK_EVERY, HubClock, write_tick
from hub.core.hub_time import ClockStep
from hub.engine.unit_of_work import UnitOfWork, UnitOfWorkRunner
from hub.log import logger

LOOK_EVERY: Final = 10.0
AGENT_STEP: Final = 5.0
"""Seconds by which a machine's offset must change: a heartbeat may be on its way for a while."""
SETTLE: Final = 300.0
"""Seconds after a step of the hub's clock in which the offsets of machines change for that."""
MAX_NAMED: Final = 20
"""Machines that are named at one look: where all of a network are set at once, the others are logged as a number."""

log = logger("clock")


class TimeSteps:
    def __init__(
        self,
        clock: HubClock,
        units: UnitOfWorkRunner,
        hub_id: str,
        vitals: Callable[[], Mapping[str, Mapping[str, float]]] = lambda: {},
    ) -> None:
        """`vitals` are the last figures of each machine."""
        self._vitals = vitals
        self._offsets: dict[str, float] = {}
        self._look_at = -math.inf
        self._clock = clock
        self._units = units
        self._hub_id = hub_id
        self._stored_at = -math.inf

    async def run_due(self) -> None:
        """Looks for steps; a tick is stored with each, and every TICK_EVERY seconds."""
        steps, now = self._clock.take_steps(), self._clock()
        if steps:
            self._offsets, self._look_at = {}, now + SETTLE
        if now >= self._look_at:
            self._look_at = now + LOOK_EVERY
            await self._look_at_machines()
        if not steps and now - self._stored_at < TICK_EVERY:
            return

        def unit(uow: UnitOfWork) -> None:
            for step in steps:
                data = {"what": describe_step(step), "seconds": round(step.by, 3), "at": step.at}
                uow.audit("clock.stepped", self._hub_id, "hub", data)
            write_tick(uow.txn, self._clock)

        for step in steps:
            log.warning("clock.stepped", seconds=round(step.by, 3), ahead=round(self._clock.ahead, 3))
        await self._units.write(unit)
        self._stored_at = now

    async def _look_at_machines(self) -> None:
        found = [(name, figures["clock_ahead"]) for name, figures in self._vitals().items() if "clock_ahead" in figures]
        before, self._offsets = self._offsets, dict(found)
        changed = [(name, ahead - before[name]) for name, ahead in found if name in before]
        stepped = [(name, by) for name, by in changed if abs(by) >= AGENT_STEP]
        if not stepped:
            return

        def unit(uow: UnitOfWork) -> None:
            for name, by in stepped[:MAX_NAMED]:
                data = {"what": describe_seconds(by), "seconds": round(by, 1)}
                uow.audit("agent.clock_stepped", name, "hub", data)

        log.warning("clock.agents_stepped", agents=len(stepped), first=stepped[0][0], seconds=round(stepped[0][1], 1))
        await self._units.write(unit)


def describe_step(step: ClockStep) -> str:
    """`+70 s`, `-1 h`."""
    return describe_seconds(step.by)


def describe_seconds(by: float) -> str:
    seconds = round(by)
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if abs(seconds) >= size and seconds % size == 0:
            return f"{seconds // size:+d} {unit}"
    return f"{seconds:+d} s"
