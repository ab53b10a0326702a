"""Runs the outbound modes of inlets: the hub asks the platforms for news, and needs no open port.

One task for each inlet whose platform has an outbound mode; they come and go with hub.toml, and none of them takes the
hub with it, whatever it raises. An inlet that hub.toml does not change goes on undisturbed, unless it does not work.

A round asks for news (`hub.chat.platforms.outbound`), commits each message by the way that webhooks go
(`hub.chat.admission`, then the engine's `accept`), then commits the cursor. So what the platform is told was received
is on disk.

A round that fails is made again after a pause (`hub.chat.outbound_pause`). One line in the log says so, and none more
until the reason changes.

What was said while the hub was away is taken up where the platform still has it, but not what is older than an hour:
whoever asked for something this morning does not expect it to be done tonight.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

import aiohttp

from hub.chat.admission import ReplyUrlRefused, admit
from hub.chat.code_form_door import CodeFormDeps, CodeFormDoor
from hub.chat.http_client import FAILURES, describe_failure, make_call, open_session
from hub.chat.inlets import Inlet
from hub.chat.open_sockets import OpenSockets, Send
from hub.chat.outbound_pause import retry_pause
from hub.chat.outbound_socket import Hearing, follow_socket, http_form
from hub.chat.platforms.base import BadBody, HttpCall, HttpResponse, IncomingMessage
from hub.chat.platforms.outbound import (
    MAX_CURSOR,
    Heard,
    Mode,
    NoAnswer,
    OutboundCall,
    OutboundFailed,
    Polled,
    SocketMode,
    TooLong,
    outbound_mode,
)
from hub.chat.refusals import Refusals
from hub.core.callback_url import CallbackUrl, Called, host_within, resolve_callback
from hub.core.chat_text import inline_text
from hub.core.inlet_activity import InletActivity
from hub.core.rate_limits import TokenBucket
from hub.core.receipt import Receipt
from hub.log import logger
from hub.store.store import Store

log = logger("outbound")

MAX_AGE: Final = 3_600.0  # of a message, seconds
MAX_CALLS: Final = 200  # of one round
MAX_SECONDS: Final = 120.0  # of one call
MAX_ANSWER: Final = 32 * 1024 * 1024
IDLE_PAUSE: Final = 5.0  # at most between rounds that end at once and bring nothing
SHORT_ROUND: Final = 1.0
LASTED: Final = 300.0  # seconds, more than a call takes: the end of a connection that lasted is a first failure
STUCK: Final = 10  # failures in a row of one message, until it is asked whether others can be stored
MAX_ERROR: Final = 300  # characters of a reason

Pause = Callable[[float], Awaitable[None]]
T = TypeVar("T")


@dataclass(slots=True)
class OutboundState:
    """How an inlet's outbound mode is; times are seconds since the epoch, 0 where it did not happen."""

    inlet: str
    connected_at: float = 0.0  # since when every round has worked; 0 while it does not
    heard_at: float = 0.0  # when the platform answered last
    error: str = ""  # why it does not work, in one line without secrets
    failed_at: float = 0.0  # since when
    failures: int = 0  # in a row
    retry_at: float = 0.0  # the next try, while it does not work


@dataclass(slots=True)
class _Running:
    inlet: Inlet
    task: asyncio.Task[None]


@dataclass(slots=True)
class _Feed:
    """One inlet as its task has it."""

    inlet: Inlet
    mode: Mode
    rate: TokenBucket
    state: OutboundState
    cursor: str | None = None  # None: not read from the store yet
    stuck: str = ""  # the message that could not be stored
    stuck_for: int = 0  # how often in a row
    idle: int = field(default=0)  # rounds in a row that ended at once and brought nothing
    lingering: asyncio.TaskGroup = field(default_factory=asyncio.TaskGroup)  # old connections that are heard out

    @property
    def key(self) -> str:
        """Where the store keeps the cursor: another platform under the inlet's name begins anew."""
        return f"outbound {self.inlet.platform.kind} {self.inlet.name}"


class OutboundSupervisor:
    """`run` until it is cancelled; `reconfigure` after `inlets` changed."""

    def __init__(
        self,
        *,
        store: Store,
        inlets: Mapping[str, Inlet],
        accept: Callable[[str, IncomingMessage], Awaitable[Receipt]],
        refusals: Refusals,
        clock: Callable[[], float],
        wall: Callable[[], float] | None = None,
        pause: Pause = asyncio.sleep,
        draw: Callable[[], float] = random.random,
        sockets: OpenSockets | None = None,
        activity: InletActivity | None = None,
        code_forms: CodeFormDeps | None = None,
    ) -> None:
        """`draw` is a random number in [0, 1); `sockets` hears which sockets are open, for replies; `activity` is where
        each inlet's deliveries are noted; `code_forms` are those for a second factor's code, None: there are none.
        """
        self._forms = CodeFormDoor(code_forms)
        self._sockets = sockets or OpenSockets()
        self._activity = activity or InletActivity()
        self._store = store
        self._inlets = inlets
        self._accept = accept
        self._refusals = refusals
        self._clock = clock
        self._wall = wall or clock
        self._pause = pause
        self._draw = draw
        self._changed = asyncio.Event()
        self._running: dict[str, _Running] = {}
        self._states: dict[str, OutboundState] = {}

    def reconfigure(self) -> None:
        """Inlets came, went or changed. One that does not work is begun anew: its token may be a better one now."""
        self._changed.set()

    def states(self) -> list[OutboundState]:
        """One for each inlet that has an outbound mode, by name."""
        return [self._states[name] for name in sorted(self._states)]

    async def flush(self, now: float, *, all_of_them: bool = False) -> None:
        """Audit rows that sum up refusals; see `Refusals.flush`."""
        await self._refusals.flush(now, all_of_them=all_of_them)

    async def run(self) -> None:
        async with (
            open_session(connections=0, per_host=0, seconds=MAX_SECONDS) as session,
            asyncio.TaskGroup() as group,
        ):
            while True:
                self._changed.clear()
                await self._stop_old()
                self._start_new(session, group)
                await self._changed.wait()

    async def _stop_old(self) -> None:
        """Ends the tasks of inlets that are no longer the same, and waits until they have: an inlet has one at most."""
        old = {
            name: one
            for name, one in self._running.items()
            if self._states[name].error or not _is_same(one.inlet, self._inlets.get(name))
        }
        for running in old.values():
            running.task.cancel()
        if old:
            await asyncio.wait([running.task for running in old.values()])
        for name in old:
            del self._running[name]
            self._states.pop(name, None)

    def _start_new(self, session: aiohttp.ClientSession, group: asyncio.TaskGroup) -> None:
        for name, inlet in self._inlets.items():
            mode = outbound_mode(inlet.platform)
            if mode is None or name in self._running:
                continue
            state = self._states[name] = OutboundState(name)
            feed = _Feed(inlet, mode, TokenBucket(inlet.rate, inlet.burst), state)
            self._running[name] = _Running(inlet, group.create_task(self._follow(session, feed), name=f"inlet {name}"))

    async def _follow(self, session: aiohttp.ClientSession, feed: _Feed) -> None:
        """Round after round, for ever."""
        async with feed.lingering:
            await self._rounds(session, feed)

    async def _rounds(self, session: aiohttp.ClientSession, feed: _Feed) -> None:
        while True:
            started = time.monotonic()
            try:
                brought = await self._round(session, feed)
            except OutboundFailed as error:
                if time.monotonic() - started > LASTED:
                    feed.state.failures = 0
                wait = self._note_failure(feed, error)
            except Exception as error:
                # A fault of ours, or of the store: the inlet goes on, and what was not committed comes again.
                if feed.state.failures == 0:
                    log.exception("inlet.fault", inlet=feed.inlet.name)
                wait = self._note_failure(feed, OutboundFailed(f"a fault in the hub ({type(error).__name__})"))
            else:
                self._note_success(feed)
                wait = _idle_pause(feed, brought, time.monotonic() - started)
            if wait > 0:
                await self._pause(wait)

    async def _round(self, session: aiohttp.ClientSession, feed: _Feed) -> bool:
        """One round, or one connection of a socket until it ends. Whether it brought a message."""
        if feed.cursor is None:
            feed.cursor = await self._store.read(lambda txn: txn.get_meta(feed.key)) or ""
        if isinstance(feed.mode, SocketMode):
            return await self._connection(session, feed, feed.mode)
        polled = await self._drive(session, feed, feed.mode.poll(feed.cursor, self._wall()))
        await self._settle(feed, polled.messages, polled.cursor)
        for call in polled.after:
            await self._try_once(session, feed, call)
        return bool(polled.messages)

    async def _connection(self, session: aiohttp.ClientSession, feed: _Feed, mode: SocketMode) -> bool:
        socket = await self._drive(session, feed, mode.connect(feed.cursor or "", self._wall()))
        if (missed := socket.missed) is not None:
            await self._settle(feed, missed.messages, missed.cursor)
        target = self._checked(feed, http_form(socket.url), socket.domain, what="the socket")
        brought = False

        async def settle(heard: Heard) -> Heard:
            nonlocal brought
            feed.state.heard_at = self._clock()
            heard = await self._hear_form(feed, heard)
            if heard.answer is not None:
                self._sockets.answer(feed.inlet.name, *heard.answer)
            fetched = Polled() if heard.fetch is None else await self._drive(session, feed, heard.fetch)
            if heard.works:
                self._note_connected(feed)
            if heard.fetch is not None:
                await self._settle(feed, fetched.messages, fetched.cursor)
            brought = brought or bool(fetched.messages or heard.messages)
            await self._settle(feed, heard.messages, heard.cursor)
            for call in fetched.after:
                await try_once(call)
            return heard

        async def try_once(call: HttpCall) -> None:
            await self._try_once(session, feed, call)

        def opened(send: Send) -> None:
            self._sockets.open(feed.inlet.name, send)

        hearing = Hearing(mode, target.authority, self._wall, settle, try_once, opened)
        try:
            wait = await follow_socket(session, socket, hearing, feed.lingering)
        finally:
            self._sockets.close(feed.inlet.name)
        if wait > 0:
            await self._pause(wait)
        return brought

    async def _hear_form(self, feed: _Feed, heard: Heard) -> Heard:
        """See `CodeFormDoor.hear`; what becomes of a form counts as a message of the inlet."""
        if heard.form is None:
            return heard
        await self._wait_turn(feed)
        done = await self._forms.hear(feed.inlet, heard)
        if done is heard:
            feed.rate.refund()
        else:
            self._note_heard(feed)
        return done

    async def _settle(self, feed: _Feed, messages: Sequence[IncomingMessage], cursor: str | None) -> None:
        """Commits messages, then the cursor; None leaves it."""
        if cursor is not None and len(cursor) > MAX_CURSOR:
            raise OutboundFailed(f"its position is longer than {MAX_CURSOR} characters")
        for message in messages:
            await self._take(feed, message)
        if cursor is not None and cursor != feed.cursor:
            await self._store.write(lambda txn: txn.put_meta(feed.key, cursor))
            feed.cursor = cursor

    async def _drive(
        self, session: aiohttp.ClientSession, feed: _Feed, calls: Generator[OutboundCall, HttpResponse, T]
    ) -> T:
        """Makes the calls of a generator, to its result."""
        try:
            call = next(calls)
            for _ in range(MAX_CALLS):
                try:
                    answer = await self._call(session, feed, call)
                except NoAnswer as error:
                    call = calls.throw(error)
                else:
                    feed.state.heard_at = self._clock()
                    call = calls.send(answer)
        except StopIteration as end:
            result: T = end.value
            return result
        except BadBody as error:
            raise OutboundFailed(f"the platform's answer cannot be read: {error}") from None
        finally:
            calls.close()
        raise OutboundFailed(f"still not done after {MAX_CALLS} calls")

    async def _call(self, session: aiohttp.ClientSession, feed: _Feed, out: OutboundCall) -> HttpResponse:
        target = self._checked(feed, out.call.url)
        seconds, limit = min(out.seconds, MAX_SECONDS), min(out.limit, MAX_ANSWER)
        try:
            answer, whole = await make_call(session, out.call, limit, seconds)
        except FAILURES as error:
            raise NoAnswer(f"{target.authority}: {describe_failure(error, seconds)}") from None
        if not whole and len(answer.body) >= limit:
            raise TooLong(f"{target.authority}: its answer has more than {limit} bytes")
        if not whole:
            raise NoAnswer(f"{target.authority}: its answer did not arrive whole within {seconds:g} s")
        return answer

    def _checked(self, feed: _Feed, url: str, domain: str = "", *, what: Called = "a call") -> CallbackUrl:
        """Raises OutboundFailed; hosts of `domain` are good besides those of the inlet."""
        host = host_within(url, domain) if domain else ""
        hosts = (*feed.inlet.reply_hosts, host) if host else feed.inlet.reply_hosts
        target = resolve_callback(url, hosts, what)
        if isinstance(target, str):
            raise OutboundFailed(target)
        return target

    async def _take(self, feed: _Feed, message: IncomingMessage) -> None:
        """Commits one message, or counts why it is not taken; raises where it could not be stored."""
        inlet, now = feed.inlet, self._note_heard(feed)
        if message.sent_at and now - message.sent_at > MAX_AGE:
            await self._refusals.count(inlet.name, "old", message.user)
            return
        await self._wait_turn(feed)
        try:
            admitted = admit(inlet, message)
        except ReplyUrlRefused as error:
            log.warning("message.reply_url", inlet=inlet.name, reason=str(error))
            await self._refusals.count(inlet.name, "reply_url", message.user)
            return
        receipt = await self._store_message(feed, admitted)
        if receipt is None:
            await self._refusals.count(inlet.name, "not_stored", message.user)
            return
        match receipt.status:
            case "rate":
                await self._refusals.count(inlet.name, f"{receipt.limited}_rate", message.user)
            case "busy":
                await self._refusals.count(inlet.name, "line", message.user)
            case "echo":
                await self._refusals.count(inlet.name, "echo", message.user)

    async def _wait_turn(self, feed: _Feed) -> None:
        while (wait := feed.rate.try_acquire(self._clock())) > 0:
            await self._pause(wait)  # the platform keeps what we have not asked for yet

    def _note_heard(self, feed: _Feed) -> float:
        """The time now."""
        now = self._clock()
        if self._activity.quiet.note(feed.inlet.name, now):
            log.info("inlet.heard_again", inlet=feed.inlet.name)
        return now

    async def _store_message(self, feed: _Feed, message: IncomingMessage) -> Receipt | None:
        """None where it is this very message that cannot be stored, while others can: the rest must not wait for it.
        Raises where nothing can be stored, or the message may still be.
        """
        try:
            receipt = await self._accept(feed.inlet.name, message)
        except Exception:
            feed.stuck_for = feed.stuck_for + 1 if feed.stuck == message.event_id else 1
            feed.stuck = message.event_id
            if feed.stuck_for < STUCK:
                raise
            await self._store.write(lambda txn: txn.put_meta(feed.key, feed.cursor or ""))
            log.exception("message.given_up", inlet=feed.inlet.name, message=message.event_id)
            return None
        return receipt

    async def _try_once(self, session: aiohttp.ClientSession, feed: _Feed, call: HttpCall) -> None:
        try:
            await self._call(session, feed, OutboundCall(call))
        except OutboundFailed as error:
            log.info("inlet.call_failed", inlet=feed.inlet.name, reason=error.reason[:MAX_ERROR])

    def _note_success(self, feed: _Feed) -> None:
        self._note_connected(feed)
        feed.state.failures = 0

    def _note_connected(self, feed: _Feed) -> None:
        """It works. Of a socket that is no success yet: one that ends at once, again and again, is opened seldom."""
        state = feed.state
        if not state.connected_at:
            state.connected_at = self._clock()
            log.info("inlet.connected", inlet=feed.inlet.name)
        state.error, state.failed_at, state.retry_at = "", 0.0, 0.0

    def _note_failure(self, feed: _Feed, error: OutboundFailed) -> float:
        """Seconds until the next try."""
        state = feed.state
        reason = inline_text(error.reason, MAX_ERROR)
        state.connected_at = 0.0
        state.failures += 1
        state.failed_at = state.failed_at or self._clock()
        if reason != state.error:
            state.error = reason
            log.error("inlet.not_connected", inlet=feed.inlet.name, reason=reason)
        wait = retry_pause(error, state.failures, self._draw())
        state.retry_at = self._clock() + wait
        log.debug("inlet.retry", inlet=feed.inlet.name, failures=state.failures, wait=round(wait, 1))
        return wait


def _is_same(running: Inlet, now: Inlet | None) -> bool:
    """Whether hub.toml says of the inlet what it said before, secrets included."""
    if now is None or running is now:
        return now is not None
    same_rates = (running.rate, running.burst) == (now.rate, now.burst)
    return running.table is not None and running.table == now.table and same_rates


def _idle_pause(feed: _Feed, brought: bool, seconds: float) -> float:
    """A platform that answers at once and has nothing is asked less and less often."""
    if brought or seconds >= SHORT_ROUND:
        feed.idle = 0
        return 0.0
    feed.idle += 1
    return 0.0 if feed.idle <= 2 else min(IDLE_PAUSE, 0.1 * 2.0 ** min(feed.idle, 10))
