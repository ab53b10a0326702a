"""The boot of this machine: its id, and the clock that counts from it."""

from __future__ import annotations

import secrets
import time
from pathlib import Path
from typing import Final

from agent import log

_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
_MAX_ID: Final = 128


def since_boot() -> float:
    """Seconds since boot, time asleep included (CLOCK_BOOTTIME), as the kernel stamps the start of a process.

    Unlike CLOCK_MONOTONIC it goes on while the machine sleeps: a laptop that wakes sees at once that its link is stale.
    Unlike the wall clock nobody sets it: every duration that is told to people is a difference of two of these.
    """
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def boot_id() -> str:
    """The kernel's random id of this boot (random(4)); raises OSError or ValueError where /proc does not offer it."""
    found = _BOOT_ID.read_text(encoding="ascii").strip()
    if not found:
        raise ValueError(f"{_BOOT_ID} is empty")
    return found[:_MAX_ID]


def boot_id_or_random() -> str:
    """The boot id; where there is none, an id that no later process has.

    Each start of the runner then counts as a boot, which is the safe side: of what ran before only a whole result is
    believed, and the rest is unknown rather than refused.
    """
    try:
        return boot_id()
    except (OSError, ValueError) as error:
        log.warning("boot.no_id", why=error, file=_BOOT_ID)
        return f"none-{secrets.token_hex(16)}"
