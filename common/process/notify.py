"""sd_notify(3): reports readiness, liveness and status to the service manager.

One datagram of `KEY=VALUE` lines to the socket named by $NOTIFY_SOCKET (`@…` is the abstract namespace). Without that
variable nothing is sent, as under a terminal. Never raises: a manager that does not listen must not stop the work.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable
from typing import Final

_MAX_STATUS: Final = 256


def notify(*, ready: bool = False, stopping: bool = False, watchdog: bool = False, status: str | None = None) -> bool:
    """Sends the given states in one datagram; returns whether it was sent."""
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
    """Seconds between watchdog messages: half of what the manager allows; None where it does not watch this process."""
    if os.environ.get("WATCHDOG_PID", str(os.getpid())) != str(os.getpid()):
        return None
    allowed = os.environ.get("WATCHDOG_USEC", "")
    if not (allowed.isascii() and allowed.isdigit() and int(allowed) > 0):
        return None
    return int(allowed) / 2_000_000


async def watchdog(healthy: Callable[[], bool] = lambda: True) -> None:
    """Sends watchdog messages while the event loop runs and `healthy()` is True; returns at once where nobody watches.

    It runs in the loop on purpose: a blocked loop sends nothing, and the manager restarts the process.
    """
    interval = watchdog_interval()
    if interval is None:
        return
    while True:
        if healthy():
            notify(watchdog=True)
        await asyncio.sleep(interval)
