"""The runner's bounds, in one place; tests cross each of them with smaller ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_KIB: Final = 1024
_MIB: Final = 1024 * _KIB


@dataclass(frozen=True, slots=True)
class Limits:
    """Counts, bytes and seconds. The defaults keep an idle runner small and a busy one below 100 MiB."""

    max_running: int = 32
    """Programs at a time; more orders wait, in the order they were accepted."""
    max_accepted: int = 1_000
    """Orders that have not ended: being journalled, waiting or running. One more is refused as busy."""
    max_open: int = 4_000
    """Jobs the hub has not forgotten, ended ones included: they all stand in one report, which is one frame."""
    max_notices: int = 256
    """Refusals that no job remembers (a bad signature), waiting for the uplink to read."""

    grace: float = 5.0
    """From TERM to KILL."""
    drain: float = 0.5
    """How long a process that left the group may hold the output open once the program has ended."""
    coalesce: float = 0.05
    """The first output after a silence goes out at once; what follows within this time travels together."""
    idle_exit: float = 30.0
    """With `exit_when_idle`: no uplink and no work for so long ends the runner."""
    farewell: float = 2.0
    """How long an ending runner tries to tell an attached uplink the last of its news."""

    window: int = 256 * _KIB
    """Output of one job that is sent and not yet credited."""
    socket_buffer: int = 128 * _KIB
    """What may wait in the socket's send buffer before the runner stops making messages."""
    max_pending_writes: int = 2_000
    """Records on their way to the journal before the runner stops reading from the uplink."""
    spool_quota: int = 512 * _MIB
    """Output kept on disk, over all jobs."""

    journal_growth: int = 4 * _MIB
    """Bytes appended before the journal is written anew without what is over."""
    max_tombstones: int = 50_000
    """Forgotten jobs that are remembered by id; beyond it the longest expired go first, and the fence covers them."""
    max_remembered: int = 200_000
    """Tombstones past which orders are refused as busy; only reached where so many have not expired yet."""
    tombstone: float = 7 * 86_400.0
    """How long after an order's expiry its job id is remembered."""
    max_ahead: float = 31 * 86_400.0
    """An order that expires further ahead is refused: one of the two clocks is wrong."""
