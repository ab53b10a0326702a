"""A port that speaks TLS, before anybody is known: who may open a connection, when, and for how long it may take.

A connection is accepted at once and waits (`hub.core.arrivals`). TLS, which costs about a millisecond of this process,
is begun for a few at each turn of the loop, no more than `TURN` each `PACE` seconds and some of what a slow loop has
missed: a crowd that comes together takes its turns beside everything else that the hub does. What is left open without
having said who it is makes room first where room is short.
"""

from __future__ import annotations

import asyncio
import errno
import resource
import socket
import ssl
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from common.identity.tls import explain_tls_error
from hub.core.arrivals import Arrival, ArrivalLimits, ArrivalQueue
from hub.core.rate_limits import network_key
from hub.log import logger

PACE: Final = 0.02
"""Seconds between two turns at least."""
TURN: Final = 8
"""TLS handshakes that are begun in one turn that comes in time."""
MAX_TURN: Final = 24
"""Those of one that comes late, since the loop had much to do: else a busy hub would let in fewer, and not slower."""
AT_A_TIME: Final = 128
"""TLS handshakes of the last second that are not done yet: then no more are begun."""
ACCEPT: Final = 64
"""Connections that are accepted at a time."""
SHUTDOWN_TIMEOUT: Final = 2.0
NO_DESCRIPTORS_WAIT: Final = 1.0
_ESTABLISHED: Final = 1  # TCP_ESTABLISHED of linux/tcp_states.h, the first byte of struct tcp_info
_FULL: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})

Place = Arrival[socket.socket]
Connect = Callable[[Place], asyncio.Protocol]
TlsFailed = Callable[[str, str, str], None]
"""(address, code, reason) of a connection that came to no TLS."""

log = logger("port")


def limits_here() -> ArrivalLimits:
    """The limits of this process: what waits takes no more than a quarter of the files that it may open."""
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = ArrivalLimits()
    return most if files == resource.RLIM_INFINITY else replace(most, total=max(16, min(most.total, files // 4)))


class GatedPort:
    """`tasks` are the caller's: they end after `close` and `wait_closed`."""

    def __init__(
        self,
        *,
        tls: Callable[[], ssl.SSLContext],
        tasks: asyncio.TaskGroup,
        connect: Connect,
        tls_failed: TlsFailed,
        timeout: float,
        limits: ArrivalLimits | None = None,
        key: Callable[[str], str] = network_key,
        counts_open: bool = True,
        ready: Callable[[], bool] = lambda: True,
    ) -> None:
        """`tls` is asked for each connection, so that another certificate or authority holds from the next one on.
        `connect` makes what speaks in TLS. `key` is what an address is counted under. With `counts_open` a connection
        counts until its `leave`, else until TLS is up. While `ready` says no, everybody waits in line.
        """
        self._ready = ready
        self._counts_open = counts_open
        self._tls = tls
        self._tasks = tasks
        self._connect = connect
        self._tls_failed = tls_failed
        self._timeout = timeout
        self._key = key
        self._loop = asyncio.get_running_loop()
        self.queue: ArrivalQueue[socket.socket] = ArrivalQueue(limits or limits_here())
        self._opening: dict[Place, asyncio.Task[None]] = {}
        self._begun: dict[Place, float] = {}  # of those being opened, the oldest first
        self._open: dict[Place, asyncio.Transport] = {}
        self._sockets: Sequence[socket.socket] = ()
        self._turn: asyncio.Handle | None = None
        self._turned_at = -PACE
        self._serving = False
        self.turned_away = 0

    def __len__(self) -> int:
        """Connections that nobody stands behind yet."""
        return len(self.queue)

    def is_serving(self) -> bool:
        return self._serving

    def start(self, sockets: Sequence[socket.socket]) -> None:
        """`sockets` listen and do not block; they are this one's from now on."""
        self._sockets = sockets
        self._serving = True
        for listener in sockets:
            self._loop.add_reader(listener.fileno(), self._accept, listener)

    def close(self) -> None:
        """Accepts nobody any more and drops those who are not known; others stay."""
        if not self._serving:
            return
        self._serving = False
        for listener in self._sockets:
            self._loop.remove_reader(listener.fileno())
            listener.close()
        if self._turn is not None:
            self._turn.cancel()
        while (arrival := self.queue.pop_any()) is not None:
            self._drop(arrival)

    async def wait_closed(self) -> None:
        """Returns when nothing is being opened any more."""
        if self._opening:
            await asyncio.wait(self._opening.values())

    # ---- in line

    def _accept(self, listener: socket.socket) -> None:
        now = self._loop.time()
        for _ in range(ACCEPT):
            try:
                sock, peer = listener.accept()
            except (BlockingIOError, InterruptedError):
                break
            except OSError as error:
                if error.errno in _FULL:
                    self._pause(listener, error)
                    break
                continue  # that one had gone again
            sock.setblocking(False)
            arrival, going = self.queue.arrive(self._key(str(peer[0])), sock, now)
            if going is not None:
                self.turned_away += 1
                self._drop(going)
            if arrival is None:
                self.turned_away += 1
                sock.close()
        self._plan_turn()

    def _pause(self, listener: socket.socket, error: OSError) -> None:
        log.error("port.no_descriptors", reason=error.strerror, cure="raise LimitNOFILE of the hub's unit")
        self._loop.remove_reader(listener.fileno())
        self._loop.call_later(NO_DESCRIPTORS_WAIT, self._resume, listener)

    def _resume(self, listener: socket.socket) -> None:
        if self._serving:
            self._loop.add_reader(listener.fileno(), self._accept, listener)

    def _drop(self, arrival: Place) -> None:
        """Ends a connection that has to go, wherever it has come to."""
        transport, task = self._open.get(arrival), self._opening.get(arrival)
        self.leave(arrival)
        if task is not None:
            self._loop.call_soon(task.cancel)  # not at once: what has not begun to run would leave the socket open
        elif transport is not None:
            transport.abort()
        else:
            arrival.item.close()

    def _plan_turn(self) -> None:
        if self._turn is None and self.queue.waiting and self._serving:
            wait = max(0.0, self._turned_at + PACE - self._loop.time())
            self._turn = self._loop.call_later(wait, self._take_turn)

    def _take_turn(self) -> None:
        self._turn, now, begun = None, self._loop.time(), 0
        room = self._room(now, now - self._turned_at)
        self._turned_at = now
        while begun < room and self._ready() and (arrival := self.queue.pop(now)) is not None:
            if self.queue.is_late(arrival, now) or has_gone(arrival.item):
                self.turned_away += 1
                self._drop(arrival)
                continue
            begun += 1
            self._begun[arrival] = now
            self._opening[arrival] = self._tasks.create_task(self._begin(arrival), name=f"open {arrival.address}")
        self._plan_turn()

    def _room(self, now: float, passed: float) -> int:
        """How many may be begun in this turn, `passed` seconds after the last: fewer where those that were begun last
        are not done, since this machine or theirs is slow then. What is not done within a second holds nobody up any
        longer.
        """
        recent = 0
        for begun_at in reversed(self._begun.values()):
            if begun_at < now - 1.0 or recent == AT_A_TIME:
                break
            recent += 1
        due = int(TURN * max(1.0, min(passed / PACE, MAX_TURN / TURN)))
        return min(due, AT_A_TIME - recent)

    # ---- opening

    async def _begin(self, arrival: Place) -> None:
        try:
            transport, _ = await self._loop.connect_accepted_socket(
                lambda: self._connect(arrival),
                arrival.item,
                ssl=self._tls(),
                ssl_handshake_timeout=self._timeout,
                ssl_shutdown_timeout=SHUTDOWN_TIMEOUT,
            )
        except OSError as error:  # ssl.SSLError and a timeout are such
            self.leave(arrival)
            if code := tls_problem(error):
                if code != "slow" or len(self._opening) < AT_A_TIME:  # else it is as likely this hub that was slow
                    self.queue.fail(arrival.address, self._loop.time())
                self._tls_failed(arrival.address, code, explain_tls_error(error).problem)
        except BaseException:
            self.leave(arrival)
            raise
        else:
            if not self._counts_open:
                self.leave(arrival)
            elif arrival.present:
                self._open[arrival] = transport
        finally:
            del self._opening[arrival], self._begun[arrival]

    def leave(self, arrival: Place) -> None:
        """Somebody stands behind it now, or it has ended: it counts here no more."""
        self.queue.leave(arrival)
        self._open.pop(arrival, None)

    def fail(self, arrival: Place) -> None:
        """It has proved nothing, and uses up its address's allowance."""
        self.queue.fail(arrival.address, self._loop.time())


def has_gone(sock: socket.socket) -> bool:
    """Whether the peer has given up, also behind bytes that nobody has read: TLS with it would be work for nothing."""
    try:
        return sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] != _ESTABLISHED
    except (AttributeError, OSError):
        return False  # another system than Linux: TLS will tell


def tls_problem(error: OSError) -> str:
    """A code for what a peer did wrong before TLS was up; "" for one that only went away, as those do who have waited
    for too long.
    """
    if isinstance(error, ssl.SSLError) and not isinstance(error, ssl.SSLEOFError):
        return "tls"
    if isinstance(error, TimeoutError) or (isinstance(error, ConnectionAbortedError) and "longer" in str(error)):
        return "slow"
    return ""
