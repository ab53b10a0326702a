"""One connection of an outbound mode over a WebSocket, from its opening to its end."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

import aiohttp
from yarl import URL

from hub.chat.http_client import FAILURES, describe_failure
from hub.chat.platforms.base import HttpCall
from hub.chat.platforms.outbound import Frame, Heard, NoAnswer, OutboundFailed, ReadsRefusal, Socket, SocketMode
from hub.log import logger

log = logger("outbound")

MAX_FRAME: Final = 4 * 1024 * 1024  # bytes
OPEN_SECONDS: Final = 20.0
SEND_SECONDS: Final = 20.0
PING_SECONDS: Final = 30.0  # WebSocket's own pings; half of it without an answer ends the connection
MIN_BEAT: Final = 1.0


@dataclass(frozen=True, slots=True)
class Hearing:
    """What is done with what a connection brings."""

    mode: SocketMode
    where: str  # the host, for people
    clock: Callable[[], float]
    settle: Callable[[Heard], Awaitable[Heard]]
    """Commits what a frame brought; only then it is acknowledged, by what this returns."""
    try_once: Callable[[HttpCall], Awaitable[None]]
    opened: Callable[[Callable[[Frame], Awaitable[None]]], None]
    """Hears how calls are sent once the socket takes them."""


def http_form(url: str) -> str:
    """wss://HOST as https://HOST, as hosts are checked; any other URL as it is."""
    for scheme, form in (("wss://", "https://"), ("ws://", "http://")):
        if url.startswith(scheme):
            return form + url.removeprefix(scheme)
    return url


async def follow_socket(
    session: aiohttp.ClientSession, socket: Socket, hearing: Hearing, lingering: asyncio.TaskGroup
) -> float:
    """Returns where the platform asks us to connect anew: the seconds until then. Raises OutboundFailed where the
    connection ends otherwise. The URL has been checked. `lingering` runs what hears the connection out
    (`Heard.linger`).
    """
    where = hearing.where
    try:
        async with asyncio.timeout(OPEN_SECONDS):
            connection = await session.ws_connect(
                URL(socket.url, encoded=True),
                headers=socket.headers,
                heartbeat=PING_SECONDS,
                max_msg_size=MAX_FRAME,
                compress=0,
                timeout=aiohttp.ClientWSTimeout(ws_close=2.0),
            )
    except aiohttp.WSServerHandshakeError as error:
        told = {name.lower(): value for name, value in (error.headers or {}).items()}
        if isinstance(hearing.mode, ReadsRefusal) and (refused := hearing.mode.refused(error.status, told)) is not None:
            raise refused from None
        reason = f"{where}: it answered {error.status} instead of opening a WebSocket"
        raise OutboundFailed(reason, "token" if error.status in (401, 403) else "later") from None
    except FAILURES as error:
        raise NoAnswer(f"{where}: {describe_failure(error, OPEN_SECONDS)}") from None
    lingers = False
    try:
        last = await _follow(connection, socket, hearing)
        if lingers := last.linger > 0:
            lingering.create_task(_hear_out(connection, socket, hearing, last.linger))
        return last.wait
    except FAILURES as error:
        raise NoAnswer(f"{where}: {describe_failure(error, SEND_SECONDS)}") from None
    finally:
        if not lingers:
            await connection.close(code=socket.goodbye)


async def _hear_out(connection: aiohttp.ClientWebSocketResponse, socket: Socket, hearing: Hearing, most: float) -> None:
    """While its successor is made: until the platform ends it, or `most` seconds; then it is closed."""
    try:
        async with asyncio.timeout(most):
            await _follow(connection, replace(socket, first=(), ready=False), hearing)
    except (OutboundFailed, *FAILURES):
        pass  # as was said; what was not acknowledged comes again on the new connection
    except Exception:
        log.exception("inlet.fault", where=hearing.where)
    finally:
        await connection.close(code=socket.goodbye)


async def _follow(connection: aiohttp.ClientWebSocketResponse, socket: Socket, hearing: Hearing) -> Heard:
    """To the frame that asks us to connect anew."""
    loop, mode, where = asyncio.get_running_loop(), hearing.mode, hearing.where
    for frame in socket.first:
        await _send(connection, frame)
    if socket.ready:
        await hearing.settle(Heard())
    beat, beat_at = _beats(socket.beat, None, loop.time())
    while True:
        try:
            received = await connection.receive(None if beat_at == math.inf else max(0.001, beat_at - loop.time()))
        except TimeoutError:
            await _send(connection, mode.beat(hearing.clock()))
            beat_at = loop.time() + beat
            continue
        if received.type not in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
            if received.type is aiohttp.WSMsgType.ERROR:
                too_long = getattr(received.data, "code", 0) == aiohttp.WSCloseCode.MESSAGE_TOO_BIG
                why = f"a frame has more than {MAX_FRAME} bytes" if too_long else "the connection broke"
                raise NoAnswer(f"{where}: {why}")
            raise mode.closed(connection.close_code or 0)
        heard = await hearing.settle(mode.hear(received.data, hearing.clock()))
        for made in heard.send:
            await _send(connection, made(hearing.clock()) if callable(made) else made)
        for call in heard.after:
            await hearing.try_once(call)
        if heard.takes_calls:
            hearing.opened(partial(_send, connection))
        if heard.again:
            return heard
        if heard.beat is not None:
            beat, beat_at = _beats(heard.beat, heard.beat_in, loop.time())
        elif beat_at <= loop.time():  # frames without end must not starve the beat
            await _send(connection, mode.beat(hearing.clock()))
            beat_at = loop.time() + beat


def _beats(seconds: float, first: float | None, now: float) -> tuple[float, float]:
    """The seconds between two beats, and when the next one is due."""
    if not (math.isfinite(seconds) and seconds > 0):
        return 0.0, math.inf
    seconds = max(MIN_BEAT, seconds)
    return seconds, now + (seconds if first is None else min(max(0.0, first), seconds))


async def _send(connection: aiohttp.ClientWebSocketResponse, frame: Frame) -> None:
    async with asyncio.timeout(SEND_SECONDS):
        if isinstance(frame, str):
            await connection.send_str(frame)
        else:
            await connection.send_bytes(frame)
