"""One link in service: kept, and ended with the reason why.

`Relay` passes messages between hub and runner until something ends it:

    hub -> runner   written to the runner's socket in the moment it is taken from the hub, and then counts as dealt with
    runner -> hub   numbered by the session, which keeps it until the hub has committed it

Back-pressure is in both directions the other side's pace: while the session has no room nothing is read from the
runner, which keeps the rest in its spool; while the runner does not read, nothing is read from the hub.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final, Literal

from websockets.exceptions import ConnectionClosed

from agent import log
from agent.uplink.local import RunnerLink
from agent.uplink.renewal import Renewal
from agent.uplink.vitals import vitals
from common.codec import FORBIDDEN, BadFrame
from common.dial import CLOSE_TIMEOUT, Opened, close, closing_words
from common.errors import UserError, WorkFailed
from common.handshake import RETRY_EPOCH
from common.messages import (
    Ack,
    Beat,
    Bye,
    Cancel,
    Credit,
    Dispatch,
    Forget,
    Heartbeat,
    Message,
    Refuse,
    Renewed,
    Resync,
)
from common.session import Session, SessionFull, StaleEpoch

ACK_DELAY: Final = 0.05
"""Seconds that an ack waits for a frame that would carry it anyway."""
RENEWAL_TIMEOUT: Final = 60.0
QUIET_TIMEOUT: Final = 30.0
CLOCK_TOLERANCE: Final = 30.0
_LOOK: Final = 60.0
"""The wall clock may be set, so what is due by it is looked at this often."""

_TO_RUNNER: Final = (Dispatch, Cancel, Credit, Forget, Resync)

Why = Literal["closed", "lost", "bye", "refused", "runner", "protocol", "renewed"]


@dataclass(frozen=True, slots=True)
class Ending:
    """Why a link ended. `fresh` asks for a new session; the numbers are the hub's wishes."""

    why: Why
    detail: str = ""
    spread: float = 0.0
    retry_after: float = 0.0
    fresh: bool = False
    code: int = 1000  # RFC 6455, what the connection is closed with


def since_boot() -> float:
    """Seconds, counting those asleep: a laptop that wakes sees at once that its link is stale."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Relay:
    """A link in service. `run` returns when it is over; the session outlives it."""

    def __init__(
        self,
        opened: Opened,
        session: Session,
        runner: RunnerLink,
        renewal: Renewal,
        *,
        clock: Callable[[], float] = since_boot,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._connection = opened.connection
        self._session = session
        self._runner = runner
        self._renewal = renewal
        self._clock = clock
        self._wall = wall
        self._room = asyncio.Event()
        self._calm = asyncio.Event()
        self._to_ack = asyncio.Event()
        self._first_sent = asyncio.Event()
        self._renewed: asyncio.Queue[Renewed | Refuse] = asyncio.Queue(1)
        self._ending: asyncio.Future[Ending] = asyncio.get_running_loop().create_future()
        self._asking = False
        self._clock_off = False
        self._compare_clocks(opened.welcome.now)

    async def run(self, first: list[bytes]) -> Ending:
        """Sends `first` (a report, or what a resumed session repeats), relays, and closes the connection at the end."""
        self._session.heard(self._clock())
        ending = Ending("closed", "stopping")
        try:
            async with asyncio.TaskGroup() as group:
                parts = (
                    self._from_hub(),
                    self._from_runner(first),
                    self._beats(),
                    self._watch(),
                    self._acks(),
                    self._renew(),
                )
                tasks = [group.create_task(self._part(part)) for part in parts]
                ending = await self._ending
                for task in tasks:
                    task.cancel()
            return ending
        finally:
            await self._goodbye(ending)

    async def _part(self, part: Coroutine[Any, Any, None]) -> None:
        """One of the link's tasks. The ways in which a link may end are endings; anything else is a fault of ours."""
        try:
            await part
        except ConnectionClosed as error:
            self._end(Ending("closed", closing_words(error)))
        except StaleEpoch as error:
            self._end(Ending("protocol", str(error), fresh=True, retry_after=RETRY_EPOCH, code=error.close_code))
        except BadFrame as error:
            self._end(Ending("protocol", str(error), fresh=True, code=error.close_code))
        except SessionFull as error:
            self._end(Ending("protocol", str(error), fresh=True))

    def _end(self, ending: Ending) -> None:
        if not self._ending.done():
            self._ending.set_result(ending)

    async def _goodbye(self, ending: Ending) -> None:
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT):
                await self._connection.send(self._session.send(Bye(ending.detail or ending.why)))
        except (TimeoutError, ConnectionClosed):
            pass
        await close(self._connection, ending.code)

    # ---- hub to runner

    async def _from_hub(self) -> None:
        while True:
            data = await self._connection.recv()
            frame = self._session.receive(data, self._clock())
            if self._session.room():
                self._room.set()
            if not self._session.unacked:
                self._calm.set()
            if frame is None:
                continue
            message = frame.message
            if isinstance(message, _TO_RUNNER):
                # No await between these two: what was received is dealt with, whenever this task is cancelled.
                self._runner.put(message, frame.epoch)
                self._session.done(frame.seq)
                self._to_ack.set()
                if not await self._drained():
                    return
            else:
                self._take(message, frame.seq)

    async def _drained(self) -> bool:
        try:
            await self._runner.drain()
        except (TimeoutError, ConnectionError):
            self._end(Ending("runner", "the runner does not read its socket", fresh=True))
            return False
        return True

    def _take(self, message: Message, seq: int) -> None:
        match message:
            case Ack():
                pass
            case Beat(now=now):
                self._compare_clocks(now)
            case Renewed():
                self._session.done(seq)  # the request is on disk and can be sent again if we lose the answer
                self._to_ack.set()
                self._answered(message)
            case Refuse() if self._asking:
                self._answered(message)
            case Bye(reason=reason, spread=spread):
                self._end(Ending("bye", reason, spread=spread))
            case Refuse(code=code, reason=reason, retry_after=retry_after):
                self._end(Ending("refused", f"{code}: {reason}", retry_after=retry_after))
            case _:
                raise BadFrame(f"{type(message).__name__.lower()}: not in the middle of an agent's link", FORBIDDEN)

    def _answered(self, message: Renewed | Refuse) -> None:
        if self._renewed.empty():
            self._renewed.put_nowait(message)

    def _compare_clocks(self, hub_now: float) -> None:
        ahead = self._wall() - hub_now
        off = abs(ahead) > CLOCK_TOLERANCE
        if off and not self._clock_off:
            log.warning("clock.off", ahead_of_hub=ahead, cure="set this machine's clock: orders expire by it")
        self._clock_off = off

    # ---- runner to hub

    async def _from_runner(self, first: list[bytes]) -> None:
        for data in first:
            await self._connection.send(data)
        self._first_sent.set()
        while True:
            await self._until_room()
            try:
                message = await self._runner.receive()
            except BadFrame as error:
                self._end(Ending("runner", f"the runner sent nonsense: {error}", fresh=True))
                return
            if message is None or isinstance(message, Bye):
                self._end(Ending("runner", "the runner closed its socket", fresh=True))
                return
            await self._connection.send(self._session.send(message))

    async def _until_room(self) -> None:
        while not self._session.room():
            self._room.clear()
            await self._room.wait()

    # ---- keeping the link

    async def _beats(self) -> None:
        while True:
            now = self._clock()
            if self._session.due(now):
                await self._connection.send(self._session.send(Heartbeat(vitals())))
            await asyncio.sleep(min(_LOOK, max(0.01, self._session.next_deadline() - self._clock())))

    async def _watch(self) -> None:
        """Apart from the beats, which may be stuck in a send."""
        while True:
            if self._session.lost(self._clock()):
                self._end(Ending("lost", "the hub was not heard in three intervals"))
                return
            await asyncio.sleep(self._session.interval / 2)

    async def _acks(self) -> None:
        while True:
            await self._to_ack.wait()
            await asyncio.sleep(ACK_DELAY)
            self._to_ack.clear()
            if (data := self._session.ack()) is not None:
                await self._connection.send(data)

    async def _renew(self) -> None:
        await self._first_sent.wait()  # facts go out in the order of their numbers
        while True:
            await asyncio.sleep(min(_LOOK, max(0.0, self._renewal.at - self._wall())))
            if not self._renewal.due(self._wall()):
                continue
            self._asking = True
            try:
                if self._renewal.asked != self._session.id:
                    message = await self._renewal.request()
                    await self._until_room()
                    self._renewal.asked = self._session.id
                    await self._connection.send(self._session.send(message))
                async with asyncio.timeout(RENEWAL_TIMEOUT):
                    answer = await self._renewed.get()
                if isinstance(answer, Refuse):
                    raise WorkFailed(f"the hub refused: {answer.code}: {answer.reason}", "see the hub's operator")
                await self._renewal.take(answer)
            except TimeoutError:
                log.warning("certificate.not_renewed", reason="the hub has not answered")
                self._renewal.failed(self._wall())
            except UserError as error:
                log.error("certificate.not_renewed", reason=error.problem, cure=error.cure)
                self._renewal.failed(self._wall())
            else:
                await self._quiet()
                self._end(Ending("renewed"))
                return
            finally:
                self._asking = False

    async def _quiet(self) -> None:
        """A moment without facts under way, or `QUIET_TIMEOUT`: the session goes on either way."""
        try:
            async with asyncio.timeout(QUIET_TIMEOUT):
                while self._session.unacked:
                    self._calm.clear()
                    await self._calm.wait()
        except TimeoutError:
            pass
