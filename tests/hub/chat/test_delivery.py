"""The courier with a real store and a real receiver: delivered, retried, given up, in order, once the hub is back."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import sqlite3
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send

from hub.chat import delivery as replies
from hub.chat import http_server, removals, retry
from hub.chat.delivery import MAX_CALLS, DeliveryWorker
from hub.chat.inlets import Inlet
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
    ReplyFile,
    ReplyRequest,
    WebhookRequest,
    result_of_status,
)
from hub.chat.platforms.generic import GenericPlatform, sign
from hub.chat.platforms.outbound import Frame, SocketCall
from hub.chat.platforms.privacy import REMOVAL, Sight
from hub.chat.platforms.standard import StandardPlatform
from hub.chat.platforms.uploads import UploadCalls, UploadFile, UploadRefused, as_upload
from hub.core.records import AuditEvent, Reply, StoredChunk
from hub.core.unreadable import Unreadable
from hub.metrics import Metrics
from hub.store.store import Store
from hub.store.transaction import Txn
from tests.hub.store.conftest import Make

SECRET = b"a secret of some length"
HOSTS = ("127.0.0.1",)
ALONE = 24  # posts that one inlet has under way where no other has any
COLUMNS = [entry.name for entry in fields(Reply)]


@dataclass
class Post:
    path: str
    headers: dict[str, str]
    body: bytes


Behaviour = Callable[[int, Post], Any]


@dataclass
class Receiver:
    """A chat that gets replies. `behave` says how the n-th post is answered: a status, or (status, headers, body)."""

    behave: Behaviour = lambda number, post: 200
    port: int = 0
    posts: list[Post] = field(default_factory=list)
    arrived: asyncio.Condition = field(default_factory=asyncio.Condition)
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    under_way: int = 0
    most: int = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = b""
        more = True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        headers = {name.decode(): value.decode() for name, value in scope["headers"]}
        post = Post(scope["path"], headers, body)
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        async with self.arrived:
            self.posts.append(post)
            number = len(self.posts)
            self.arrived.notify_all()
        await self.gate.wait()
        self.under_way -= 1
        status, extra, answer = 0, {}, b""
        match self.behave(number, post):
            case int() as status:
                pass
            case (status, extra, answer):
                pass
        names = [
            (name.encode(), value.encode()) for name, value in {**extra, "content-length": str(len(answer))}.items()
        ]
        await send({"type": "http.response.start", "status": status, "headers": names})
        await send({"type": "http.response.body", "body": answer})

    async def has(self, count: int) -> None:
        async with asyncio.timeout(45), self.arrived:
            await self.arrived.wait_for(lambda: len(self.posts) >= count)

    def url(self, path: str = "/r") -> str:
        return f"http://127.0.0.1:{self.port}{path}"


@contextlib.asynccontextmanager
async def receiving(behave: Behaviour = lambda number, post: 200, held: bool = False) -> AsyncIterator[Receiver]:
    receiver = Receiver(behave)
    if not held:
        receiver.gate.set()
    listener = http_server.bind("127.0.0.1:0")
    receiver.port = listener.getsockname()[1]
    started, stop = asyncio.Event(), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(http_server.serve(receiver, listener, started=started, stop=stop))
        await started.wait()
        try:
            yield receiver
        finally:
            receiver.gate.set()
            stop.set()


@dataclass
class Desk:
    """An outbox and its courier."""

    file: Path
    store: Store
    inlets: dict[str, Inlet]
    metrics: Metrics
    courier: DeliveryWorker
    now: float | None = None  # where set, the clock stands still there

    async def add(
        self, url: str, request: str = "req-1", inlet: str = "ops", kind: str = "progress", **more: Any
    ) -> int:
        now = self.clock()
        body = json.dumps({"text": request})
        reply = Reply(0, request, inlet, kind, url, more.pop("body", body), now, now)
        added = await self.store.write(lambda txn: txn.add_reply(replace(reply, **more)))
        self.courier.wake()
        return added

    def clock(self) -> float:
        return time.time() if self.now is None else self.now

    def rows(self) -> dict[int, Reply]:
        """The outbox as any other process sees it."""
        with contextlib.closing(sqlite3.connect(f"file:{self.file}?mode=ro", uri=True)) as database:
            found = database.execute(f"SELECT {', '.join(COLUMNS)} FROM outbox")  # noqa: S608  names of our own
            return {row[0]: Reply(*row) for row in found}

    async def row(self, key: int, holds: Callable[[Reply], object]) -> Reply:
        """The row once `holds` is true of it."""
        async with asyncio.timeout(45):
            while not holds(row := self.rows()[key]):
                await asyncio.sleep(0.005)
        return row

    async def settled(self, keys: Collection[int], *states: str) -> dict[int, Reply]:
        """All rows, once every one of `keys` is in one of `states`."""
        async with asyncio.timeout(45):
            rows = self.rows()
            while any(rows[key].state not in states for key in keys):
                await asyncio.sleep(0.02)
                rows = self.rows()
        return rows

    async def events(self) -> list[AuditEvent]:
        return await self.store.read(lambda txn: txn.events(kind_prefix="reply."))

    def counted(self, result: str) -> float:
        return self.metrics.registry.get_sample_value("answerback_replies_total", {"result": result}) or 0.0


@contextlib.asynccontextmanager
async def desk(tmp_path: Path, run: bool = True, **inlets: Inlet) -> AsyncIterator[Desk]:
    store = Store.open("sqlite:///outbox.sqlite", folder=tmp_path, clock=time.time)
    try:
        metrics = Metrics()
        known = inlets or {"ops": Inlet("ops", GenericPlatform([SECRET]), HOSTS)}
        made = Desk(tmp_path / "outbox.sqlite", store, known, metrics, DeliveryWorker(store, known, time.time, metrics))
        made.courier._clock = made.clock
        async with asyncio.TaskGroup() as group:
            if run:
                group.create_task(made.courier.run())
            try:
                yield made
            finally:
                made.courier.stop()
    finally:
        store.close()


async def test_a_reply_is_posted_signed_and_once(tmp_path: Path) -> None:
    """The receiver gets the very body, a signature over it, and the id to tell repeats by; then the row is done."""
    async with receiving() as receiver, desk(tmp_path) as outbox:
        added = await outbox.add(receiver.url(), "01ARZ", body='{"text":"好"}')
        rows = await outbox.settled([added], "done")
        (post,) = receiver.posts
        assert post.body == f'{{"id":"01ARZ.{added}","text":"好"}}'.encode()
        assert post.headers["x-signature"] == sign(SECRET, post.body)
        assert post.headers["x-answerback-reply"] == f"01ARZ.{added}"
        assert post.headers["content-type"] == "application/json"
        assert post.headers["user-agent"].startswith("answerback/")
        assert rows[added].attempts == 0
        assert outbox.counted("done") == 1
        assert outbox.metrics.registry.get_sample_value("answerback_stage_seconds_count", {"stage": "reply"}) == 1


async def test_replies_to_one_request_go_in_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A later reply waits until the earlier one has arrived, however often that takes."""
    monkeypatch.setattr(retry, "FIRST_DELAY", 0.1)
    failures = Counter[str]()

    def behave(number: int, post: Post) -> int:
        key = post.headers["x-answerback-reply"]
        failures[key] += 1
        return 503 if failures[key] == 1 else 200

    async with receiving(behave) as receiver, desk(tmp_path) as outbox:
        ids = [await outbox.add(receiver.url()) for _ in range(3)]
        await outbox.settled(ids, "done")
        seen = [post.headers["x-answerback-reply"] for post in receiver.posts]
        assert seen == [f"req-1.{each}" for each in ids for _ in range(2)]
        assert outbox.counted("retry") == 3


async def test_a_restarted_hub_tries_again_what_only_its_own_backoff_holds(tmp_path: Path) -> None:
    """Also where the host was left alone; not what the receiver wants later, nor what a conversation's pace holds."""
    async with receiving() as receiver:
        async with desk(tmp_path, run=False) as outbox:
            now = outbox.clock()
            held = {"url": receiver.url(), "error": "no answer"}
            own = await outbox.add(request="own", attempts=6, next_at=now + 38, **held)
            alone = await outbox.add(request="alone", next_at=now + 60, **held)
            asked = await outbox.add(request="asked", attempts=1, next_at=now + 600, **held)
            paced = await outbox.add(receiver.url(), request="paced", next_at=now + 300)
        async with desk(tmp_path) as outbox:
            rows = await outbox.settled([own, alone], "done")
            assert {key for key, row in rows.items() if row.state == "pending"} == {asked, paced}
            assert [rows[key].next_at for key in (asked, paced)] == [now + 600, now + 300]
            assert len(receiver.posts) == 2


async def test_replies_to_different_requests_go_side_by_side(tmp_path: Path) -> None:
    """Up to 24 of one inlet, and never two of one request."""
    async with receiving(held=True) as receiver, desk(tmp_path) as outbox:
        ids = [await outbox.add(receiver.url(), f"req-{number % 40}") for number in range(80)]
        await receiver.has(ALONE)
        receiver.gate.set()
        await outbox.settled(ids, "done")
        assert receiver.most == ALONE
        assert len(receiver.posts) == 80


async def test_a_slow_chat_leaves_hands_for_others(tmp_path: Path) -> None:
    """While one chat hangs with many replies due, another gets its own."""
    inlets = {name: Inlet(name, GenericPlatform([SECRET]), HOSTS) for name in ("slow", "quick")}
    async with receiving(held=True) as slow, receiving() as quick, desk(tmp_path, **inlets) as outbox:
        for number in range(100):
            await outbox.add(slow.url(), f"slow-{number}", "slow")
        await slow.has(ALONE)
        ids = [await outbox.add(quick.url(), f"quick-{number}", "quick") for number in range(20)]
        await outbox.settled(ids, "done")
        assert len(slow.posts) == ALONE
        slow.gate.set()


async def test_trouble_is_retried_with_backoff(tmp_path: Path) -> None:
    """A 5xx puts the reply off by about a second, then by two, with the reason in the row."""
    async with receiving(lambda number, post: 500) as receiver, desk(tmp_path) as outbox:
        outbox.now = 1_000_000.0
        added = await outbox.add(receiver.url())
        for attempt, low, high in ((1, 0.75, 1.25), (2, 1.5, 2.5), (3, 3, 5)):
            row = await outbox.row(added, lambda row, attempt=attempt: row.attempts == attempt)  # type: ignore[misc]
            assert row.state == "pending"
            assert "500" in row.error
            assert low <= row.next_at - outbox.now <= high
            outbox.now = row.next_at
            outbox.courier.wake()
        assert len(receiver.posts) >= 3
        tally = outbox.courier._activity.replies["ops"]
        assert (tally.since, tally.lost) == (1_000_000.0, False)
        assert "500" in tally.problem


async def test_retry_after_is_honoured(tmp_path: Path) -> None:
    """A receiver that asks for a pause gets it."""
    async with receiving(lambda number, post: (429, {"retry-after": "120"}, b"")) as receiver, desk(tmp_path) as outbox:
        outbox.now = 1_000_000.0
        added = await outbox.add(receiver.url())
        row = await outbox.row(added, lambda row: row.attempts)
        assert row.next_at == outbox.now + 120


@pytest.mark.parametrize(("status", "attempts"), [(410, 1), (404, 3), (401, 3), (302, 3)])
async def test_what_is_refused_is_given_up_with_an_audit_row(tmp_path: Path, status: int, attempts: int) -> None:
    """410 at once, other refusals and redirects after three attempts; the audit says which reply and why."""
    location = {"location": "http://127.0.0.1:1/elsewhere"}
    async with receiving(lambda number, post: (status, location, b"")) as receiver, desk(tmp_path) as outbox:
        outbox.now = 1_000_000.0
        added = await outbox.add(receiver.url())
        for attempt in range(1, attempts + 1):
            await outbox.row(added, lambda row, attempt=attempt: row.attempts == attempt or row.state == "dead")  # type: ignore[misc]
            outbox.now += 10
            outbox.courier.wake()
        rows = await outbox.settled([added], "dead")
        assert str(status) in rows[added].error
        assert len(receiver.posts) == attempts
        (event,) = await outbox.events()
        assert (event.kind, event.subject, event.data["reply"]) == ("reply.dead", "req-1", added)
        assert outbox.counted("dead") == 1
        tally = outbox.courier._activity.replies["ops"]
        assert (tally.lost, tally.given_up) == (True, 1)
        assert str(status) in tally.problem


async def test_a_reply_that_cannot_be_read_is_not_posted(tmp_path: Path) -> None:
    """It was changed outside the hub, or moved to another address: it ends undelivered, and that is written down."""
    async with receiving() as receiver, desk(tmp_path) as outbox:
        sent = await outbox.add(receiver.url())
        rows = await outbox.settled([sent], "done")
        forged = replace(rows[sent], body=Unreadable("x"))
        unit = outbox.courier._start_delivery(forged, time.time())
        assert unit is not None
        assert not removals.is_removal(replace(forged, request_id=""))
        assert len(receiver.posts) == 1


async def test_a_dead_reply_lets_the_next_one_pass(tmp_path: Path) -> None:
    """One reply that can never arrive does not keep the rest of its request back."""
    async with receiving(lambda number, post: 410 if number == 1 else 200) as receiver, desk(tmp_path) as outbox:
        first, second = await outbox.add(receiver.url()), await outbox.add(receiver.url())
        rows = await outbox.settled([first, second], "dead", "done")
        assert (rows[first].state, rows[second].state) == ("dead", "done")
        tally = outbox.courier._activity.replies["ops"]
        assert (tally.problem, tally.given_up) == ("", 1)


async def test_after_a_day_a_reply_is_dead(tmp_path: Path) -> None:
    """Nobody waits for it any more."""
    async with receiving(lambda number, post: 503) as receiver, desk(tmp_path) as outbox:
        added = await outbox.add(receiver.url(), created_at=time.time() - 25 * 3600)
        rows = await outbox.settled([added], "dead")
        assert "after a day" in rows[added].error


async def test_a_host_that_is_not_listed_any_more_gets_nothing(tmp_path: Path) -> None:
    """The allow-list is asked again when it is posted: the configuration may have changed since."""
    inlets = {"ops": Inlet("ops", GenericPlatform([SECRET]), ("chat.example",))}
    async with receiving() as receiver, desk(tmp_path, **inlets) as outbox:
        listed = await outbox.add(receiver.url())
        unknown = await outbox.add(receiver.url(), "req-2", inlet="gone")
        rows = await outbox.settled([listed, unknown], "dead")
        assert "reply_hosts" in rows[listed].error
        assert "no inlet gone" in rows[unknown].error
        assert receiver.posts == []
        assert len(await outbox.events()) == 2
        assert list(outbox.courier._activity.replies) == ["ops"]  # of what is no inlet nothing is kept


async def test_a_host_that_is_down_is_left_alone_and_comes_back(tmp_path: Path) -> None:
    """Replies to a dead host wait without being tried each, and arrive when it is there again."""
    listener = http_server.bind("127.0.0.1:0")
    port = listener.getsockname()[1]
    listener.close()
    async with desk(tmp_path) as outbox:
        ids = [await outbox.add(f"http://127.0.0.1:{port}/r", f"req-{number}") for number in range(100)]
        for key in ids:
            await outbox.row(key, lambda row: row.error)
        rows = outbox.rows()
        assert sum(row.attempts for row in rows.values()) < 100
        assert all("127.0.0.1" in row.error for row in rows.values())
        async with receiving() as receiver:
            # the same name, another port: the test cannot have its old port back for certain
            more = await outbox.add(receiver.url(), "req-other")
            await outbox.settled([more], "done")
        assert {row.state for key, row in outbox.rows().items() if key in ids} == {"pending"}


async def test_errors_do_not_hold_the_url(tmp_path: Path) -> None:
    """The path of a reply URL may be a secret: it stays out of rows and audit."""
    listener = http_server.bind("127.0.0.1:0")
    port = listener.getsockname()[1]
    listener.close()
    async with desk(tmp_path) as outbox:
        added = await outbox.add(f"http://127.0.0.1:{port}/hook/s3cr3tcanary?token=canary")
        row = await outbox.row(added, lambda row: row.error)
        assert "canary" not in row.error
        assert "cannot connect" in row.error


async def test_a_receiver_that_never_answers_is_given_up_in_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One attempt takes at most its ten seconds (here: a fifth of one)."""
    monkeypatch.setattr(replies, "POST_TIMEOUT", 0.2)
    async with receiving(held=True) as receiver, desk(tmp_path) as outbox:
        added = await outbox.add(receiver.url())
        row = await outbox.row(added, lambda row: row.error)
        assert "no answer within 0.2 s" in row.error


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\n",
        b"garbage\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: " + b"b" * 100_000,
        b"HTTP/9.9 200\r\n\r\n",
    ],
)
async def test_a_receiver_that_answers_nonsense_is_retried(tmp_path: Path, answer: bytes) -> None:
    """Whatever comes back, the reply stays pending and the courier alive."""

    async def nonsense(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()

    server = await asyncio.start_server(nonsense, "127.0.0.1", 0)
    async with server, desk(tmp_path) as outbox:
        added = await outbox.add(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/r")
        row = await outbox.row(added, lambda row: row.error)
        assert row.state == "pending"


async def test_an_endless_answer_is_not_read_to_its_end(tmp_path: Path) -> None:
    """The beginning of an answer is enough to know what became of a reply."""
    written = 0

    async def endless(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal written
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10000000000\r\n\r\n")
        with contextlib.suppress(ConnectionError):
            while True:
                writer.write(b"x" * 65_536)
                await writer.drain()
                written += 65_536

    server = await asyncio.start_server(endless, "127.0.0.1", 0)
    async with server, desk(tmp_path) as outbox:
        added = await outbox.add(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/r")
        await outbox.settled([added], "done")
        assert written < 50 * 1024 * 1024


def marks(receiver: Receiver) -> list[tuple[str, bool]]:
    """Of each post the id in its signed body, and whether it says that it may be a repeat."""
    bodies = [json.loads(post.body) for post in receiver.posts]
    return [(body["id"], body.get("repeat", False)) for body in bodies]


async def test_what_was_pending_before_the_start_is_posted(tmp_path: Path) -> None:
    """A restart loses no reply, and a result that was not committed is posted again under the same id, as a repeat;
    what comes later is none.
    """
    async with receiving(held=True) as receiver:
        async with desk(tmp_path, run=False) as outbox:
            added = await outbox.add(receiver.url())
            dying = asyncio.get_running_loop().create_task(outbox.courier.run())
            await receiver.has(1)
            dying.cancel()  # as if the hub had been killed after posting and before the commit
            await asyncio.wait([dying])
        receiver.gate.set()
        async with desk(tmp_path) as outbox:
            await outbox.settled([added], "done")
            later = await outbox.add(receiver.url(), "req-2")
            await outbox.settled([later], "done")
        assert [post.headers["x-answerback-reply"] for post in receiver.posts][:2] == [f"req-1.{added}"] * 2
        assert marks(receiver) == [(f"req-1.{added}", False), (f"req-1.{added}", True), (f"req-2.{later}", False)]


@pytest.mark.parametrize(("status", "may_be_there"), [(503, True), (500, True), (408, True), (429, False)])
async def test_a_retry_is_marked_where_the_first_may_have_arrived(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int, may_be_there: bool
) -> None:
    """An attempt that certainly posted nothing makes no repeat of the next one."""
    monkeypatch.setattr(retry, "FIRST_DELAY", 0.05)
    async with receiving(lambda number, post: status if number <= 2 else 200) as receiver, desk(tmp_path) as outbox:
        added = await outbox.add(receiver.url())
        await outbox.settled([added], "done")
        assert [mark for _, mark in marks(receiver)] == [False, may_be_there, may_be_there]


async def test_a_chat_that_knows_no_repeats_is_told_in_words(tmp_path: Path) -> None:
    """Where the platform has no id by which a repeat is known, its first line says what it may be."""

    class Plain(GenericPlatform):
        knows_repeats = False

    said = ReplyContent("m", "c", "done: 41", language="zh").to_json()
    inlet = Inlet("ops", Plain([SECRET]), HOSTS)
    async with receiving(held=True) as receiver:
        async with desk(tmp_path, run=False, ops=inlet) as outbox:
            added = await outbox.add(receiver.url(), body=said)
            dying = asyncio.get_running_loop().create_task(outbox.courier.run())
            await receiver.has(1)
            dying.cancel()
            await asyncio.wait([dying])
        receiver.gate.set()
        async with desk(tmp_path, ops=inlet) as outbox:
            await outbox.settled([added], "done")
    first, again = (json.loads(post.body)["text"] for post in receiver.posts)
    assert first == "done: 41"
    assert again == "（可能重复：不知道前一条是否已送达。）\ndone: 41"


async def test_a_missed_hint_costs_a_second_at_most(tmp_path: Path) -> None:
    """The table is the truth: what nobody announced is found all the same."""
    async with receiving() as receiver, desk(tmp_path) as outbox:
        outbox.courier.wake = lambda: None  # type: ignore[method-assign]
        added = await outbox.add(receiver.url())
        await outbox.settled([added], "done")


async def test_stop_waits_for_posts_under_way(tmp_path: Path) -> None:
    """An orderly shutdown has the result of every post that was begun."""
    async with receiving(held=True) as receiver:
        async with desk(tmp_path, run=False) as outbox, asyncio.TaskGroup() as group:
            added = await outbox.add(receiver.url())
            running = group.create_task(outbox.courier.run())
            await receiver.has(1)
            outbox.courier.stop()
            await asyncio.sleep(0)
            assert not running.done()
            receiver.gate.set()
            async with asyncio.timeout(45):
                await running
            assert outbox.rows()[added].state == "done"


async def test_trouble_with_the_store_does_not_end_the_courier(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A result that cannot be written is written later, and nothing is posted twice; reading is tried again."""
    monkeypatch.setattr(replies, "POLL_INTERVAL", 0.02)
    async with receiving() as receiver, desk(tmp_path) as outbox:
        added = await outbox.add(receiver.url(), next_at=time.time() + 0.1)
        failures = [RuntimeError("disk full"), RuntimeError("disk full")]
        read, write = outbox.store.read, outbox.store.write

        async def failing_read(unit: Any) -> Any:
            if len(failures) == 2:
                raise failures.pop()
            return await read(unit)

        async def failing_write(unit: Any, *more: Any) -> Any:
            if failures:
                raise failures.pop()
            return await write(unit, *more)

        monkeypatch.setattr(outbox.store, "read", failing_read)
        monkeypatch.setattr(outbox.store, "write", failing_write)
        await outbox.settled([added], "done")
        assert not failures
        assert len(receiver.posts) == 1


class Careful(GenericPlatform):
    """A platform that needs a token first, then says in the body whether it went well."""

    def render(self, posting: OutboundReply, now: float) -> HttpCall:
        return HttpCall(posting.url + "/token", b"{}")

    def handle_response(
        self, posting: OutboundReply, call: HttpCall, answer: HttpResponse, now: float
    ) -> DeliveryResult:  # type: ignore[override]
        if call.url.endswith("/token"):
            return NextCall(HttpCall(posting.url, posting.body.encode(), {"Authorization": answer.body.decode()}))
        return Delivered("ref") if json.loads(answer.body)["ok"] else DeliveryFailed("it said no", "refused")

    def receive(self, delivery: WebhookRequest, now: float) -> Any:
        raise NotImplementedError


async def test_a_platform_may_take_several_calls(tmp_path: Path) -> None:
    """First the token, then the post with it; a no in the body of a 200 is a no."""
    answers = {"/r/token": (200, {}, b"Bearer t"), "/r": (200, {}, b'{"ok":true}'), "/n/token": (200, {}, b"Bearer t")}
    answers["/n"] = (200, {}, b'{"ok":false}')
    inlets = {"ops": Inlet("ops", Careful([SECRET]), HOSTS)}
    async with receiving(lambda number, post: answers[post.path]) as receiver, desk(tmp_path, **inlets) as outbox:
        good = await outbox.add(receiver.url("/r"))
        await outbox.settled([good], "done")
        assert [post.path for post in receiver.posts] == ["/r/token", "/r"]
        assert receiver.posts[1].headers["authorization"] == "Bearer t"
        bad = await outbox.add(receiver.url("/n"))
        row = await outbox.row(bad, lambda row: row.error)
        assert row.error == "it said no"


async def test_a_platform_cannot_call_for_ever(tmp_path: Path) -> None:
    """Four calls are all that one attempt may take."""
    inlets = {"ops": Inlet("ops", Careful([SECRET]), HOSTS)}
    async with receiving(lambda number, post: (200, {}, b"Bearer t")) as receiver, desk(tmp_path, **inlets) as outbox:
        added = await outbox.add(receiver.url("/x/token"))
        row = await outbox.row(added, lambda row: row.error)
        assert row.error == f"still not posted after {MAX_CALLS} calls"
        assert len(receiver.posts) == MAX_CALLS


async def test_a_standard_inlet_signs_its_own_way(tmp_path: Path) -> None:
    """The reply bears the headers of StandardPlatform Webhooks."""
    inlets = {"ops": Inlet("ops", StandardPlatform([bytes(range(32))]), HOSTS)}
    async with receiving() as receiver, desk(tmp_path, **inlets) as outbox:
        added = await outbox.add(receiver.url())
        await outbox.settled([added], "done")
        assert receiver.posts[0].headers["webhook-id"] == f"reply_req-1_{added}"
        assert receiver.posts[0].headers["webhook-signature"].startswith("v1,")


async def test_a_thousand_replies_arrive_once_each(tmp_path: Path) -> None:
    """Under load nothing is lost and nothing doubled."""
    async with receiving() as receiver, desk(tmp_path) as outbox:
        now = time.time()
        rows = [
            Reply(0, f"req-{number}", "ops", "final", receiver.url(), json.dumps({"text": "x" * 500}), now, now)
            for number in range(1_000)
        ]
        await outbox.store.write(lambda txn: [txn.add_reply(row) for row in rows])
        outbox.courier.wake()
        await receiver.has(1_000)
        await outbox.settled(range(1, 1_001), "done")
        assert max(Counter(post.headers["x-answerback-reply"] for post in receiver.posts).values()) == 1


async def test_an_idle_courier_rests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With nothing due it looks once a second, also after something was retried."""
    monkeypatch.setattr(retry, "FIRST_DELAY", 0.05)
    async with receiving(lambda number, post: 503 if number == 1 else 200) as receiver, desk(tmp_path) as outbox:
        added = await outbox.add(receiver.url())
        await outbox.settled([added], "done")
        looks = 0
        read = outbox.store.read

        async def counting(unit: Any) -> Any:
            nonlocal looks
            looks += 1
            return await read(unit)

        monkeypatch.setattr(outbox.store, "read", counting)
        await asyncio.sleep(0.3)  # the quiet itself is what is observed
        assert looks <= 3


class WithCards(GenericPlatform):
    """A platform that changes what it posted: PUT to the message's own path."""

    can_update = True

    def render(self, posting: OutboundReply, now: float) -> HttpCall:
        if posting.ref:
            return HttpCall(f"{posting.url}/{posting.ref}", posting.body.encode(), method="PUT")
        return HttpCall(posting.url, posting.body.encode(), {"X-Lost": posting.lost})

    def handle_response(
        self, posting: OutboundReply, call: HttpCall, answer: HttpResponse, now: float
    ) -> DeliveryResult:  # type: ignore[override]
        if answer.status == 404:
            return CardGone("deleted")
        return Delivered("" if posting.ref else answer.body.decode()) if answer.status == 200 else DeliveryFailed("no")


def card(text: str) -> str:
    return ReplyContent("e1", "room", text, ReplyRequest("req", 1, "working"), card=True).to_json()


async def with_request(outbox: Desk) -> str:
    request = Make(itertools.count(1)).request()
    added = await outbox.store.write(lambda txn: txn.add_request(request))
    assert added is not None
    return added.id


async def test_a_card_is_posted_once_and_then_changed(tmp_path: Path) -> None:
    """Its name is kept; of states that wait only the newest is posted; one that was deleted is posted anew."""
    deleted: set[str] = set()

    def behave(number: int, post: Post) -> tuple[int, dict[str, str], bytes]:
        return (404, {}, b"") if post.path in deleted else (200, {}, f"m{number}".encode())

    inlets = {"ops": Inlet("ops", WithCards([SECRET]), HOSTS)}
    async with receiving(behave) as receiver, desk(tmp_path, run=False, **inlets) as outbox:
        request = await with_request(outbox)
        states = [await outbox.add(receiver.url("/c"), request, body=card(f"state {count}")) for count in range(3)]
        async with asyncio.TaskGroup() as group:
            group.create_task(outbox.courier.run())
            await outbox.settled(states, "done")
            assert [(post.path, json.loads(post.body)["text"]) for post in receiver.posts] == [("/c", "state 2")]
            found = await outbox.store.read(lambda txn: txn.card(request))
            assert found is not None
            assert found.ref == "m1"
            await outbox.settled([await outbox.add(receiver.url("/c"), request, body=card("later"))], "done")
            assert receiver.posts[-1].path == "/c/m1"
            deleted.add("/c/m1")
            await outbox.settled([await outbox.add(receiver.url("/c"), request, body=card("last"))], "done")
            assert [post.path for post in receiver.posts[-2:]] == ["/c/m1", "/c"]
            assert receiver.posts[-1].headers["x-lost"] == "m1", "which card the post replaces"
            found = await outbox.store.read(lambda txn: txn.card(request))
            assert found is not None
            assert found.ref == "m4"
            outbox.courier.stop()


class WithFiles(GenericPlatform):
    """A platform that takes a file by a PUT, and then posts words that name it."""

    elsewhere = ""

    def upload(self, reply: OutboundReply, file: UploadFile, now: float) -> UploadCalls:
        answer = yield HttpCall(f"{self.elsewhere or reply.url}/{file.name}", file.data, method="PUT")
        if answer.status == 413:
            return UploadRefused("it is <too> `large`\nfor @everyone here")
        if answer.status == 508:
            while True:
                yield HttpCall(f"{reply.url}/again", b"")
        if answer.status != 200:
            return DeliveryFailed("it is busy")
        answer = yield HttpCall(reply.url, b"%s %s" % (reply.content.text.encode(), answer.body))
        return as_upload(result_of_status(answer))


async def with_output(outbox: Desk, size: int = 40_000) -> str:
    """A request whose one job printed so much."""
    request, make = await with_request(outbox), Make(itertools.count(1))

    def unit(txn: Txn) -> None:
        found = txn.request(request)
        assert found is not None
        job = make.job(found, command="journalctl")
        txn.add_jobs([job])
        for seq in range(1, size // 10_000 + 1):
            txn.add_chunk(StoredChunk(job.id, seq, 1, b"a log line\n" * 909 + b"\n", make.now))

    await outbox.store.write(unit)
    return request


def file_body(request: str, language: str = "en") -> str:
    said = ReplyContent("e2", "room", "What r42 printed:", file=ReplyFile(request, 42))
    return replace(said, language=language).to_json()  # type: ignore[arg-type]


async def test_a_file_is_read_when_it_is_posted(tmp_path: Path) -> None:
    """The outbox has its request's name alone; the platform gets the bytes, and its calls go one after the other."""
    behave = lambda number, post: (200, {}, b"F1") if post.path.endswith(".txt") else 200  # noqa: E731
    inlets = {"ops": Inlet("ops", WithFiles([SECRET]), HOSTS)}
    async with receiving(behave) as receiver, desk(tmp_path, **inlets) as outbox:
        request = await with_output(outbox)
        added = await outbox.add(receiver.url(), body=file_body(request))
        rows = await outbox.settled([added], "done")
        assert len(rows[added].body) < 400
        file, words = receiver.posts
        assert file.path == "/r/r42-output.txt"
        assert file.body.startswith(b"==== web-1: journalctl (waiting) ====\na log line\n")
        assert file.body.count(b"a log line\n") == 3_636
        assert words.body == b"What r42 printed: F1"


@pytest.mark.parametrize(
    ("status", "kept", "elsewhere", "says"),
    [
        (413, True, "", "(it is <too> 'large'\\nfor ＠everyone here). Page by page: more r42"),
        (200, False, "", "(none of it is kept any more)"),
        (200, True, "https://files.evil.example", "a call goes to files.evil.example:443, which is not in reply_hosts"),
    ],
)
async def test_where_no_file_can_be_posted_words_say_why(
    tmp_path: Path, status: int, kept: bool, elsewhere: str, says: str
) -> None:
    """They come as any reply does; nothing goes to a host that is not the platform's."""
    behave = lambda number, post: status if post.path.endswith(".txt") else 200  # noqa: E731
    platform = WithFiles([SECRET])
    platform.elsewhere = elsewhere
    async with receiving(behave) as receiver, desk(tmp_path, ops=Inlet("ops", platform, HOSTS)) as outbox:
        request = await with_output(outbox, 40_000 if kept else 0)
        added = await outbox.add(receiver.url(), body=file_body(request))
        await outbox.settled([added], "done")
        said = json.loads(receiver.posts[-1].body)
        assert says in said["text"]
        assert "file" not in said


async def test_a_platform_that_has_no_files_any_more_says_so(tmp_path: Path) -> None:
    """An inlet that was given another platform while the reply waited."""
    async with receiving() as receiver, desk(tmp_path) as outbox:
        added = await outbox.add(receiver.url(), body=file_body(await with_output(outbox), "zh"))
        await outbox.settled([added], "done")
        assert json.loads(receiver.posts[0].body)["text"].startswith("聊天未接收 r42 的文件（it takes no files）")


async def test_a_file_that_fails_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All its calls from the first; a platform that asks for calls without end is stopped."""
    monkeypatch.setattr(retry, "FIRST_DELAY", 0.05)
    answers = iter([503, 508])
    behave = lambda number, post: next(answers, 200) if post.path.endswith(".txt") else 200  # noqa: E731
    async with receiving(behave) as receiver, desk(tmp_path, ops=Inlet("ops", WithFiles([SECRET]), HOSTS)) as outbox:
        added = await outbox.add(receiver.url(), body=file_body(await with_output(outbox)))
        await outbox.settled([added], "done")
        paths = [post.path for post in receiver.posts]
        again = ["/r/again"] * (replies.MAX_UPLOAD_CALLS - 1)
        assert paths == ["/r/r42-output.txt", "/r/r42-output.txt", *again, "/r/r42-output.txt", "/r"]
        assert outbox.counted("retry") == 2


async def test_few_files_are_under_way_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each takes some memory. Others wait without a worker and without a failed attempt, and words pass them."""
    monkeypatch.setattr(replies, "UPLOAD_PAUSE", 0.01)
    inlets = {
        "ops": Inlet("ops", WithFiles([SECRET]), HOSTS),
        "other": Inlet("other", GenericPlatform([SECRET]), HOSTS),
    }
    async with receiving(held=True) as receiver, desk(tmp_path, **inlets) as outbox:
        request = await with_output(outbox)
        rows = [
            await outbox.add(receiver.url(f"/{number}"), f"req-{number}", body=file_body(request))
            for number in range(5)
        ]
        await receiver.has(replies.MAX_UPLOADS)
        words = await outbox.add(receiver.url("/words"), "req-9", body=card("passing"))
        await receiver.has(replies.MAX_UPLOADS + 1)
        assert receiver.posts[-1].path == "/words"
        receiver.gate.set()
        settled = await outbox.settled([*rows, words], "done")
        assert receiver.most <= replies.MAX_UPLOADS + 1
        assert [settled[row].attempts for row in rows] == [0] * 5


async def test_a_state_that_is_overtaken_is_not_posted_twice(tmp_path: Path) -> None:
    """While a card's state is under way newer ones come; the newest is posted behind it, as a change of it."""
    inlets = {"ops": Inlet("ops", WithCards([SECRET]), HOSTS)}
    async with (
        receiving(lambda number, post: (200, {}, b"m1"), held=True) as receiver,
        desk(tmp_path, **inlets) as outbox,
    ):
        request = await with_request(outbox)
        states = [await outbox.add(receiver.url("/c"), request, body=card("first"))]
        await receiver.has(1)
        states += [await outbox.add(receiver.url("/c"), request, body=card(f"state {count}")) for count in range(5)]
        receiver.gate.set()
        await outbox.settled(states, "done")
        texts = [json.loads(post.body)["text"] for post in receiver.posts]
        assert texts == ["first", "state 4"]
        assert receiver.most == 1


async def test_a_conversation_has_its_pace(tmp_path: Path) -> None:
    """Two posts into one room are apart by it; another room does not wait."""

    class Paced(GenericPlatform):
        pace = 30.0

    inlets = {"ops": Inlet("ops", Paced([SECRET]), HOSTS)}

    def said(room: str) -> str:
        return ReplyContent("e1", room, "hello").to_json()

    async with receiving() as receiver, desk(tmp_path, **inlets) as outbox:
        outbox.now = time.time()
        first = await outbox.add(receiver.url(), "r1", body=said("a"))
        await outbox.settled([first], "done")
        waits = await outbox.add(receiver.url(), "r2", body=said("a"))
        other = await outbox.add(receiver.url(), "r3", body=said("b"))
        await outbox.settled([other], "done")
        row = await outbox.row(waits, lambda row: row.next_at > outbox.clock())
        assert row.next_at == pytest.approx(outbox.now + 30)
        assert (row.attempts, row.state) == (0, "pending")
        outbox.now += 31
        outbox.courier.wake()
        await outbox.settled([waits], "done")


async def test_a_call_to_another_host_is_not_made(tmp_path: Path) -> None:
    """A platform's next call is checked as its first one is."""

    class Wanders(GenericPlatform):
        def render(self, posting: OutboundReply, now: float) -> HttpCall:
            return HttpCall("https://elsewhere.example/x", b"")

    inlets = {"ops": Inlet("ops", Wanders([SECRET]), HOSTS)}
    async with receiving() as receiver, desk(tmp_path, **inlets) as outbox:
        added = await outbox.add(receiver.url())
        rows = await outbox.settled([added], "dead")
        assert "elsewhere.example" in rows[added].error
        assert not receiver.posts


async def test_a_reply_may_go_over_the_open_socket_of_its_inlet(tmp_path: Path) -> None:
    """It waits while there is none; the answer's frame is read as a response, and there may be several calls."""

    class OverSocket(GenericPlatform):
        def render(self, posting: OutboundReply, now: float) -> HttpCall:
            return SocketCall("ws://127.0.0.1/socket", b"first", key="k1")

        def handle_response(
            self, posting: OutboundReply, call: HttpCall, response: HttpResponse, now: float
        ) -> DeliveryResult:
            if call.body == b"first":
                return NextCall(SocketCall("ws://127.0.0.1/socket", b"second", key="k2"))
            return Delivered() if response == HttpResponse(200, {}, b"yes") else DeliveryFailed("no")

    class Elsewhere(OverSocket):
        def render(self, posting: OutboundReply, now: float) -> HttpCall:
            return SocketCall("wss://elsewhere.example/socket", b"first", key="k1")

    inlets = {"ops": Inlet("ops", OverSocket([SECRET]), HOSTS), "bad": Inlet("bad", Elsewhere([SECRET]), HOSTS)}
    async with receiving() as receiver, desk(tmp_path, **inlets) as outbox:
        sockets, sent = outbox.courier._sockets, []

        async def send(frame: Frame) -> None:
            sent.append(frame)
            sockets.answer("ops", "k1" if frame == "first" else "k2", b"yes")

        added = await outbox.add(receiver.url())
        row = await outbox.row(added, lambda row: row.attempts)
        assert (row.state, row.error) == ("pending", "its connection is not open")
        sockets.open("ops", send)
        sockets.open("bad", send)
        bad = await outbox.add(receiver.url(), request="req-2", inlet="bad")
        rows = await outbox.settled([added, bad], "done", "dead")
        assert (rows[added].state, rows[bad].state) == ("done", "dead")
        assert "elsewhere.example" in rows[bad].error
        assert sent == ["first", "second"]
        assert not receiver.posts


class Removing(GenericPlatform):
    """A platform that deletes what people wrote, and tells by a status what became of it."""

    def removal(self, event_id: str, conversation: str, thread: str) -> HttpCall | Sight:
        return HttpCall(f"http://{conversation}/{event_id}/{thread}", b"", method="POST")

    def read_removal(self, call: HttpCall, response: HttpResponse) -> Delivered | DeliveryFailed:
        match response.status:
            case 200:
                return Delivered()
            case 403:
                return DeliveryFailed("no right", "refused")
        return DeliveryFailed("busy", "later")


def removal_of(receiver: Receiver, text: str = "others have seen it") -> str:
    return ReplyContent(
        in_reply_to="e1", conversation=f"127.0.0.1:{receiver.port}", text=text, kind=REMOVAL, thread="t1"
    ).to_json()


async def test_a_message_is_removed_once(tmp_path: Path) -> None:
    """Its call, not a post; said nowhere, and no echo is expected of it."""
    inlets = {"ops": Inlet("ops", Removing([SECRET]), HOSTS)}
    async with receiving() as receiver, desk(tmp_path, **inlets) as outbox:
        added = await outbox.add(receiver.url(), "", body=removal_of(receiver))
        await outbox.settled([added], "done")
        assert [post.path for post in receiver.posts] == ["/e1/t1"]
        assert list(outbox.rows()) == [added]


@pytest.mark.parametrize(("status", "tries"), [(403, 1), (503, removals.MAX_ATTEMPTS)])
async def test_where_it_cannot_be_removed_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int, tries: int
) -> None:
    """After one try without the right, after a few where the chat is busy; in the conversation, with the words that
    the entry has, and in the audit without them.
    """
    monkeypatch.setattr(retry, "FIRST_DELAY", 0.01)
    inlets = {"ops": Inlet("ops", Removing([SECRET]), HOSTS)}

    def behave(number: int, post: Post) -> int:
        return status if post.path == "/e1/t1" else 200

    async with receiving(behave) as receiver, desk(tmp_path, **inlets) as outbox:
        added = await outbox.add(receiver.url("/said"), "", body=removal_of(receiver))
        await outbox.settled([added], "dead")
        rows = await outbox.settled([added + 1], "done")
        assert [post.path for post in receiver.posts] == ["/e1/t1"] * tries + ["/said"]
        said = ReplyContent.from_json(receiver.posts[-1].body.decode())
        assert (said.text, said.kind, said.thread) == ("others have seen it", "progress", "t1")
        assert (len(rows), rows[added].attempts) == (2, tries - 1)
        (event,) = await outbox.events()
        assert (event.kind, event.data["kind"]) == ("reply.dead", REMOVAL)


async def test_a_removal_that_nobody_need_hear_of_ends_in_silence(tmp_path: Path) -> None:
    """In a direct conversation, and where the inlet's platform removes nothing any more."""
    inlets = {"ops": Inlet("ops", Removing([SECRET]), HOSTS), "old": Inlet("old", GenericPlatform([SECRET]), HOSTS)}
    async with receiving(lambda number, post: 403) as receiver, desk(tmp_path, **inlets) as outbox:
        ids = [
            await outbox.add(receiver.url(), "", inlet, body=removal_of(receiver, text="")) for inlet in ("ops", "old")
        ]
        await outbox.settled(ids, "dead")
        assert len(outbox.rows()) == 2
        assert len(receiver.posts) == 1
