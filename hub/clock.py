"""The hub's clocks: its own time, which goes on whatever is done to the wall clock (`hub.core.hub_time`), and that."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from hub.core.hub_time import ClockStep, Reading, Tick, parse_tick, resumed, slewed, step_between
from hub.store.store import Store
from hub.store.transaction import Txn

META: Final = "clock"
TICK_EVERY: Final = 60.0
"""Seconds between ticks that are stored. None is lost with a crash: the next start reckons from the last one."""
MAX_STEPS: Final = 8
"""Steps that are kept until they are told; of more the last ones."""
_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


def read_clocks() -> Reading:
    return Reading(time.time(), time.clock_gettime(time.CLOCK_BOOTTIME))


def boot_id() -> str:
    """The kernel's id of this boot, "" where it does not tell."""
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()[:64]
    except (OSError, ValueError):
        return ""


class HubClock:
    """Called, it gives the hub's time: seconds since the epoch that never go back. Any thread may call it."""

    def __init__(self, read: Callable[[], Reading] = read_clocks, boot: Callable[[], str] = boot_id) -> None:
        self._read = read
        self._boot_id = boot()
        self._lock = threading.Lock()
        self._last = read()
        self._ahead = 0.0
        self._time = self._last.wall
        self._steps: list[ClockStep] = []

    def __call__(self) -> float:
        with self._lock:
            return self._advance()

    def wall(self) -> float:
        """The wall clock as it is."""
        return self._read().wall

    @property
    def ahead(self) -> float:
        """Seconds that the hub's time is ahead of the wall clock: what a step has left, and time has not."""
        return self._ahead

    def resume(self, tick: Tick | None) -> None:
        """Goes on from what the hub had counted before; called once, before anything relies on the time."""
        with self._lock:
            self._last = now = self._read()
            before = self._ahead if tick is None else tick.time - tick.wall
            self._time = resumed(tick, now, self._boot_id)
            self._ahead = self._time - now.wall
            if tick is not None and step_between(Reading(0.0, 0.0), Reading(before - self._ahead, 0.0)):
                self._note(ClockStep(self._time, before - self._ahead))

    def tick(self) -> Tick:
        """What is to be stored."""
        with self._lock:
            return Tick(self._advance(), self._last.wall, self._last.boot, self._boot_id)

    def take_steps(self) -> list[ClockStep]:
        """The steps that were not told yet."""
        with self._lock:
            self._advance()
            steps, self._steps = self._steps, []
            return steps

    def _advance(self) -> float:
        now = self._read()
        if by := step_between(self._last, now):
            self._ahead -= by
            self._note(ClockStep(now.wall + self._ahead, by))
        self._ahead = slewed(self._ahead, now.boot - self._last.boot)
        self._last = now
        self._time = max(self._time, now.wall + self._ahead)
        return self._time

    def _note(self, step: ClockStep) -> None:
        self._steps = [*self._steps, step][-MAX_STEPS:]


def read_tick(txn: Txn) -> Tick | None:
    return parse_tick(txn.get_meta(META))


def write_tick(txn: Txn, clock: HubClock) -> None:
    txn.put_meta(META, clock.tick().to_json())


def hub_time_of(store: Store, wall: float) -> float:
    """The hub's time for a command that runs beside a hub, or while there is none, at `wall`."""
    return resumed(store.read_now(read_tick), read_clocks()._replace(wall=wall), boot_id())
