"""The courier: carries the replies of the outbox to chat, at least once, in order within a request.

The outbox is the truth; `wake` only says "look". What is due is read in small bites, at most 32 posts are under way at
once, and each result is one write; group commit puts many of them into one fsync. A post whose result was not committed
is made again: it carries the same `X-Answerback-Reply`, so a receiver can tell.

No chat keeps the others waiting: an inlet may have three times as many posts under way as there are hands free (so one
alone gets 24 of the 32, and there is always a hand for the next), and a host that is silent is left alone for a while.
"""

from __future__ import annotations

import asyncio
import math
import random
import ssl
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import aiohttp
from yarl import URL

from common.version import VERSION
from hub import reply_policy
from hub.chat.inlets import Inlet
from hub.chat.platform import Answer, Delivered, Failed, Heard, Next, Outbound, Posting
from hub.log import logger
from hub.metrics import Metrics
from hub.records import Reply
from hub.reply_policy import Dead, Retry
from hub.reply_url import Target, admit
from hub.resolver import CheckedResolver
from hub.store.engine import Store
from hub.store.verbs import Txn

log = logger("replies")

POSTS: Final = 32
FREE_SHARE: Final = 3  # an inlet's posts under way, at most, for each free hand
LOOK_EVERY: Final = 1.0  # seconds: how late a missed hint can make a reply
BREATH: Final = 0.005  # seconds at least between two looks while posts are under way
LOOK_SHARE: Final = 4.0  # and at least so many times what the last look took
POST_SECONDS: Final = 10.0
ANSWER_BYTES: Final = 4_096
CALLS: Final = 4  # HTTP calls that one reply may take
MAX_ERROR: Final = 300  # characters kept of why an attempt failed


@dataclass(frozen=True, slots=True)
class _Errand:
    """A reply with everything found out about it that posting needs."""

    reply: Reply
    inlet: Inlet
    target: Target


class Courier:
    """`run` until `stop`; `wake` after a commit that wrote to the outbox."""

    def __init__(self, store: Store, inlets: Mapping[str, Inlet], clock: Callable[[], float], metrics: Metrics) -> None:
        self._store = store
        self._inlets = inlets
        self._clock = clock
        self._metrics = metrics
        self._hosts = reply_policy.Hosts()
        self._random = random.Random()  # noqa: S311  spreads retries, guards nothing
        self._woken = asyncio.Event()
        self._stopping = False
        self._errands: asyncio.Queue[_Errand | None] = asyncio.Queue()  # never more than there are workers: see _look
        self._taken: set[int] = set()  # outbox ids that are under way
        self._busy: Counter[str] = Counter()  # inlet -> its posts that are under way
        self._breath = BREATH
        self._next_retry = math.inf

    def wake(self) -> None:
        """There may be something new in the outbox."""
        self._woken.set()

    def stop(self) -> None:
        """Lets `run` return once the posts that are under way have their result."""
        self._stopping = True
        self._woken.set()

    async def run(self) -> None:
        async with _session() as session, asyncio.TaskGroup() as group:
            for _ in range(POSTS):
                group.create_task(self._work(session))
            while not self._stopping:
                self._woken.clear()
                try:
                    await self._look()
                except Exception:
                    # The outbox keeps everything; a store in trouble is asked again, not hammered.
                    log.exception("replies.look_failed")
                    await asyncio.sleep(LOOK_EVERY)
                await self._rest()
            for _ in range(POSTS):
                self._errands.put_nowait(None)

    async def _look(self) -> None:
        """Takes what is due, as much as there are hands for; what cannot be posted now, or ever, is one write."""
        hands = POSTS - len(self._taken)
        if hands == 0:
            return
        begun = time.perf_counter()
        now = self._clock()
        if now >= self._next_retry:
            self._next_retry = math.inf
        taken = frozenset(self._taken)
        full = [inlet for inlet in self._busy if not self._has_hand(inlet)]
        settled: list[Callable[[Txn], None]] = []
        for reply in await self._store.read(lambda txn: txn.due_replies(now, POSTS, taken, full)):
            unit = self._take(reply, now)
            if unit is not None:
                settled.append(unit)
        if settled:
            await self._store.write(lambda txn: [unit(txn) for unit in settled])
        self._breath = max(BREATH, LOOK_SHARE * (time.perf_counter() - begun))

    def _has_hand(self, inlet: str) -> bool:
        return self._busy[inlet] < FREE_SHARE * (POSTS - len(self._taken))

    def _take(self, reply: Reply, now: float) -> Callable[[Txn], None] | None:
        """Sends a worker, or returns what to write where no post is to be made."""
        inlet = self._inlets.get(reply.inlet)
        if inlet is None:
            return self._giving_up(reply, f"there is no inlet {reply.inlet} any more")
        target = admit(reply.url, inlet.reply_hosts)
        if isinstance(target, str):
            return self._giving_up(reply, target)
        until = self._hosts.held_until(target.authority, now)
        if until is not None:
            # The attempt is not made, so it does not count; a little apart, so that they do not all come back at once.
            at = until + self._random.random() * min(1.0, until - now)
            return self._putting_off(reply, Retry(at, reply.error or f"{target.authority} does not answer"))
        if self._has_hand(reply.inlet):
            self._taken.add(reply.id)
            self._busy[reply.inlet] += 1
            self._errands.put_nowait(_Errand(reply, inlet, target))
        return None

    async def _rest(self) -> None:
        """Until there is a reason to look again."""
        if self._taken:
            await asyncio.sleep(self._breath)  # results come in meanwhile, and one look serves them all
        wait = min(LOOK_EVERY, max(0.0, self._next_retry - self._clock()))
        try:
            async with asyncio.timeout(wait):
                await self._woken.wait()
        except TimeoutError:
            pass

    async def _work(self, session: aiohttp.ClientSession) -> None:
        while (errand := await self._errands.get()) is not None:
            reply = errand.reply
            try:
                await self._carry(session, errand)
            except Exception:
                log.exception("replies.carry_failed", request=reply.request_id, reply=reply.id)
                self._next_retry = 0.0
                await asyncio.sleep(LOOK_EVERY)
            finally:
                self._taken.discard(reply.id)
                self._busy[reply.inlet] -= 1
                if not self._busy[reply.inlet]:
                    del self._busy[reply.inlet]
            self._woken.set()  # the next reply to the same request may be due now

    async def _carry(self, session: aiohttp.ClientSession, errand: _Errand) -> None:
        """Posts one reply and commits what came of it."""
        reply = errand.reply
        heard = await self._post(session, errand)
        now = self._clock()
        if isinstance(heard, Delivered):
            await self._store.write(lambda txn: txn.reply_done(reply.id, now))
            self._metrics.reply("done")
            self._metrics.stage("reply", now - reply.created_at)
            return
        attempts = reply.attempts + 1
        follows = reply_policy.after_failure(
            heard, attempts=attempts, created_at=reply.created_at, now=now, chance=self._random.random()
        )
        match follows:
            case Retry(_, reason):
                await self._store.write(self._putting_off(reply, follows, attempts))
                self._metrics.reply("retry")
                log.info("reply.retry", request=reply.request_id, reply=reply.id, attempt=attempts, reason=reason)
            case Dead(reason):
                await self._store.write(self._giving_up(reply, reason))

    async def _post(self, session: aiohttp.ClientSession, errand: _Errand) -> Delivered | Failed:
        reply, platform = errand.reply, errand.inlet.platform
        posting = Posting(f"{reply.request_id}.{reply.id}", errand.target.url, reply.body)
        call = platform.render(posting, self._clock())
        for _ in range(CALLS):
            answer = await self._call(session, call, errand.target)
            if isinstance(answer, Failed):
                return answer
            heard: Heard = platform.heard(posting, call, answer, self._clock())
            if not isinstance(heard, Next):
                return heard
            call = heard.call
        return Failed(f"still not posted after {CALLS} calls")

    async def _call(self, session: aiohttp.ClientSession, call: Outbound, target: Target) -> Answer | Failed:
        host = target.authority
        try:
            # The URL is in its one form already: encoded=True keeps what was checked and what is called the same.
            async with session.request(
                call.method, URL(call.url, encoded=True), data=call.body, headers=call.headers, allow_redirects=False
            ) as response:
                body = await response.content.read(ANSWER_BYTES)
                headers = {name.lower(): value for name, value in response.headers.items()}
                answer = Answer(response.status, headers, body)
                # A longer answer is not read to its end: leaving here closes its connection.
        except (aiohttp.ClientError, TimeoutError, OSError, ssl.SSLError) as error:
            self._hosts.silent(host, self._clock())
            return Failed(f"{host}: {_describe(error)}")
        self._hosts.answered(host)
        return answer

    def _putting_off(self, reply: Reply, retry: Retry, attempts: int | None = None) -> Callable[[Txn], None]:
        """The unit that has a reply tried again; without `attempts`, as often as it was."""
        count = reply.attempts if attempts is None else attempts
        self._next_retry = min(self._next_retry, retry.at)
        return lambda txn: txn.reply_retry(reply.id, retry.at, count, retry.reason[:MAX_ERROR])

    def _giving_up(self, reply: Reply, reason: str) -> Callable[[Txn], None]:
        """The unit that ends a reply undelivered, with its audit row."""
        now = self._clock()
        self._metrics.reply("dead")
        log.warning("reply.dead", request=reply.request_id, reply=reply.id, inlet=reply.inlet, reason=reason)
        data = {"reply": reply.id, "kind": reply.kind, "inlet": reply.inlet, "reason": reason[:MAX_ERROR]}

        def unit(txn: Txn) -> None:
            txn.reply_dead(reply.id, now, reason[:MAX_ERROR])
            txn.audit("reply.dead", reply.request_id, "hub", data, now)

        return unit


@asynccontextmanager
async def _session() -> AsyncIterator[aiohttp.ClientSession]:
    """One pool of kept connections. No cookies, no proxies from the environment, no redirects, no decompression."""
    connector = aiohttp.TCPConnector(
        resolver=CheckedResolver(), limit=2 * POSTS, limit_per_host=POSTS, keepalive_timeout=30.0, ttl_dns_cache=30
    )
    async with aiohttp.ClientSession(
        connector=connector,
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=POST_SECONDS),
        headers={"User-Agent": f"answerback/{VERSION}", "Accept-Encoding": "identity"},
        auto_decompress=False,
        trust_env=False,
    ) as session:
        yield session


def _describe(error: Exception) -> str:
    """Why there was no answer, without the URL: its path may be a secret."""
    match error:
        case TimeoutError():
            return f"no answer within {POST_SECONDS:g} s"
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientConnectorSSLError() | ssl.SSLError():
            return "TLS failed; is its certificate valid and from an authority that this machine trusts?"
        case aiohttp.ClientConnectorError():
            return f"cannot connect ({error.os_error.strerror or error.os_error})"
        case aiohttp.ServerDisconnectedError() | ConnectionError():
            return "it closed the connection without an answer"
    return f"no answer that can be read ({type(error).__name__})"
