"""The delivery worker: posts the replies of the outbox to chat, at least once, in order within a request.

The outbox is the truth; `wake` is only a hint to read it. Due replies are read in small batches, at most 32 posts run
at once, and each result is one write; group commit puts many of them into one fsync. A post whose result was not
committed by a hub that ended is repeated, under the same id and marked as one (`repeats`).

No chat delays the others: conversations take turns, answers before news (`outbox_turns`); an inlet may have at most
three times as many posts under way as there are free workers (so one alone gets 24 of the 32, and a worker is always
left for the next), and a host that does not answer is left alone for a while.
"""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

import aiohttp

from common.catalogue import translate
from common.crashpoints import crashpoints_of
from common.errors import WorkFailed
from hub.chat import removals
from hub.chat import retry as reply_policy
from hub.chat.http_client import FAILURES, describe_failure, make_call, open_session
from hub.chat.inlets import Inlet
from hub.chat.open_sockets import OpenSockets
from hub.chat.outbound_socket import http_form
from hub.chat.outbox_turns import in_turns
from hub.chat.output_file import read_output_file
from hub.chat.platforms.base import (
    CardGone,
    Delivered,
    DeliveryFailed,
    DeliveryResult,
    HttpCall,
    HttpResponse,
    NextCall,
    OutboundReply,
    ReplyContent,
)
from hub.chat.platforms.outbound import SocketCall
from hub.chat.platforms.privacy import REMOVAL
from hub.chat.platforms.uploads import UploadRefused, UploadResult, Uploads
from hub.chat.repeats import Attempts, marked_for_people
from hub.chat.reply_text import plain_text
from hub.chat.retry import Dead, Retry
from hub.core.callback_url import CallbackUrl, Called, resolve_callback
from hub.core.chat_text import inline_text
from hub.core.echo_guard import EchoGuard
from hub.core.inlet_activity import InletActivity
from hub.core.records import Card, Reply
from hub.core.unreadable import is_unreadable
from hub.log import logger
from hub.metrics import Metrics
from hub.store.lanes import Lane
from hub.store.store import Store
from hub.store.transaction import Txn

log = logger("replies")

MAX_CONCURRENT_POSTS: Final = 32
MAX_LOOK: Final = 4 * MAX_CONCURRENT_POSTS  # due replies among which turns are taken
MAX_INLET_SHARE: Final = 3  # an inlet's posts under way, at most, for each free worker
POLL_INTERVAL: Final = 1.0  # seconds: how late a lost hint can make a reply
MIN_PAUSE: Final = 0.005  # seconds at least between two reads of the outbox while posts are under way
MAX_POLL_SHARE: Final = 4.0  # and at least this many times what the last read took
POST_TIMEOUT: Final = 10.0
MAX_RESPONSE: Final = 256 * 1024  # bytes: a chat's API sends back the whole message that was posted
MAX_CALLS: Final = 5  # HTTP calls that one reply may take
MAX_ERROR: Final = 300  # characters stored of why an attempt failed
MAX_TRIED_AGAIN: Final = 1_000  # replies that need not wait for their retry where the hub has just been started
MAX_UPLOADS: Final = 2  # files under way at once, each of some megabytes
UPLOAD_PAUSE: Final = 1.0  # seconds until another one is tried where so many are
UPLOAD_TIMEOUT: Final = 60.0
MAX_UPLOAD_CALLS: Final = 8  # HTTP calls that one file may take
_HAS_FILE: Final = '"file":{'  # in the outbox's JSON a key alone: within a text its quotes would be escaped


@dataclass(frozen=True, slots=True)
class _Delivery:
    """A reply with its inlet and its checked address."""

    reply: Reply
    inlet: Inlet
    target: CallbackUrl
    card: str = ""  # the posted message that it changes


class DeliveryWorker:
    """`run` until `stop`; `wake` after a commit that wrote to the outbox."""

    def __init__(
        self,
        store: Store,
        inlets: Mapping[str, Inlet],
        clock: Callable[[], float],
        metrics: Metrics,
        echo_guard: EchoGuard | None = None,
        sockets: OpenSockets | None = None,
        activity: InletActivity | None = None,
        wall: Callable[[], float] | None = None,
    ) -> None:
        """`echo_guard` hears what is said, before it is posted: its echo may be here before the answer is. `sockets`
        are the open ones of outbound modes. `wall` is the wall clock, by which calls are signed; None: `clock`. Asks
        the store, once and in this thread, what the hub before has left.
        """
        self._sockets = sockets or OpenSockets()
        self._store = store
        self._echo_guard = echo_guard
        self._activity = activity or InletActivity()
        self._inlets = inlets
        self._clock = clock
        self._wall = wall or clock
        self._metrics = metrics
        self._hosts = reply_policy.HostBreaker()
        self._pacer = reply_policy.ConversationPacer()
        self._attempts = Attempts(store.read_now(lambda txn: txn.newest_reply_id()))
        self._random = random.Random()  # noqa: S311  spreads retries, guards nothing
        self._wakeup = asyncio.Event()
        self._stopping = False
        self._deliveries: asyncio.Queue[_Delivery | None] = (
            asyncio.Queue()
        )  # never more than there are workers: see _poll_outbox
        self._in_flight: set[int] = set()  # outbox ids that are under way
        self._in_flight_by_inlet: Counter[str] = Counter()  # inlet -> its posts that are under way
        self._uploads: set[int] = set()  # of those the ones that bring a file
        self._pause = MIN_PAUSE
        self._next_retry = math.inf

    def wake(self) -> None:
        """There may be something new in the outbox."""
        self._wakeup.set()

    def stop(self) -> None:
        """Lets `run` return once the posts under way have ended."""
        self._stopping = True
        self._wakeup.set()

    async def run(self) -> None:
        async with (
            open_session(
                connections=2 * MAX_CONCURRENT_POSTS, per_host=MAX_CONCURRENT_POSTS, seconds=POST_TIMEOUT
            ) as session,
            asyncio.TaskGroup() as group,
        ):
            for _ in range(MAX_CONCURRENT_POSTS):
                group.create_task(self._work(session))
            await self._try_again()
            while not self._stopping:
                self._wakeup.clear()
                try:
                    await self._poll_outbox()
                except Exception:
                    # Nothing is lost: the outbox is read again after a pause.
                    log.exception("replies.look_failed")
                    await asyncio.sleep(POLL_INTERVAL)
                await self._wait()
            for _ in range(MAX_CONCURRENT_POSTS):
                self._deliveries.put_nowait(None)

    async def _try_again(self) -> None:
        """At the start: what waits by this hub's own reckoning, and not by its receiver's, goes at once. The receiver
        may be back as the hub is; one that is not is left alone again after a few attempts.
        """
        now = self._clock()

        def unit(txn: Txn) -> int:
            held = txn.held_replies(now, MAX_TRIED_AGAIN)
            again = [one for one in held if reply_policy.is_own_wait(one.attempts, one.next_at - now, one.error)]
            for one in again:
                txn.schedule_reply_retry(one.id, now, one.attempts, one.error)
            return len(again)

        try:
            if count := await self._store.write(unit):
                log.info("replies.tried_again", replies=count)
        except WorkFailed as error:
            log.warning("replies.not_tried_again", reason=str(error))

    async def _poll_outbox(self) -> None:
        """Starts as many due deliveries as there are free workers; those that cannot be posted are written in one
        unit.
        """
        if len(self._in_flight) >= MAX_CONCURRENT_POSTS or self._store.room.stuck:
            return  # what is posted now could not be marked, and would be posted again and again
        started = time.perf_counter()
        now = self._clock()
        if now >= self._next_retry:
            self._next_retry = math.inf
        in_flight = frozenset(self._in_flight)
        full = [inlet for inlet in self._in_flight_by_inlet if not self._has_slot(inlet)]
        units: list[Callable[[Txn], None]] = []
        due = await self._store.read(lambda txn: txn.due_replies(now, MAX_LOOK, in_flight, full))
        for reply in in_turns(due, MAX_CONCURRENT_POSTS):
            unit = self._start_delivery(reply, now)
            if unit is not None:
                units.append(unit)
        if units:
            await self._store.write(lambda txn: [unit(txn) for unit in units], Lane.REPLIES)
        self._pause = max(MIN_PAUSE, MAX_POLL_SHARE * (time.perf_counter() - started))

    def _has_slot(self, inlet: str) -> bool:
        return self._in_flight_by_inlet[inlet] < MAX_INLET_SHARE * (MAX_CONCURRENT_POSTS - len(self._in_flight))

    def _start_delivery(self, reply: Reply, now: float) -> Callable[[Txn], None] | None:
        """Queues the delivery for a worker, or returns the unit to write where nothing is posted."""
        if is_unreadable(reply.body):
            return self._dead_unit(reply, "what it says cannot be read: it was changed outside the hub")
        inlet = self._inlets.get(reply.inlet)
        if inlet is None:
            return self._dead_unit(reply, f"there is no inlet {reply.inlet} any more")
        target = resolve_callback(reply.url, inlet.reply_hosts)
        if isinstance(target, str):
            return self._dead_unit(reply, target)
        until = self._hosts.open_until(target.authority, now)
        if until is not None:
            # No attempt is made, so none is counted; jittered, so that they do not all come due at once.
            at = until + self._random.random() * min(1.0, until - now)
            return self._retry_unit(reply, Retry(at, reply.error or f"{target.authority} does not answer"))
        uploads = _HAS_FILE in reply.body
        if uploads and len(self._uploads) >= MAX_UPLOADS:
            return self._retry_unit(reply, Retry(now + UPLOAD_PAUSE, reply.error))
        if (pace := inlet.platform.pace) > 0:
            at = self._pacer.take(f"{reply.inlet} {_conversation(reply)}", pace, now)
            if at > now:
                return self._retry_unit(reply, Retry(at, reply.error))
        if self._has_slot(reply.inlet):
            self._in_flight.add(reply.id)
            if uploads:
                self._uploads.add(reply.id)
            self._in_flight_by_inlet[reply.inlet] += 1
            self._deliveries.put_nowait(_Delivery(reply, inlet, target))
        return None

    async def _wait(self) -> None:
        """Waits until there is a reason to read the outbox again."""
        if self._in_flight:
            await asyncio.sleep(self._pause)  # results arrive meanwhile, and one read serves them all
        wait = min(POLL_INTERVAL, max(0.0, self._next_retry - self._clock()))
        try:
            async with asyncio.timeout(wait):
                await self._wakeup.wait()
        except TimeoutError:
            pass

    async def _work(self, session: aiohttp.ClientSession) -> None:
        while (delivery := await self._deliveries.get()) is not None:
            reply = delivery.reply
            try:
                await self._deliver(session, delivery)
            except Exception:
                log.exception("replies.carry_failed", request=reply.request_id, reply=reply.id)
                self._next_retry = 0.0
                await asyncio.sleep(POLL_INTERVAL)
            finally:
                self._in_flight.discard(reply.id)
                self._uploads.discard(reply.id)
                self._in_flight_by_inlet[reply.inlet] -= 1
                if not self._in_flight_by_inlet[reply.inlet]:
                    del self._in_flight_by_inlet[reply.inlet]
            self._wakeup.set()  # the next reply to the same request may be due now

    async def _deliver(self, session: aiohttp.ClientSession, delivery: _Delivery) -> None:
        """Posts one reply and commits the result. A card is posted in its newest state, whatever was enqueued first."""
        posted = self._attempts.posted(delivery.reply) is not None
        newest = await self._newest(delivery) if delivery.inlet.platform.can_update and not posted else delivery
        try:
            await self._deliver_this(session, newest)
        finally:
            self._in_flight.discard(newest.reply.id)

    async def _deliver_this(self, session: aiohttp.ClientSession, delivery: _Delivery) -> None:
        reply = delivery.reply
        crashpoints_of((reply.kind,), "posting")
        result = self._attempts.posted(reply) or await self._post(session, delivery)
        self._attempts.note_result(reply, result)
        now = self._clock()
        if isinstance(result, Delivered):
            crashpoints_of((reply.kind,), "posted")
            ref = result.ref if delivery.inlet.platform.can_update else ""
            await self._store.write(lambda txn: _mark_delivered(txn, reply, ref, now), Lane.REPLIES)
            crashpoints_of((reply.kind,), "marked")
            self._attempts.forget(reply)
            self._metrics.count_reply("done")
            self._activity.note_reply(reply.inlet)
            self._metrics.observe_stage("reply", now - reply.created_at)
            return
        attempts = reply.attempts + 1
        follows = reply_policy.retry_or_give_up(
            result, attempts=attempts, created_at=reply.created_at, now=now, jitter=self._random.random()
        )
        if isinstance(follows, Retry) and attempts >= removals.MAX_ATTEMPTS and removals.is_removal(reply):
            follows = Dead(follows.reason)
        match follows:
            case Retry(_, reason):
                await self._store.write(self._retry_unit(reply, follows, attempts), Lane.REPLIES)
                self._metrics.count_reply("retry")
                self._activity.note_reply_failure(reply.inlet, reason, now)
                log.info("reply.retry", request=reply.request_id, reply=reply.id, attempt=attempts, reason=reason)
            case Dead(reason):
                await self._store.write(self._dead_unit(reply, reason), Lane.REPLIES)
                self._attempts.forget(reply)

    async def _newest(self, delivery: _Delivery) -> _Delivery:
        """The delivery of what the card has to show now; older states of it need no posting."""
        request = delivery.reply.request_id
        if not request or not ReplyContent.from_json(delivery.reply.body).card:
            return delivery
        newest, card = await self._store.read(lambda txn: (txn.newest_reply(request), txn.card(request)))
        reply = delivery.reply if newest is None or is_unreadable(newest.body) else newest
        if reply.id != delivery.reply.id:
            self._in_flight.add(reply.id)  # it is due as soon as those before it are done
            self._attempts.note_overtaken(delivery.reply, reply)
            now = self._clock()
            await self._store.write(lambda txn: txn.mark_replies_superseded(request, reply.id, now))
        return replace(delivery, reply=reply, card=card.ref if card is not None else "")

    async def _post(self, session: aiohttp.ClientSession, delivery: _Delivery) -> Delivered | DeliveryFailed:
        reply, platform = delivery.reply, delivery.inlet.platform
        removing = removals.is_removal(reply)
        if self._echo_guard is not None and not removing:
            said = ReplyContent.from_json(reply.body)
            self._echo_guard.note_reply(reply.inlet, said.conversation, said.text, self._clock())
        posting = OutboundReply(
            f"{reply.request_id}.{reply.id}",
            delivery.target.url,
            reply.body,
            ref=delivery.card,
            repeated=self._attempts.may_be_there(reply),
        )
        if not removing:
            posting = marked_for_people(platform, posting)
        if _HAS_FILE in reply.body:
            uploaded = await self._upload(session, delivery, posting)
            if not isinstance(uploaded, UploadRefused):
                return uploaded
            log.warning("reply.no_file", request=reply.request_id, reply=reply.id, reason=uploaded.reason)
            posting = replace(posting, body=_without_file(posting.content, uploaded.reason).to_json())
        first = removals.removal_call(platform, posting) if removing else platform.render(posting, self._wall())
        if isinstance(first, DeliveryFailed):
            return first
        call = first
        for number in range(MAX_CALLS):
            what: Called = "the socket" if isinstance(call, SocketCall) else "a call"
            target = resolve_callback(http_form(call.url), delivery.inlet.reply_hosts, what)
            if isinstance(target, str):
                return DeliveryFailed(target, "gone")
            if isinstance(call, SocketCall):
                answer = await self._sockets.call(reply.inlet, call)
            else:
                answer = await self._call(session, call, target)
            if isinstance(answer, DeliveryFailed):
                return replace(answer, unsent=answer.unsent and number == 0)
            result: DeliveryResult = (
                removals.removal_result(platform, posting, call, answer)
                if removing
                else platform.handle_response(posting, call, answer, self._wall())
            )
            match result:
                case NextCall(call):
                    pass
                case CardGone(reason):
                    log.info("replies.card_gone", request=reply.request_id, reply=reply.id, reason=reason)
                    posting = marked_for_people(platform, replace(posting, ref="", lost=posting.ref))
                    call = platform.render(posting, self._wall())
                case DeliveryFailed() if number > 0:
                    return replace(result, unsent=False)  # the calls before may have posted it, or a part of it
                case _:
                    return result
        return DeliveryFailed(f"still not posted after {MAX_CALLS} calls")

    async def _upload(
        self, session: aiohttp.ClientSession, delivery: _Delivery, posting: OutboundReply
    ) -> UploadResult:
        """Posts the reply with its file, which is read now: the outbox has but the name of its request."""
        platform, said = delivery.inlet.platform, posting.content
        if said.file is None or not isinstance(platform, Uploads):
            return UploadRefused("it takes no files")
        content = await read_output_file(self._store, said.file, said.language)
        if content is None:
            return UploadRefused("none of it is kept any more")
        calls = platform.upload(posting, content, self._wall())
        try:
            call = next(calls)
            for _ in range(MAX_UPLOAD_CALLS):
                target = resolve_callback(call.url, delivery.inlet.reply_hosts, "a call")
                if isinstance(target, str):
                    return UploadRefused(target)
                answer = await self._call(session, call, target, UPLOAD_TIMEOUT)
                if isinstance(answer, DeliveryFailed):
                    return replace(answer, unsent=False)  # the calls before may have posted it
                call = calls.send(answer)
        except StopIteration as end:
            result: UploadResult = end.value
            return result
        finally:
            calls.close()
        return DeliveryFailed(f"the file is still not posted after {MAX_UPLOAD_CALLS} calls")

    async def _call(
        self, session: aiohttp.ClientSession, call: HttpCall, target: CallbackUrl, seconds: float | None = None
    ) -> HttpResponse | DeliveryFailed:
        host = target.authority
        try:
            answer, _ = await make_call(session, call, MAX_RESPONSE, seconds)
        except FAILURES as error:
            self._hosts.failed(host, self._clock())
            unsent = isinstance(error, aiohttp.ClientConnectorError)
            return DeliveryFailed(f"{host}: {describe_failure(error, seconds or POST_TIMEOUT)}", unsent=unsent)
        self._hosts.succeeded(host)
        return answer

    def _retry_unit(self, reply: Reply, retry: Retry, attempts: int | None = None) -> Callable[[Txn], None]:
        """The unit that schedules a retry; without `attempts` the count stays as it is."""
        count = reply.attempts if attempts is None else attempts
        self._next_retry = min(self._next_retry, retry.at)
        return lambda txn: txn.schedule_reply_retry(reply.id, retry.at, count, retry.reason[:MAX_ERROR])

    def _dead_unit(self, reply: Reply, reason: str) -> Callable[[Txn], None]:
        """The unit that ends a reply undelivered, with its audit row."""
        now = self._clock()
        self._metrics.count_reply("dead")
        if reply.inlet in self._inlets:
            self._activity.note_reply_failure(reply.inlet, reason, now, given_up=True)
        log.warning("reply.dead", request=reply.request_id, reply=reply.id, inlet=reply.inlet, reason=reason)
        removing = removals.is_removal(reply)
        kind = REMOVAL if removing else reply.kind
        data = {"reply": reply.id, "kind": kind, "inlet": reply.inlet, "reason": reason[:MAX_ERROR]}
        notice = removals.notice_after(reply, now) if removing else None

        def unit(txn: Txn) -> None:
            txn.mark_reply_dead(reply.id, now, reason[:MAX_ERROR])
            if notice is not None:
                txn.add_reply(notice)
            txn.audit("reply.dead", reply.request_id, "hub", data, now)

        return unit


def _mark_delivered(txn: Txn, reply: Reply, ref: str, now: float) -> None:
    txn.mark_reply_done(reply.id, now)
    if ref and reply.request_id and ReplyContent.from_json(reply.body).card:
        txn.put_card(Card(reply.request_id, ref, now))


def _without_file(content: ReplyContent, reason: str) -> ReplyContent:
    """What is said where the file could not be posted; `reason` is partly the chat's own words."""
    number = content.file.number if content.file is not None else 0
    text = translate(content.language, "file_failed", number=number, reason=inline_text(reason))
    return replace(content, text=plain_text(text, content.language), file=None)


def _conversation(reply: Reply) -> str:
    return ReplyContent.from_json(reply.body).conversation
