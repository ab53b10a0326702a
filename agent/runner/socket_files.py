"""The runner's socket, and the small files beside it, in which the runner tells its uplink what a report of an older
protocol has no place for: version, protocol, life, and why it refuses every order.
"""

from __future__ import annotations

import os
import socket as sockets
from contextlib import suppress
from pathlib import Path

from agent import log
from agent.state import check_socket_path, life_file, protocol_file, refusing_file, version_file
from common.errors import UserError
from common.files import create_folder, write_file
from common.link.lineage import Lineage
from common.link.messages import PROTOCOL
from common.version import VERSION

_BACKLOG = 8


def listen(path: Path) -> sockets.socket:
    """A listening socket that owner and group may connect to. We hold the lock, so an existing socket is stale."""
    check_socket_path(path)
    create_folder(path.parent)
    listener = sockets.socket(sockets.AF_UNIX, sockets.SOCK_STREAM)
    try:
        if path.is_socket():
            path.unlink()
        mask = os.umask(0o117)
        try:
            listener.bind(os.fspath(path))
        finally:
            os.umask(mask)
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        raise UserError(f"cannot listen on {path} ({error.strerror})", "name another place with --socket") from None
    return listener


def listen_again(path: Path, descriptor: int) -> sockets.socket:
    """The socket that the program before this one listened on, with whoever waits there; another where it is none."""
    try:
        listener = sockets.socket(fileno=descriptor)
        if listener.getsockname() == os.fspath(path) and path.is_socket():
            return listener
        listener.close()
    except OSError as error:
        log.warning("socket.not_inherited", why=error)
    return listen(path)


class SocketFiles:
    """The files beside `socket`."""

    def __init__(self, socket: Path) -> None:
        self.socket = socket

    def begin(self, lineage: Lineage | None) -> None:
        """What a runner that begins to serve tells. `lineage` is not in the report, which an uplink of an older version
        would not take.
        """
        write_beside(version_file(self.socket), VERSION)
        write_beside(protocol_file(self.socket), str(PROTOCOL))
        self._tell_life(lineage)
        with suppress(OSError):
            _remove(refusing_file(self.socket))  # of a runner that was killed

    def _tell_life(self, lineage: Lineage | None) -> None:
        if lineage is None:
            log.warning("journal.no_life", why="it could not be written down, so the hub is told none")
            with suppress(OSError):
                _remove(life_file(self.socket))
            return
        log.info("journal.life", journal=lineage.chain, life=lineage.counter, id=lineage.id)
        write_beside(life_file(self.socket), f"{VERSION} {lineage}")

    def tell_refusing(self, problem: str) -> None:
        """Why every order is refused; "" where they are taken again."""
        if problem:
            log.error("orders.refused", why=problem)
            write_beside(refusing_file(self.socket), problem)
            return
        log.info("orders.taken_again")
        with suppress(OSError):
            _remove(refusing_file(self.socket))

    def remove(self) -> None:
        for path in (self.socket, *(of(self.socket) for of in (version_file, protocol_file, life_file, refusing_file))):
            _remove(path)


def write_beside(path: Path, text: str) -> None:
    """For the uplink, which tells the hub; a disk that is full costs that and no more."""
    try:
        write_file(path, text.encode(errors="replace"), 0o640)
    except UserError as error:
        log.warning("runner.not_told", file=path, why=str(error))


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)
