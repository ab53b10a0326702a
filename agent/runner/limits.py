"""All bounds of the runner; tests exceed each of them with smaller values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_KIB: Final = 1024
_MIB: Final = 1024 * _KIB


@dataclass(frozen=True, slots=True)
class RunnerLimits:
    """Counts, bytes and seconds. The defaults keep an idle runner small and a busy one below 100 MiB."""

    max_running: int = 32
    """Programs at a time; more orders wait, in the order they were accepted."""
    max_accepted: int = 1_000
    """Orders that have not ended: being journalled, waiting or running. One more is refused as busy."""
    max_open: int = 4_000
    """Jobs the hub has not forgotten, ended ones included: they all stand in one report, which is one frame."""
    max_notices: int = 256
    """Refusals that belong to no job (a bad signature), waiting for the uplink to read them."""

    kill_grace: float = 5.0
    """Seconds from SIGTERM to SIGKILL."""
    drain_timeout: float = 0.5
    """How long a process that left the group may hold the output open once the program has ended."""
    coalesce_delay: float = 0.05
    """The first output after a silence goes out at once; what follows within this time travels together."""
    look_timeout: float = 5.0
    """How long a file system that asks another machine may keep a job from being looked at."""
    idle_timeout: float = 30.0
    """With `exit_when_idle`: no uplink and no work for so long ends the runner."""
    shutdown_timeout: float = 2.0
    """How long a stopping runner waits for an attached uplink to take its last reports."""

    output_window: int = 256 * _KIB
    """Output of one job that is sent and not yet credited."""
    socket_buffer: int = 128 * _KIB
    """What may wait in the socket's send buffer before the runner stops making messages."""
    max_pending_writes: int = 2_000
    """Records on their way to the journal before the runner stops reading from the uplink."""
    spool_quota: int = 512 * _MIB
    """Bytes of output on disk, over all jobs."""

    reserve_share: int = 64 * _KIB
    """Of one job's output, what may be written with room from the reserve; large outputs would only eat it up."""
    memory_share: int = 64 * _KIB
    """Of one job's output, what is kept in memory where the disk takes nothing more."""
    memory_quota: int = 4 * _MIB
    """The same over all jobs."""
    reserve_interval: float = 60.0
    """Seconds between attempts to make the reserve whole again."""

    journal_growth: int = 4 * _MIB
    """Bytes appended before the journal is rewritten without expired tombstones."""
    max_tombstones: int = 10_000
    """Forgotten jobs that are remembered by id, 170 bytes each; beyond it the longest expired go first, and the fence
    covers them.
    """
    max_remembered: int = 200_000
    """Tombstones past which orders are refused as busy; only reached where so many have not expired yet."""
    tombstone_ttl: float = 7 * 86_400.0
    """How long after an order's expiry its job id is remembered."""
    max_expiry_ahead: float = 31 * 86_400.0
    """An order that expires further ahead is refused: one of the two clocks is wrong."""
