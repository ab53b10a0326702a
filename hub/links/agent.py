"""One agent's link on the hub: commits its events in batches, dispatches its jobs, holds its session over short breaks.

An idle link costs one task, the one that reads. Two more exist only while there is something to do: `_commit` writes
what was received, as many frames as have come in one transaction, and only then acknowledges; `_dispatch_jobs` sends
queued jobs while the machine has room. The object outlives its connection as the session does: what was received on
the old connection is still committed, and what could not be sent stays in the session and is sent again after `attach`.

Messages are numbered in the moment they are decided on and leave in that order, so a cancel never overtakes the
dispatch it is about.

A report may come in the middle of a session, of the runner that has followed another one behind the same uplink: from
its arrival until it is answered nothing is leased, and it is taken only when all that was leased before has been sent,
so that each such order is on its way before the answer (`agent.uplink.relay` drops those that come in between).
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import replace
from typing import Final

from websockets.asyncio.server import ServerConnection

from common.confirmation import NO_STAMP
from common.crashpoints import crashpoints_of
from common.identity.certificates import Identity
from common.link.bodies import is_numbered
from common.link.codec import Frame
from common.link.compatibility import PACE_PROTOCOL, STAMP_PROTOCOL
from common.link.lineage import parse_lineage
from common.link.messages import (
    MIN_PROTOCOL,
    Beat,
    Bye,
    Cancel,
    Credit,
    Forget,
    Heartbeat,
    KeyChange,
    Message,
    Renew,
    Report,
    Trusted,
    Welcome,
    Woken,
)
from common.link.session import Session, SessionFull
from hub.core.reconcile import MAX_ID
from hub.engine.agent_events import AgentEvent, AgentReplies
from hub.engine.effects import GivenStamp, Leased, Place
from hub.engine.engine import Engine
from hub.links.send_queue import SendQueue
from hub.links.trust import PeerTrust
from hub.log import logger

BATCH: Final = 64
MAX_INBOX: Final = 512  # events that wait to be committed before reading stops
MAX_INBOX_BYTES: Final = 4 * 1024 * 1024
MAX_DISPATCH: Final = 32  # jobs in one transaction
KEYS_PROTOCOL: Final = 5
"""From which on a machine says whose own signatures it counts."""
STAMP_INTERVALS: Final = 2.0
"""Intervals between heartbeats after which a stamp is not used any more: the runner may have given newer ones."""
INTERVAL_SLACK: Final = 0.2
"""A share of the interval below which another one is not worth telling."""
CLOSE_GOING_AWAY: Final = 1001
CLOSE_POLICY_VIOLATION: Final = 1008
CLOSE_INTERNAL_ERROR: Final = 1011
CLOSE_TRY_AGAIN_LATER: Final = 1013

log = logger("link")


async def _ignore(link: AgentLink, message: Trusted) -> None:
    return None


class AgentLink:
    """Owned by `hub.links.server`. `attach` and `run` serve one connection, then perhaps the next."""

    def __init__(
        self,
        name: str,
        identity: Identity,
        session: Session,
        engine: Engine,
        tasks: asyncio.TaskGroup,
        clocks: tuple[Callable[[], float], Callable[[], float]],
        window: int,
        renew: Callable[[Identity, Renew], Awaitable[Message]],
        interval: Callable[[], float],
        on_trusted: Callable[[AgentLink, Trusted], Awaitable[None]] = _ignore,
    ) -> None:
        """`clocks` are one that never jumps, and the wall clock, which machines compare with their own."""
        self.name = name
        self.identity = identity
        self.session = session
        self.journal = ""
        self.life = ""  # of the runner behind it; "" of a version that does not wait for confirmations
        self.outstanding: set[str] = set()
        self.broken = False  # the session cannot be gone on with
        self.held = False  # the store had no room when it came: nothing of it is taken, until it comes anew
        self.session_expires_at = 0.0
        self.orders_protocol = MIN_PROTOCOL  # which the machine's runner takes orders of
        self.estranged = False  # the machine has heard a hub whose work this store does not know
        self.trust = PeerTrust()
        self._on_trusted = on_trusted
        self._tells_marks = False  # the machine keeps the hub's position
        self._told_mark = ""
        self._reconciled = False  # a report of this session was answered: jobs may be dispatched
        self._send_queue: SendQueue | None = None
        self._engine = engine
        self._tasks = tasks
        self._clock, self._wall = clocks
        self._window = window
        self._renew = renew
        self._interval = interval  # between heartbeats, for as many links as there are now
        self._told_interval = 0.0
        self._knows_interval = False
        self._inbox: deque[tuple[Frame, int, SendQueue]] = deque()  # with its size and the connection it came over
        self._inbox_bytes = 0
        self._inbox_free = asyncio.Event()
        self._inbox_free.set()
        self._committing = False
        self._stalled = False  # its runner does not answer
        self._stamp: GivenStamp | None = None  # its runner's newest
        self._dispatching = False
        self._dispatch_requested = False
        self._held = 0  # places that units hold
        self._all_leased = asyncio.Event()  # nothing is being leased: set by those that a report may wait for
        self._sent: set[str] = set()  # jobs of `outstanding` whose orders left over the connection that is open now
        self._was_full = False  # of held places, when there was something to dispatch
        self._more_waits = True  # the queue had more when it was looked at last; what comes into it says so

    # ---- its connections

    @property
    def connected(self) -> bool:
        return self._send_queue is not None

    def attach(
        self, connection: ServerConnection, identity: Identity, welcome: Welcome, received: int | None
    ) -> SendQueue:
        """Takes a welcomed connection over and drops the one before. Awaits nothing: whatever this link sends from now
        on follows the welcome and, where the session goes on, the messages behind `received` that the peer has missed.
        """
        self.close_nowait("a newer link of the same machine is here")
        self.identity = identity
        self.session.interval = self._told_interval = welcome.heartbeat
        self._knows_interval = welcome.protocol >= PACE_PROTOCOL
        self.session.note_activity(self._clock())
        self._tells_marks, self._told_mark = bool(welcome.mark), welcome.mark
        wire = self._send_queue = SendQueue(connection)
        self._sent.clear()
        wire.enqueue(self.session.send(welcome))
        if received is not None:
            wire.enqueue(*self.session.resume(received))
        return wire

    async def run(self, send_queue: SendQueue) -> None:
        """Reads until the connection ends or a newer one has taken over; what is unread then comes again there."""
        self._start_commit()
        if self._reconciled:
            self.request_dispatch()
        try:
            await send_queue.flush()
            async for data in send_queue.connection:
                if self._send_queue is not send_queue:
                    return
                frame = self.session.receive(data, self._clock())
                if frame is None:
                    continue
                if isinstance(frame.message, Heartbeat):
                    self._note_runner(frame.message)
                    self._note_stamp(frame.message.stamp)
                    self._engine.heartbeat(self.name, frame.message, self._clock(), send_queue.round_trip())
                    await self._send(self._answer_heartbeat())
                elif isinstance(frame.message, Bye):
                    return
                elif isinstance(frame.message, Woken):
                    self._engine.wakes.note(self.name, frame.message)
                elif isinstance(frame.message, Trusted):
                    await self._on_trusted(self, frame.message)
                elif is_numbered(frame.message):
                    if self.held:
                        continue  # not committed and so not acknowledged: the machine has it, and sends it again
                    if isinstance(frame.message, Report):
                        self._reconciled, self._stamp = False, None  # which is of the runner before
                    await self._enqueue(frame, len(data), send_queue)
        finally:
            if self._send_queue is send_queue:
                self._send_queue = None

    def _answer_heartbeat(self) -> Beat:
        """With another interval where the number of links wants one. Until the machine is heard again it may have
        either: then the longer one counts here.
        """
        beat, told = self._beat(), self._told_interval
        self.session.interval = told
        wanted = self._interval() if self._knows_interval else told
        if abs(wanted - told) <= INTERVAL_SLACK * told:
            return beat
        self._told_interval, self.session.interval = wanted, max(told, wanted)
        return replace(beat, interval=wanted)

    def leave(self, reason: str, spread: float) -> None:
        """Says that the hub goes, and closes; waits for nothing."""
        wire = self._send_queue
        if wire is not None:
            wire.leave(CLOSE_GOING_AWAY, reason, self.session.send(Bye(reason, spread)))

    def _note_runner(self, beat: Heartbeat) -> None:
        """A runner that does not answer is handed nothing: what is queued waits until it does."""
        stalled = bool((beat.vitals or {}).get("runner_silent"))
        if stalled != self._stalled:
            log.warning("agent.runner_silent" if stalled else "agent.runner_answers", agent=self.name)
            self._stalled = stalled
            self.request_dispatch()

    def _note_stamp(self, stamp: str) -> None:
        if stamp:
            self._stamp = None if stamp == NO_STAMP else GivenStamp(stamp, self._clock())

    def _good_stamp(self) -> GivenStamp | None:
        """The stamp for which our word may go with an order; None where it is given after the acceptance."""
        stamp = self._stamp
        if stamp is None or self.orders_protocol < STAMP_PROTOCOL:
            return None
        return stamp if self._clock() - stamp.at <= STAMP_INTERVALS * self.session.interval else None

    def _beat(self) -> Beat:
        """The clock, and the hub's position where it has moved and the machine keeps it."""
        mark = self._engine.sealed_mark() if self._tells_marks else ""
        if mark == self._told_mark:
            return Beat(self._wall())
        self._told_mark = mark
        return Beat(self._wall(), mark)

    async def _enqueue(self, frame: Frame, size: int, wire: SendQueue) -> None:
        """Puts an event into the inbox; where that is full, nothing is read until the store has caught up."""
        self._inbox.append((frame, size, wire))
        self._inbox_bytes += size
        self._start_commit()
        if len(self._inbox) >= MAX_INBOX or self._inbox_bytes >= MAX_INBOX_BYTES:
            self._inbox_free.clear()
            await self._inbox_free.wait()

    async def close(self, code: int, reason: str, spread: float = 0.0) -> None:
        """Ends the connection, if there is one; the session may go on with another."""
        wire, self._send_queue = self._send_queue, None
        if wire is not None:
            last = [self.session.send(Bye(reason, spread))] if code == CLOSE_GOING_AWAY else []
            await wire.close(code, reason, *last)

    def close_nowait(self, reason: str) -> None:
        """Ends the connection without waiting for the peer to agree."""
        wire, self._send_queue = self._send_queue, None
        if wire is not None:
            self._tasks.create_task(wire.close(CLOSE_POLICY_VIOLATION, reason), name=f"close {self.name}")

    def abort(self) -> None:
        """Ends the connection of a peer that is silent, without a goodbye."""
        wire, self._send_queue = self._send_queue, None
        if wire is not None:
            wire.abort()

    def end_session(self) -> None:
        """The session is over: what is not committed is not acknowledged either, and comes again in a new one."""
        self.broken = True
        self._inbox.clear()
        self._inbox_bytes = 0
        self._inbox_free.set()
        self._all_leased.set()

    # ---- events in

    def _start_commit(self) -> None:
        if self._inbox and not self._committing:
            self._committing = True
            self._tasks.create_task(self._commit(), name=f"commit {self.name}")

    async def _commit(self) -> None:
        try:
            while self._inbox:
                batch = [self._inbox.popleft() for _ in range(min(BATCH, len(self._inbox)))]
                self._inbox_bytes -= sum(size for _, size, _ in batch)
                if len(self._inbox) < MAX_INBOX // 2 and self._inbox_bytes < MAX_INBOX_BYTES // 2:
                    self._inbox_free.set()
                reports = [wire for frame, _, wire in batch if isinstance(frame.message, Report)]
                if reports:
                    await self._until_all_leased()
                same = bool(reports) and all(wire is self._send_queue for wire in reports)
                await self._process_batch([frame for frame, _, _ in batch], frozenset(self._sent) if same else ())
        except Exception as error:
            # Not committed and so not acknowledged: in a new session the agent reports, and sends it all again.
            self.end_session()
            if not isinstance(error, SessionFull):
                log.exception("link.commit_failed", agent=self.name)
            await self.close(CLOSE_INTERNAL_ERROR, "the hub could not take this; come again")
        finally:
            self._committing = False
            self._inbox_free.set()

    async def _until_all_leased(self) -> None:
        """Waits until what is being leased has been sent; a report is here, so that nothing more is."""
        while (self._dispatching or self._held) and not self.broken:
            self._all_leased.clear()
            await self._all_leased.wait()

    async def _process_batch(self, batch: Sequence[Frame], sent: Collection[str]) -> None:
        """`sent`: see `hub.core.reconcile`."""
        events: list[AgentEvent] = []
        for frame in batch:
            if isinstance(frame.message, Renew):
                await self._send(await self._renew(self.identity, frame.message))
                continue
            if isinstance(frame.message, Report):
                self.journal = frame.message.journal[:MAX_ID]
                lineage = parse_lineage(frame.message.life)
                self.life = "" if lineage is None else lineage.id
            events.append(frame.message)  # type: ignore[arg-type]  # the session lets only an agent's types through
        crashpoints_of(events, "received")
        replies = (
            await self._engine.handle_agent_events(
                self.name, events, self.estranged, self.life, self.orders_protocol, sent
            )
            if events and not self.broken
            else None
        )
        if self.broken:
            return  # ended meanwhile: what has just been committed may come again and changes nothing
        crashpoints_of(events, "committed")
        self.session.mark_processed(batch[-1].seq)
        if replies is not None:
            await self._send_replies(replies)
        ack = self.session.ack_frame()
        if ack is not None:
            await self._send_frames(ack)
        crashpoints_of(events, "acknowledged")

    async def _send_replies(self, replies: AgentReplies) -> None:
        self.outstanding.difference_update(replies.settled, replies.returned)
        self._sent.difference_update(replies.settled, replies.returned)
        messages: list[Message] = []
        if replies.resync is not None:
            self.outstanding = set(replies.open)
            self._sent &= self.outstanding
            messages.append(replies.resync)
            self._reconciled = True
            self._more_waits = False  # or the look below says so
        messages += [
            self._engine.confirm(job, self.life, left, self.orders_protocol) for job, left in replies.confirms.items()
        ]
        messages += [Credit(job, seq) for job, seq in replies.credits.items()]
        messages += [Forget(job) for job in replies.forgets]
        messages += [Cancel(job, kill) for job, kill in replies.cancels]
        if replies.resync is not None and self.orders_protocol >= KEYS_PROTOCOL:
            messages += [KeyChange(), *map(KeyChange, replies.key_changes)]
        await self._send(*messages)
        asked = replies.resync is not None and self._dispatch_requested  # since before the report was taken
        more = self._more_waits and (replies.settled or replies.returned)
        if more or replies.queued or asked:
            self.request_dispatch()

    # ---- jobs out

    def request_dispatch(self) -> None:
        """Dispatches what the queue has for this machine; a hint, given as often as anyone likes."""
        self._dispatch_requested = True
        if not self._dispatching and self._reconciled and self.connected:
            self._dispatching = True
            self._tasks.create_task(self._dispatch_jobs(), name=f"dispatch {self.name}")

    @property
    def _may_lease(self) -> bool:
        return self._reconciled and self.connected and not self.broken and not self._stalled

    def _room(self) -> int:
        return self._window - len(self.outstanding) - self._held

    def hold_place(self) -> Place | None:
        """A place for one job, until `free_place`; None where the machine has none, or is being handed something."""
        if not self._may_lease or self._dispatching or self._room() < 1 or not self.session.has_room():
            return None
        self._held += 1
        stamp = self._good_stamp() if self.life else None
        return Place(self.name, self.session.id, self.journal, self.orders_protocol, self.life, stamp)

    def free_place(self) -> None:
        self._held -= 1
        self._all_leased.set()
        if self._was_full:
            self._was_full = False
            self.request_dispatch()

    def hand_over(self, leased: Leased) -> bool:
        """Sends what a unit has leased; False where the session that it was leased for is not this one."""
        place = leased.place
        if self.broken or place.session != self.session.id or (place.journal, place.life) != (self.journal, self.life):
            return False
        if self._engine.recovery_state.active:
            return True  # since a moment ago: it is unknown by now, and must not leave
        signed = self._engine.sign(leased)
        self.outstanding.update(job for _, job in signed)
        beat = [self._beat()] if self._tells_marks else []  # what it remembers is never behind what it was told to do
        messages = (*beat, *(dispatch for dispatch, _ in signed))
        try:
            frames = [self.session.send(message) for message in messages]
        except SessionFull:
            self.end_session()  # the report of the next session releases it
            self.close_nowait("too much that is not acknowledged")
            return True
        crashpoints_of(messages, "leaving")
        if (wire := self._send_queue) is not None:
            self._sent.update(job for _, job in signed)
            wire.enqueue(*frames)
            self._tasks.create_task(self._flush(wire, messages), name=f"hand over {self.name}")
        return True

    async def _flush(self, wire: SendQueue, messages: Sequence[Message]) -> None:
        await wire.flush()
        crashpoints_of(messages, "sent")

    async def _dispatch_jobs(self) -> None:
        try:
            while self._dispatch_requested and self._may_lease:
                self._dispatch_requested = False
                self._more_waits = True
                while self._may_lease and (room := self._room()) > 0 and self.session.has_room():
                    most = min(room, MAX_DISPATCH)
                    signed = await self._engine.dispatch(
                        self.name,
                        self.journal,
                        most,
                        self.orders_protocol,
                        self.life,
                        self._good_stamp(),
                    )
                    if self._engine.recovery_state.active:
                        break  # since a moment ago: what was leased is unknown by now, and must not leave
                    self.outstanding.update(job for _, job in signed)
                    if self.connected:
                        self._sent.update(job for _, job in signed)
                    # What it remembers is never behind what it was told to do.
                    beat = [self._beat()] if signed and self._tells_marks else []
                    await self._send(*beat, *(dispatch for dispatch, _ in signed))
                    self._more_waits = len(signed) == most  # what was withheld has asked for another look
                    if not self._more_waits or not self.connected:
                        break
                self._was_full = self._held > 0 and self._room() <= 0
        except SessionFull:
            self.end_session()  # what was leased and not sent is released by the report of the next session
            await self.close(CLOSE_TRY_AGAIN_LATER, "too much that is not acknowledged")
        except Exception:
            log.exception("link.hand_out_failed", agent=self.name)
            self.end_session()
            await self.close(CLOSE_INTERNAL_ERROR, "the hub could not hand out jobs; come again")
        finally:
            self._dispatching = False
            self._all_leased.set()

    async def send(self, *messages: Message) -> None:
        """Sends what came up elsewhere in the hub."""
        try:
            await self._send(*messages)
        except SessionFull:
            self.end_session()
            await self.close(CLOSE_TRY_AGAIN_LATER, "too much that is not acknowledged")

    async def offer(self, change: bytes) -> None:
        """A change of whose own signatures count, for a machine that knows of such; others get it with their report."""
        if self._reconciled and self.orders_protocol >= KEYS_PROTOCOL:
            await self.send(KeyChange(change))

    def job_settled(self, job: str) -> None:
        """A job of this machine has ended otherwise than by the agent's own event."""
        self._sent.discard(job)
        if job in self.outstanding:
            self.outstanding.discard(job)
            if self._more_waits:
                self.request_dispatch()

    # ---- the session

    async def _send(self, *messages: Message) -> None:
        """Where there is no connection the session holds numbered messages; any other is sent again when it matters."""
        frames = [self.session.send(message) for message in messages]
        crashpoints_of(messages, "leaving")
        await self._send_frames(*frames)
        crashpoints_of(messages, "sent")

    async def _send_frames(self, *frames: bytes) -> None:
        wire = self._send_queue
        if wire is not None and frames:
            wire.enqueue(*frames)
            await wire.flush()
