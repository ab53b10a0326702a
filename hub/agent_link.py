"""One agent's link on the hub: hears its facts in batches, hands out its jobs, keeps its session over short breaks.

An idle link costs one task, the one that reads. Two more exist only while there is something to do: `_commit` writes
what was heard, as many frames as have come in one transaction, and only then acknowledges; `_hand_out` leases queued
jobs while the machine has room. The object outlives its connection as the session does: what was heard on the old
connection is still committed, and what could not be sent is kept by the session and sent again after `attach`.

Messages are numbered in the moment they are decided on and leave in that order, so a cancel never overtakes the
dispatch it is about.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from websockets.asyncio.server import ServerConnection

from common.codec import Frame
from common.identity import Identity
from common.messages import Beat, Bye, Cancel, Credit, Forget, Heartbeat, Message, Renew, Report, Welcome, is_numbered
from common.session import Session, SessionFull
from hub.engine import Engine
from hub.hearing import MAX_ID, AgentWord
from hub.log import logger
from hub.wire import Wire

BATCH: Final = 64
INBOX: Final = 512  # facts that wait to be committed before reading stops
INBOX_BYTES: Final = 4 * 1024 * 1024
CLAIM: Final = 32
GOING_AWAY: Final = 1001
POLICY: Final = 1008
FAILED: Final = 1011
TRY_LATER: Final = 1013

log = logger("link")


class AgentLink:
    """Owned by `hub.links`. `attach` and `run` serve one connection, then perhaps the next."""

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
        self._wire: Wire | None = None
        self._engine = engine
        self._tasks = tasks
        self._clock = clock
        self._window = window
        self._inbox: deque[tuple[Frame, int]] = deque()
        self._inbox_bytes = 0
        self._room = asyncio.Event()
        self._room.set()
        self._committing = False
        self._handing = False
        self._again = False

    # ---- its connections

    @property
    def connected(self) -> bool:
        return self._wire is not None

    def attach(self, connection: ServerConnection, identity: Identity, welcome: Welcome, received: int | None) -> Wire:
        """Takes a welcomed connection over and drops the one before. Awaits nothing: whatever this link says from now
        on follows the welcome and, where the session goes on, the facts behind `received` that the peer has missed.
        """
        self.hang_up("a newer link of the same machine is here")
        self.identity = identity
        self.session.interval = welcome.heartbeat
        self.session.heard(self._clock())
        wire = self._wire = Wire(connection)
        wire.put(self.session.send(welcome))
        if received is not None:
            wire.put(*self.session.resume(received))
        return wire

    async def run(self, wire: Wire) -> None:
        """Reads until the connection ends or a newer one has taken over; what is still in this one comes again
        there.
        """
        self._start_commit()
        self.hand_out()
        try:
            await wire.flush()
            async for data in wire.connection:
                if self._wire is not wire:
                    return
                frame = self.session.receive(data, self._clock())
                if frame is None:
                    continue
                if isinstance(frame.message, Heartbeat):
                    self._engine.heartbeat(self.name, frame.message, self._clock(), wire.round_trip())
                    await self._send(Beat(self._clock()))
                elif isinstance(frame.message, Bye):
                    return
                elif is_numbered(frame.message):
                    await self._take_in(frame, len(data))
        finally:
            if self._wire is wire:
                self._wire = None

    async def _take_in(self, frame: Frame, size: int) -> None:
        """Puts a fact into the inbox; where that is full, nothing is read until the store has caught up."""
        self._inbox.append((frame, size))
        self._inbox_bytes += size
        self._start_commit()
        if len(self._inbox) >= INBOX or self._inbox_bytes >= INBOX_BYTES:
            self._room.clear()
            await self._room.wait()

    async def close(self, code: int, reason: str, spread: float = 0.0) -> None:
        """Ends the connection, if there is one; the session may go on with another."""
        wire, self._wire = self._wire, None
        if wire is not None:
            last = [self.session.send(Bye(reason, spread))] if code == GOING_AWAY else []
            await wire.close(code, reason, *last)

    def hang_up(self, reason: str) -> None:
        """Ends the connection without waiting for the peer to agree."""
        wire, self._wire = self._wire, None
        if wire is not None:
            self._tasks.create_task(wire.close(POLICY, reason), name=f"close {self.name}")

    def drop(self) -> None:
        """Ends the connection of a peer that is silent; it would not hear a goodbye."""
        wire, self._wire = self._wire, None
        if wire is not None:
            wire.abort()

    def give_up(self) -> None:
        """The session is over: what is not committed is not acknowledged either, and comes again in a new one."""
        self.broken = True
        self._inbox.clear()
        self._inbox_bytes = 0
        self._room.set()

    # ---- hearing

    def _start_commit(self) -> None:
        if self._inbox and not self._committing:
            self._committing = True
            self._tasks.create_task(self._commit(), name=f"commit {self.name}")

    async def _commit(self) -> None:
        try:
            while self._inbox:
                batch = [self._inbox.popleft() for _ in range(min(BATCH, len(self._inbox)))]
                self._inbox_bytes -= sum(size for _, size in batch)
                if len(self._inbox) < INBOX // 2 and self._inbox_bytes < INBOX_BYTES // 2:
                    self._room.set()
                await self._deal_with([frame for frame, _ in batch])
        except Exception as error:
            # Not committed and so not acknowledged: in a new session the agent reports, and says it all again.
            self.give_up()
            if not isinstance(error, SessionFull):
                log.exception("link.commit_failed", agent=self.name)
            await self.close(FAILED, "the hub could not take this; come again")
        finally:
            self._committing = False
            self._room.set()

    async def _deal_with(self, batch: Sequence[Frame]) -> None:
        words: list[AgentWord] = []
        for frame in batch:
            if isinstance(frame.message, Renew):
                await self._send(await self._engine.renew(self.identity, frame.message))
                continue
            if isinstance(frame.message, Report):
                self.journal = frame.message.journal[:MAX_ID]
            words.append(frame.message)  # type: ignore[arg-type]  # the session lets only an agent's types through
        answers = await self._engine.heard(self.name, words) if words and not self.broken else None
        if self.broken:
            return  # given up meanwhile: what has just been committed is harmless to hear again
        self.session.done(batch[-1].seq)
        if answers is not None:
            self.outstanding.difference_update(answers.settled)
            said: list[Message] = []
            if answers.resync is not None:
                self.outstanding = set(answers.open)
                said.append(answers.resync)
                self._ready = True
            said += [Credit(job, seq) for job, seq in answers.credits.items()]
            said += [Forget(job) for job in answers.forgets]
            said += [Cancel(job, kill) for job, kill in answers.cancels]
            await self._send(*said)
            if answers.settled or answers.resync is not None:
                self.hand_out()
        ack = self.session.ack()
        if ack is not None:
            await self._send_frames(ack)

    # ---- handing out

    def hand_out(self) -> None:
        """Looks whether the queue has something for this machine; a hint, given as often as anyone likes."""
        self._again = True
        if not self._handing and self._ready and self.connected:
            self._handing = True
            self._tasks.create_task(self._hand_out(), name=f"hand out {self.name}")

    async def _hand_out(self) -> None:
        try:
            while self._again and self.connected and not self.broken:
                self._again = False
                while (room := self._window - len(self.outstanding)) > 0 and self.session.room():
                    signed = await self._engine.claim(self.name, self.journal, min(room, CLAIM))
                    self.outstanding.update(job for _, job in signed)
                    await self._send(*(dispatch for dispatch, _ in signed))
                    if not signed or not self.connected:
                        break
        except SessionFull:
            self.give_up()  # what was leased and not sent is released by the report of the next session
            await self.close(TRY_LATER, "too much that is not acknowledged")
        except Exception:
            log.exception("link.hand_out_failed", agent=self.name)
            self.give_up()
            await self.close(FAILED, "the hub could not hand out jobs; come again")
        finally:
            self._handing = False

    async def say(self, *messages: Message) -> None:
        """Tells the machine something that came up elsewhere in the hub."""
        try:
            await self._send(*messages)
        except SessionFull:
            self.give_up()
            await self.close(TRY_LATER, "too much that is not acknowledged")

    def settled(self, job: str) -> None:
        """A job of this machine has ended by another way than the machine's word."""
        if job in self.outstanding:
            self.outstanding.discard(job)
            self.hand_out()

    # ---- the session

    async def _send(self, *messages: Message) -> None:
        """A fact that cannot be sent now is kept by the session; anything else is said again when it matters again."""
        await self._send_frames(*[self.session.send(message) for message in messages])

    async def _send_frames(self, *frames: bytes) -> None:
        wire = self._wire
        if wire is not None and frames:
            wire.put(*frames)
            await wire.flush()
