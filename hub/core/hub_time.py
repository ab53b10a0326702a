"""The hub's time: the wall clock, but for steps. Pure.

What waits at the hub (questions, queued jobs, invitations, standing approvals, retries) has a life, and a life is time
that passes, not the difference of two readings of a clock that somebody sets in between. So the hub keeps a time of its
own, in seconds since the epoch like the wall clock's:

    it is the wall clock plus `ahead`, which is 0 as long as nobody sets that clock
    a step of the wall clock, told from time that passes by CLOCK_BOOTTIME, changes `ahead` instead of the time
    then `ahead` shrinks, by SLEW of the time that passes, until both are one again: lives are off by that much at most
    over a restart it goes on: by the boot clock where the machine was not restarted, else by what the wall clock has
    gone on since the last tick that was stored, and never back

A wall clock that is found more than MAX_BEHIND ahead at a start is taken as it is: the hub had been started with a
clock that was wrong by days, as machines without a battery have one, and nothing sensible waits. In the other direction
the time stays: whatever was stored has an age, and would else be from the future.

By the wall clock itself goes what others reckon by it: codes of second factors, certificates, the freshness of
webhooks, signatures for chats and for stores of witnesses, and which clock of a machine is off.

A virtual machine that its host pauses sees its boot clock stand still, and then a step: what waits lives on for as long
as that was.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final, NamedTuple

STEP: Final = 2.0
"""Seconds by which the wall clock must leave the time that passes to count as set. Less is taken as it comes."""
SLEW: Final = 0.02
MAX_BEHIND: Final = 86_400.0
TOLD: Final = 5.0
"""Seconds of `ahead` from which on people are told."""


class Reading(NamedTuple):
    """Both clocks at one moment."""

    wall: float
    boot: float  # CLOCK_BOOTTIME


class ClockStep(NamedTuple):
    """The wall clock was set."""

    at: float  # the hub's time
    by: float  # seconds forward


@dataclass(frozen=True, slots=True)
class Tick:
    """The hub's time as it is stored, beside the clocks that it was read from."""

    time: float
    wall: float
    boot: float
    boot_id: str  # "": not known

    def to_json(self) -> str:
        return json.dumps({"time": self.time, "wall": self.wall, "boot": self.boot, "boot_id": self.boot_id})


def parse_tick(text: str | None) -> Tick | None:
    """The tick as `to_json` wrote it; None where there is none that reads."""
    try:
        match json.loads(text or "null"):
            case {"time": float(time), "wall": float(wall), "boot": float(boot), "boot_id": str(boot_id)}:
                return Tick(time, wall, boot, boot_id)
    except ValueError:
        pass
    return None


def resumed(tick: Tick | None, now: Reading, boot_id: str) -> float:
    """The hub's time at a start, or for a command beside a hub; `tick` is the last that was stored."""
    if tick is None:
        return now.wall
    same_boot = boot_id != "" and boot_id == tick.boot_id and now.boot >= tick.boot
    time = tick.time + (now.boot - tick.boot if same_boot else max(0.0, now.wall - tick.wall))
    return now.wall if now.wall - time > MAX_BEHIND else time


def step_between(before: Reading, now: Reading) -> float:
    """By how many seconds the wall clock was set forward; 0 where it was not."""
    by = (now.wall - before.wall) - (now.boot - before.boot)
    return by if abs(by) >= STEP else 0.0


def slewed(ahead: float, passed: float) -> float:
    """`ahead` after so many seconds, the time that has passed never reckoned as less than none."""
    by = min(abs(ahead), SLEW * max(0.0, passed))
    return ahead - by if ahead > 0 else ahead + by
