"""The uplink's end of the local socket to the runner; `agent.frames` has the framing.

One uplink at a time: attaching makes the runner drop the uplink before it, and its first message is a `Report`.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Final

from agent.frames import HEADER_SIZE, decode_length, encode_frame
from agent.state import life_file, refusing_file, version_file
from common.errors import UserError, WorkFailed
from common.link.codec import BadFrame, Frame, decode
from common.link.lineage import parse_lineage
from common.link.messages import Message, Report
from common.read_file import read_bytes

ATTACH_TIMEOUT: Final = 10.0
DRAIN_TIMEOUT: Final = 30.0
"""Seconds that a runner may leave its socket unread before it counts as stuck."""
_BUFFER_SIZE: Final = 64 * 1024
_MAX_LIFE: Final = 300  # bytes


class RunnerUnavailable(WorkFailed):
    """Nothing serves the runner's socket, or what does is not a runner."""


class RunnerConnection:
    """One connection. `report` is the runner's first message; it is good for one new session with the hub."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._frame_length = 0  # length of the frame whose header has been read
        self.report = Report("", "", {})
        self.report_used = False
        self.epoch = 0  # the highest hub epoch that the runner has sent
        self._path: Path | None = None

    def figures(self) -> dict[str, float]:
        """What a heartbeat says of the runner: `refusing` while it refuses every order."""
        refusing = self._path is not None and refusing_file(self._path).exists()
        return {"refusing": 1.0} if refusing else {}

    @classmethod
    async def attach(cls, path: Path, timeout: float = ATTACH_TIMEOUT) -> RunnerConnection:
        """Connects and waits for the report, at most `timeout` seconds; raises RunnerUnavailable."""
        try:
            async with asyncio.timeout(timeout):
                link = cls(*await asyncio.open_unix_connection(path, limit=_BUFFER_SIZE))
                try:
                    first = await link.receive()
                except BaseException:
                    link.close()
                    raise
        except TimeoutError:
            raise RunnerUnavailable(f"the runner at {path} does not answer", "restart it") from None
        except PermissionError:
            raise RunnerUnavailable(
                f"{path} may not be opened by this user", "the runner's --uplink-user names who may"
            ) from None
        except BadFrame as error:
            raise RunnerUnavailable(f"what serves {path} is no runner ({error})", "see what runs there") from None
        except OSError as error:
            raise RunnerUnavailable(f"no runner serves {path} ({error.strerror})", "start it") from None
        if not isinstance(first, Report):
            link.close()
            raise RunnerUnavailable(f"the runner at {path} closed the door", "see its log")
        link.report = replace(first, life=_life_beside(path, first.journal))
        link._path = path
        return link

    async def receive(self) -> Message | None:
        """The next message, None at the end of the connection; raises BadFrame. May be cancelled and called again."""
        try:
            if not self._frame_length:
                self._frame_length = decode_length(await self._reader.readexactly(HEADER_SIZE))
            data = await self._reader.readexactly(self._frame_length)
        except (asyncio.IncompleteReadError, ConnectionError):
            return None
        self._frame_length = 0
        frame: Frame = decode(data, "runner")
        self.epoch = max(self.epoch, frame.epoch)
        return frame.message

    def write(self, message: Message, epoch: int) -> None:
        """Puts a message into the send buffer without waiting; `drain` must follow."""
        self._writer.write(encode_frame(message, epoch))

    async def drain(self) -> None:
        """Waits until the runner has read enough; raises ConnectionError where it is gone, TimeoutError where it is
        stuck.
        """
        async with asyncio.timeout(DRAIN_TIMEOUT):
            await self._writer.drain()

    def close(self) -> None:
        """Closes at once. What the runner has not read is lost here; the hub sends it again in the next session."""
        self._writer.transport.abort()


def _life_beside(socket: Path, journal: str) -> str:
    """The life of the runner that serves the socket, "" where it is of a version that has none. What another runner
    left behind is known by its version or its journal.
    """
    try:
        version, _, text = read_bytes(life_file(socket), _MAX_LIFE).decode("ascii").strip().partition(" ")
        running = read_bytes(version_file(socket), _MAX_LIFE).decode("ascii").strip()
    except (UserError, UnicodeDecodeError):
        return ""
    lineage = parse_lineage(text)
    return text if version == running and lineage is not None and lineage.chain == journal else ""
