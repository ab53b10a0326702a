"""Calls to the APIs of chats: one pool of kept connections, to checked addresses alone, each answer bounded.

No cookies, no proxies from the environment, no redirects, no decompression.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

import aiohttp
from yarl import URL

from common.version import VERSION
from hub.chat.platforms.base import HttpCall, HttpResponse
from hub.chat.resolver import CheckedResolver

FAILURES: Final = (aiohttp.ClientError, TimeoutError, OSError, ssl.SSLError)
"""What `make_call` raises where there was no answer; `describe_failure` says it in words."""
_PIECE: Final = 64 * 1024


@asynccontextmanager
async def open_session(*, connections: int, per_host: int, seconds: float) -> AsyncIterator[aiohttp.ClientSession]:
    """A pool; a call may take `seconds` where `make_call` is told nothing else."""
    connector = aiohttp.TCPConnector(
        resolver=CheckedResolver(),
        limit=connections,
        limit_per_host=per_host,
        keepalive_timeout=30.0,
        ttl_dns_cache=30,
    )
    tracing = aiohttp.TraceConfig()
    tracing.on_request_redirect.append(_refuse_redirect)
    async with aiohttp.ClientSession(
        connector=connector,
        trace_configs=[tracing],
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=seconds),
        headers={"User-Agent": f"answerback/{VERSION}", "Accept-Encoding": "identity"},
        auto_decompress=False,
        trust_env=False,
    ) as session:
        yield session


async def _refuse_redirect(
    session: aiohttp.ClientSession, context: object, told: aiohttp.TraceRequestRedirectParams
) -> None:
    """Calls follow none by `allow_redirects`, which the opening of a WebSocket does not have."""
    answer = told.response
    answer.close()
    raise aiohttp.WSServerHandshakeError(answer.request_info, (), status=answer.status, headers=answer.headers)


async def make_call(
    session: aiohttp.ClientSession,
    call: HttpCall,
    limit: int,
    seconds: float | None = None,
    tls: ssl.SSLContext | None = None,
) -> tuple[HttpResponse, bool]:
    """The answer with what came in time of its body, at most `limit` bytes, and whether that is all of it; raises one
    of FAILURES.

    The URL is called as it stands: the caller has checked it. `tls`: another trust than the public authorities.
    """
    timeout = session.timeout if seconds is None else aiohttp.ClientTimeout(total=seconds)
    # encoded=True: the URL that is called must be exactly the one that was checked.
    async with session.request(
        call.method,
        URL(call.url, encoded=True),
        data=call.body,
        headers=call.headers,
        allow_redirects=False,
        timeout=timeout,
        ssl=tls if tls is not None else True,
    ) as response:
        body, whole = bytearray(), False
        with suppress(TimeoutError):  # the status is known, and what came of the body
            while len(body) <= limit and (piece := await response.content.read(min(_PIECE, limit + 1 - len(body)))):
                body += piece
            whole = len(body) <= limit
        headers = {name.lower(): value for name, value in response.headers.items()}
        # The rest of a longer answer is not read: leaving the block closes its connection.
        return HttpResponse(response.status, headers, bytes(body[:limit])), whole


def describe_failure(error: Exception, seconds: float) -> str:
    """Why there was no answer, without the URL: its path may be a secret."""
    match error:
        case TimeoutError():
            return f"no answer within {seconds:g} s"
        case aiohttp.ClientConnectorCertificateError() | aiohttp.ClientConnectorSSLError() | ssl.SSLError():
            return "TLS failed; is its certificate valid and from an authority that this machine trusts?"
        case aiohttp.ClientConnectorError():
            return f"cannot connect ({error.os_error.strerror or error.os_error})"
        case aiohttp.ServerDisconnectedError() | ConnectionError():
            return "it closed the connection without an answer"
    return f"no answer that can be read ({type(error).__name__})"
