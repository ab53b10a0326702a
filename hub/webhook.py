"""HTTP in: /webhook/NAME, and /healthz, /readyz, /metrics. A 2xx to a webhook means: committed, on disk.

What a delivery passes, in this order, each step cheaper than what it guards: is there such an inlet, method, encoding,
announced size, failed signatures from there lately, the inlet's rate, the body's time and size, how many are in hand,
the signature, the body's form, where its replies would go. Then `accept` commits it. Nothing is parsed before the
signature fits.

Every refusal is small JSON, {"error": a stable code, "message": what is wrong and what to do}, is counted, and
becomes an audit row (a flood of them: ten rows a minute, then one with the count). None quotes the body.

/metrics and the health pages ask for no authentication: whoever reaches the port may read them. Keep `[http] listen` on
loopback or a private address, and let the proxy that faces the internet pass on /webhook/ alone.
"""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol
from urllib.parse import parse_qsl

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Message, Receive, Scope, Send

from hub import reply_url
from hub.chat.inlets import Inlet
from hub.chat.platform import BadBody, BadSignature, Delivery, Ignored, Immediate, Incoming, NotAuthentic
from hub.limits import Bucket, Buckets, Refusal, Refusals, network_key, sender_address
from hub.log import logger
from hub.metrics import CONTENT_TYPE, Gauges, Metrics

log = logger("webhook")

LOOPBACK: Final = frozenset({"127.0.0.1", "::1"})
_QUERY_FIELDS: Final = 32
_AUDIT_SECONDS: Final = 2.0
_GAUGES_SECONDS: Final = 1.0  # how long one look at the store serves all who scrape
_DISCARD_BYTES: Final = 4 * 1024 * 1024
_DISCARD_SECONDS: Final = 2.0


class Receipt(Protocol):
    """What became of a message that was accepted; it exists only after the commit."""

    @property
    def status(self) -> str: ...  # accepted | duplicate
    @property
    def request(self) -> str: ...  # ULID
    @property
    def number(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds that hold for all inlets together."""

    concurrency: int = 512  # deliveries between signature and commit
    buffered: int = 64 * 1024 * 1024  # bytes of bodies held at a time
    body_seconds: float = 10.0  # from the headers to the last byte of the body
    failures: float = 20.0  # bad signatures a minute from one address (IPv6: one /64)
    trusted_proxies: frozenset[str] = LOOPBACK  # whose X-Forwarded-For is believed


@dataclass(frozen=True, slots=True)
class Deps:
    """What the webhook needs from the rest of the hub."""

    inlets: Mapping[str, Inlet]
    accept: Callable[[str, Incoming], Awaitable[Receipt]]
    refused: Callable[[Refusal], Awaitable[None]]  # writes one audit row
    ready: Callable[[], list[str]]  # why the hub is not ready; empty where it is
    gauges: Callable[[], Awaitable[Gauges]]
    metrics: Metrics
    clock: Callable[[], float]
    limits: Limits = field(default_factory=Limits)


def make_app(deps: Deps) -> Starlette:
    """The application; `app.state.webhook` is its Webhook, whose `flush` the hub's timers call once a minute."""
    webhook = Webhook(deps)
    pages = _Pages(deps)
    app = Starlette(
        routes=[
            Route("/webhook/{name}", webhook),
            Route("/healthz", pages.healthz),
            Route("/readyz", pages.readyz),
            Route("/metrics", pages.metrics),
        ],
        exception_handlers={HTTPException: _http_error},
    )
    app.router.redirect_slashes = False
    app.state.webhook = webhook
    return app


class Turned(Exception):
    """A delivery turned away."""

    def __init__(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(code)
        self.status = status
        self.code = code
        self.message = message
        self.headers = dict(headers or {})


class _Gone(Exception):
    """The sender hung up before it was answered."""


class Webhook:
    """The ASGI application behind /webhook/NAME."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps
        self._rates = {name: Bucket(inlet.rate, inlet.burst) for name, inlet in deps.inlets.items()}
        self._failures = Buckets(deps.limits.failures / 60, deps.limits.failures)
        self._refusals = Refusals()
        self._in_hand = 0
        self._buffered = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = _headers(scope)
        inlet = self._deps.inlets.get(scope["path_params"]["name"])
        peer = scope["client"][0] if scope["client"] else ""
        remote = sender_address(peer, headers.get("x-forwarded-for", ""), self._deps.limits.trusted_proxies)
        body = _Body(receive, headers)
        try:
            response = await self._take(scope, headers, inlet, remote, body)
        except _Gone:
            return
        except Turned as turned:
            await self._note(inlet.name if inlet else "", turned.code, remote or peer)
            # Who is slow or too busy is not waited for; what has come already is taken off the connection all the same.
            if not await body.discard(0.0 if turned.status in (408, 429) else _DISCARD_SECONDS):
                turned.headers["Connection"] = "close"
            response = _json({"error": turned.code, "message": turned.message}, turned.status, turned.headers)
        finally:
            self._buffered -= body.held
        await response(scope, receive, send)

    async def flush(self, now: float, *, all_of_them: bool = False) -> None:
        """Writes the audit rows that sum up refusals of windows that are over; at shutdown, of all."""
        await self._audit(self._refusals.due(now, all_of_them=all_of_them))

    async def _take(
        self, scope: Scope, headers: Mapping[str, str], inlet: Inlet | None, remote: str, body: _Body
    ) -> Response:
        if inlet is None:
            raise Turned(404, "unknown_inlet", "there is no such inlet; inlets are the [inlets.NAME] of hub.toml")
        if scope["method"] not in inlet.platform.methods:
            allowed = ", ".join(sorted(inlet.platform.methods))
            raise Turned(405, "method", f"messages come by {allowed}", {"Allow": allowed})
        if headers.get("content-encoding", "identity").lower() != "identity":
            raise Turned(415, "encoding", "send the body as it is, without Content-Encoding")
        if int(headers.get("content-length", "0")) > inlet.body_limit:
            raise _too_large(inlet)
        rate = self._admit(inlet, remote)
        try:
            delivery = Delivery(await self._read(body, inlet), headers, _query(scope), scope["method"])
            if self._in_hand >= self._deps.limits.concurrency:
                raise _busy()
            self._in_hand += 1
            try:
                return await self._accept(inlet, delivery)
            finally:
                self._in_hand -= 1
        except BadSignature as error:
            # A forger may use up its own allowance, never the inlet's.
            rate.give_back()
            if remote:
                self._failures.take(network_key(remote), self._deps.clock())
            raise Turned(401, error.code, error.message) from None
        except NotAuthentic as error:
            raise Turned(401, error.code, error.message) from None
        except BadBody as error:
            raise Turned(400, "bad_body", str(error)) from None

    def _admit(self, inlet: Inlet, remote: str) -> Bucket:
        """Takes a token of the inlet's rate and returns its bucket, or turns the delivery away before its body is
        read.
        """
        now = self._deps.clock()
        wait = self._failures.wait(network_key(remote), now) if remote else 0.0
        if wait:
            raise Turned(429, "failures", "too many bad signatures from there", _retry_after(wait))
        rate = self._rates[inlet.name]
        wait = rate.take(now)
        if wait:
            message = f"this inlet takes {inlet.rate:g} messages a second; send it again later"
            raise Turned(429, "rate", message, _retry_after(wait))
        return rate

    async def _read(self, body: _Body, inlet: Inlet) -> bytes:
        limits = self._deps.limits
        try:
            async with asyncio.timeout(limits.body_seconds):
                async for size in body.chunks():
                    self._buffered += size
                    if body.held > inlet.body_limit:
                        raise _too_large(inlet)
                    if self._buffered > limits.buffered:
                        raise _busy()
        except TimeoutError:
            raise Turned(408, "slow", f"the body did not arrive within {limits.body_seconds:g} s") from None
        return body.whole()

    async def _accept(self, inlet: Inlet, delivery: Delivery) -> Response:
        received = inlet.platform.receive(delivery, self._deps.clock())
        match received:
            case Immediate(body, content_type, status):
                return Response(body, status, media_type=content_type)
            case Ignored():
                return _json({"ok": True, "ignored": True})
        if received.reply_url:
            reason = reply_url.check(received.reply_url, inlet.reply_hosts)
            if reason is not None:
                cure = f"set reply_hosts of [inlets.{inlet.name}] in hub.toml, or leave reply_url out"
                raise Turned(400, "reply_url", f"{reason}; {cure}")
        try:
            receipt = await self._deps.accept(inlet.name, received)
        except Exception:
            # Whatever it is, it is not on disk: no 2xx, and the sender is asked to try again.
            log.exception("message.not_stored", inlet=inlet.name)
            message = "the message could not be stored; send it again later"
            raise Turned(503, "not_stored", message, {"Retry-After": "5"}) from None
        if receipt.status == "duplicate":
            return _json({"ok": True, "duplicate": True})
        return _json({"ok": True, "request": receipt.request, "number": receipt.number})

    async def _note(self, inlet: str, code: str, remote: str) -> None:
        self._deps.metrics.refused(inlet, code)
        rows = self._refusals.note(inlet, code, remote, self._deps.clock())
        if rows:
            log.warning("message.refused", inlet=inlet, reason=code, remote=remote)
        await self._audit(rows)

    async def _audit(self, rows: list[Refusal]) -> None:
        """A row that cannot be written must not keep the refusal from its sender."""
        for row in rows:
            try:
                async with asyncio.timeout(_AUDIT_SECONDS):
                    await self._deps.refused(row)
            except Exception:
                log.exception("audit.refusal_lost", inlet=row.inlet, reason=row.code, count=row.count)


class _Body:
    """The body of one delivery while it arrives."""

    def __init__(self, receive: Receive, headers: Mapping[str, str]) -> None:
        self.held = 0  # bytes read
        self._receive = receive
        self._chunks: list[bytes] = []
        self._complete = False
        self._expects = "expect" in headers  # it waits for our word before it sends: nothing to discard then

    async def chunks(self) -> Any:
        """Reads to the end; yields the size of each piece as it comes. Raises _Gone."""
        while not self._complete:
            message: Message = await self._receive()
            if message["type"] == "http.disconnect":
                raise _Gone
            piece = message.get("body", b"")
            self._complete = not message.get("more_body", False)
            self.held += len(piece)
            self._chunks.append(piece)
            yield len(piece)

    def whole(self) -> bytes:
        return self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)

    async def discard(self, seconds: float) -> bool:
        """Reads what is still under way, within bounds, and forgets it; False where that is not all of it.

        Closing on unread bytes resets the connection, and the sender may never see why it was refused.
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


class _Pages:
    """What an operator's tools look at."""

    def __init__(self, deps: Deps) -> None:
        self._deps = deps
        self._gauges = Gauges()
        self._gauges_at = -math.inf
        self._looking = asyncio.Lock()

    async def healthz(self, request: Request) -> Response:
        """The process is alive and its loop turns."""
        return _json({"ok": True})

    async def readyz(self, request: Request) -> Response:
        reasons = self._deps.ready()
        return _json({"ready": not reasons, "reasons": reasons}, 503 if reasons else 200)

    async def metrics(self, request: Request) -> Response:
        async with self._looking:
            now = self._deps.clock()
            if not 0 <= now - self._gauges_at < _GAUGES_SECONDS:
                self._gauges = await self._deps.gauges()
                self._gauges_at = now
        return Response(self._deps.metrics.render(self._gauges), headers={"Content-Type": CONTENT_TYPE})


def _headers(scope: Scope) -> dict[str, str]:
    """Lower-case names; a repeated header becomes one list (RFC 9110, 5.2), so a second signature spoils the first."""
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


def _too_large(inlet: Inlet) -> Turned:
    key = "body_limit in hub.toml"
    return Turned(413, "too_large", f"the body is larger than {inlet.body_limit} bytes; send less, or raise {key}")


def _busy() -> Turned:
    return Turned(503, "busy", "the hub has its hands full; send it again later", {"Retry-After": "1"})


def _retry_after(seconds: float) -> dict[str, str]:
    return {"Retry-After": str(max(1, math.ceil(seconds)))}


def _json(value: dict[str, Any], status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    return Response(json.dumps(value, separators=(",", ":")), status, headers, "application/json")


async def _http_error(request: Request, error: Exception) -> Response:
    """What the router refuses, in the same form as everything else."""
    assert isinstance(error, HTTPException)  # noqa: S101  registered for this type alone
    if error.status_code == 404:
        message = "there is nothing here; messages are posted to /webhook/INLET"
        return _json({"error": "not_found", "message": message}, 404)
    return _json({"error": "method", "message": error.detail}, error.status_code, error.headers)
