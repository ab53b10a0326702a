"""Opens a link to the hub, and turns connection errors into problem and cure.

`dial` opens a WebSocket over TLS that trusts only the pinned CA; `open_link` also verifies the hub's id and exchanges
hello and welcome; `ask_successor` is the other thing that a certificate is good for, also one that has run out;
`tell_copy` the last. Each opening carries this end's clock as the HTTP field `Date`, so that the hub can say whose
clock is off. Used by agents and consoles; needs no `cryptography`.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from dataclasses import dataclass
from email.utils import formatdate, parsedate_to_datetime
from typing import Final

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, WebSocketException

from common.errors import WorkFailed
from common.identity.tls import check_hub, explain_tls_error, has_run_out, is_untimely
from common.link.codec import FORBIDDEN, BadFrame, decode, encode
from common.link.handshake import check_welcome
from common.link.keepalive import watch_peer
from common.link.messages import Hello, Message, Refuse, Renew, Renewed, Welcome
from common.link.session import Session, StaleEpoch
from common.values import parse_url
from common.version import VERSION

OPEN_TIMEOUT: Final = 10.0
CLOSE_TIMEOUT: Final = 2.0
MAX_FRAME_SIZE: Final = 1024 * 1024
MAX_QUEUED_FRAMES: Final = 16  # frames read ahead
COPIED: Final = "copied"
"""The code with which a hub answers a copy that has told what it is."""
BAD_FRAME: Final = "bad frame"
"""The reason with which a hub closes over a frame that is none to it."""


class UntimelyHub(WorkFailed):
    """The hub's certificate is not valid by this machine's clock: one of the two clocks is off, or it has run out."""


class HubRefused(Exception):
    """The hub answered the hello, or the request for a certificate, with a refusal."""

    def __init__(self, refusal: Refuse) -> None:
        super().__init__(refusal)
        self.refusal = refusal


class NotUnderstood(WorkFailed):
    """The hub closed the connection over our first message: it is of a version that does not know all of its fields."""


@dataclass(frozen=True, slots=True)
class Successor:
    """The answer of the renewal entrance."""

    renewed: Renewed
    clock_ahead: float  # seconds that this machine's clock is ahead of the hub's


@dataclass(frozen=True, slots=True)
class OpenLink:
    connection: ClientConnection
    welcome: Welcome
    epoch: int


async def open_link(
    url: str, hub: str, context: ssl.SSLContext, hello: Hello, session: Session | None, *, known: float = 0.0
) -> OpenLink:
    """Dials the hub with id `hub` at `url`, in the hello's role. `known` is a moment that is certainly past, in seconds
    since the epoch: it may be later than this machine's clock.

    Raises WorkFailed where no link comes about (NotUnderstood is one), HubRefused, or BadFrame where the welcome is
    malformed.
    """
    connection = await dial(url, hello.role, context)
    try:
        _check_peer(connection, hub, known)
        async with asyncio.timeout(OPEN_TIMEOUT):
            await connection.send(encode(hello, epoch=hello.epoch))
            data = await connection.recv()
        frame = decode(data, "hub")
        if isinstance(frame.message, Refuse):
            raise HubRefused(frame.message)
        if not isinstance(frame.message, Welcome):
            raise BadFrame("the hub's first message is neither a welcome nor a refusal", FORBIDDEN)
        check_welcome(hello, frame.message, session)
        if frame.epoch < hello.epoch:
            raise StaleEpoch(frame.epoch, hello.epoch)
        return OpenLink(connection, frame.message, frame.epoch)
    except BaseException as error:
        await close(connection, error.close_code if isinstance(error, BadFrame) else 1000)
        if isinstance(error, TimeoutError):
            raise WorkFailed("the hub took the connection and said nothing", "see whether it is overloaded") from None
        if isinstance(error, ConnectionClosed):
            if error.rcvd is not None and (error.rcvd.code, error.rcvd.reason) == (FORBIDDEN, BAD_FRAME):
                raise NotUnderstood("the hub does not understand this version", "upgrade the hub") from None
            raise WorkFailed(f"the hub closed the connection ({close_reason(error)})", "see its log") from None
        raise


async def ask_successor(url: str, hub: str, context: ssl.SSLContext, request: Renew) -> Successor:
    """The next certificate, from the renewal entrance of the hub with id `hub`. `context` presents the one before,
    which may have run out; the handshake proves that its key is ours.

    Raises WorkFailed where there was no answer, HubRefused, or BadFrame where it is malformed.
    """
    connection = await dial(url, "renew", context)
    asked_at = time.time()
    answer = await _ask_once(
        connection, hub, encode(request), ("the hub did not answer the renewal", "it is tried again")
    )
    if isinstance(answer, Refuse):
        raise HubRefused(answer)
    if not isinstance(answer, Renewed):
        raise BadFrame("the hub answered a renewal with something else", FORBIDDEN)
    return Successor(answer, clock_ahead(connection, asked_at))


async def tell_copy(url: str, hub: str, context: ssl.SSLContext, hello: Hello) -> None:
    """Tells the hub that this state folder is a copy, or was moved, and that it serves nothing. Its answer is always a
    refusal; the link of the machine whose name this is goes on undisturbed. Raises WorkFailed or BadFrame.
    """
    connection = await dial(url, "copied", context)
    frame = encode(hello, epoch=hello.epoch)
    answer = await _ask_once(connection, hub, frame, ("the hub did not answer", "see its log"))
    if not isinstance(answer, Refuse) or answer.code != COPIED:
        raise WorkFailed("the hub did not note it", "see its log")


async def _ask_once(connection: ClientConnection, hub: str, frame: bytes, silent: tuple[str, str]) -> Message:
    """The hub's one answer to one frame, after which the connection ends. Raises WorkFailed (`silent`: problem and cure
    where no answer comes), WrongHub, or BadFrame.
    """
    try:
        _check_peer(connection, hub)
        async with asyncio.timeout(OPEN_TIMEOUT):
            await connection.send(frame)
            return decode(await connection.recv(), "hub").message
    except TimeoutError:
        raise WorkFailed(*silent) from None
    except ConnectionClosed as error:
        raise WorkFailed(f"the hub closed the connection ({close_reason(error)})", "see its log") from None
    finally:
        connection.transport.abort()


def _check_peer(connection: ClientConnection, hub: str, known: float = 0.0) -> None:
    """Raises WrongHub, or UntimelyHub where the hub's certificate has run out by this machine's clock, or by what is
    `known` where that clock is behind. Contexts here need not look at the time.
    """
    tls = connection.transport.get_extra_info("ssl_object")
    check_hub(tls, hub)
    if has_run_out(tls, max(time.time(), known)):
        cure = "check the clock of this machine; restart the hub, which renews its own"
        raise UntimelyHub("the hub's certificate has expired", cure)


async def measure_clock(url: str, hub: str, context: ssl.SSLContext) -> float:
    """Seconds that this machine's clock is ahead of the hub's, in whole seconds. `context` is one without `check_time`:
    for telling both ends why there is no link. Raises WorkFailed.
    """
    connection = await dial(url, "renew", context)
    try:
        check_hub(connection.transport.get_extra_info("ssl_object"), hub)
        return clock_ahead(connection, time.time())
    finally:
        connection.transport.abort()


def clock_ahead(connection: ClientConnection, now: float) -> float:
    """Seconds that `now` is ahead of the clock in the hub's answer to the opening; 0 where it did not tell."""
    answer = connection.response
    try:
        return now - parsedate_to_datetime(answer.headers["Date"]).timestamp() if answer is not None else 0.0
    except (ValueError, TypeError, OverflowError, IndexError, KeyError):
        return 0.0


async def close(connection: ClientConnection, code: int) -> None:
    """Closes with RFC 6455's closing handshake, waiting for at most CLOSE_TIMEOUT seconds."""
    try:
        async with asyncio.timeout(CLOSE_TIMEOUT):
            await connection.close(code)
    except TimeoutError:
        connection.transport.abort()


async def dial(url: str, path: str, context: ssl.SSLContext) -> ClientConnection:
    """A WebSocket to the hub's `/path`, with our size limits; raises WorkFailed with problem and cure."""
    place = parse_url(url)
    try:
        connection = await connect(
            f"wss://{place}/{path}",
            ssl=context,
            server_hostname=place.host,
            compression=None,
            max_size=MAX_FRAME_SIZE,
            max_queue=MAX_QUEUED_FRAMES,
            open_timeout=OPEN_TIMEOUT,
            close_timeout=CLOSE_TIMEOUT,
            ping_interval=None,  # the session has heartbeats of its own
            proxy=None,
            user_agent_header=user_agent(path),
            additional_headers={"Date": formatdate(time.time(), usegmt=True)},
        )
        watch_peer(connection.transport.get_extra_info("socket"))
        return connection
    except (OSError, WebSocketException) as error:
        raise connect_error(str(place), error) from None


def user_agent(role: str) -> str:
    return f"answerback-{role}/{VERSION}"


def connect_error(address: str, error: BaseException) -> WorkFailed:
    """A failed connection as problem and cure, for the person who set this machine up."""
    if isinstance(error, InvalidStatus):
        status = error.response.status_code
        if status == 403:
            return WorkFailed(
                f"the hub at {address} does not know this certificate", "join or log in again with a new token"
            )
        return WorkFailed(f"what answers at {address} is no hub's link port (HTTP {status})", "check the address")
    # In TLS 1.3 the server refuses our certificate after our handshake is done, so its alert is inside another error.
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError):
            explained = explain_tls_error(cause)
            kind = UntimelyHub if is_untimely(cause) else WorkFailed
            return kind(f"{address}: {explained.problem}", explained.cure)
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, TimeoutError):
        return WorkFailed(f"{address} does not answer", "is the hub up, and is a firewall in between?")
    if isinstance(error, ConnectionRefusedError):
        return WorkFailed(f"nobody listens at {address}", "is the hub up, and is this its link port?")
    if isinstance(error, (InvalidHandshake, ConnectionError)):
        # Also how a refused certificate looks: asyncio's TLS closes without an alert.
        cure = "see the hub's log; is this its link port? was its CA replaced while this end was away? then join anew"
        return WorkFailed(f"{address} broke off the opening", cure)
    reason = (error.strerror if isinstance(error, OSError) else None) or type(error).__name__
    return WorkFailed(f"cannot reach {address} ({reason})", "check the address and this machine's network")


def close_reason(error: ConnectionClosed) -> str:
    """Code and reason of the peer's close frame."""
    if error.rcvd is None:
        return "without a word"
    return f"{error.rcvd.code} {error.rcvd.reason}".strip()
