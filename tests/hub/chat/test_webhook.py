"""The webhook over real HTTP: what is accepted, every refusal with its status, code, audit row, count; the pages."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import io
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from typing import Any

import aiohttp
import pytest

from hub.chat import http_server
from hub.chat.code_form_door import CodeFormDeps
from hub.chat.inlets import Inlet
from hub.chat.platforms.base import (
    CodeGiven,
    HttpCall,
    HttpResponse,
    Ignored,
    ImmediateResponse,
    IncomingMessage,
    ReceiveResult,
    WebhookRequest,
)
from hub.chat.platforms.code_form import CodeAnswer, CodeForm
from hub.chat.platforms.generic import GenericPlatform, sign
from hub.chat.platforms.standard import StandardPlatform
from hub.chat.platforms.standard import sign as sign_standard
from hub.chat.webhook import Webhook, WebhookDeps, WebhookLimits, build_app
from hub.core.rate_limits import RefusalRow
from hub.core.receipt import Receipt
from hub.metrics import Gauges, Metrics

SECRET = b"a secret of some length"
KEY = bytes(range(32))
NOW = 1_700_000_000.0
MESSAGE: dict[str, Any] = {"id": "m-1", "user": "alice", "conversation": "ops", "text": "disk on web-1"}


class Odd(GenericPlatform):
    """A platform with the other two outcomes, and with GET."""

    kind = "odd"
    methods = frozenset({"GET", "POST"})

    def receive(self, delivery: WebhookRequest, now: float) -> ReceiveResult:  # type: ignore[override]
        if "echo" in delivery.query:
            return ImmediateResponse(delivery.query["echo"].encode(), "text/plain", 200)
        return Ignored("the bot's own words")


class Clicks(GenericPlatform):
    """A platform whose messages are clicks, and edits, with an answer of its own."""

    def receive(self, delivery: WebhookRequest, now: float) -> ReceiveResult:  # type: ignore[override]
        said = ImmediateResponse(b'{"thanks": 1}')
        return IncomingMessage("e1", "alice", "room", "approve r1", button=True, response=said, edited=True)


class Forms(GenericPlatform):
    """A platform whose clicks open a form for a code, and that hands in a sent one."""

    def receive(self, delivery: WebhookRequest, now: float) -> ReceiveResult:  # type: ignore[override]
        if "sent" in delivery.query:
            return CodeGiven("v1", "alice", "alice", "room", 1, "0" * 32, "123456")
        return IncomingMessage("e1", "alice", "room", "approve r1", button="typed" not in delivery.query)

    def open_form(self, click: IncomingMessage, form: CodeForm) -> ImmediateResponse | HttpCall | None:
        return ImmediateResponse(json.dumps({"form": form.text}).encode())

    def is_opened(self, response: HttpResponse) -> bool:
        return False

    def answer_form(self, given: CodeGiven, answer: CodeAnswer) -> ImmediateResponse:
        return ImmediateResponse(json.dumps({"said": answer.text}).encode())


class Tells(GenericPlatform):
    """A platform that shows what it is answered: what became of the message, and its number."""

    def receive(self, delivery: WebhookRequest, now: float) -> ReceiveResult:  # type: ignore[override]
        def respond(status: str, number: int) -> ImmediateResponse:
            return ImmediateResponse(json.dumps({"status": status, "number": number}).encode())

        return IncomingMessage("e1", "alice", "room", "disk on web-1", response=respond)


@dataclass
class Hub:
    """What stands behind the webhook in these tests; keeps what it got."""

    now: float = NOW
    accepted: list[tuple[str, IncomingMessage]] = field(default_factory=list)
    rows: list[RefusalRow] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    recovery: str = ""
    warnings: list[str] = field(default_factory=list)
    looks: int = 0
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    entered: asyncio.Event = field(default_factory=asyncio.Event)
    failing: Exception | None = None
    answers: Receipt | None = None  # instead of taking the message
    audit_failing: bool = False
    asks: bool = True
    given: list[CodeGiven] = field(default_factory=list)
    metrics: Metrics = field(default_factory=Metrics)

    async def accept(self, inlet: str, incoming: IncomingMessage) -> Receipt:
        self.entered.set()
        await self.gate.wait()
        if self.failing:
            raise self.failing
        if self.answers is not None:
            return self.answers
        if any(seen.event_id == incoming.event_id for _, seen in self.accepted):
            return Receipt("duplicate")
        self.accepted.append((inlet, incoming))
        return Receipt("accepted", "01ARZ3NDEKTSV4RRFFQ69G5FAV", len(self.accepted))

    async def form_for(self, inlet: str, click: IncomingMessage) -> CodeForm | None:
        return CodeForm(1, "0" * 32, "the plan", "en") if self.asks else None

    async def take(self, inlet: str, given: CodeGiven) -> CodeAnswer:
        if self.failing:
            raise self.failing
        self.given.append(given)
        return CodeAnswer("approved", ok=True)

    async def refused(self, refusal: RefusalRow) -> None:
        if self.audit_failing:
            raise RuntimeError("the store is gone")
        self.rows.append(refusal)

    async def gauges(self) -> Gauges:
        self.looks += 1
        return Gauges(jobs={"queued": 3})


@dataclass
class Rig:
    hub: Hub
    port: int
    webhook: Webhook
    session: aiohttp.ClientSession

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"

    async def post(
        self, body: bytes | dict[str, Any] = MESSAGE, path: str = "/webhook/ops", key: bytes = SECRET, **headers: str
    ) -> tuple[int, dict[str, Any]]:
        """Status and JSON of one signed POST."""
        status, answer, _ = await self.full(body, path, key, **headers)
        return status, answer

    async def full(
        self, body: bytes | dict[str, Any] = MESSAGE, path: str = "/webhook/ops", key: bytes = SECRET, **headers: str
    ) -> tuple[int, dict[str, Any], Any]:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        headers = {"X-Signature": sign(key, data), **{name.replace("_", "-"): value for name, value in headers.items()}}
        async with self.session.post(self.url(path), data=io.BytesIO(data), headers=headers) as response:
            return response.status, await response.json(), response.headers

    async def raw(self, data: bytes) -> bytes:
        """Everything that comes back on a connection of its own."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            writer.write(data)
            async with asyncio.timeout(45):
                return await reader.read()
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()


@contextlib.asynccontextmanager
async def rigged(limits: WebhookLimits | None = None, held: bool = False, **inlet: Any) -> AsyncIterator[Rig]:
    hub = Hub()
    if not held:
        hub.gate.set()
    inlets = {
        "ops": Inlet("ops", GenericPlatform([SECRET]), ("chat.example", "127.0.0.1"), **inlet),
        "std": Inlet("std", StandardPlatform([KEY]), ()),
        "odd": Inlet("odd", Odd([SECRET]), ()),
        "clicks": Inlet("clicks", Clicks([SECRET]), ()),
        "forms": Inlet("forms", Forms([SECRET]), ()),
        "tells": Inlet("tells", Tells([SECRET]), ()),
    }
    deps = WebhookDeps(
        inlets=inlets,
        accept=hub.accept,
        record_refusal=hub.refused,
        ready=lambda: hub.reasons,
        warnings=lambda: hub.warnings,
        gauges=hub.gauges,
        metrics=hub.metrics,
        clock=lambda: hub.now,
        limits=limits or WebhookLimits(),
        recovery=lambda: hub.recovery,
        code_forms=CodeFormDeps(hub.form_for, hub.take),
    )
    app = build_app(deps)
    listener = http_server.bind("127.0.0.1:0")
    started, stop = asyncio.Event(), asyncio.Event()
    async with asyncio.TaskGroup() as group:
        group.create_task(http_server.serve(app, listener, started=started, stop=stop))
        await started.wait()
        try:
            async with aiohttp.ClientSession() as session:
                yield Rig(hub, listener.getsockname()[1], app.state.webhook, session)
        finally:
            hub.gate.set()
            stop.set()


def counted(hub: Hub, inlet: str, code: str) -> float:
    return hub.metrics.registry.get_sample_value("answerback_refused_total", {"inlet": inlet, "code": code}) or 0.0


# ---- accepted


async def test_a_signed_message_is_accepted() -> None:
    """The answer comes after the commit and says which request it became."""
    async with rigged() as rig:
        assert await rig.post() == (200, {"ok": True, "request": "01ARZ3NDEKTSV4RRFFQ69G5FAV", "number": 1})
        ((inlet, incoming),) = rig.hub.accepted
        assert (inlet, incoming.event_id, incoming.text) == ("ops", "m-1", "disk on web-1")


async def test_the_answer_waits_for_the_commit() -> None:
    """No byte of a 2xx before `accept` has returned."""
    async with rigged(held=True) as rig, asyncio.TaskGroup() as group:
        posting = group.create_task(rig.post())
        await rig.hub.entered.wait()
        assert not posting.done()
        rig.hub.gate.set()
        assert (await posting)[0] == 200


async def test_the_same_delivery_again_is_answered_2xx() -> None:
    """A platform that repeats itself is told that all is well."""
    async with rigged() as rig:
        await rig.post()
        assert await rig.post() == (200, {"ok": True, "duplicate": True})
        assert len(rig.hub.accepted) == 1


async def test_a_standard_webhook_is_accepted() -> None:
    """The second platform works over the same way in, and its id is the webhook's."""
    async with rigged() as rig:
        body = json.dumps({"user": "alice", "conversation": "", "text": "hi"}).encode()
        headers = {
            "webhook-id": "msg_7",
            "webhook-timestamp": str(int(NOW)),
            "webhook-signature": sign_standard(KEY, "msg_7", int(NOW), body),
        }
        async with rig.session.post(rig.url("/webhook/std"), data=body, headers=headers) as response:
            assert response.status == 200
        assert rig.hub.accepted[0][1].event_id == "msg_7"


async def test_header_names_are_read_in_any_case() -> None:
    """X-SIGNATURE and x-signature are the same header."""
    body = json.dumps(MESSAGE).encode()
    async with rigged() as rig:
        for name in (b"X-SIGNATURE", b"x-signature", b"x-SiGnAtUrE"):
            answer = await rig.raw(
                b"POST /webhook/ops HTTP/1.1\r\nHost: x\r\nConnection: close\r\n%s: %s\r\nContent-Length: %d\r\n\r\n%s"
                % (name, sign(SECRET, body).encode(), len(body), body)
            )
            assert answer.startswith(b"HTTP/1.1 200")


async def test_a_chunked_body_is_read() -> None:
    """A sender that does not know the length beforehand is understood."""
    body = json.dumps(MESSAGE).encode()

    async def pieces() -> AsyncIterator[bytes]:
        for index in range(0, len(body), 10):
            yield body[index : index + 10]

    async with rigged() as rig:
        headers = {"X-Signature": sign(SECRET, body)}
        async with rig.session.post(rig.url("/webhook/ops"), data=pieces(), headers=headers) as response:
            assert response.status == 200


async def test_images_come_with_a_larger_body_limit() -> None:
    """A screenshot of two megabytes arrives whole."""
    image = bytes(range(256)) * 8_192
    async with rigged(body_limit=4 * 1024 * 1024) as rig:
        status, _ = await rig.post({**MESSAGE, "images": [base64.b64encode(image).decode()]})
        assert status == 200
        assert rig.hub.accepted[0][1].images == (image,)


async def test_an_immediate_answer_is_passed_through() -> None:
    """A platform's challenge gets exactly the bytes that the platform object made, by GET too."""
    async with rigged() as rig, rig.session.get(rig.url("/webhook/odd?echo=%E5%A5%BD&x=1")) as response:
        assert (response.status, await response.text(), response.content_type) == (200, "好", "text/plain")


async def test_what_is_not_for_us_is_answered_2xx_and_not_stored() -> None:
    """The bot's own words end here."""
    async with rigged() as rig:
        assert await rig.post(path="/webhook/odd") == (200, {"ok": True, "ignored": True})
        assert rig.hub.accepted == []


@pytest.mark.parametrize(
    ("receipt", "status", "code"),
    [
        (Receipt("changed", "01ARZ3NDEKTSV4RRFFQ69G5FAV", 7), 409, "changed"),
        (Receipt("rate", limited="person", wait=2.2), 429, "person_rate"),
        (Receipt("rate", limited="stranger", wait=0.1), 429, "stranger_rate"),
    ],
)
async def test_what_intake_does_not_take_has_a_word_of_its_own(receipt: Receipt, status: int, code: str) -> None:
    """An edit under a known id is no 2xx, and whoever talks too much is told when to come again."""
    async with rigged() as rig:
        rig.hub.answers = receipt
        found, answer, headers = await rig.full()
        assert (found, answer["error"]) == (status, code)
        assert headers.get("Retry-After") == {"person": "3", "stranger": "1"}.get(receipt.limited)
        assert ("r7" in answer["message"]) is (status == 409)
        assert [row.code for row in rig.hub.rows] == [code]


async def test_an_echo_is_answered_2xx_and_counted() -> None:
    """A bridge that was refused would send it again."""
    async with rigged() as rig:
        rig.hub.answers = Receipt("echo")
        assert await rig.post() == (200, {"ok": True, "ignored": True})
        assert counted(rig.hub, "ops", "echo") == 1


async def test_where_rooms_number_by_themselves_the_room_is_part_of_the_id() -> None:
    async with rigged(id_scope="conversation") as rig:
        for room in ("a", "b"):
            assert (await rig.post({**MESSAGE, "id": "1", "conversation": room}))[0] == 200
        assert [message.event_id for _, message in rig.hub.accepted] == ["a/1", "b/1"]


# ---- turned away


async def test_a_forged_message_is_401_with_an_audit_row() -> None:
    """The refusal says what to check, is counted, and the audit knows from where it came."""
    async with rigged(WebhookLimits(trusted_proxies=())) as rig:
        status, answer = await rig.post(key=b"not the secret")
        assert (status, answer["error"]) == (401, "bad_signature")
        assert "secret" in answer["message"]
        assert rig.hub.rows == [RefusalRow("ops", "bad_signature", "127.0.0.1", NOW)]
        assert counted(rig.hub, "ops", "bad_signature") == 1
        assert rig.hub.accepted == []


@pytest.mark.parametrize("signature", [None, "", "zz", "é", "a" * 5_000, "\xff\xfe"])
async def test_any_signature_but_the_right_one_is_401(signature: str | None) -> None:
    """Missing, empty, garbage and non-ASCII are 401, never 500."""
    body = json.dumps(MESSAGE).encode()
    line = b"" if signature is None else b"X-Signature: " + signature.encode("latin-1") + b"\r\n"
    async with rigged() as rig:
        answer = await rig.raw(
            b"POST /webhook/ops HTTP/1.1\r\nHost: x\r\nConnection: close\r\n%sContent-Length: %d\r\n\r\n%s"
            % (line, len(body), body)
        )
        assert answer.startswith(b"HTTP/1.1 401")


async def test_a_signature_sent_twice_is_401() -> None:
    """Two headers are not two chances."""
    body = json.dumps(MESSAGE).encode()
    line = b"X-Signature: " + sign(SECRET, body).encode() + b"\r\n"
    async with rigged() as rig:
        answer = await rig.raw(
            b"POST /webhook/ops HTTP/1.1\r\nHost: x\r\nConnection: close\r\n%sContent-Length: %d\r\n\r\n%s"
            % (line * 2, len(body), body)
        )
        assert answer.startswith(b"HTTP/1.1 401")


async def test_a_stale_delivery_is_401_with_the_reason() -> None:
    """Who has the key is told that the clock is off or the delivery old."""
    async with rigged() as rig:
        body = b"{}"
        headers = {
            "webhook-id": "msg_7",
            "webhook-timestamp": str(int(NOW) - 301),
            "webhook-signature": sign_standard(KEY, "msg_7", int(NOW) - 301, body),
        }
        async with rig.session.post(rig.url("/webhook/std"), data=body, headers=headers) as response:
            answer = await response.json()
        assert (response.status, answer["error"]) == (401, "stale")
        assert "clock" in answer["message"]
        assert [row.code for row in rig.hub.rows] == ["stale"]


async def test_an_unknown_inlet_is_404() -> None:
    """With an audit row that does not repeat the name, which the sender chose."""
    async with rigged() as rig:
        for path in ("/webhook/nope", "/webhook/ops%20", "/webhook/OPS", "/webhook/..;"):
            status, answer = await rig.post(path=path)
            assert (status, answer["error"]) == (404, "unknown_inlet")
        assert {row.inlet for row in rig.hub.rows} == {""}


@pytest.mark.parametrize("path", ["/", "/webhook", "/webhook/", "/webhook/ops/", "/webhook/ops/x", "/admin", "//"])
async def test_there_is_nothing_else(path: str) -> None:
    """Other paths are 404 in the same form, and nothing is redirected."""
    async with rigged() as rig:
        async with rig.session.post(rig.url(path), data=b"{}", allow_redirects=False) as response:
            assert (response.status, (await response.json())["error"]) == (404, "not_found")


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH", "OPTIONS"])
async def test_another_method_is_405(method: str) -> None:
    """Messages come by POST; who opens the address in a browser is told."""
    async with rigged() as rig, rig.session.request(method, rig.url("/webhook/ops")) as response:
        assert (response.status, response.headers["Allow"]) == (405, "POST")
        assert (await response.json())["error"] == "method"


async def test_a_compressed_body_is_415() -> None:
    """Nothing is ever unpacked."""
    async with rigged() as rig:
        for encoding in ("gzip", "deflate", "br", "identity, gzip"):
            status, answer = await rig.post(b"{}", Content_Encoding=encoding)
            assert (status, answer["error"]) == (415, "encoding")
        assert (await rig.post(Content_Encoding="identity"))[0] == 200


async def test_a_body_over_the_limit_is_413() -> None:
    """By its announced length before it is read, and counted where none is announced."""
    async with rigged(body_limit=1_000) as rig:
        status, answer = await rig.post(b"x" * 1_001)
        assert (status, answer["error"]) == (413, "too_large")
        assert "1000 bytes" in answer["message"]

        async def endless() -> AsyncIterator[bytes]:
            for _ in range(20):
                yield b"x" * 100

        async with rig.session.post(rig.url("/webhook/ops"), data=endless()) as response:
            assert response.status == 413
        assert (await rig.post({**MESSAGE, "text": "x" * 800}))[0] == 200
        assert [row.code for row in rig.hub.rows] == ["too_large", "too_large"]


async def test_the_sender_of_a_large_body_sees_why() -> None:
    """A megabyte too much is read and thrown away, so that the answer is not lost with the connection."""
    async with rigged(body_limit=1_000) as rig:
        status, answer = await rig.post(b"x" * 1_000_000)
        assert (status, answer["error"]) == (413, "too_large")


async def test_a_huge_announcement_is_answered_at_once() -> None:
    """A sender that waits for the go-ahead is told 413 before it has sent anything."""
    async with rigged() as rig:
        answer = await rig.raw(
            b"POST /webhook/ops HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 99999999999\r\n\r\n"
        )
        assert answer.startswith(b"HTTP/1.1 413")
        assert b"connection: close" in answer.lower()


async def test_a_slow_body_is_408() -> None:
    """A body that does not come in time is given up, and the connection with it."""
    async with rigged(WebhookLimits(body_seconds=0.1)) as rig:
        reader, writer = await asyncio.open_connection("127.0.0.1", rig.port)
        writer.write(b"POST /webhook/ops HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n{")
        async with asyncio.timeout(45):
            answer = await reader.read()
        writer.close()
        assert answer.startswith(b"HTTP/1.1 408")
        assert [row.code for row in rig.hub.rows] == ["slow"]


async def test_a_sender_that_hangs_up_leaves_nothing_behind() -> None:
    """Half a body is neither accepted nor held, and the next message passes."""
    async with rigged(WebhookLimits(buffered=10_000)) as rig:
        for _ in range(20):
            _, writer = await asyncio.open_connection("127.0.0.1", rig.port)
            writer.write(b"POST /webhook/ops HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n" + b"x" * 4_000)
            await writer.drain()
            writer.close()
            await writer.wait_closed()
            assert (await rig.post())[0] == 200


async def test_an_inlets_rate_is_429_with_retry_after() -> None:
    """Beyond the burst the sender is told when to come again, before anything is parsed."""
    async with rigged(rate=0.5, burst=2) as rig:
        for number in range(2):
            assert (await rig.post({**MESSAGE, "id": f"m-{number}"}))[0] == 200
        status, answer, headers = await rig.full(b"not even JSON")
        assert (status, answer["error"], headers["Retry-After"]) == (429, "rate", "2")
        rig.hub.now += 2
        assert (await rig.post())[0] == 200


async def test_a_forger_does_not_use_up_the_inlets_rate() -> None:
    """However many forged deliveries come, a signed one passes."""
    async with rigged(rate=0.001, burst=1) as rig:
        for _ in range(50):
            assert (await rig.post(key=b"not the secret"))[0] == 401
        assert (await rig.post())[0] == 200


async def test_bad_signatures_from_one_address_are_429_after_twenty() -> None:
    """And a genuine message from that address is taken all the same: many senders share a proxy."""
    async with rigged() as rig:
        for _ in range(20):
            assert (await rig.post(key=b"guess", X_Forwarded_For="198.51.100.1"))[0] == 401
        status, answer, headers = await rig.full(key=b"guess", X_Forwarded_For="203.0.113.5, 198.51.100.1")
        assert (status, answer["error"]) == (429, "failures")
        assert headers["Retry-After"] == "3"
        assert (await rig.post(X_Forwarded_For="198.51.100.1"))[0] == 200
        assert (await rig.post(key=b"guess", X_Forwarded_For="198.51.100.2"))[0] == 401
        rig.hub.now += 3
        assert (await rig.post(key=b"guess", X_Forwarded_For="198.51.100.1"))[0] == 401
        assert rig.hub.rows[0].remote == "198.51.100.1"


async def test_a_proxy_that_names_nobody_is_not_shut_out() -> None:
    """One forger behind a local proxy must not silence everybody behind it."""
    async with rigged() as rig:
        for _ in range(30):
            assert (await rig.post(key=b"guess"))[0] == 401
        assert (await rig.post())[0] == 200


async def test_too_many_in_hand_is_503() -> None:
    """While the store is slow, only so many deliveries wait for it."""
    async with rigged(WebhookLimits(concurrency=2), held=True) as rig, asyncio.TaskGroup() as group:
        waiting = []
        for number in range(2):
            rig.hub.entered.clear()
            waiting.append(group.create_task(rig.post({**MESSAGE, "id": f"m-{number}"})))
            await rig.hub.entered.wait()
        status, answer, headers = await rig.full({**MESSAGE, "id": "m-9"})
        assert (status, answer["error"], headers["Retry-After"]) == (503, "busy", "1")
        rig.hub.gate.set()
        assert [status for status, _ in [await task for task in waiting]] == [200, 200]


async def test_all_bodies_together_are_bounded() -> None:
    """Large bodies that come at once do not fill the memory: the one too many is 503."""
    async with rigged(WebhookLimits(buffered=300_000), body_limit=250_000) as rig:
        reader, writer = await asyncio.open_connection("127.0.0.1", rig.port)
        writer.write(b"POST /webhook/ops HTTP/1.1\r\nHost: x\r\nContent-Length: 200001\r\n\r\n" + b"x" * 200_000)
        await writer.drain()
        while rig.webhook._buffered < 200_000:
            await asyncio.sleep(0)
        status, answer = await rig.post(b"x" * 200_000)
        assert (status, answer["error"]) == (503, "busy")
        writer.write(b"x")
        assert (await reader.readline()).startswith(b"HTTP/1.1 401")
        writer.close()
        assert rig.webhook._buffered == 0


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"\xff",
        b"\xef\xbb\xbf{}",
        b'{"id":NaN}',
        b"[" * 100_000,
        b'{"a":1,"a":2}',
        b'{"id":"s3cr3tcanary"}',
    ],
)
async def test_malformed_json_is_400(body: bytes) -> None:
    """Rightly signed nonsense is 400, never 500, and is not repeated in the answer."""
    async with rigged() as rig:
        status, answer = await rig.post(body)
        assert (status, answer["error"]) == (400, "bad_body")
        assert "canary" not in json.dumps(answer)
        assert [row.code for row in rig.hub.rows] == ["bad_body"]


async def test_a_query_with_too_many_fields_is_400() -> None:
    """The query is bounded as everything else is."""
    async with rigged() as rig:
        status, answer = await rig.post(path="/webhook/ops?" + "&".join(f"a{n}=1" for n in range(100)))
        assert (status, answer["error"]) == (400, "bad_body")


async def test_a_foreign_reply_url_is_400_with_the_cure() -> None:
    """The message names the host and the key to set; the message is not accepted."""
    async with rigged() as rig:
        status, answer = await rig.post({**MESSAGE, "reply_url": "https://evil.example/steal?token=canary"})
        assert (status, answer["error"]) == (400, "reply_url")
        assert "evil.example:443" in answer["message"]
        assert "reply_hosts of [inlets.ops]" in answer["message"]
        assert "canary" not in answer["message"]
        assert rig.hub.accepted == []
        assert [row.code for row in rig.hub.rows] == ["reply_url"]
        for url in ("https://chat.example/r", "http://127.0.0.1:9/r", "", None):
            message = {**MESSAGE, "id": f"m-{url}", "reply_url": url}
            assert (await rig.post(message))[0] == 200


async def test_what_cannot_be_stored_is_503_and_not_2xx() -> None:
    """A full disk or a broken store asks the sender to come again; the exception stays inside."""
    async with rigged() as rig:
        rig.hub.failing = RuntimeError("database or disk is full: /secret/path")
        status, answer, headers = await rig.full()
        assert (status, answer["error"], headers["Retry-After"]) == (503, "not_stored", "5")
        assert "secret" not in answer["message"]
        rig.hub.failing = None
        assert (await rig.post())[0] == 200


async def test_a_refusal_reaches_its_sender_though_the_audit_fails() -> None:
    """Trouble with the store does not turn a 401 into a 500."""
    async with rigged() as rig:
        rig.hub.audit_failing = True
        assert (await rig.post(key=b"guess"))[0] == 401


async def test_a_flood_of_forgeries_is_ten_rows_and_a_sum() -> None:
    """The disk is not filled by whoever can reach the port, and nothing is left out of the count."""
    async with rigged() as rig:
        for _ in range(60):
            await rig.post(b"{}", key=b"guess")
        assert len(rig.hub.rows) == 10
        await rig.webhook.flush(rig.hub.now)
        assert len(rig.hub.rows) == 10
        rig.hub.now += 60
        await rig.webhook.flush(rig.hub.now)
        assert rig.hub.rows[10:] == [RefusalRow("ops", "bad_signature", "127.0.0.1", rig.hub.now, 50)]
        assert counted(rig.hub, "ops", "bad_signature") == 60


async def test_the_connection_goes_on_after_a_refusal() -> None:
    """A refused message whose body was read does not cost its sender the connection."""
    body = b"{}"
    one = b"POST /webhook/ops HTTP/1.1\r\nHost: x\r\nX-Signature: 0\r\nContent-Length: 2\r\n\r\n" + body
    last = one.replace(b"Host: x\r\n", b"Host: x\r\nConnection: close\r\n")
    async with rigged() as rig:
        assert (await rig.raw(one + one + last)).count(b"HTTP/1.1 401") == 3


# ---- the pages


async def test_healthz_says_that_the_loop_turns() -> None:
    """Whatever else is wrong."""
    async with rigged() as rig:
        rig.hub.reasons = ["the store cannot be written"]
        async with rig.session.get(rig.url("/healthz")) as response:
            assert (response.status, await response.json()) == (200, {"ok": True, "storage": "normal"})


async def test_readyz_says_why_not() -> None:
    """503 with the reasons, 200 without; what only an admin has to see to is told and takes no traffic away."""
    async with rigged() as rig:
        async with rig.session.get(rig.url("/readyz")) as response:
            page = {"ready": True, "reasons": [], "warnings": [], "storage": "normal"}
            assert (response.status, await response.json()) == (200, page)
        rig.hub.warnings = ["policy.toml does not read"]
        async with rig.session.get(rig.url("/readyz")) as response:
            assert (response.status, (await response.json())["warnings"]) == (200, rig.hub.warnings)
        rig.hub.reasons = ["the store cannot be written"]
        async with rig.session.get(rig.url("/readyz")) as response:
            assert (response.status, (await response.json())["reasons"]) == (503, ["the store cannot be written"])
        rig.hub.reasons, rig.hub.recovery = [], "restored"
        async with rig.session.get(rig.url("/readyz")) as response:  # messages are taken in recovery
            assert (response.status, (await response.json())["recovery"]) == (200, "restored")


async def test_metrics_are_for_prometheus() -> None:
    """The text has what was counted and what the hub is asked, and a crowd of scrapers is one look at the store."""
    async with rigged() as rig:
        await rig.post(key=b"guess")
        texts = []
        for _ in range(5):
            async with rig.session.get(rig.url("/metrics")) as response:
                assert response.content_type == "text/plain"
                texts.append(await response.text())
        assert 'answerback_refused_total{code="bad_signature",inlet="ops"} 1.0' in texts[0]
        assert 'answerback_jobs{state="queued"} 3.0' in texts[0]
        assert rig.hub.looks == 1
        rig.hub.now += 1
        async with rig.session.get(rig.url("/metrics")) as response:
            await response.read()
        assert rig.hub.looks == 2


async def test_the_pages_are_read_only() -> None:
    """Another method is 405 in the same form as everything else."""
    async with rigged() as rig:
        for path in ("/healthz", "/readyz", "/metrics"):
            async with rig.session.post(rig.url(path), data=b"x" * 100) as response:
                assert (response.status, (await response.json())["error"]) == (405, "method")


async def test_an_answer_that_is_shown_says_what_became_of_the_message() -> None:
    """A function of the receipt: the number of a new request, and 0 for a repeat."""
    async with rigged() as rig:
        for expected in ({"status": "accepted", "number": 1}, {"status": "duplicate", "number": 0}):
            assert await rig.post(path="/webhook/tells") == (200, expected)


async def test_a_platform_has_its_own_answer_to_what_was_committed() -> None:
    """A click is answered as its platform wants it, accepted, repeated or not for us; a refusal stays a refusal."""

    async with rigged() as rig:
        for receipt in (Receipt("accepted"), Receipt("duplicate"), Receipt("ignored"), Receipt("changed")):
            rig.hub.answers = receipt
            assert await rig.post(path="/webhook/clicks") == (200, {"thanks": 1})
        rig.hub.answers = Receipt("rate", limited="person", wait=2.0)
        status, _ = await rig.post(path="/webhook/clicks")
        assert status == 429


async def test_what_is_not_for_the_bot_is_answered_with_nothing() -> None:
    """In a busy room: 200, and nobody is told off."""
    async with rigged() as rig:
        rig.hub.answers = Receipt("ignored")
        assert await rig.post() == (200, {"ok": True, "ignored": True})


async def test_what_is_proven_is_given_to_the_recorder() -> None:
    """Before it is admitted, as it came; what is forged never."""
    seen: list[tuple[str, bytes]] = []
    async with rigged() as rig:
        deps = rig.webhook._deps
        rig.webhook._deps = replace(deps, record=lambda inlet, request, now: seen.append((inlet.name, request.body)))
        await rig.post(key=b"guess")
        assert seen == []
        await rig.post(b'{"odd": 1}')
        await rig.post()
        assert seen == [("ops", json.dumps(MESSAGE).encode())]


async def test_when_each_inlet_was_heard_is_in_the_metrics() -> None:
    """Of authentic deliveries alone; nothing before the first one."""
    async with rigged() as rig:
        name = 'answerback_inlet_heard_timestamp_seconds{inlet="ops"}'
        await rig.post(key=b"guess")
        assert name not in rig.hub.metrics.render(Gauges()).decode()
        await rig.post()
        assert float(rig.hub.metrics.render(Gauges()).decode().split(name)[1].split()[0]) == rig.hub.now
        rig.hub.now += 100
        await rig.webhook.flush(rig.hub.now)
        assert rig.hub.metrics.heard == {"ops": rig.hub.now - 100}


async def test_a_click_that_opens_a_form_is_no_message() -> None:
    """Its answer is the form, and nothing is stored; where none is asked for, and for words, it is taken as it is."""
    async with rigged() as rig:
        assert await rig.post(path="/webhook/forms") == (200, {"form": "the plan"})
        assert rig.hub.accepted == []
        status, answer = await rig.post(path="/webhook/forms?typed=1")
        assert (status, answer["number"]) == (200, 1)
        rig.hub.asks = False
        rig.hub.accepted.clear()
        status, answer = await rig.post(path="/webhook/forms")
        assert (status, answer["number"], len(rig.hub.accepted)) == (200, 1, 1)


async def test_a_sent_form_is_answered_once_it_is_committed() -> None:
    """It is no message either. What could not be stored is no 2xx, and the code is in no answer."""
    async with rigged() as rig:
        assert await rig.post(path="/webhook/forms?sent=1") == (200, {"said": "approved"})
        assert [given.code for given in rig.hub.given] == ["123456"]
        rig.hub.failing = RuntimeError("the disk is full")
        status, answer = await rig.post(path="/webhook/forms?sent=1")
        assert (status, answer["error"]) == (503, "not_stored")
        assert "123456" not in str(answer)
        assert rig.hub.accepted == []
