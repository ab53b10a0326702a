"""The wall clock of the hub's machine was set: told and audited. And the hub's time, stored now and then."""

from __future__ import annotations

import math

from hub.clock import TICK_EVERY, HubClock, write_tick
from hub.core.hub_time import ClockStep
from hub.engine.unit_of_work import UnitOfWork, UnitOfWorkRunner
from hub.log import logger

log = logger("clock")


class TimeSteps:
    def __init__(self, clock: HubClock, units: UnitOfWorkRunner, hub_id: str) -> None:
        self._clock = clock
        self._units = units
        self._hub_id = hub_id
        self._stored_at = -math.inf

    async def run_due(self) -> None:
        """Looks for steps; a tick is stored with each, and every TICK_EVERY seconds."""
        steps, now = self._clock.take_steps(), self._clock()
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


def describe_step(step: ClockStep) -> str:
    """`+70 s`, `-1 h`."""
    seconds = round(step.by)
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if abs(seconds) >= size and seconds % size == 0:
            return f"{seconds // size:+d} {unit}"
    return f"{seconds:+d} s"
