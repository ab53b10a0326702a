"""Whether two machines live under one identity: a cloned disk, a copied state folder, an image with a key in it. Pure.
For agents of versions that do not tell their links (`hub.core.holder`).

Every uplink gives itself a random name when it starts (the fact `process` of its hello). A restart brings a new name,
and the old one never comes back; so a name that comes back after another one, and again, belongs to two that live at
once and take the link from each other. One coming back is not enough: a machine that was put back to a snapshot of its
memory is the older process once more.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from hub.core.lru import Lru

PROCESS_FACT: Final = "process"
RETURNS: Final = 2
"""How often a process must have come back after another one."""
WINDOW: Final = 600.0  # seconds in which it must
MAX_MACHINES: Final = 20_000
MAX_PROCESSES: Final = 16  # of a machine, remembered


@dataclass(slots=True)
class _Seen:
    last: str
    processes: dict[str, None] = field(default_factory=dict)  # in the order in which they came first
    returns: list[float] = field(default_factory=list)


class CopyDetector:
    """Counts, for each machine, how often its link went back to a process that another one had taken it from."""

    def __init__(self) -> None:
        self._seen: Lru[str, _Seen] = Lru(MAX_MACHINES)

    def note(self, name: str, process: str, now: float) -> bool:
        """Notes that a machine has come; True where two must be living under its name. "" is an agent of a version that
        does not say.
        """
        if not process:
            return False
        seen = self._seen.get(name)
        if seen is None:
            self._seen.put(name, _Seen(process, {process: None}))
            return False
        if process == seen.last:
            return False
        if process in seen.processes:
            seen.returns = [*(at for at in seen.returns[-RETURNS:] if now - at <= WINDOW), now]
        seen.processes[process] = None
        if len(seen.processes) > MAX_PROCESSES:
            del seen.processes[next(iter(seen.processes))]
        seen.last = process
        return len(seen.returns) >= RETURNS

    def forget(self, name: str) -> None:
        self._seen.pop(name)
