"""Ending servers of a test's own loop, so that no connection is left to the garbage collection of a later test."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterable

TIMEOUT = 45.0  # seconds: a limit, not a wait


async def stop_accepting(listeners: Iterable[socket.socket]) -> None:
    """Takes no more connections, and lets those that were just taken become known to the server: Python 3.11 fails on
    one between `accept` and `close`, and leaves its socket open.
    """
    loop = asyncio.get_running_loop()
    for listener in listeners:
        loop.remove_reader(listener.fileno())
    for _ in range(2):  # iterations of the loop: the task of an accepted connection starts in the next one
        await asyncio.sleep(0)


async def connections_ended(server: asyncio.AbstractServer) -> None:
    """Waits for the connections of a closed server, those in their TLS handshake too, whose peers are gone.
    `wait_closed` of Python 3.11 does not wait for them.
    """
    async with asyncio.timeout(TIMEOUT):
        while getattr(server, "_active_count", 0):
            await asyncio.sleep(0)
