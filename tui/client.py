"""One connection to the hub, as an operator: calls and subscriptions. Used by the command line and the console alike.

    async with connect(profile) as client:
        jobs = await client.call("jobs", limit=20)
        async for push in client.subscribe("follow", number=42): ...

Several calls may be under way at once. A subscription holds at most `PUSHES` pushes that nobody has taken; then the
reading stops, and the hub, whose pushes say what is true now rather than what has happened since, skips what it cannot
send.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from common.codec import BadFrame
from common.dial import HubRefused, Opened, close, open_link
from common.errors import Refused, UserError, WorkFailed
from common.handshake import make_hello
from common.messages import Answer, Beat, Bye, Call, Heartbeat, Push, Refuse, Renew, Renewed, Welcome
from common.session import Session
from common.text import clean
from tui.profile import LOG_IN, Profile
from tui.renewal import context_of, is_due, renew

PUSHES: Final = 64
ANSWER_WITHIN: Final = 60.0
RENEW_WITHIN: Final = 10.0
LOOK_AT_CERTIFICATE: Final = 3_600.0


class LinkLost(WorkFailed):
    """The hub went away, or was never there."""


class CallFailed(WorkFailed):
    """The hub answered a call with an error; `code` is its one word for programs."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class CallRefused(Refused):
    """Rights, policy or state said no; `code` as above."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code


class BadCall(UserError):
    """The call itself was off: a request that is not there, an argument that is none."""


USAGE_CODES: Final = frozenset({"usage"})
FAILED_CODES: Final = frozenset({"hub", "busy"})


class Client:
    """See the module; made by `connect`."""

    def __init__(self, connection: ClientConnection, session: Session, welcome: Welcome) -> None:
        self.welcome = welcome
        self.clock_offset = welcome.now - time.time()  # what to add to this machine's clock to have the hub's
        self.round_trip: float | None = None  # seconds, of the last heartbeat
        self.bytes_in = 0
        self.warning = ""  # what the person should know, beside the work
        self._connection = connection
        self._session = session
        self._next = 0
        self._answers: dict[int, asyncio.Future[Answer]] = {}
        self._pushes: dict[int, asyncio.Queue[Any]] = {}
        self._renewal: asyncio.Future[Renewed | Refuse] | None = None
        self._beat_sent = 0.0
        self._ended: Exception | None = None

    async def call(self, verb: str, **args: Any) -> Any:
        """The verb's answer; raises BadCall, CallRefused or CallFailed as the hub said, LinkLost where it is gone."""
        return await self._call(self.new_id(), verb, args)

    def new_id(self) -> int:
        """An id that no call has had on this link. The hub knows a subscription by it, in `replace` and
        `unsubscribe`."""
        self._next += 1
        return self._next

    async def _call(self, identity: int, verb: str, args: dict[str, Any]) -> Any:
        if self._ended is not None:
            raise self._ended
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._answers[identity] = future
        try:
            await self._connection.send(self._session.send(Call(identity, verb, args)))
            async with asyncio.timeout(ANSWER_WITHIN):
                answer = await future
        except ConnectionClosed:
            raise self._ended or LinkLost("the hub closed the link", "try again") from None
        except TimeoutError:
            raise LinkLost(f"the hub did not answer within {ANSWER_WITHIN:.0f} s", "try again") from None
        finally:
            self._answers.pop(identity, None)
        if not answer.code:
            return answer.data
        if answer.code in USAGE_CODES:
            raise BadCall(answer.reason)
        if answer.code in FAILED_CODES:
            raise CallFailed(answer.code, answer.reason)
        raise CallRefused(answer.code, answer.reason)

    async def subscribe(
        self, verb: str, *, idle: float | None = None, known_as: int | None = None, **args: Any
    ) -> AsyncIterator[Any]:
        """The pushes of a subscription, until the caller stops or the link ends (LinkLost).

        With `idle`, also None whenever nothing has come for so many seconds. `known_as` is an id from `new_id`, for
        whoever has to name the subscription later.
        """
        identity = self.new_id() if known_as is None else known_as
        queue: asyncio.Queue[Any] = asyncio.Queue(PUSHES)
        self._pushes[identity] = queue
        try:
            await self._call(identity, verb, args)
            while True:
                try:
                    async with asyncio.timeout(idle):
                        push = await queue.get()
                except TimeoutError:
                    push = None
                if isinstance(push, Exception):
                    raise push
                if isinstance(push, dict) and push.keys() == {"error"}:
                    raise CallRefused("no_right", str(push["error"]))
                yield push
        finally:
            self._pushes.pop(identity, None)

    async def renew(self, message: Renew) -> Renewed:
        """The next certificate; raises UserError where the hub does not give one."""
        if self._ended is not None:
            raise self._ended
        future: asyncio.Future[Renewed | Refuse] = asyncio.get_running_loop().create_future()
        self._renewal = future
        try:
            await self._connection.send(self._session.send(message))
            async with asyncio.timeout(RENEW_WITHIN):
                answer = await future
        except ConnectionClosed:
            raise self._ended or LinkLost("the hub closed the link", "try again") from None
        except TimeoutError:
            raise WorkFailed(f"the hub did not answer within {RENEW_WITHIN:.0f} s", "it is tried again") from None
        finally:
            self._renewal = None
        if isinstance(answer, Refuse):
            raise Refused(clean(answer.reason, limit=500), LOG_IN)
        return answer

    async def _read(self) -> None:
        error: Exception = LinkLost("the hub closed the link", "try again")
        try:
            async for data in self._connection:
                self.bytes_in += len(data)
                frame = self._session.receive(data, time.monotonic())
                match frame.message if frame is not None else None:
                    case Answer() as answer:
                        future = self._answers.get(answer.id)
                        if future is not None and not future.done():
                            future.set_result(answer)
                        elif future is None and answer.code and answer.id in self._pushes:
                            # A subscription that the hub cannot go on with.
                            await self._pushes[answer.id].put(CallFailed(answer.code, answer.reason))
                    case Push() as push:
                        queue = self._pushes.get(push.id)
                        if queue is not None:
                            await queue.put(push.data)
                    case Beat():
                        self.round_trip = time.monotonic() - self._beat_sent
                    case Renewed() as renewed:
                        self._session.done(self._session.received)
                        self._settle_renewal(renewed)
                    case Refuse() as refusal if self._settle_renewal(refusal):
                        pass
                    case Bye(reason=reason):
                        error = LinkLost(f"the hub closed the link: {clean(reason, limit=500)}", "try again")
                    case Refuse(reason=reason):
                        error = LinkLost(f"the hub closed the link: {clean(reason, limit=500)}", "ask an admin")
        except ConnectionClosed:
            pass
        except BadFrame as bad:
            error = LinkLost(
                f"the hub sent something this program does not understand ({bad})", "upgrade the older of the two"
            )
        finally:
            self._ended = error
            for future in self._answers.values():
                if not future.done():
                    future.set_exception(error)
            if self._renewal is not None and not self._renewal.done():
                self._renewal.set_exception(error)
            for queue in self._pushes.values():
                while queue.full():
                    queue.get_nowait()
                queue.put_nowait(error)

    def _settle_renewal(self, answer: Renewed | Refuse) -> bool:
        """Hands an answer to whoever asked for a certificate; False where nobody did."""
        if self._renewal is None or self._renewal.done():
            return False
        self._renewal.set_result(answer)
        return True

    async def _beat(self) -> None:
        while True:
            await asyncio.sleep(min(self._session.interval, 5.0))
            now = time.monotonic()
            if self._session.lost(now):
                await self._connection.close(1001, "not heard of in time")
                return
            self._beat_sent = now
            try:
                await self._connection.send(self._session.send(Heartbeat()))
            except ConnectionClosed:
                return


@asynccontextmanager
async def connect(profile: Profile) -> AsyncIterator[Client]:
    """A welcomed connection; raises UserError that says why not. Renews the profile's certificate where that is due."""
    opened = await _open(profile)
    session = Session("hub", id=opened.welcome.session, epoch=opened.epoch, interval=opened.welcome.heartbeat)
    session.heard(time.monotonic())
    client = Client(opened.connection, session, opened.welcome)
    try:
        async with asyncio.TaskGroup() as tasks:
            helpers = [tasks.create_task(client._read(), name="read"), tasks.create_task(client._beat(), name="beat")]
            try:
                await _renew(client, profile)
                helpers.append(tasks.create_task(_keep_renewed(client, profile), name="renewal"))
                yield client
            finally:
                for helper in helpers:
                    helper.cancel()
    except BaseExceptionGroup as group:
        # One body, and helpers that catch their own: whoever asked wants the one error, not its wrapping.
        raise group.exceptions[0] from None
    finally:
        await close(opened.connection, 1000)


async def _open(profile: Profile) -> Opened:
    try:
        hello = make_hello("console", profile.name, None)
        return await open_link(profile.url, profile.hub, context_of(profile), hello, None)
    except HubRefused as error:
        reason = clean(error.refusal.reason, limit=500)
        raise Refused(f"the hub refused {profile.name}: {reason}", f"ask an admin; to come back, {LOG_IN}") from None
    except BadFrame as error:
        raise LinkLost(f"the hub's welcome is not one ({error})", "upgrade the older of the two") from None
    except WorkFailed as error:
        # A hub does not say that it closed because of our certificate, so what it may be is looked at here.
        until = profile.credential.validity().not_after
        if time.time() >= until:
            day = time.strftime("%Y-%m-%d", time.localtime(until))
            raise UserError(f"the certificate of {profile.name} expired on {day}", LOG_IN) from None
        raise LinkLost(error.problem, error.cure) from None


async def _keep_renewed(client: Client, profile: Profile) -> None:
    while True:
        await asyncio.sleep(LOOK_AT_CERTIFICATE)
        await _renew(client, profile)


async def _renew(client: Client, profile: Profile) -> None:
    """The next certificate where it is time; what goes wrong is a warning, since the old one still works."""
    now = time.time() + client.clock_offset
    try:
        if is_due(profile.credential.validity(), now):
            await renew(profile, client.renew, now)
        client.warning = ""
    except UserError as error:
        client.warning = f"the certificate of {profile.name} could not be renewed ({error.problem}); {error.cure}"
