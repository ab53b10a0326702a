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
from websockets.asyncio.client import connect as dial
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from common import handshake
from common.codec import BadFrame
from common.errors import Refused, UserError, WorkFailed
from common.messages import Answer, Beat, Bye, Call, Heartbeat, Push, Refuse, Welcome
from common.session import Session
from common.tls import check_hub, client_context, explain
from tui.profile import Profile

PUSHES: Final = 64
MAX_FRAME: Final = 1024 * 1024
CONNECT_WITHIN: Final = 10.0
ANSWER_WITHIN: Final = 60.0


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
        self._connection = connection
        self._session = session
        self._next = 0
        self._answers: dict[int, asyncio.Future[Answer]] = {}
        self._pushes: dict[int, asyncio.Queue[Any]] = {}
        self._beat_sent = 0.0
        self._ended: Exception | None = None

    async def call(self, verb: str, **args: Any) -> Any:
        """The verb's answer; raises BadCall, CallRefused or CallFailed as the hub said, LinkLost where it is gone."""
        self._next += 1
        return await self._call(self._next, verb, args)

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

    async def subscribe(self, verb: str, **args: Any) -> AsyncIterator[Any]:
        """The pushes of a subscription, until the caller stops or the link ends (LinkLost)."""
        self._next += 1
        identity = self._next
        queue: asyncio.Queue[Any] = asyncio.Queue(PUSHES)
        self._pushes[identity] = queue
        try:
            await self._call(identity, verb, args)
            while True:
                push = await queue.get()
                if isinstance(push, Exception):
                    raise push
                yield push
        finally:
            self._pushes.pop(identity, None)

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
                    case Push() as push:
                        queue = self._pushes.get(push.id)
                        if queue is not None:
                            await queue.put(push.data)
                    case Beat():
                        self.round_trip = time.monotonic() - self._beat_sent
                    case Bye(reason=reason) | Refuse(reason=reason):
                        error = LinkLost(f"the hub closed the link: {reason}", "try again")
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
            for queue in self._pushes.values():
                while queue.full():
                    queue.get_nowait()
                queue.put_nowait(error)

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
    """A welcomed connection; raises UserError that says why not."""
    context = client_context(profile.authority.read_bytes(), profile.certificate, profile.key)
    try:
        connection = await dial(
            f"{profile.url}/console",
            ssl=context,
            compression=None,
            max_size=MAX_FRAME,
            max_queue=16,
            open_timeout=CONNECT_WITHIN,
            ping_interval=None,
            close_timeout=2,
            server_hostname=profile.hub,
            user_agent_header=None,
            proxy=None,
        )
    except OSError as error:
        if isinstance(error, TimeoutError) or (error.errno is not None and type(error).__module__ != "ssl"):
            reason = error.strerror or "no answer in time"
            raise LinkLost(
                f"cannot reach the hub at {profile.url} ({reason})", "is it running, and is the address right?"
            ) from None
        raise explain(error) from None
    except InvalidHandshake as error:
        raise LinkLost(
            f"the hub at {profile.url} refused the connection ({error})", "log in again, or ask an admin"
        ) from None
    try:
        tls = connection.transport.get_extra_info("ssl_object")
        check_hub(tls, profile.hub)
        session, welcome = await _greet(connection, profile)
        client = Client(connection, session, welcome)
        async with asyncio.TaskGroup() as tasks:
            reader = tasks.create_task(client._read(), name="read")
            beats = tasks.create_task(client._beat(), name="beat")
            try:
                yield client
            finally:
                reader.cancel()
                beats.cancel()
    except BaseExceptionGroup as group:
        # One body, two helpers that catch their own: whoever asked wants the one error, not its wrapping.
        raise group.exceptions[0] from None
    finally:
        await connection.close()


async def _greet(connection: ClientConnection, profile: Profile) -> tuple[Session, Welcome]:
    session = Session("hub")
    hello = handshake.make_hello("console", profile.name, None)
    try:
        await connection.send(session.send(hello))
        async with asyncio.timeout(CONNECT_WITHIN):
            frame = session.receive(await connection.recv(), time.monotonic())
    except TimeoutError:
        raise LinkLost(f"the hub at {profile.url} did not answer in time", "try again") from None
    except ConnectionClosed as error:
        raise LinkLost(f"the hub at {profile.url} closed the link ({error})", "try again") from None
    match frame.message if frame is not None else None:
        case Welcome() as welcome:
            handshake.check_welcome(hello, welcome, None)
            session.id, session.interval = welcome.session, welcome.heartbeat
            return session, welcome
        case Refuse(reason=reason):
            raise Refused(f"the hub refused {profile.name}: {reason}", "log in again, or ask an admin")
        case _:
            raise LinkLost("what answered does not speak Answerback's protocol", "check the address")
