"""One connection to the runner's socket: frames behind a four-byte big-endian length, both ways."""

from __future__ import annotations

import asyncio
import socket as sockets
import struct
from typing import Final, Protocol

from agent import log
from common.codec import LINK, BadFrame, Frame, decode, encode
from common.messages import Message

_LENGTH: Final = struct.Struct(">I")
_CREDENTIALS: Final = struct.Struct("3i")  # pid, uid, gid: unix(7), SO_PEERCRED


class Owner(Protocol):
    """Who the connections are for."""

    socket_buffer: int  # bytes that may wait to be sent before `writable` is false

    @property
    def choked(self) -> bool:
        """Whether nothing more should be taken in for now; `changed` of the owner ends in a `go_on` of the link."""

    def may_attach(self, uid: int) -> bool: ...

    def attached(self, link: Link) -> None: ...

    def detached(self, link: Link) -> None: ...

    def heard(self, link: Link, frame: Frame) -> None: ...

    def changed(self) -> None:
        """There is room to write again."""


def frame(message: Message, epoch: int) -> bytes:
    """The bytes of one message on this socket."""
    data = encode(message, epoch=epoch)
    return _LENGTH.pack(len(data)) + data


class Link(asyncio.Protocol):
    """One uplink, or a stranger who is turned away."""

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._paused = False
        self.writable = True
        self.reported = False
        self.uid = -1

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if not isinstance(transport, asyncio.Transport):
            raise TypeError("not a stream")
        self._transport = transport
        peer = transport.get_extra_info("socket").getsockopt(sockets.SOL_SOCKET, sockets.SO_PEERCRED, _CREDENTIALS.size)
        pid, self.uid, _ = _CREDENTIALS.unpack(peer)
        if not self._owner.may_attach(self.uid):
            log.warning("uplink.not_allowed", uid=self.uid, pid=pid)
            self.abort()
            return
        transport.set_write_buffer_limits(high=self._owner.socket_buffer)
        self._owner.attached(self)

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        self._owner.detached(self)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self.go_on()

    def go_on(self) -> None:
        """Takes the frames that are there, unless the runner cannot keep up; then reading stops until it can."""
        while self._transport is not None and not self._owner.choked:
            found = self._next_frame()
            if found is None:
                break
            self._owner.heard(self, found)
        if self._transport is None or self._transport.is_closing():
            return
        if self._paused != self._owner.choked:
            self._paused = not self._paused
            if self._paused:
                self._transport.pause_reading()
            else:
                self._transport.resume_reading()

    def _next_frame(self) -> Frame | None:
        if len(self._buffer) < _LENGTH.size:
            return None
        (length,) = _LENGTH.unpack_from(self._buffer)
        end = _LENGTH.size + length
        try:
            if not 0 < length <= LINK.size:
                raise BadFrame(f"a frame of {length} bytes")
            if len(self._buffer) < end:
                return None
            found = decode(bytes(self._buffer[_LENGTH.size : end]), "hub")
        except BadFrame as error:
            log.warning("uplink.bad_frame", why=error)
            self.abort()
            return None
        del self._buffer[:end]
        return found

    def pause_writing(self) -> None:
        self.writable = False

    def resume_writing(self) -> None:
        self.writable = True
        self._owner.changed()

    def write(self, frames: list[bytes]) -> None:
        if self._transport is not None:
            self._transport.write(b"".join(frames))

    def abort(self) -> None:
        """Closes at once; what was not read is not read any more."""
        self._buffer.clear()
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.abort()
