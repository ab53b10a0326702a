"""Operators' links: a call names a verb of `Desk`, an answer comes back; a subscription pushes what is new.

Everything goes through `authorize()` and the same acts as chat. A slow console never holds up the hub: a subscription
keeps no backlog, only the mark up to which it has told; when the console has taken the last push, the next one says
what is true then. Calls wait their turn likewise: none is worked on while the console has not taken what it was sent.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

from websockets.asyncio.server import ServerConnection

from common.codec import BadFrame
from common.errors import Refused, UserError
from common.identity import Identity
from common.messages import Answer, Beat, Bye, Call, Heartbeat, Message, Push, Refuse, Renew, Welcome
from common.session import Session
from hub.change import Effects
from hub.log import logger
from hub.wire import Wire

MAX_CALLS: Final = 64
MAX_SUBSCRIPTIONS: Final = 32

log = logger("console")


class BadCall(UserError):
    """A call whose arguments are off; told to the caller."""


@dataclass(slots=True, eq=False)
class Subscription:
    """What a console follows. `look` reads what is new since the last look and returns the push, or None. There are at
    least `every` seconds between two looks, but where a look sets `at_once`: its push did not hold all there was.
    """

    id: int
    look: Callable[[], Awaitable[Any | None]]
    wants: Callable[[Effects], bool]
    dirty: bool = True
    ended: bool = False
    every: float = 0.0
    next_at: float = 0.0  # by the loop's clock
    dropped: Callable[[], None] = lambda: None  # called when it is over, for whatever reason

    def at_once(self) -> None:
        self.dirty, self.next_at = True, 0.0


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, by certificate, and what they may subscribe with."""

    person: str
    link: ConsoleLink
    call: int


Verb = Callable[[Caller, Mapping[str, Any]], Awaitable[Any]]


async def _nothing() -> None:
    return None


@dataclass(slots=True)
class Desk:
    """The verbs that consoles may call: a closed table, filled by the composition root; nothing is found by name in an
    object.
    """

    verbs: dict[str, Verb] = field(default_factory=dict)
    refresh: Callable[[], Awaitable[None]] = _nothing
    renew: Callable[[Identity, Renew], Awaitable[Message]] | None = None


class ConsoleLink:
    def __init__(
        self,
        identity: Identity,
        connection: ServerConnection,
        session: Session,
        desk: Desk,
        tasks: asyncio.TaskGroup,
        clock: Callable[[], float],
    ) -> None:
        self.identity = identity
        self.session = session
        self.subscriptions: dict[int, Subscription] = {}
        self._wire = Wire(connection)
        self._desk = desk
        self._tasks = tasks
        self._clock = clock
        self._calls = 0
        self._pushing = False
        self._poked = asyncio.Event()
        self.closed = False

    async def run(self, welcome: Welcome) -> None:
        """Sends the welcome, then serves calls until the connection ends."""
        self.session.heard(self._clock())
        try:
            await self._send(welcome)
            async for data in self._wire.connection:
                frame = self.session.receive(data, self._clock())
                if frame is None:
                    continue
                match frame.message:
                    case Call() as call:
                        if self._calls >= MAX_CALLS:
                            await self._send(Answer(call.id, None, "busy", "too many calls at once; wait for answers"))
                            continue
                        self._calls += 1
                        self._tasks.create_task(self._answer(call), name=f"call {call.verb[:20]}")
                    case Heartbeat():
                        await self._send(Beat(self._clock()))
                    case Renew() as request if self._desk.renew is not None:
                        answer = await self._desk.renew(self.identity, request)
                        self.session.done(frame.seq)
                        await self._send(answer)
                    case Bye():
                        break
        finally:
            self.closed = True
            for identity in list(self.subscriptions):
                self.unsubscribe(identity)
            self._poked.set()  # a push that waits for the next look's time ends with its subscription

    async def _answer(self, call: Call) -> None:
        try:
            await self._wire.flush()
            answer = await self._work(call)
            try:
                await self._send(answer)
            except BadFrame as error:
                reason = f"the answer does not fit one frame ({error}); ask for less at a time"
                await self._send(Answer(call.id, None, "too_large", reason))
            self._push_soon()
        finally:
            self._calls -= 1

    async def _work(self, call: Call) -> Answer:
        """What the call comes to; whatever goes wrong in it is its caller's answer and nobody else's trouble."""
        try:
            verb = self._desk.verbs.get(call.verb)
            if verb is None:
                raise BadCall(f"the hub has no verb {call.verb[:40]!r}", "is this console newer than the hub?")
            return Answer(call.id, await verb(Caller(self.identity.name, self, call.id), call.args))
        except Refused as error:
            return Answer(call.id, None, getattr(error, "code", "refused"), str(error))
        except UserError as error:
            return Answer(call.id, None, getattr(error, "code", "usage"), str(error))
        except Exception:
            log.exception("call.failed", verb=call.verb[:40], person=self.identity.name)
            return Answer(call.id, None, "hub", "the hub failed on this call; its log says why")

    # ---- subscriptions

    def subscribe(self, subscription: Subscription) -> None:
        if len(self.subscriptions) >= MAX_SUBSCRIPTIONS:
            raise BadCall(f"more than {MAX_SUBSCRIPTIONS} subscriptions on one console", "end one first")
        self.subscriptions[subscription.id] = subscription

    def unsubscribe(self, identity: int) -> None:
        """Ends a subscription, if there is one of that id."""
        subscription = self.subscriptions.pop(identity, None)
        if subscription is not None:
            subscription.dropped()

    def poke(self, subscription: Subscription) -> None:
        """There is something new for it."""
        subscription.dirty = True
        self._push_soon()

    def after(self, effects: Effects) -> None:
        """Marks what an effect touches; the push reads the truth."""
        for subscription in self.subscriptions.values():
            if not subscription.dirty and subscription.wants(effects):
                subscription.dirty = True
        self._push_soon()

    def _push_soon(self) -> None:
        self._poked.set()
        if not self._pushing and not self.closed and any(entry.dirty for entry in self.subscriptions.values()):
            self._pushing = True
            self._tasks.create_task(self._push(), name=f"push {self.identity.name}")

    async def _push(self) -> None:
        try:
            clock = asyncio.get_running_loop().time
            while dirty := [entry for entry in self.subscriptions.values() if entry.dirty]:
                soonest, now = min(entry.next_at for entry in dirty), clock()
                if soonest > now:
                    self._poked.clear()
                    with suppress(TimeoutError):
                        async with asyncio.timeout(soonest - now):
                            await self._poked.wait()
                for subscription in dirty:
                    if subscription.next_at <= clock():
                        subscription.next_at = clock() + subscription.every
                        await self._push_one(subscription)
        finally:
            self._pushing = False

    async def _push_one(self, subscription: Subscription) -> None:
        """One look and what it found; a subscription that cannot be served ends, and its caller is told."""
        subscription.dirty = False
        if self.closed:
            return
        try:
            data = await subscription.look()
            if data is None:
                subscription.next_at = 0.0  # nothing was told: what comes next is told at once
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
        address = self._wire.connection.remote_address
        return str(address[0]) if address else ""

    async def close(self, code: int, reason: str, spread: float = 0.0) -> None:
        last: list[Message] = []
        if code == 1001:
            last = [Bye(reason, spread)]
        elif code == 1008:
            last = [Refuse("revoked", reason)]
        await self._wire.close(code, reason, *map(self.session.send, last))

    def drop(self) -> None:
        """Ends the connection of a console that is silent; it would not hear a goodbye."""
        self._wire.abort()

    async def _send(self, message: Message) -> None:
        """Returns when the console has taken it, or is gone."""
        self._wire.put(self.session.send(message))
        await self._wire.flush()
