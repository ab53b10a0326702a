"""The HTTP endpoints: /webhook/NAME, /confirm/TOKEN, /passkey/TOKEN, /healthz, /readyz, /metrics. A 2xx to a webhook
means: committed.

The checks of a delivery, in this order, each cheaper than what it guards: inlet, method, encoding, announced size, the
inlet's rate, time and size of the body, concurrency, the signature, the body's form, the reply address. Then `accept`
commits it. Nothing is parsed before the signature has been verified, and nobody is refused for what others signed
badly: many senders may share one address behind a proxy.

Every refusal is a small JSON object, {"error": a stable code, "message": what is wrong and what to do}, is counted, and
becomes an audit row (of a flood: ten rows a minute, then one with the count). None quotes the body.

/metrics and the health pages ask for no authentication: anyone who reaches the port may read them. Keep `[http] listen`
on loopback or a private address, and let the proxy that faces the internet pass on /webhook/,
/confirm/ and /passkey/ alone.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from common.errors import WorkFailed
from common.times import format_iso
from hub.chat.admission import ReplyUrlRefused, admit
from hub.chat.code_form_door import CodeFormDeps, CodeFormDoor
from hub.chat.confirm_page import ConfirmDeps, ConfirmPage
from hub.chat.inlets import Inlet
from hub.chat.passkey_page import PasskeyDeps, PasskeyPage
from hub.chat.platforms.base import (
    BadBody,
    BadSignature,
    CodeGiven,
    Ignored,
    ImmediateResponse,
    IncomingMessage,
    NotAuthentic,
    WebhookRequest,
)
from hub.chat.proven_by import receive_noting
from hub.chat.refusals import Refusals
from hub.core.inlet_activity import InletActivity
from hub.core.rate_limits import (
    LOOPBACK,
    Network,
    RefusalRow,
    TokenBucket,
    TokenBuckets,
    client_address,
    network_key,
)
from hub.core.receipt import Receipt
from hub.log import logger
from hub.metrics import CONTENT_TYPE, Gauges, Metrics

log = logger("webhook")

T = TypeVar("T")
_QUERY_FIELDS: Final = 32
_GAUGES_TTL: Final = 1.0  # seconds for which scrapes share one read of the store
_DISCARD_BYTES: Final = 4 * 1024 * 1024
_DISCARD_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True)
class WebhookLimits:
    """Limits for all inlets together."""

    concurrency: int = 512  # deliveries between signature and commit; those that wait in line have a bound there
    buffered: int = 64 * 1024 * 1024  # bytes of bodies held at a time
    body_seconds: float = 10.0  # from the headers to the last byte of the body
    failures: float = 20.0  # bad signatures a minute from one address (IPv6: one /64) that are told apart
    trusted_proxies: tuple[Network, ...] = LOOPBACK  # whose X-Forwarded-For is believed


@dataclass(frozen=True, slots=True)
class WebhookDeps:
    """What the webhook needs from the rest of the hub."""

    inlets: Mapping[str, Inlet]
    accept: Callable[[str, IncomingMessage], Awaitable[Receipt]]
    record_refusal: Callable[[RefusalRow], Awaitable[None]]  # writes one audit row
    ready: Callable[[], list[str]]  # why the hub is not ready; empty where it is
    warnings: Callable[[], list[str]]  # what an admin has to see to, and which is no reason to send no traffic
    gauges: Callable[[], Awaitable[Gauges]]
    metrics: Metrics
    clock: Callable[[], float]
    limits: WebhookLimits = field(default_factory=WebhookLimits)
    storage: Callable[[], str] = lambda: "normal"  # how the store's disk is: normal or read-only
    recovery: Callable[[], str] = lambda: ""  # what is said while the hub is in recovery; "" where it is not
    confirm: ConfirmDeps | None = None  # of the confirm page; None: there is none
    passkeys: PasskeyDeps | None = None  # of the page that makes one; None: there is none
    code_forms: CodeFormDeps | None = None  # of forms for a second factor's code; None: there are none
    activity: InletActivity | None = None  # where deliveries and refusals are noted besides
    wall: Callable[[], float] | None = None  # the wall clock, by which deliveries are fresh; None: `clock`
    in_line: Callable[[], int] = lambda: 0  # accepted deliveries that wait for their turn
    record: Callable[[Inlet, WebhookRequest, float], None] = lambda inlet, request, now: None  # a proven delivery


def build_app(deps: WebhookDeps) -> Starlette:
    """The application; `app.state.webhook` is its Webhook, whose `flush` the hub's timers call once a minute."""
    webhook = Webhook(deps)
    pages = _StatusEndpoints(deps)
    app = Starlette(
        routes=[
            Route("/webhook/{name}", webhook),
            Route("/healthz", pages.healthz),
            Route("/readyz", pages.readyz),
            Route("/metrics", pages.metrics),
        ],
        exception_handlers={HTTPException: _http_error},
    )
    for path, page in _link_pages(deps, webhook):
        app.router.routes.append(Route(path, page.respond, methods=["GET", "POST"]))
    app.router.redirect_slashes = False
    app.state.webhook = webhook
    return app


def _link_pages(deps: WebhookDeps, webhook: Webhook) -> Iterator[tuple[str, ConfirmPage | PasskeyPage]]:
    """The pages behind one-time links."""
    proxies, count = deps.limits.trusted_proxies, webhook.count_refusal
    if deps.confirm is not None:
        yield (
            "/confirm/{token}",
            ConfirmPage(deps.confirm, clock=deps.clock, trusted_proxies=proxies, count_refusal=count),
        )
    if deps.passkeys is not None:
        yield (
            "/passkey/{token}",
            PasskeyPage(deps.passkeys, clock=deps.clock, trusted_proxies=proxies, count_refusal=count),
        )


class WebhookRefused(Exception):
    """A refused delivery: HTTP status, stable code, message, headers."""

    def __init__(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(code)
        self.status = status
        self.code = code
        self.message = message
        self.headers = dict(headers or {})


class _ClientDisconnected(Exception):
    """The sender closed the connection before it was answered."""


class Webhook:
    """The ASGI application behind /webhook/NAME."""

    def __init__(self, deps: WebhookDeps) -> None:
        self._deps = deps
        self._rates: dict[str, TokenBucket] = {}
        self._activity = deps.activity or InletActivity(deps.metrics.heard)
        self._quiet = self._activity.quiet
        self.reconfigure()
        self._code_forms = CodeFormDoor(deps.code_forms)
        self._failures = TokenBuckets(deps.limits.failures / 60, deps.limits.failures)
        self._refusals = Refusals(deps.metrics, deps.record_refusal, deps.clock, self._activity)
        self._in_flight = 0
        self._buffered = 0

    async def count_refusal(self, inlet: str, code: str, remote: str) -> None:
        """Of a page beside the webhooks."""
        await self._refusals.count(inlet, code, remote)

    def reconfigure(self) -> None:
        """Takes inlets that came, went or changed; those that stayed keep what they have used of their rate."""
        self._activity.keep(self._deps.inlets)
        before = self._rates
        self._rates = {}
        for name, inlet in self._deps.inlets.items():
            old = before.get(name)
            same = old is not None and (old.rate, old.burst) == (inlet.rate, inlet.burst)
            self._rates[name] = old if old is not None and same else TokenBucket(inlet.rate, inlet.burst)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = _headers(scope)
        inlet = self._deps.inlets.get(scope["path_params"]["name"])
        peer = scope["client"][0] if scope["client"] else ""
        remote = client_address(peer, headers.get("x-forwarded-for", ""), self._deps.limits.trusted_proxies)
        body = _Body(receive, headers)
        try:
            response = await self._handle(scope, headers, inlet, remote, body)
        except _ClientDisconnected:
            return
        except WebhookRefused as refused:
            await self._refusals.count(inlet.name if inlet else "", refused.code, remote or peer)
            # A slow or too frequent sender is not waited for; what has arrived is still read off the connection.
            if not await body.discard(0.0 if refused.status in (408, 429) else _DISCARD_SECONDS):
                refused.headers["Connection"] = "close"
            response = _json({"error": refused.code, "message": refused.message}, refused.status, refused.headers)
        finally:
            self._buffered -= body.received_bytes
        await response(scope, receive, send)

    async def flush(self, now: float, *, all_of_them: bool = False) -> None:
        """Writes the audit rows that sum up refusals of past windows; with `all_of_them` (at shutdown), of all
        windows. Says in the log which inlets are quiet.
        """
        tables = {name: one.table for name, one in self._deps.inlets.items()}
        limits = self._quiet.limits({name: table.quiet_after for name, table in tables.items() if table is not None})
        for name, at in self._quiet.due(limits, now):
            log.warning("inlet.quiet", inlet=name, last_delivery=format_iso(at), seconds=round(now - at))
        await self._refusals.flush(now, all_of_them=all_of_them)

    async def _handle(
        self, scope: Scope, headers: Mapping[str, str], inlet: Inlet | None, remote: str, body: _Body
    ) -> Response:
        if inlet is None:
            raise WebhookRefused(
                404, "unknown_inlet", "there is no such inlet; inlets are the [inlets.NAME] of hub.toml"
            )
        if scope["method"] not in inlet.platform.methods:
            allowed = ", ".join(sorted(inlet.platform.methods))
            raise WebhookRefused(405, "method", f"messages come by {allowed}", {"Allow": allowed})
        if headers.get("content-encoding", "identity").lower() != "identity":
            raise WebhookRefused(415, "encoding", "send the body as it is, without Content-Encoding")
        if int(headers.get("content-length", "0")) > inlet.body_limit:
            raise _too_large(inlet)
        rate = self._admit(inlet)
        try:
            delivery = WebhookRequest(await self._read(body, inlet), headers, _query(scope), scope["method"])
            if self._in_flight - self._deps.in_line() >= self._deps.limits.concurrency:
                raise _busy()
            self._in_flight += 1
            try:
                return await self._accept(inlet, delivery)
            finally:
                self._in_flight -= 1
        except BadSignature as error:
            # Forged deliveries use up their sender's allowance, never the inlet's.
            rate.refund()
            now = self._deps.clock()
            wait = self._failures.try_acquire(network_key(remote), now) if remote else 0.0
            if wait:
                message = "too many bad signatures from there"
                raise WebhookRefused(429, "failures", message, _retry_after(wait)) from None
            raise WebhookRefused(401, error.code, error.message) from None
        except NotAuthentic as error:
            raise WebhookRefused(401, error.code, error.message) from None
        except BadBody as error:
            raise WebhookRefused(400, "bad_body", str(error)) from None

    def _admit(self, inlet: Inlet) -> TokenBucket:
        """Takes a token of the inlet's rate and returns its bucket; raises WebhookRefused before the body is read."""
        now = self._deps.clock()
        rate = self._rates.get(inlet.name)
        if rate is None:
            raise WebhookRefused(404, "unknown_inlet", "this inlet was just taken out of hub.toml")
        wait = rate.try_acquire(now)
        if wait:
            message = f"this inlet takes {inlet.rate:g} messages a second; send it again later"
            raise WebhookRefused(429, "rate", message, _retry_after(wait))
        return rate

    async def _read(self, body: _Body, inlet: Inlet) -> bytes:
        limits = self._deps.limits
        try:
            async with asyncio.timeout(limits.body_seconds):
                async for size in body.chunks():
                    self._buffered += size
                    if body.received_bytes > inlet.body_limit:
                        raise _too_large(inlet)
                    if self._buffered > limits.buffered:
                        raise _busy()
        except TimeoutError:
            raise WebhookRefused(408, "slow", f"the body did not arrive within {limits.body_seconds:g} s") from None
        return body.joined()

    async def _accept(self, inlet: Inlet, request: WebhookRequest) -> Response:
        now, wall = self._deps.clock(), (self._deps.wall or self._deps.clock)()
        received = receive_noting(inlet, request, wall, self._activity.secrets)
        self._deps.record(inlet, request, now)
        if self._quiet.note(inlet.name, now):
            log.info("inlet.heard_again", inlet=inlet.name)
        match received:
            case ImmediateResponse():
                return _response(received)
            case Ignored():
                return _json({"ok": True, "ignored": True})
            case CodeGiven():
                return _response(await self._stored(inlet, self._code_forms.take(inlet, received)))
        if (opened := await self._code_forms.open(inlet, received)) is not None:
            return _response(opened)
        try:
            received = admit(inlet, received)
        except ReplyUrlRefused as error:
            raise WebhookRefused(400, "reply_url", str(error)) from None
        receipt = await self._stored(inlet, self._deps.accept(inlet.name, received))
        match receipt.status:
            case "duplicate" if received.response is None:
                return _json({"ok": True, "duplicate": True})
            case "ignored" if received.response is None:
                return _json({"ok": True, "ignored": True})
            case "changed" if received.edited:
                pass  # it is answered in chat; to the platform it was delivered
            case "echo":
                await self._refusals.count(inlet.name, "echo", received.user)
                return _json({"ok": True, "ignored": True})
            case "changed":
                message = f"message {received.event_id} came before with other words, and is r{receipt.number}; an edit"
                raise WebhookRefused(409, "changed", f"{message} is no new message: give it an id of its own")
            case "rate":
                message = f"too many messages from {receipt.limited}; send it again later"
                raise WebhookRefused(429, f"{receipt.limited}_rate", message, _retry_after(receipt.wait))
            case "busy":
                message = "too many messages wait here; send it again later"
                raise WebhookRefused(429, "line", message, _retry_after(receipt.wait))
        if (said := received.response) is not None:
            return _response(said(receipt.status, receipt.number) if callable(said) else said)
        return _json({"ok": True, "request": receipt.request, "number": receipt.number})

    async def _stored(self, inlet: Inlet, unit: Awaitable[T]) -> T:
        """Whatever the error, nothing is on disk: no 2xx, and the sender should retry."""
        try:
            return await unit
        except WorkFailed as error:
            log.warning("message.not_stored", inlet=inlet.name, reason=str(error))
            message = "the message could not be stored; send it again later"
            if self._deps.storage() != "normal":
                full = "the hub's disk is full, and nothing is taken until there is room; send it again later"
                raise WebhookRefused(503, "disk_full", full, {"Retry-After": "10"}) from None
            raise WebhookRefused(503, "not_stored", message, {"Retry-After": "5"}) from None
        except Exception:
            log.exception("message.not_stored", inlet=inlet.name)
            message = "the message could not be stored; send it again later"
            raise WebhookRefused(503, "not_stored", message, {"Retry-After": "5"}) from None


class _Body:
    """The body of one delivery while it arrives."""

    def __init__(self, receive: Receive, headers: Mapping[str, str]) -> None:
        self.received_bytes = 0  # bytes read
        self._receive = receive
        self._chunks: list[bytes] = []
        self._complete = False
        self._expects = "expect" in headers  # it waits for 100 Continue before it sends: nothing to discard

    async def chunks(self) -> Any:
        """Reads to the end; yields the size of each piece as it comes. Raises _ClientDisconnected."""
        while not self._complete:
            message: Message = await self._receive()
            if message["type"] == "http.disconnect":
                raise _ClientDisconnected
            piece = message.get("body", b"")
            self._complete = not message.get("more_body", False)
            self.received_bytes += len(piece)
            self._chunks.append(piece)
            yield len(piece)

    def joined(self) -> bytes:
        return self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)

    async def discard(self, seconds: float) -> bool:
        """Reads and drops the rest of the body, within limits; False where that is not all of it.

        Closing with unread bytes resets the connection, and the sender might never see the refusal.
        """
        self._chunks.clear()
        size = 0
        try:
            async with asyncio.timeout(seconds):
                while not self._complete and not self._expects and size <= _DISCARD_BYTES:
                    message = await self._receive()
                    self._complete = not message.get("more_body", False)
                    size += len(message.get("body", b""))
        except TimeoutError:
            pass
        return self._complete


class _StatusEndpoints:
    """The endpoints for monitoring."""

    def __init__(self, deps: WebhookDeps) -> None:
        self._deps = deps
        self._gauges = Gauges()
        self._gauges_at = -math.inf
        self._gauges_lock = asyncio.Lock()

    async def healthz(self, request: Request) -> Response:
        """The process is alive and its event loop runs."""
        return _json({"ok": True, "storage": self._deps.storage()})

    async def readyz(self, request: Request) -> Response:
        """Whether messages should be sent here. In recovery they should: they are taken, and wait."""
        reasons, recovery = self._deps.ready(), self._deps.recovery()
        page: dict[str, Any] = {"ready": not reasons, "reasons": reasons, "warnings": self._deps.warnings()}
        page["storage"] = self._deps.storage()
        if recovery:
            page["recovery"] = recovery
        return _json(page, 503 if reasons else 200)

    async def metrics(self, request: Request) -> Response:
        async with self._gauges_lock:
            now = self._deps.clock()
            if not 0 <= now - self._gauges_at < _GAUGES_TTL:
                self._gauges = await self._deps.gauges()
                self._gauges_at = now
        return Response(self._deps.metrics.render(self._gauges), headers={"Content-Type": CONTENT_TYPE})


def _headers(scope: Scope) -> dict[str, str]:
    """Lower-case names; a repeated header becomes one list (RFC 9110, 5.2), so a second signature invalidates the
    first.
    """
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def _query(scope: Scope) -> dict[str, str]:
    if not scope["query_string"]:
        return {}
    try:
        return dict(parse_qsl(scope["query_string"].decode("latin-1"), True, max_num_fields=_QUERY_FIELDS))
    except ValueError:
        raise BadBody(f"the query has more than {_QUERY_FIELDS} fields") from None


def _too_large(inlet: Inlet) -> WebhookRefused:
    key = "body_limit in hub.toml"
    return WebhookRefused(
        413, "too_large", f"the body is larger than {inlet.body_limit} bytes; send less, or raise {key}"
    )


def _busy() -> WebhookRefused:
    return WebhookRefused(503, "busy", "the hub has its hands full; send it again later", {"Retry-After": "1"})


def _retry_after(seconds: float) -> dict[str, str]:
    return {"Retry-After": str(max(1, math.ceil(seconds)))}


def _response(said: ImmediateResponse) -> Response:
    return Response(said.body, said.status, media_type=said.content_type)


def _json(value: dict[str, Any], status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(json.dumps(value, separators=(",", ":")), status, headers, "application/json")


async def _http_error(request: Request, error: Exception) -> Response:
    """Refusals of the router, in the form of all refusals."""
    assert isinstance(error, HTTPException)  # noqa: S101  registered for this type alone
    if error.status_code == 404:
        message = "there is nothing here; messages are posted to /webhook/INLET"
        return _json({"error": "not_found", "message": message}, 404)
    return _json({"error": "method", "message": error.detail}, error.status_code, error.headers)
