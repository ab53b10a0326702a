"""What the hub is told about the machine: facts once a link, vitals with every heartbeat."""

from __future__ import annotations

import os
import platform
import time
from pathlib import Path
from typing import Final

import psutil

_MAX_FACT: Final = 128
_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


def facts() -> dict[str, str]:
    """What does not change while the machine is up; every value printable and at most 128 characters."""
    found = {
        "os": _os_name(),
        "kernel": platform.release(),
        "arch": platform.machine(),
        "python": platform.python_version(),
        "hostname": platform.node(),
        "cpus": str(os.cpu_count() or 1),
        "memory": str(psutil.virtual_memory().total),  # bytes
        "boot": _read(_BOOT_ID),
    }
    return {key: _printable(value) for key, value in found.items() if value}


def vitals() -> dict[str, float]:
    """Load averages; CPU, memory and disk in percent of the whole; bytes free; seconds since boot.

    `cpu` is the mean since the last call in this process, 0 the first time.
    """
    found: dict[str, float] = {}
    for part in (_load, _memory, _disk, _uptime):
        try:
            found |= part()
        except (OSError, psutil.Error, NotImplementedError):
            pass  # a container may hide one of them; a heartbeat without it is better than none
    return {key: float(value) for key, value in found.items()}


def _load() -> dict[str, float]:
    load1, load5, load15 = os.getloadavg()
    return {"load1": load1, "load5": load5, "load15": load15, "cpu": psutil.cpu_percent(interval=None)}


def _memory() -> dict[str, float]:
    memory = psutil.virtual_memory()
    return {"memory": memory.percent, "memory_free": memory.available}


def _disk() -> dict[str, float]:
    disk = psutil.disk_usage("/")
    return {"disk": disk.percent, "disk_free": disk.free}


def _uptime() -> dict[str, float]:
    return {"uptime": max(0.0, time.time() - psutil.boot_time())}


def _os_name() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", platform.system())
    except OSError:
        return platform.system()


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeError):
        return ""


def _printable(value: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in value[:_MAX_FACT])
