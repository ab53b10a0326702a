"""The HTTP client under both protocols: `httpx` with bounded responses and a node's API keys.

Nothing is read from the environment, no redirect is followed (it would send prompt and key elsewhere), no compression
is requested, and a response larger than the limit ends as an error.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import ssl
from collections.abc import AsyncIterator, Callable, Generator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, cast

import httpx

from common.errors import UserError
from common.read_file import read_secret
from common.version import VERSION
from hub.planning.llm_servers.types import AttemptFailed

MAX_RESPONSE: Final = 8 * 1024 * 1024
MAX_KEYS: Final = 10
MAX_DETAIL: Final = 300
CONNECT_TIMEOUT: Final = 5.0
DRAIN_TIMEOUT: Final = 0.05
MAX_COUNT: Final = 10_000_000
CLIENT_ERRORS: Final = (
    httpx.HTTPError,
    httpx.StreamError,
    OSError,
    ValueError,
    TypeError,
    KeyError,
    AttributeError,
    RecursionError,
)
"""What a connection or a malformed answer may raise in a client; `failure_of_error` translates it. pydantic's
ValidationError is a ValueError; a line that is JSON but no object raises AttributeError in the ollama client.
"""

logging.getLogger("httpx").setLevel(logging.WARNING)  # it logs every request; the pool logs what matters


class ResponseTooLarge(httpx.ReadError):
    """A response larger than its limit."""


class ApiKeyAuth(httpx.Auth):
    """A node's API keys: the last one that worked is sent; where it is refused, the next, until one is accepted.

    The file has one key a line, so that a new one can be added before the old one expires. It is read again when it has
    changed, and after all were refused.
    """

    def __init__(self, file: Path | None, on_use: Callable[[bytes], None] = lambda key: None) -> None:
        """`on_use` hears which key a server took."""
        self._file = file
        self._on_use = on_use
        self._keys: tuple[str, ...] = ()
        self._index = 0
        self._stamp = self._stat()
        self.reload()

    def reload(self) -> None:
        """Reads the file; raises UserError, and then the keys in use stay."""
        if self._file is not None:
            self._keys, self._index = read_api_keys(self._file), 0

    def _reload_if_changed(self) -> None:
        """Reads the file again if it has changed; one stat a request."""
        stamp = self._stat()
        if stamp != self._stamp:
            self._stamp = stamp
            with suppress(UserError):  # `check` reports it; the keys in use may still work
                self.reload()

    def _stat(self) -> tuple[int, int, int]:
        try:
            found = self._file.stat() if self._file is not None else None
        except OSError:
            found = None
        return (found.st_mtime_ns, found.st_size, found.st_ino) if found is not None else (0, 0, 0)

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        self._reload_if_changed()
        if not self._keys:
            request.headers.pop("authorization", None)  # the ollama client adds one from the environment
            yield request
            return
        for _ in range(len(self._keys)):
            request.headers["authorization"] = f"Bearer {self._keys[self._index]}"
            response = yield request
            if response.status_code not in (401, 403):
                if response.is_success:
                    self._on_use(self._keys[self._index].encode())
                return
            self._index = (self._index + 1) % len(self._keys)
        try:
            self.reload()
        except UserError:
            pass  # `check` reports it; the node is known to be unauthorised

    def __repr__(self) -> str:
        return f"Keys({len(self._keys)})"


def read_api_keys(file: Path) -> tuple[str, ...]:
    """The keys in a file, one a line; raises UserError where it is not a valid secret file."""
    try:
        keys = tuple(line.strip() for line in read_secret(file).decode("ascii").splitlines() if line.strip())
    except UnicodeDecodeError:
        raise UserError(f"{file}: a key with characters that no header can carry", "one key a line, in ASCII") from None
    if len(keys) > MAX_KEYS:
        raise UserError(f"{file}: {len(keys)} keys", f"keep at most {MAX_KEYS}, one a line")
    if any(not key.isprintable() or " " in key for key in keys):
        raise UserError(f"{file}: a key with a space or control character in it", "one key a line")
    return keys


def client_options(keys: ApiKeyAuth, timeout: float, parallel: int, limit: int = MAX_RESPONSE) -> dict[str, Any]:
    """The options of a node's `httpx.AsyncClient`. `timeout`: seconds without data after which it fails."""
    limits = httpx.Limits(
        max_connections=2 * parallel + 4, max_keepalive_connections=parallel + 2, keepalive_expiry=60.0
    )
    return {
        "auth": keys,
        "timeout": httpx.Timeout(timeout, connect=min(CONNECT_TIMEOUT, timeout)),
        "follow_redirects": False,
        "trust_env": False,
        "headers": {"accept-encoding": "identity", "user-agent": f"answerback/{VERSION}"},
        "transport": BoundedTransport(
            httpx.AsyncHTTPTransport(verify=_authorities(), limits=limits, trust_env=False), limit
        ),
    }


@functools.cache
def _authorities() -> ssl.SSLContext:
    """What servers are checked against, read once: it takes 40 ms of the event loop, and each node would read it."""
    return httpx.create_ssl_context(trust_env=False)


class BoundedTransport(httpx.AsyncBaseTransport):
    """Limits each response to `limit` bytes."""

    def __init__(self, inner: httpx.AsyncBaseTransport, limit: int) -> None:
        self._inner = inner
        self._limit = limit

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await self._inner.handle_async_request(request)
        if response.headers.get("content-encoding", "identity") != "identity":
            await response.aclose()
            raise ResponseTooLarge("a compressed answer, which was not asked for")
        response.stream = _BoundedStream(cast(httpx.AsyncByteStream, response.stream), self._limit)
        return response

    async def aclose(self) -> None:
        await self._inner.aclose()


class _BoundedStream(httpx.AsyncByteStream):
    def __init__(self, inner: httpx.AsyncByteStream, limit: int) -> None:
        self._inner = inner
        self._left = limit

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._inner:
            self._left -= len(chunk)
            if self._left < 0:
                raise ResponseTooLarge("a larger answer than is read")
            yield chunk

    async def aclose(self) -> None:
        await self._inner.aclose()


def token_count(value: object) -> int | None:
    """A token count that a server reported; None where it is not plausible."""
    return value if type(value) is int and 0 <= value < MAX_COUNT else None


async def drain_response(rest: AsyncIterator[object]) -> None:
    """Reads the rest of a response after its answer, so that the connection can be reused; at most DRAIN_TIMEOUT."""
    try:
        async with asyncio.timeout(DRAIN_TIMEOUT):
            async for _ in rest:
                pass
    except (TimeoutError, httpx.HTTPError):
        pass


# ---- failures, the same for both protocols


def failure_of_status(status: int, text: str, retry_after: str | None = None) -> AttemptFailed:
    """A status other than 200 as a failure; `text` is the response's body."""
    detail = f"HTTP {status}: {log_excerpt(text)}" if text.strip() else f"HTTP {status}"
    if status in (401, 403):
        return AttemptFailed(
            "unauthorised", f"HTTP {status}: the key is not taken"
        )  # without the body: some servers repeat the key in it
    if status in (429, 503):
        return AttemptFailed("overloaded", detail, _seconds(retry_after))
    if status in (408, 504):
        return AttemptFailed("slow", detail)
    if status in (400, 413, 422):
        return AttemptFailed("refused", detail)
    if 300 <= status < 400:
        return AttemptFailed(
            "gone", f"HTTP {status}: a redirect, which is not followed; write the address that it leads to"
        )
    return AttemptFailed("gone", detail)


def failure_of_error(error: Exception) -> AttemptFailed:
    """An exception of `httpx`, or of parsing what it read, as a failure."""
    match error:
        case httpx.ConnectTimeout() | httpx.PoolTimeout():
            return AttemptFailed("gone", "no connection in time")
        case httpx.TimeoutException() | TimeoutError():
            return AttemptFailed("slow", "no sign of life in time")
        case ResponseTooLarge():
            return AttemptFailed("nonsense", str(error))
        case httpx.TransportError() | OSError():
            return AttemptFailed("gone", f"{type(error).__name__}: {log_excerpt(str(error))}")
    return AttemptFailed("nonsense", f"not of the protocol ({type(error).__name__})")


def log_excerpt(text: str) -> str:
    """A server's text fit for a log: one printable line of at most MAX_DETAIL characters."""
    line = " ".join("".join(char if char.isprintable() else " " for char in text[: 4 * MAX_DETAIL]).split())
    return line if len(line) <= MAX_DETAIL else line[: MAX_DETAIL - 1] + "…"


def _seconds(text: str | None) -> float | None:
    """A Retry-After in seconds; None for the form with a date, which is not supported."""
    if text is None or not text.isascii() or not text.isdigit() or len(text) > 6:
        return None
    return float(text)
