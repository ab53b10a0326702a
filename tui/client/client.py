"""One connection to the hub, as an operator: calls and subscriptions in the types of `common.api`. Used by the command
line and the console alike.

    async with connect(profile) as client:
        jobs = await client.call(verbs.JOBS, JobsArgs(limit=20))
        async for push in client.subscribe(verbs.FOLLOW, RequestArgs(number=42)): ...

Several calls may be under way at once. A subscription queues at most `PUSH_QUEUE_SIZE` pushes that its reader has not
taken; then reading from the link stops, and the hub, whose pushes describe the present state and not each change,
skips what it cannot send. Answers and pushes are decoded by whoever waits for them, not by the loop that receives.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, overload

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed

from common.api.outcome import SubscriptionEnded
from common.api.verb import A, R, Verb
from common.api.versions import Push, read_push, read_result, version_of
from common.errors import Denied, UserError, WorkFailed
from common.filter.fields import ViewName
from common.link import messages
from common.link.codec import BadFrame
from common.link.dial import HubRefused, OpenLink, UntimelyHub, close, measure_clock, open_link
from common.link.handshake import make_hello
from common.link.messages import (
    LOGIN_ENDED,
    TRUSTS_FACT,
    Answer,
    Beat,
    Bye,
    Call,
    Heartbeat,
    Refuse,
    Renew,
    Renewed,
    Trust,
    Welcome,
)
from common.link.session import Session
from common.read_file import read_bytes
from common.text import clean
from common.times import format_in_zone, format_skew, local_zone
from tui.client.errors import FAILED_CODES, USAGE_CODES, CallFailed, CallRefused, InvalidCall, LinkLost, LoginEnded
from tui.client.profile import LOGIN_HINT, Profile
from tui.client.renewal import is_due, renew, renew_late, ssl_context
from tui.client.trust import answer, take_bundle, trusted_digest

PUSH_QUEUE_SIZE: Final = 64
CALL_TIMEOUT: Final = 60.0
RENEWAL_TIMEOUT: Final = 10.0
TRUST_TIMEOUT: Final = 10.0
RENEWAL_CHECK_INTERVAL: Final = 3_600.0
MAX_CLOCK_SKEW: Final = 60.0
CURED_CODES: Final = frozenset({"expired", "unknown", "revoked", "generation", "busy"})
"""Refusals whose reason names the cure."""


class Client:
    """See the module; made by `connect`."""

    def __init__(self, connection: ClientConnection, session: Session, welcome: Welcome) -> None:
        self.welcome = welcome
        self.clock_offset = welcome.now - time.time()  # what to add to this machine's clock to have the hub's
        self.round_trip: float | None = None  # seconds, of the last heartbeat
        self.bytes_in = 0
        self.warning = ""  # what the person should know, beside the work
        self.versions: Mapping[str, int] = {}  # of the hub's lists and pushes, once `whoami` was called
        self._connection = connection
        self._session = session
        self._last_id = 0
        self._pending_calls: dict[int, asyncio.Future[Answer]] = {}
        self._subscriptions: dict[int, asyncio.Queue[Any]] = {}
        self._renewal: asyncio.Future[Renewed | Refuse] | None = None
        self.generation = 0  # of the profile's certificate when the link was opened
        self._trust_told: asyncio.Queue[Trust] = asyncio.Queue(1)
        self._trust_done = asyncio.Event()
        self._trust_done.set()
        self._heartbeat_sent_at = 0.0
        self._close_error: Exception | None = None
        self._answered = False  # whether anything was: what was asked may have been done in part

    async def call(self, verb: Verb[A, R], args: A) -> R:
        """The verb's result; arguments that have their default are not sent.

        Raises InvalidCall, CallRefused or CallFailed as the hub answered, LinkLost where it is gone (LoginEnded where
        nothing at all was begun on this link), TooNew or BadAnswer where what it answered cannot be read.
        """
        data = await self._call(self.next_call_id(), verb.name, verb.encode_args(args))
        result = read_result(verb, data, self.versions.get(verb.name, 1))
        if verb.name == "whoami":
            self.versions = getattr(result, "views", {})
        return result

    def next_call_id(self) -> int:
        """An id that no call has had on this link. The hub knows a subscription by it, in `replace` and
        `unsubscribe`."""
        self._last_id += 1
        return self._last_id

    async def _call(self, identity: int, verb: str, args: dict[str, Any]) -> Any:
        if self._close_error is not None:
            raise self._close_error
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._pending_calls[identity] = future
        try:
            await self._connection.send(self._session.send(Call(identity, verb, args)))
            async with asyncio.timeout(CALL_TIMEOUT):
                answer = await future
        except ConnectionClosed:
            raise self._close_error or LinkLost("the hub closed the link", "try again") from None
        except TimeoutError:
            raise LinkLost(f"the hub did not answer within {CALL_TIMEOUT:.0f} s", "try again") from None
        finally:
            self._pending_calls.pop(identity, None)
        if answer.code == LOGIN_ENDED:
            raise self._ended(answer.reason)
        if not answer.code:
            return answer.data
        if answer.code in USAGE_CODES:
            raise InvalidCall(answer.reason)
        if answer.code in FAILED_CODES:
            raise CallFailed(answer.code, answer.reason)
        raise CallRefused(answer.code, answer.reason)

    @overload
    def subscribe(self, verb: Verb[A, R], args: A, *, call_id: int | None = None) -> AsyncIterator[Push]: ...

    @overload
    def subscribe(
        self, verb: Verb[A, R], args: A, *, idle_timeout: float, call_id: int | None = None
    ) -> AsyncIterator[Push | None]: ...

    async def subscribe(
        self, verb: Verb[A, R], args: A, *, idle_timeout: float | None = None, call_id: int | None = None
    ) -> AsyncIterator[Push | None]:
        """The pushes of a subscription, until the caller stops or the link ends (LinkLost).

        With `idle_timeout`, also None whenever nothing has come for so many seconds. `call_id` is an id from
        `next_call_id`, for whoever has to name the subscription later. Raises as `call` does; CallRefused too where
        the hub ends the subscription, since the right to it was taken away.
        """
        identity = self.next_call_id() if call_id is None else call_id
        view: ViewName | None = getattr(args, "view", None) if verb.name == "view" else None
        version = self.versions.get(view or verb.name, 1)
        queue: asyncio.Queue[Any] = asyncio.Queue(PUSH_QUEUE_SIZE)
        self._subscriptions[identity] = queue
        try:
            await self._call(identity, verb.name, verb.encode_args(args))
            while True:
                try:
                    async with asyncio.timeout(idle_timeout):
                        data = await queue.get()
                except TimeoutError:
                    yield None
                    continue
                if isinstance(data, Exception):
                    raise data
                version = version_of(data, version)
                push = read_push(verb.name, data, view, version)
                if isinstance(push, SubscriptionEnded):
                    raise CallRefused("no_right", push.error)
                yield push
        finally:
            self._subscriptions.pop(identity, None)

    async def renew(self, message: Renew) -> Renewed:
        """The next certificate; raises UserError where the hub does not give one."""
        if self._close_error is not None:
            raise self._close_error
        future: asyncio.Future[Renewed | Refuse] = asyncio.get_running_loop().create_future()
        self._renewal = future
        try:
            await self._connection.send(self._session.send(message))
            async with asyncio.timeout(RENEWAL_TIMEOUT):
                answer = await future
        except ConnectionClosed:
            raise self._close_error or LinkLost("the hub closed the link", "try again") from None
        except TimeoutError:
            raise WorkFailed(f"the hub did not answer within {RENEWAL_TIMEOUT:.0f} s", "it is tried again") from None
        finally:
            self._renewal = None
        if isinstance(answer, Refuse):
            raise Denied(clean(answer.reason, limit=500), LOGIN_HINT)
        return answer

    async def _receive_loop(self) -> None:
        error: Exception = LinkLost("the hub closed the link", "try again")
        try:
            async for data in self._connection:
                self.bytes_in += len(data)
                frame = self._session.receive(data, time.monotonic())
                match frame.message if frame is not None else None:
                    case Answer() as answer:
                        self._answered = self._answered or answer.code != LOGIN_ENDED
                        future = self._pending_calls.get(answer.id)
                        if future is not None and not future.done():
                            future.set_result(answer)
                        elif future is None and answer.code and answer.id in self._subscriptions:
                            # A subscription that the hub cannot go on with.
                            await self._subscriptions[answer.id].put(CallFailed(answer.code, answer.reason))
                    case messages.Push() as push:
                        queue = self._subscriptions.get(push.id)
                        if queue is not None:
                            await queue.put(push.data)
                    case Beat():
                        self.round_trip = time.monotonic() - self._heartbeat_sent_at
                    case Renewed() as renewed:
                        self._session.mark_processed(self._session.received)
                        self._resolve_renewal(renewed)
                    case Trust() as told:
                        while not self._trust_told.empty():
                            self._trust_told.get_nowait()  # the newest word counts
                        self._trust_done.clear()
                        self._trust_told.put_nowait(told)
                    case Refuse(code=code, reason=reason) if code == LOGIN_ENDED:
                        error = self._ended(reason)
                    case Refuse() as refusal if self._resolve_renewal(refusal):
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
            self._close_error = error
            for future in self._pending_calls.values():
                if not future.done():
                    future.set_exception(error)
            if self._renewal is not None and not self._renewal.done():
                self._renewal.set_exception(error)
            for queue in self._subscriptions.values():
                while queue.full():
                    queue.get_nowait()
                queue.put_nowait(error)

    def _ended(self, reason: str) -> LinkLost:
        """The hub takes nothing from this login any more; what had no answer until now was not begun."""
        kind = LinkLost if self._answered else LoginEnded
        return kind(f"the hub closed the link: {clean(reason, limit=500)}", "try again, to be told why")

    def _resolve_renewal(self, answer: Renewed | Refuse) -> bool:
        """Hands an answer to whoever asked for a certificate; False where nobody did."""
        if self._renewal is None or self._renewal.done():
            return False
        self._renewal.set_result(answer)
        return True

    async def take_trust(self, profile: Profile) -> None:
        """Trusts the CAs that the hub says while it replaces its own, and renews where it wants that. Serves until it
        is cancelled; what goes wrong is a warning, since what was trusted before still is.
        """
        while True:
            told = await self._trust_told.get()
            try:
                now = time.time() + self.clock_offset
                if await asyncio.to_thread(take_bundle, profile, told, now):
                    await self._connection.send(self._session.send(answer(profile)))
                    if told.renew and profile.credential.validity().generation == self.generation:
                        await renew(profile, self.renew, lambda: time.time() + self.clock_offset, needed=True)
                        await self._connection.send(self._session.send(answer(profile)))
            except ConnectionClosed:
                return
            except UserError as error:
                self.warning = f"the hub replaces its CA, and {profile.name} cannot follow: {error.problem}"
            finally:
                if self._trust_told.empty():
                    self._trust_done.set()

    async def finish_trust(self) -> None:
        """What the hub has said of its CAs is done, or a few seconds have passed: a short command is not to go away
        with it half done.
        """
        with suppress(TimeoutError):
            async with asyncio.timeout(TRUST_TIMEOUT):
                await self._trust_done.wait()

    async def _send_heartbeats(self) -> None:
        while True:
            await asyncio.sleep(min(self._session.interval, 5.0))
            now = time.monotonic()
            if self._session.timed_out(now):
                await self._connection.close(1001, "not heard of in time")
                return
            self._heartbeat_sent_at = now
            try:
                await self._connection.send(self._session.send(Heartbeat()))
            except ConnectionClosed:
                return


@asynccontextmanager
async def connect(profile: Profile) -> AsyncIterator[Client]:
    """A welcomed connection; raises UserError that says why not. Renews the profile's certificate where that is due."""
    opened = await _open(profile)
    session = Session("hub", id=opened.welcome.session, epoch=opened.epoch, interval=opened.welcome.heartbeat)
    session.note_activity(time.monotonic())
    client = Client(opened.connection, session, opened.welcome)
    client.generation = profile.credential.validity().generation
    try:
        async with asyncio.TaskGroup() as tasks:
            helpers = [
                tasks.create_task(client._receive_loop(), name="read"),
                tasks.create_task(client._send_heartbeats(), name="beat"),
            ]
            try:
                await _renew(client, profile)
                helpers.append(tasks.create_task(_renewal_loop(client, profile), name="renewal"))
                helpers.append(tasks.create_task(client.take_trust(profile), name="trust"))
                yield client
                await client.finish_trust()
            finally:
                for helper in helpers:
                    helper.cancel()
    except BaseExceptionGroup as group:
        # One body, and helpers that catch their own: whoever asked wants the one error, not its wrapping.
        raise group.exceptions[0] from None
    finally:
        await close(opened.connection, 1000)


async def _open(profile: Profile) -> OpenLink:
    """A welcomed link; where the certificate has run out, with its successor, and where it was replaced while this
    dialled, with the new one.
    """
    try:
        dialled = read_bytes(profile.credential.certificate, cure=LOGIN_HINT)
        try:
            return await _dial(profile)
        except HubRefused as error:
            if error.refusal.code == "expired":
                await renew_late(profile)
            elif error.refusal.code == LOGIN_ENDED:
                pass  # in the moment of the welcome; how it ended is told to whoever comes again
            elif error.refusal.code != "revoked" or read_bytes(profile.credential.certificate) == dialled:
                raise
            return await _dial(profile)
    except HubRefused as error:
        reason = clean(error.refusal.reason, limit=500)
        cure = "" if error.refusal.code in CURED_CODES else f"ask an admin; to come back, {LOGIN_HINT}"
        raise Denied(f"the hub refused {profile.name}: {reason}", cure) from None
    except BadFrame as error:
        raise LinkLost(f"the hub's welcome is not one ({error})", "upgrade the older of the two") from None
    except UntimelyHub as error:
        raise await _explain_clock(profile, error) from None
    except WorkFailed as error:
        # An older hub does not say that it closed because of our certificate, so what it may be is looked at here.
        until = profile.credential.validity().not_after
        if time.time() >= until:
            day = format_in_zone(until, "%Y-%m-%d", local_zone)
            raise UserError(f"the certificate of {profile.name} expired on {day}", LOGIN_HINT) from None
        raise LinkLost(error.problem, error.cure) from None


async def _explain_clock(profile: Profile, error: UntimelyHub) -> UserError:
    """The hub's certificate is not valid by this clock: which of the two is wrong."""
    try:
        ahead = await measure_clock(profile.url, profile.hub, ssl_context(profile))
    except UserError:
        return LinkLost(error.problem, error.cure)
    if abs(ahead) > MAX_CLOCK_SKEW:
        return LinkLost(
            f"this machine's clock is {format_skew(ahead)} the hub's", "set it (`timedatectl set-ntp true`)"
        )
    return LinkLost("the hub's certificate has run out", "restart the hub, which renews its own")


async def _dial(profile: Profile) -> OpenLink:
    digest = trusted_digest(profile)
    hello = make_hello("console", profile.name, None, facts={TRUSTS_FACT: digest} if digest else None)
    known = profile.credential.validity().not_before
    return await open_link(profile.url, profile.hub, ssl_context(profile), hello, None, known=known)


async def _renewal_loop(client: Client, profile: Profile) -> None:
    while True:
        await asyncio.sleep(RENEWAL_CHECK_INTERVAL)
        await _renew(client, profile)


async def _renew(client: Client, profile: Profile) -> None:
    """The next certificate where it is time; what goes wrong is a warning, since the old one still works."""

    def hub_clock() -> float:
        return time.time() + client.clock_offset

    try:
        if is_due(profile.credential.validity(), hub_clock()):
            await renew(profile, client.renew, hub_clock)
        client.warning = ""
    except UserError as error:
        client.warning = f"the certificate of {profile.name} could not be renewed ({error.problem}); {error.cure}"
