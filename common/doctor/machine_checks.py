"""What both doctors ask of the machine they run on: room, clock, names, ports. Looks and changes nothing."""

from __future__ import annotations

import asyncio
import ctypes
import os
import socket
from pathlib import Path
from typing import Final

from common.doctor.findings import Finding, judge_space

RESOLVE_TIMEOUT: Final = 5.0
_TIMEX_SIZE: Final = 512  # struct timex is 208 bytes where we know it
_TIME_ERROR: Final = 5  # adjtimex(2): nobody keeps the clock


def check_space(path: Path) -> Finding:
    """Room where `path` is, or where the nearest folder above it is."""
    while not os.path.lexists(path) and path != path.parent:
        path = path.parent
    try:
        found = os.statvfs(path)
    except OSError as error:
        return Finding("disk", "unknown", f"{path}: {error.strerror}", "run this as its owner, or as root")
    if found.f_flag & os.ST_RDONLY:
        return Finding(
            "disk", "bad", f"{path} is on a read-only file system", "mount it writable; see the system's log"
        )
    size = found.f_frsize
    return judge_space(str(path), found.f_bavail * size, found.f_blocks * size, found.f_favail, found.f_files)


def check_clock_kept() -> Finding:
    """Whether something keeps this clock right (NTP), as the kernel knows it."""
    try:
        state = ctypes.CDLL(None).adjtimex(ctypes.create_string_buffer(_TIMEX_SIZE))
    except (OSError, AttributeError):
        state = -1
    if state < 0:
        return Finding("time service", "unknown", "the kernel does not tell", "see timedatectl")
    if state == _TIME_ERROR:
        return Finding("time service", "warn", "nobody keeps this clock", "timedatectl set-ntp true, or run chrony")
    return Finding("time service", "ok", "this clock is kept by a time service")


async def check_name(host: str, cure: str) -> Finding:
    """Whether a name leads anywhere from here."""
    try:
        async with asyncio.timeout(RESOLVE_TIMEOUT):
            found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except TimeoutError:
        return Finding("name", "bad", f"{host}: no answer within {RESOLVE_TIMEOUT:.0f} s", "see /etc/resolv.conf")
    except OSError as error:
        return Finding("name", "bad", f"{host}: {error.strerror or error}", cure)
    addresses = sorted({str(entry[4][0]) for entry in found})
    return Finding("name", "ok", f"{host} is {', '.join(addresses[:4])}")
