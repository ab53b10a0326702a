"""One connection to the runner's socket: peer credentials, frames (`agent.frames`), back-pressure."""

from __future__ import annotations

import asyncio
import socket as sockets
import struct
from typing import Final, Protocol

from agent import log
from agent.frames import HEADER_SIZE, decode_length
from common.link.codec import BadFrame, Frame, decode

_CREDENTIALS: Final = struct.Struct("3i")  # pid, uid, gid: unix(7), SO_PEERCRED


class ConnectionOwner(Protocol):
    """The side that connections report to: `agent.runner.app.Runner`."""

    socket_buffer: int  # bytes that may wait to be sent before `writable` is false

    @property
    def overloaded(self) -> bool:
        """Whether frames should not be taken for now. Once that is over the owner calls `process_frames`."""

    def is_allowed(self, uid: int) -> bool: ...

    def on_attached(self, link: UplinkConnection) -> None: ...

    def on_detached(self, link: UplinkConnection) -> None: ...

    def on_frame(self, link: UplinkConnection, frame: Frame) -> None: ...

    def schedule_pump(self) -> None:
        """There is room to write again."""


class UplinkConnection(asyncio.Protocol):
    """One connected uplink; a peer whose user is not allowed is disconnected at once."""

    def __init__(self, owner: ConnectionOwner) -> None:
        self._owner = owner
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._paused = False
        self.writable = True
        self.report_sent = False
        self.takes_stamps = False
        self.uid = -1

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if not isinstance(transport, asyncio.Transport):
            raise TypeError("not a stream")
        self._transport = transport
        peer = transport.get_extra_info("socket").getsockopt(sockets.SOL_SOCKET, sockets.SO_PEERCRED, _CREDENTIALS.size)
        pid, self.uid, _ = _CREDENTIALS.unpack(peer)
        if not self._owner.is_allowed(self.uid):
            log.warning("uplink.not_allowed", uid=self.uid, pid=pid)
            self.abort()
            return
        transport.set_write_buffer_limits(high=self._owner.socket_buffer)
        self._owner.on_attached(self)

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        self._owner.on_detached(self)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        self.process_frames()

    def process_frames(self) -> None:
        """Passes on the buffered frames, unless the owner is overloaded; then reading pauses until it is not."""
        while self._transport is not None and not self._owner.overloaded:
            found = self._next_frame()
            if found is None:
                break
            self._owner.on_frame(self, found)
        if self._transport is None or self._transport.is_closing():
            return
        if self._paused != self._owner.overloaded:
            self._paused = not self._paused
            if self._paused:
                self._transport.pause_reading()
            else:
                self._transport.resume_reading()

    def _next_frame(self) -> Frame | None:
        if len(self._buffer) < HEADER_SIZE:
            return None
        try:
            end = HEADER_SIZE + decode_length(self._buffer)
            if len(self._buffer) < end:
                return None
            found = decode(bytes(self._buffer[HEADER_SIZE:end]), "hub")
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
        self._owner.schedule_pump()

    def write(self, frames: list[bytes]) -> None:
        if self._transport is not None:
            self._transport.write(b"".join(frames))

    def abort(self) -> None:
        """Closes at once and drops what was received and not processed."""
        self._buffer.clear()
        transport, self._transport = self._transport, None
        if transport is not None:
            transport.abort()
