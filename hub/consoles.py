"""Operators' links: a call names a verb of `Desk`, an answer comes back; a subscription pushes what is new.

Everything goes through `authorize()` and the same acts as chat. A slow console never holds up the hub: a subscription
keeps no backlog, only the mark up to which it has told; when the console has taken the last push, the next one says
what is true then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from common.errors import Refused, UserError
from common.identity import Identity
from common.messages import Answer, Beat, Bye, Call, Heartbeat, Message, Push, Refuse, Renew, Welcome
from common.session import Session
from hub.change import Effects
from hub.log import logger

MAX_CALLS: Final = 64
MAX_SUBSCRIPTIONS: Final = 32

log = logger("console")


class BadCall(UserError):
    """A call whose arguments are off; told to the caller."""


@dataclass(slots=True)
class Subscription:
    """What a console follows. `look` reads what is new since the last look and returns the push, or None."""

    id: int
    look: Callable[[], Awaitable[Any | None]]
    wants: Callable[[Effects], bool]
    dirty: bool = True
    ended: bool = False


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
        self._connection = connection
        self._desk = desk
        self._tasks = tasks
        self._clock = clock
        self._calls = 0
        self._pushing = False
        self.closed = False

    async def run(self, welcome: Welcome) -> None:
        """Sends the welcome, then serves calls until the connection ends."""
        self.session.heard(self._clock())
        await self._connection.send(self.session.send(welcome))
        try:
            async for data in self._connection:
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
                        await self._send(await self._desk.renew(self.identity, request))
                        self.session.done(frame.seq)
                    case Bye():
                        break
        finally:
            self.closed = True
            self.subscriptions.clear()

    async def _answer(self, call: Call) -> None:
        try:
            try:
                verb = self._desk.verbs.get(call.verb)
                if verb is None:
                    raise BadCall(f"the hub has no verb {call.verb[:40]!r}", "is this console newer than the hub?")
                data = await verb(Caller(self.identity.name, self, call.id), call.args)
                answer = Answer(call.id, data)
            except Refused as error:
                answer = Answer(call.id, None, "refused", str(error))
            except UserError as error:
                answer = Answer(call.id, None, getattr(error, "code", "usage"), str(error))
            except Exception:
                log.exception("call.failed", verb=call.verb[:40], person=self.identity.name)
                answer = Answer(call.id, None, "hub", "the hub failed on this call; its log says why")
            await self._send(answer)
            self._push_soon()
        except ConnectionClosed:
            pass
        finally:
            self._calls -= 1

    # ---- subscriptions

    def subscribe(self, subscription: Subscription) -> None:
        if len(self.subscriptions) >= MAX_SUBSCRIPTIONS:
            raise BadCall(f"more than {MAX_SUBSCRIPTIONS} subscriptions on one console", "end one first")
        self.subscriptions[subscription.id] = subscription

    def unsubscribe(self, identity: int) -> None:
        self.subscriptions.pop(identity, None)

    def after(self, effects: Effects) -> None:
        """Marks what an effect touches; the push reads the truth."""
        for subscription in self.subscriptions.values():
            if not subscription.dirty and subscription.wants(effects):
                subscription.dirty = True
        self._push_soon()

    def _push_soon(self) -> None:
        if not self._pushing and not self.closed and any(entry.dirty for entry in self.subscriptions.values()):
            self._pushing = True
            self._tasks.create_task(self._push(), name=f"push {self.identity.name}")

    async def _push(self) -> None:
        try:
            while dirty := [entry for entry in self.subscriptions.values() if entry.dirty]:
                for subscription in dirty:
                    subscription.dirty = False
                    data = await subscription.look()
                    if data is not None and not self.closed:
                        await self._send(Push(subscription.id, data))
                    if subscription.ended:
                        self.unsubscribe(subscription.id)
        except ConnectionClosed:
            pass
        except Exception:
            log.exception("push.failed", person=self.identity.name)
        finally:
            self._pushing = False

    async def close(self, code: int, reason: str, spread: float = 0.0) -> None:
        try:
            if code == 1001:
                await self._send(Bye(reason, spread))
            elif code == 1008:
                await self._send(Refuse("revoked", reason))
            await self._connection.close(code, reason[:100])
        except ConnectionClosed:
            pass

    async def _send(self, message: Message) -> None:
        await self._connection.send(self.session.send(message))
