"""The uplink's end of the local socket to the runner; `agent.frames` has the framing.

One uplink at a time: attaching makes the runner drop the uplink before it, and its first message is a `Report`. A
runner that knows stamps (common/confirmation.py) is asked then which have ended, and for a new one with each question
whether it answers: that goes on to the hub with the heartbeat.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

from agent.frames import HEADER_SIZE, decode_length, encode_frame
from agent.state import life_file, protocol_file, refusing_file, version_file
from common.confirmation import NO_STAMP
from common.errors import UserError, WorkFailed
from common.link.codec import BadFrame, Frame, decode
from common.link.compatibility import STAMP_PROTOCOL
from common.link.lineage import parse_lineage
from common.link.messages import Ack, Beat, Message, Report, Stamp
from common.read_file import read_bytes

ATTACH_TIMEOUT: Final = 10.0
DRAIN_TIMEOUT: Final = 30.0
"""Seconds that a runner may leave its socket unread before it counts as stuck."""
ANSWERS_WITHIN: Final = 10.0
"""Seconds after which a runner that was asked counts as one that does not answer."""
ASKED_PROTOCOL: Final = 6
"""From which on a runner answers."""
STAMP_WAIT: Final = 0.2
"""Seconds that a heartbeat waits for the runner's stamp."""
_BUFFER_SIZE: Final = 64 * 1024
_MAX_LIFE: Final = 300  # bytes
_MAX_WORD: Final = 40  # as well


class RunnerUnavailable(WorkFailed):
    """Nothing serves the runner's socket, or what does is not a runner."""


class RunnerConnection:
    """One connection. `report` is the runner's first message; it is good for one new session with the hub."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._buffer = bytearray()
        self.report = Report("", "", {})
        self.report_used = False
        self.epoch = 0  # the highest hub epoch that the runner has sent
        self.unanswered = 0  # reports that the hub has to answer, of this session, up to this runner's own
        self.in_session = False  # its report went in the middle of a session
        self._gone_at: float | None = None  # since when it is known that the runner has ended
        self._path: Path | None = None
        self._asked_at: float | None = None  # when it was asked what it has not answered yet
        self._protocol = 0
        self._stamp = ""  # that has not been passed on
        self._stamped = asyncio.Event()  # there is such a one
        self.on_withdrawn: Callable[[], None] = lambda: None

    def figures(self, now: float) -> dict[str, float]:
        """What a heartbeat says of the runner: `refusing` while it refuses every order, `runner_silent` for how many
        seconds it has not answered. `now` is of the clock of `ask`.
        """
        if self._gone_at is not None:
            return {"runner_silent": max(0.1, round(now - self._gone_at, 1))}
        refusing = self._path is not None and refusing_file(self._path).exists()
        figures = {"refusing": 1.0} if refusing else {}
        if self._asked_at is not None and now - self._asked_at >= ANSWERS_WITHIN:
            figures["runner_silent"] = round(now - self._asked_at, 1)
        return figures

    def ask(self, now: float, *, reading: bool) -> None:
        """Asks whether the runner answers; one question at a time is under way. While nothing is read from it
        (`reading`) no answer can be expected.
        """
        if not reading or self.is_gone:
            self._asked_at = None
        elif self._protocol >= ASKED_PROTOCOL and self._asked_at is None:
            self._asked_at = now
            if not self.has_withdrawn:
                self.take_stamp()  # one that came late is too old to count from
            self.write(Beat(0.0, stamp=self.gives_stamps), self.epoch)

    @property
    def is_gone(self) -> bool:
        return self._gone_at is not None

    def note_gone(self, now: float) -> None:
        """The runner has ended. That is to be told at once, so that nothing is handed to nobody."""
        self._gone_at, self._asked_at, self._stamp = now, None, NO_STAMP
        self._stamped.set()
        self.close()
        self.on_withdrawn()

    def follows(self, before: RunnerConnection) -> bool:
        """Whether this runner was started on the journal of the other one, after it: that one is dead then, for this
        one has its lock.
        """
        then, now = parse_lineage(before.report.life), parse_lineage(self.report.life)
        return then is not None and now is not None and now.chain == then.chain and now.came_after(then.id)

    @property
    def gives_stamps(self) -> bool:
        return self._protocol >= STAMP_PROTOCOL

    @property
    def has_withdrawn(self) -> bool:
        """Whether the runner has said that no word is to be given ahead any more, and the hub was not told."""
        return self._stamp == NO_STAMP

    def take_stamp(self) -> str:
        """The runner's newest stamp, once; "" where there is none since the last."""
        stamp, self._stamp = self._stamp, ""
        self._stamped.clear()
        return stamp

    async def wait_for_stamp(self) -> None:
        """A moment, where one was asked for."""
        if self.gives_stamps and self._asked_at is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(STAMP_WAIT):
                    await self._stamped.wait()

    @classmethod
    async def attach(cls, path: Path, timeout: float = ATTACH_TIMEOUT) -> RunnerConnection:
        """Connects and waits for the report, at most `timeout` seconds; raises RunnerUnavailable."""
        try:
            async with asyncio.timeout(timeout):
                link = cls(*await asyncio.open_unix_connection(path, limit=_BUFFER_SIZE))
                try:
                    first = await link.receive()
                    link._protocol = _protocol_beside(path)
                    if isinstance(first, Report) and link.gives_stamps:
                        first = await link._with_ended(first)
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

    async def _with_ended(self, report: Report) -> Report | None:
        """The report with the stamps that have ended with it; the answer comes before all else. None where the runner
        has closed.
        """
        self.write(Beat(0.0, stamp=True), self.epoch)
        answer = await self._receive()
        return replace(report, ended=answer.ended) if isinstance(answer, Stamp) else None

    async def receive(self) -> Message | None:
        """The next message but answers to `ask`; None at the end of the connection; raises BadFrame. May be cancelled
        and called again.
        """
        while (message := await self._receive()) is not None and self._is_answer(message):
            pass
        return message

    def receive_nowait(self) -> Message | None:
        """The same of what is here already; None where no message is whole; raises BadFrame."""
        while (message := self._next_buffered()) is not None and self._is_answer(message):
            pass
        return message

    def _is_answer(self, message: Message) -> bool:
        """Takes an answer to `ask`; False for what the hub has to hear."""
        if not isinstance(message, Ack | Stamp):
            return False
        self._asked_at = None
        if isinstance(message, Stamp):
            self._stamp = message.id
            self._stamped.set()
            if self.has_withdrawn:
                self.on_withdrawn()
        return True

    def _next_buffered(self) -> Message | None:
        if len(self._buffer) < HEADER_SIZE:
            return None
        end = HEADER_SIZE + decode_length(self._buffer)
        if len(self._buffer) < end:
            return None
        data = bytes(memoryview(self._buffer)[HEADER_SIZE:end])
        del self._buffer[:end]
        frame: Frame = decode(data, "runner")
        self.epoch = max(self.epoch, frame.epoch)
        return frame.message

    async def _receive(self) -> Message | None:
        while (message := self._next_buffered()) is None:
            try:
                data = await self._reader.read(_BUFFER_SIZE)
            except ConnectionError:
                return None
            if not data:
                return None
            self._buffer += data
        return message

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


def _protocol_beside(socket: Path) -> int:
    """The protocol of the runner that serves the socket; 0 where it does not say."""
    try:
        text = read_bytes(protocol_file(socket), _MAX_LIFE).decode("ascii").strip()
    except (UserError, UnicodeDecodeError):
        return 0
    return int(text) if text.isdecimal() and len(text) < 4 else 0


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


def runner_version(socket: Path) -> str:
    """The version of the runner that serves the socket; "" where it does not say."""
    return word_of(version_file(socket))


def word_of(path: Path) -> str:
    """What a small file beside the socket says; "" where it is not there or says no word."""
    try:
        text = read_bytes(path, _MAX_WORD).decode("ascii").strip()
    except (UserError, UnicodeDecodeError):
        return ""
    return text if text.isprintable() else ""
