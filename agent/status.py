"""What `answerback-agent status` tells: read from the state folder, without disturbing whoever is at work in it."""

from __future__ import annotations

import fcntl
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from agent.state import State
from common.ids import is_ulid
from common.version import VERSION


@dataclass(frozen=True, slots=True)
class Status:
    version: str
    state: str
    joined: bool
    name: str
    hub: str
    url: str
    generation: int
    certificate_until: float  # seconds since the epoch
    certificate_left: float  # seconds
    uplink: bool | None  # None where this user may not look
    runner: bool | None
    running_jobs: list[str] | None

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def to_text(self) -> str:
        until = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(self.certificate_until))
        left = f"{self.certificate_left / 3600:.0f} h left" if self.certificate_left > 0 else "EXPIRED: join again"
        jobs = "unknown" if self.running_jobs is None else ", ".join(self.running_jobs) or "none"
        lines = [
            f"machine      {self.name} of hub {self.hub} at {self.url}",
            f"certificate  generation {self.generation}, until {until} ({left})",
            f"uplink       {_word(self.uplink)}",
            f"runner       {_word(self.runner)}",
            f"running      {jobs}",
            f"state        {self.state}",
        ]
        return "\n".join(lines)


def status(state: State, now: float) -> Status:
    """Raises UserError where the folder has not joined or cannot be read."""
    settings, validity = state.settings(), state.credential.validity()
    return Status(
        version=VERSION,
        state=str(state.path),
        joined=True,
        name=settings.name,
        hub=settings.hub,
        url=settings.url,
        generation=validity.generation,
        certificate_until=validity.not_after,
        certificate_left=validity.not_after - now,
        uplink=is_held(state.lock),
        runner=is_held(state.runner_lock),
        running_jobs=running_jobs(state.runner / "jobs"),
    )


def is_held(lock: Path) -> bool | None:
    """Whether a process holds the lock file; None where this user may not look.

    A lock cannot be looked at without being taken for a moment, and whoever starts in that moment would find it taken:
    so it is tried only where the process that is named in it is alive.
    """
    try:
        descriptor = os.open(lock, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    except OSError:
        return None
    try:
        holder = os.read(descriptor, 32).decode("ascii", "replace").strip()
        if not (holder.isdigit() and os.path.exists(f"/proc/{holder}")):
            return False
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def running_jobs(folder: Path) -> list[str] | None:
    """Jobs with a start marker and no result yet (agent/runner/evidence.py), in order of their ids."""
    try:
        names = {entry.name for entry in folder.iterdir()}
    except FileNotFoundError:
        return []
    except OSError:
        return None
    jobs = {name.removesuffix(".started") for name in names if name.endswith(".started")}
    return sorted(job for job in jobs if is_ulid(job) and f"{job}.result" not in names)


def _word(up: bool | None) -> str:
    return "unknown (not this user's to see)" if up is None else "up" if up else "down"
