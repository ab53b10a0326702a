"""Consoles' links: a call names a verb of `VerbTable`, an answer comes back; a subscription pushes what has changed.

A slow console never holds up the hub: a subscription queues nothing, it only knows what it has sent; when the console
has taken the last push, the next one says what is true then. Calls wait their turn likewise: none is executed while the
console has not taken what it was sent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from websockets.asyncio.server import ServerConnection

from common.errors import Denied, UserError
from common.identity.certificates import Identity
from common.link.codec import BadFrame
from common.link.messages import (
    LOGIN_ENDED,
    Answer,
    Beat,
    Bye,
    Call,
    Heartbeat,
    Message,
    Push,
    Refuse,
    Renew,
    Trusted,
    Welcome,
)
from common.link.session import Session
from hub.links.send_queue import SendQueue
from hub.links.subscription import Subscription
from hub.links.trust import PeerTrust
from hub.log import logger

MAX_CALLS: Final = 64
MAX_SUBSCRIPTIONS: Final = 32
LAST_ANSWERS: Final = 2.0
"""Seconds that a link whose person is trusted no more has for the answers to what was asked before."""

log = logger("console")


class InvalidArguments(UserError):
    """A call whose arguments are wrong; the text is the answer to the caller."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, by certificate, and what they may subscribe with."""

    person: str
    link: ConsoleLink
    call_id: int


VerbHandler = Callable[[Caller, Mapping[str, Any]], Awaitable[Any]]


async def _noop() -> None:
    return None


@dataclass(slots=True)
class VerbTable:
    """The verbs that consoles may call: a closed table, filled when the hub is put together; nothing is looked up by
    name in an object.
    """

    verbs: dict[str, VerbHandler] = field(default_factory=dict)
    refresh: Callable[[], Awaitable[None]] = _noop
    renew: Callable[[Identity, Renew], Awaitable[Message]] | None = None


class ConsoleLink:
    def __init__(
        self,
        identity: Identity,
        connection: ServerConnection,
        session: Session,
        verb_table: VerbTable,
        tasks: asyncio.TaskGroup,
        clock: Callable[[], float],
        on_trusted: Callable[[ConsoleLink, Trusted], Awaitable[None]] | None = None,
    ) -> None:
        self.trust = PeerTrust()
        self._on_trusted = on_trusted
        self.identity = identity
        self.session = session
        self.subscriptions: dict[int, Subscription] = {}
        self._send_queue = SendQueue(connection)
        self._verb_table = verb_table
        self._tasks = tasks
        self._clock = clock
        self._calls = 0
        self._no_calls = asyncio.Event()  # none is under way
        self._no_calls.set()
        self._ending = ""  # why no further call is taken; "" while they are
        self._pushing = False
        self._notified = asyncio.Event()
        self.closed = False

    async def run(self, welcome: Welcome, welcomed: Callable[[], Awaitable[None]] = _noop) -> None:
        """Sends the welcome, does what follows it, then serves calls until the connection ends."""
        self.session.note_activity(self._clock())
        try:
            await self._send(welcome)
            await welcomed()
            async for data in self._send_queue.connection:
                frame = self.session.receive(data, self._clock())
                if frame is None:
                    continue
                match frame.message:
                    case Call() as call:
                        if self._calls >= MAX_CALLS:
                            await self._send(Answer(call.id, None, "busy", "too many calls at once; wait for answers"))
                            continue
                        if self._ending:
                            await self._send(Answer(call.id, None, LOGIN_ENDED, self._ending))
                            continue
                        self._calls += 1
                        self._no_calls.clear()
                        self._tasks.create_task(self._handle_call(call), name=f"call {call.verb[:20]}")
                    case Heartbeat():
                        await self._send(Beat(self._clock()))
                    case Renew() as request if self._verb_table.renew is not None:
                        answer = await self._verb_table.renew(self.identity, request)
                        self.session.mark_processed(frame.seq)
                        await self._send(answer)
                    case Trusted() as told if self._on_trusted is not None:
                        await self._on_trusted(self, told)
                    case Bye():
                        break
        finally:
            self.closed = True
            for identity in list(self.subscriptions):
                self.unsubscribe(identity)
            self._notified.set()  # a push loop that waits for its next poll ends with its subscriptions

    async def _handle_call(self, call: Call) -> None:
        try:
            await self._send_queue.flush()
            answer = await self._execute(call)
            try:
                await self._send(answer)
            except BadFrame as error:
                reason = f"the answer does not fit one frame ({error}); ask for less at a time"
                await self._send(Answer(call.id, None, "too_large", reason))
            self._schedule_push()
        finally:
            self._calls -= 1
            if not self._calls:
                self._no_calls.set()

    async def _execute(self, call: Call) -> Answer:
        """The answer to a call; whatever goes wrong in it is answered to its caller and affects nobody else."""
        try:
            verb = self._verb_table.verbs.get(call.verb)
            if verb is None:
                raise InvalidArguments(f"the hub has no verb {call.verb[:40]!r}", "is this console newer than the hub?")
            return Answer(call.id, await verb(Caller(self.identity.name, self, call.id), call.args))
        except Denied as error:
            return Answer(call.id, None, getattr(error, "code", "refused"), str(error))
        except UserError as error:
            return Answer(call.id, None, getattr(error, "code", "usage"), str(error))
        except Exception:
            log.exception("call.failed", verb=call.verb[:40], person=self.identity.name)
            return Answer(call.id, None, "hub", "the hub failed on this call; its log says why")

    # ---- subscriptions

    def subscribe(self, subscription: Subscription) -> None:
        if len(self.subscriptions) >= MAX_SUBSCRIPTIONS:
            raise InvalidArguments(f"more than {MAX_SUBSCRIPTIONS} subscriptions on one console", "end one first")
        self.subscriptions[subscription.id] = subscription

    def unsubscribe(self, identity: int) -> None:
        """Ends a subscription, if there is one of that id."""
        subscription = self.subscriptions.pop(identity, None)
        if subscription is not None:
            subscription.close()

    def notify(self, subscription: Subscription) -> None:
        """There may be something to push for it."""
        subscription.dirty = True
        self._wake_push_loop()

    def _schedule_push(self) -> None:
        if any(entry.dirty for entry in self.subscriptions.values()):
            self._wake_push_loop()

    def _wake_push_loop(self) -> None:
        self._notified.set()
        if not self._pushing and not self.closed:
            self._pushing = True
            self._tasks.create_task(self._push_loop(), name=f"push {self.identity.name}")

    async def _push_loop(self) -> None:
        try:
            clock = asyncio.get_running_loop().time
            while dirty := [entry for entry in self.subscriptions.values() if entry.dirty]:
                soonest, now = min(entry.next_poll_at for entry in dirty), clock()
                if soonest > now:
                    self._notified.clear()
                    with suppress(TimeoutError):
                        async with asyncio.timeout(soonest - now):
                            await self._notified.wait()
                for subscription in dirty:
                    if subscription.next_poll_at <= clock():
                        subscription.next_poll_at = clock() + subscription.min_interval
                        await self._push_one(subscription)
        finally:
            self._pushing = False

    async def _push_one(self, subscription: Subscription) -> None:
        """Polls once and pushes the result; a subscription that fails ends, and its caller is told."""
        subscription.dirty = False
        if self.closed:
            return
        try:
            data = await subscription.poll()
            if data is None:
                subscription.next_poll_at = 0.0  # nothing was pushed: what comes next need not wait
            else:
                await self._send(Push(subscription.id, data))
        except Exception:
            log.exception("push.failed", person=self.identity.name)
            subscription.ended = True
            reason = "the hub failed on this subscription; its log says why"
            await self._send(Answer(subscription.id, None, "hub", reason))
        if subscription.ended and self.subscriptions.get(subscription.id) is subscription:
            self.unsubscribe(subscription.id)

    # ---- the connection

    @property
    def remote(self) -> str:
        """Where the console is, for the audit: its address without the port."""
        address = self._send_queue.connection.remote_address
        return str(address[0]) if address else ""

    async def close(self, code: int, reason: str, spread: float = 0.0) -> None:
        """1008: the person's login has ended. No call is begun from here on, those under way have a moment; the last
        word says whether all were answered: what has no answer then was not begun, and may be asked again.
        """
        last: list[Message] = []
        if code == 1001:
            last = [Bye(reason, spread)]
        elif code == 1008:
            self._ending = f"this login ended: {reason}"
            with suppress(TimeoutError):
                async with asyncio.timeout(LAST_ANSWERS):
                    await self._no_calls.wait()
            last = [Refuse("revoked" if self._calls else LOGIN_ENDED, reason)]
        await self._send_queue.close(code, reason, *map(self.session.send, last))

    def abort(self) -> None:
        """Ends the connection of a console that does not respond, without a goodbye."""
        self._send_queue.abort()

    async def send(self, message: Message) -> None:
        """Sends what came up elsewhere in the hub."""
        await self._send(message)

    async def _send(self, message: Message) -> None:
        """Returns when the console has taken it, or is gone."""
        self._send_queue.enqueue(self.session.send(message))
        await self._send_queue.flush()
