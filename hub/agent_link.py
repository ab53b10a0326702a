"""One agent's link on the hub: hears its facts in batches, hands out its jobs, keeps its session over short breaks.

An idle link costs one task, the one that reads. Two more exist only while there is something to do: `_commit` writes
what was heard, as many frames as have come in one transaction, and only then acknowledges; `_hand_out` leases queued
jobs while the machine has room. The object outlives its connection as the session does: what was heard on the old
connection is still committed, and what could not be sent is kept by the session and sent again by `resume`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from typing import Final

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from common.codec import Frame
from common.identity import Identity
from common.messages import Beat, Bye, Cancel, Credit, Forget, Heartbeat, Message, Renew, Report, is_numbered
from common.session import Session, SessionFull
from hub.engine import AgentWord, Engine
from hub.log import logger

BATCH: Final = 64
INBOX: Final = 512
CLAIM: Final = 32

log = logger("link")


class AgentLink:
    """Owned by `hub.links`. `run` serves one connection; it may be called again on the next one after `resume`."""

    def __init__(
        self,
        name: str,
        identity: Identity,
        session: Session,
        engine: Engine,
        tasks: asyncio.TaskGroup,
        clock: Callable[[], float],
        window: int,
    ) -> None:
        self.name = name
        self.identity = identity
        self.session = session
        self.journal = ""
        self.outstanding: set[str] = set()
        self.broken = False  # the session cannot be gone on with
        self.kept_until = 0.0
        self._ready = False  # a report of this session has been dealt with: jobs may be handed out
        self._connection: ServerConnection | None = None
        self._engine = engine
        self._tasks = tasks
        self._clock = clock
        self._window = window
        self._inbox: deque[Frame] = deque()
        self._room = asyncio.Event()
        self._room.set()
        self._committing = False
        self._handing = False
        self._again = False

    async def run(self, connection: ServerConnection, identity: Identity, first: list[bytes]) -> None:
        """Sends `first` (the welcome, and on a resume what is to be sent again), then reads until the connection
        ends.
        """
        self.identity = identity
        for frame in first:
            await connection.send(frame)
        self._connection = connection
        self._start_commit()
        self.hand_out()
        try:
            async for data in connection:
                if self._connection is not connection:
                    return  # a newer one has taken over; what is still in this one comes again there
                frame_in = self.session.receive(data, self._clock())
                if frame_in is None:
                    continue
                if isinstance(frame_in.message, Heartbeat):
                    self._engine.heartbeat(self.name, frame_in.message, self._clock())
                    await self._send(Beat(self._clock()))
                elif isinstance(frame_in.message, Bye):
                    return
                elif is_numbered(frame_in.message):
                    self._inbox.append(frame_in)
                    self._start_commit()
                    if len(self._inbox) >= INBOX:
                        self._room.clear()
                        await self._room.wait()
        finally:
            if self._connection is connection:
                self._connection = None

    @property
    def connected(self) -> bool:
        return self._connection is not None

    # ---- hearing

    def _start_commit(self) -> None:
        if self._inbox and not self._committing:
            self._committing = True
            self._tasks.create_task(self._commit(), name=f"commit {self.name}")

    async def _commit(self) -> None:
        try:
            while self._inbox:
                batch = [self._inbox.popleft() for _ in range(min(BATCH, len(self._inbox)))]
                if len(self._inbox) < INBOX // 2:
                    self._room.set()
                await self._deal_with(batch)
        except Exception as error:
            # Not committed and so not acknowledged: in a new session the agent reports, and says it all again.
            self.broken = True
            self._inbox.clear()
            if not isinstance(error, SessionFull):
                log.exception("link.commit_failed", agent=self.name)
            await self.close(1011, "the hub could not take this; come again")
        finally:
            self._committing = False
            self._room.set()

    async def _deal_with(self, batch: list[Frame]) -> None:
        words: list[AgentWord] = []
        for frame in batch:
            if isinstance(frame.message, Renew):
                await self._send(await self._engine.renew(self.identity, frame.message))
                continue
            if isinstance(frame.message, Report):
                self.journal = frame.message.journal
            words.append(frame.message)  # type: ignore[arg-type]  # the session lets only an agent's types through
        answers = await self._engine.heard(self.name, words) if words else None
        self.session.done(batch[-1].seq)
        if answers is not None:
            self.outstanding.difference_update(answers.settled)
            if answers.resync is not None:
                self.outstanding = set(answers.open)
                await self._send(answers.resync)
                self._ready = True
            for job, seq in answers.credits.items():
                await self._send(Credit(job, seq))
            for job in answers.forgets:
                await self._send(Forget(job))
            for job, kill in answers.cancels:
                await self._send(Cancel(job, kill))
            if answers.settled or answers.resync is not None:
                self.hand_out()
        ack = self.session.ack()
        if ack is not None:
            await self._send_frame(ack)

    # ---- handing out

    def hand_out(self) -> None:
        """Looks whether the queue has something for this machine; a hint, given as often as anyone likes."""
        self._again = True
        if not self._handing and self._ready and self._connection is not None:
            self._handing = True
            self._tasks.create_task(self._hand_out(), name=f"hand out {self.name}")

    async def _hand_out(self) -> None:
        try:
            while self._again and self._connection is not None and not self.broken:
                self._again = False
                while (room := self._window - len(self.outstanding)) > 0 and self.session.room():
                    signed = await self._engine.claim(self.name, self.journal, min(room, CLAIM))
                    for dispatch, job in signed:
                        self.outstanding.add(job)
                        await self._send(dispatch)
                    if not signed or self._connection is None:
                        break
        except SessionFull:
            self.broken = True  # what was leased and not sent is released by the report of the next session
            await self.close(1013, "too much that is not acknowledged")
        except Exception:
            log.exception("link.hand_out_failed", agent=self.name)
            self.broken = True
            await self.close(1011, "the hub could not hand out jobs; come again")
        finally:
            self._handing = False

    async def cancel(self, job: str, kill: bool) -> None:
        await self._say(Cancel(job, kill))

    async def settled(self, job: str) -> None:
        """A job of this machine has ended by another way than the machine's word."""
        if job in self.outstanding:
            self.outstanding.discard(job)
            await self._say(Forget(job))
            self.hand_out()

    async def _say(self, message: Message) -> None:
        try:
            await self._send(message)
        except SessionFull:
            self.broken = True
            await self.close(1013, "too much that is not acknowledged")

    # ---- the connection

    async def close(self, code: int, reason: str, spread: float = 0.0) -> None:
        connection = self._connection
        if connection is None:
            return
        if code == 1001:
            await self._send(Bye(reason, spread))
        self._connection = None
        try:
            await connection.close(code, reason[:100])
        except ConnectionClosed:
            pass

    async def _send(self, message: Message) -> None:
        """A fact that cannot be sent now is kept by the session; anything else is said again when it matters again."""
        await self._send_frame(self.session.send(message))

    async def _send_frame(self, frame: bytes) -> None:
        if self._connection is not None:
            try:
                await self._connection.send(frame)
            except ConnectionClosed:
                pass
