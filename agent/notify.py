"""sd_notify(3): tells the service manager that we are ready, alive, and what we are doing.

One datagram of `KEY=VALUE` lines to the socket named by $NOTIFY_SOCKET (`@…` is the abstract namespace). Without that
variable nothing is sent: the same program runs under a terminal. Never raises: a manager that is not listening must not
stop the work.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from typing import Final

_MAX_STATUS: Final = 256


def notify(*, ready: bool = False, stopping: bool = False, watchdog: bool = False, status: str | None = None) -> bool:
    """Sends what is asked for in one datagram; whether it went out."""
    lines = []
    if ready:
        lines.append("READY=1")
    if stopping:
        lines.append("STOPPING=1")
    if watchdog:
        lines.append("WATCHDOG=1")
    if status is not None:
        # A newline would begin another assignment.
        lines.append("STATUS=" + "".join(c if c.isprintable() else "?" for c in status[:_MAX_STATUS]))
    return bool(lines) and _send("\n".join(lines))


def _send(text: str) -> bool:
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address or address[0] not in "/@":
        return False
    if address[0] == "@":
        address = "\0" + address[1:]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC | socket.SOCK_NONBLOCK) as sender:
            sender.connect(address)
            sender.send(text.encode())
    except OSError:
        return False
    return True


def watchdog_interval() -> float | None:
    """Seconds between two signs of life: half of what the manager allows; None where it does not watch this process."""
    if os.environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    allowed = os.environ.get("WATCHDOG_USEC", "")
    if not (allowed.isascii() and allowed.isdigit() and int(allowed) > 0):
        return None
    return int(allowed) / 2_000_000


async def watchdog(healthy: Callable[[], bool] = lambda: True) -> None:
    """Signs of life for as long as the event loop turns and `healthy()` says so; returns at once where nobody watches.

    It runs in the loop on purpose: a loop that is stuck sends nothing, and the manager restarts us.
    """
    interval = watchdog_interval()
    if interval is None:
        return
    while True:
        if healthy():
            notify(watchdog=True)
        await asyncio.sleep(interval)
