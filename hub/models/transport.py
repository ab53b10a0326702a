"""The HTTP under both protocols: an `httpx` client that reads no more than it should, with a node's keys.

Nothing is taken from the environment, no redirect is followed (it would carry prompt and key elsewhere), no compressed
answer is asked for, and a response that goes on and on ends as an error.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Generator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, cast

import httpx

from common.config import read_secret
from common.errors import UserError
from common.version import VERSION
from hub.models.ask import Failed

MAX_RESPONSE: Final = 8 * 1024 * 1024
MAX_KEYS: Final = 10
MAX_DETAIL: Final = 300
CONNECT_SECONDS: Final = 5.0
END_SECONDS: Final = 0.05

logging.getLogger("httpx").setLevel(logging.WARNING)  # it logs every request; the pool logs what matters


class TooLarge(httpx.ReadError):
    """A response beyond its bound."""


class Keys(httpx.Auth):
    """A node's keys: the one that worked last is sent; where it is refused, the next one, until one is taken.

    The file has one key a line, so that a new one can be added before the old one ends. It is read again when it has
    changed, and after all were refused.
    """

    def __init__(self, file: Path | None) -> None:
        self._file = file
        self._keys: tuple[str, ...] = ()
        self._at = 0
        self._mark = self._stat()
        self.reload()

    def reload(self) -> None:
        """Reads the file; raises UserError. The keys in use stay where it does not read."""
        if self._file is not None:
            self._keys, self._at = read_keys(self._file), 0

    def _look(self) -> None:
        """Reads the file again where it is another than before; a stat a request."""
        mark = self._stat()
        if mark != self._mark:
            self._mark = mark
            with suppress(UserError):  # `check` tells of it; the keys in use may still do
                self.reload()

    def _stat(self) -> tuple[int, int, int]:
        try:
            found = self._file.stat() if self._file is not None else None
        except OSError:
            found = None
        return (found.st_mtime_ns, found.st_size, found.st_ino) if found is not None else (0, 0, 0)

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        self._look()
        if not self._keys:
            request.headers.pop("authorization", None)  # the ollama client takes one from the environment
            yield request
            return
        for _ in range(len(self._keys)):
            request.headers["authorization"] = f"Bearer {self._keys[self._at]}"
            response = yield request
            if response.status_code not in (401, 403):
                return
            self._at = (self._at + 1) % len(self._keys)
        try:
            self.reload()
        except UserError:
            pass  # `check` tells of it; the node is known to be unauthorised

    def __repr__(self) -> str:
        return f"Keys({len(self._keys)})"


def read_keys(file: Path) -> tuple[str, ...]:
    """The keys in a file, one a line; raises UserError where it is not a proper secret's file."""
    try:
        keys = tuple(line.strip() for line in read_secret(file).decode("ascii").splitlines() if line.strip())
    except UnicodeDecodeError:
        raise UserError(f"{file}: a key with characters that no header can carry", "one key a line, in ASCII") from None
    if len(keys) > MAX_KEYS:
        raise UserError(f"{file}: {len(keys)} keys", f"keep at most {MAX_KEYS}, one a line")
    if any(not key.isprintable() or " " in key for key in keys):
        raise UserError(f"{file}: a key with a space or control character in it", "one key a line")
    return keys


def options(keys: Keys, timeout: float, parallel: int, limit: int = MAX_RESPONSE) -> dict[str, Any]:
    """What an `httpx.AsyncClient` of a node is made with. `timeout`: seconds between two signs of life."""
    limits = httpx.Limits(
        max_connections=2 * parallel + 4, max_keepalive_connections=parallel + 2, keepalive_expiry=60.0
    )
    return {
        "auth": keys,
        "timeout": httpx.Timeout(timeout, connect=min(CONNECT_SECONDS, timeout)),
        "follow_redirects": False,
        "trust_env": False,
        "headers": {"accept-encoding": "identity", "user-agent": f"answerback/{VERSION}"},
        "transport": Bounded(httpx.AsyncHTTPTransport(limits=limits, trust_env=False), limit),
    }


class Bounded(httpx.AsyncBaseTransport):
    """Counts what is read of each response, and ends it at `limit` bytes."""

    def __init__(self, inner: httpx.AsyncBaseTransport, limit: int) -> None:
        self._inner = inner
        self._limit = limit

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        response = await self._inner.handle_async_request(request)
        if response.headers.get("content-encoding", "identity") != "identity":
            await response.aclose()
            raise TooLarge("a compressed answer, which was not asked for")
        response.stream = _Counted(cast(httpx.AsyncByteStream, response.stream), self._limit)
        return response

    async def aclose(self) -> None:
        await self._inner.aclose()


class _Counted(httpx.AsyncByteStream):
    def __init__(self, inner: httpx.AsyncByteStream, limit: int) -> None:
        self._inner = inner
        self._left = limit

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._inner:
            self._left -= len(chunk)
            if self._left < 0:
                raise TooLarge("a larger answer than is read")
            yield chunk

    async def aclose(self) -> None:
        await self._inner.aclose()


async def ended(rest: AsyncIterator[object]) -> None:
    """Reads the end of a response whose answer is whole, so that its connection can be used again; not for long."""
    try:
        async with asyncio.timeout(END_SECONDS):
            async for _ in rest:
                pass
    except (TimeoutError, httpx.HTTPError):
        pass


# ---- failures, the same for both protocols


def of_status(status: int, said: str, retry_after: str | None = None) -> Failed:
    """What a status other than 200 means; `said` is the server's text."""
    detail = f"HTTP {status}: {shown(said)}" if said.strip() else f"HTTP {status}"
    if status in (401, 403):
        return Failed("unauthorised", f"HTTP {status}: the key is not taken")  # some servers repeat the key
    if status in (429, 503):
        return Failed("overloaded", detail, _seconds(retry_after))
    if status in (408, 504):
        return Failed("slow", detail)
    if status in (400, 413, 422):
        return Failed("refused", detail)
    if 300 <= status < 400:
        return Failed("gone", f"HTTP {status}: a redirect, which is not followed; write the address that it leads to")
    return Failed("gone", detail)


def of_error(error: Exception) -> Failed:
    """What an exception of `httpx`, or of parsing what it read, means."""
    match error:
        case httpx.ConnectTimeout() | httpx.PoolTimeout():
            return Failed("gone", "no connection in time")
        case httpx.TimeoutException() | TimeoutError():
            return Failed("slow", "no sign of life in time")
        case TooLarge():
            return Failed("nonsense", str(error))
        case httpx.TransportError() | OSError():
            return Failed("gone", f"{type(error).__name__}: {shown(str(error))}")
    return Failed("nonsense", f"not of the protocol ({type(error).__name__})")


def shown(text: str) -> str:
    """A server's words as a log may hold them."""
    line = " ".join("".join(char if char.isprintable() else " " for char in text[: 4 * MAX_DETAIL]).split())
    return line if len(line) <= MAX_DETAIL else line[: MAX_DETAIL - 1] + "…"


def _seconds(text: str | None) -> float | None:
    """A Retry-After in seconds; the form with a date is not worth a clock."""
    if text is None or not text.isascii() or not text.isdigit() or len(text) > 6:
        return None
    return float(text)
