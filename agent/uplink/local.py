"""The uplink's end of the local socket to the runner: frames behind a four-byte big-endian length.

One uplink at a time: attaching makes the runner drop whoever was attached before, and its first message is a `Report`.
"""

from __future__ import annotations

import asyncio
import struct
from pathlib import Path
from typing import Final

from common.codec import LINK, BadFrame, Frame, decode, encode
from common.errors import WorkFailed
from common.messages import Message, Report

_LENGTH: Final = struct.Struct(">I")
ATTACH_TIMEOUT: Final = 10.0
DRAIN_TIMEOUT: Final = 30.0
"""Seconds that a runner may leave its socket unread before it counts as stuck."""
_BUFFER: Final = 64 * 1024


class NoRunner(WorkFailed):
    """Nobody serves the runner's socket, or whoever does is not a runner."""


class RunnerLink:
    """One attachment. `report` is what the runner said first; it is good for one new session with the hub."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._awaited = 0  # length of the frame whose header has been read
        self.report = Report("", "", {})
        self.report_used = False
        self.epoch = 0  # the highest hub epoch that the runner has told of

    @classmethod
    async def attach(cls, path: Path, timeout: float = ATTACH_TIMEOUT) -> RunnerLink:
        """Connects and hears the report; raises NoRunner."""
        try:
            async with asyncio.timeout(timeout):
                link = cls(*await asyncio.open_unix_connection(path, limit=_BUFFER))
                try:
                    first = await link.receive()
                except BaseException:
                    link.close()
                    raise
        except TimeoutError:
            raise NoRunner(f"the runner at {path} does not answer", "restart it") from None
        except PermissionError:
            raise NoRunner(
                f"{path} may not be opened by this user", "the runner's --uplink-user names who may"
            ) from None
        except BadFrame as error:
            raise NoRunner(f"what serves {path} is no runner ({error})", "see what runs there") from None
        except OSError as error:
            raise NoRunner(f"no runner serves {path} ({error.strerror})", "start it") from None
        if not isinstance(first, Report):
            link.close()
            raise NoRunner(f"the runner at {path} closed the door", "see its log")
        link.report = first
        return link

    async def receive(self) -> Message | None:
        """The next message, None at the end of the connection; raises BadFrame. May be cancelled and called again."""
        try:
            if not self._awaited:
                (length,) = _LENGTH.unpack(await self._reader.readexactly(_LENGTH.size))
                if not 0 < length <= LINK.size:
                    raise BadFrame(f"a local frame of {length} bytes")
                self._awaited = length
            data = await self._reader.readexactly(self._awaited)
        except (asyncio.IncompleteReadError, ConnectionError):
            return None
        self._awaited = 0
        frame: Frame = decode(data, "runner")
        self.epoch = max(self.epoch, frame.epoch)
        return frame.message

    def put(self, message: Message, epoch: int) -> None:
        """Hands a message to the socket at once; `drain` must follow."""
        data = encode(message, epoch=epoch)
        self._writer.write(_LENGTH.pack(len(data)) + data)

    async def drain(self) -> None:
        """Waits while the runner is behind; raises ConnectionError where it is gone, TimeoutError where it is stuck."""
        async with asyncio.timeout(DRAIN_TIMEOUT):
            await self._writer.drain()

    def close(self) -> None:
        """At once: what the runner has not read is the runner's to ask for again."""
        self._writer.transport.abort()
