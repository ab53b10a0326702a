"""What the agent reports about its machine: facts once a link, vitals with every heartbeat.

Every fact and every figure is optional, each by itself: a container may hide or cut any file of /proc, and no library
promises which error that becomes. What cannot be read, or cannot be true, is left out; that it is missing is said once
in the log. Nothing here keeps a machine offline or ends the process.
"""

from __future__ import annotations

import os
import platform
from collections.abc import Callable, Mapping
from typing import Final, TypeVar

import psutil

from agent import log
from agent.boot import boot_id, since_boot
from agent.uplink.interfaces import read_interfaces
from common.machine.interfaces import to_facts
from common.machine.vitals import is_plausible

T = TypeVar("T")

_MAX_FACT: Final = 128
_MAX_MISSING: Final = 64
"""Names that are remembered as missing; there are fewer facts and figures than that."""
_missing: set[str] = set()


def facts() -> dict[str, str]:
    """What does not change while the machine is up; every value printable and at most 128 characters."""
    found: dict[str, str] = {}
    for name, read in _FACTS.items():
        value = _read(name, read)
        if value and (clean := _printable(value).strip()):
            found[name] = clean
        elif value is not None:
            _note_missing(name, "the system does not say")
    return found


def network_facts() -> dict[str, str]:
    """The network cards as they are now, a fact each (`common.machine.interfaces`)."""
    return {key: _printable(value) for key, value in to_facts(_read("interfaces", read_interfaces) or ()).items()}


def vitals() -> dict[str, float]:
    """Load averages; CPU, memory and disk in percent of the whole; bytes free; seconds since boot.

    `cpu` is the mean since the last call in this process, 0 the first time.
    """
    found: dict[str, float] = {}
    for part, read in _VITALS.items():
        for name, value in (_read(part, read) or {}).items():
            if is_plausible(name, value):
                found[name] = float(value)
            else:
                _note_missing(name, f"{value} cannot be true")
    return found


def _read(name: str, read: Callable[[], T]) -> T | None:
    """What `read` gives; None where it fails, whatever the error."""
    try:
        return read()
    except Exception as error:  # psutil raises OSError, RuntimeError, KeyError, IndexError … as the file is cut
        _note_missing(name, f"{type(error).__name__}: {error}")
        return None


def _note_missing(name: str, why: str) -> None:
    """Says once in a process what this machine does not tell."""
    if name not in _missing and len(_missing) < _MAX_MISSING:
        _missing.add(name)
        log.warning("vitals.missing", what=name, why=why)


def _load() -> dict[str, float]:
    load1, load5, load15 = os.getloadavg()
    return {"load1": load1, "load5": load5, "load15": load15}


def _cpu() -> dict[str, float]:
    return {"cpu": psutil.cpu_percent(interval=None)}


def _memory() -> dict[str, float]:
    memory = psutil.virtual_memory()
    return {"memory": memory.percent, "memory_free": memory.available} if memory.total > 0 else {}


def _disk() -> dict[str, float]:
    disk = psutil.disk_usage("/")
    return {"disk": disk.percent, "disk_free": disk.free} if disk.total > 0 else {}


def _uptime() -> dict[str, float]:
    return {"uptime": since_boot()}  # no file to be hidden, and no wall clock that may be set


def _os_name() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", platform.system())
    except OSError:
        return platform.system()


def _memory_total() -> str:
    total = psutil.virtual_memory().total
    return str(total) if total > 0 else ""


def _cpus() -> str:
    return str(os.cpu_count() or "")


_FACTS: Final[Mapping[str, Callable[[], str]]] = {
    "os": _os_name,
    "kernel": platform.release,
    "arch": platform.machine,
    "python": platform.python_version,
    "hostname": platform.node,
    "cpus": _cpus,
    "memory": _memory_total,  # bytes
    "boot": boot_id,
}
_VITALS: Final[Mapping[str, Callable[[], dict[str, float]]]] = {
    "load": _load,
    "cpu": _cpu,
    "memory": _memory,
    "disk": _disk,
    "uptime": _uptime,
}


def _printable(value: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in value[:_MAX_FACT])
