"""The kernel's own watch over a link: a machine that is gone, or a path that is cut, is noticed within 45 seconds.

Heartbeats of our own say that the program at the other end works, and cost both programs something each time: a hub
takes `handshake.HEARTBEATS_PER_SECOND` of all its links together and no more, so with ten thousand links there is one
in 50 s. The kernel's probes cost neither program anything; whatever stands between the two ends sees traffic by them.
"""

from __future__ import annotations

import contextlib
import socket
from typing import Any, Final

IDLE: Final = 15
"""Seconds without a word until the first probe."""
EVERY: Final = 10
PROBES: Final = 3
UNHEARD: Final = IDLE + PROBES * EVERY
"""Seconds after which the connection ends, with or without something under way."""


def watch_peer(sock: Any) -> None:
    """Sets the watch on a TCP socket; as much of it as this system knows."""
    options = (
        (socket.SOL_SOCKET, "SO_KEEPALIVE", 1),
        (socket.IPPROTO_TCP, "TCP_KEEPIDLE", IDLE),
        (socket.IPPROTO_TCP, "TCP_KEEPINTVL", EVERY),
        (socket.IPPROTO_TCP, "TCP_KEEPCNT", PROBES),
        (socket.IPPROTO_TCP, "TCP_USER_TIMEOUT", UNHEARD * 1000),
    )
    for level, name, value in options:
        with contextlib.suppress(AttributeError, OSError):
            sock.setsockopt(level, getattr(socket, name), value)
