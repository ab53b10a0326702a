"""Opening a link to the hub: who is dialled and believed, and what is said when it does not work.

`dial` gives a WebSocket over TLS that trusts the pinned authority alone; `open_link` makes sure that the hub is ours
and exchanges hello and welcome on it. For agents and consoles alike; no `cryptography` is needed to connect.
"""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import dataclass
from typing import Final

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, WebSocketException

from common.codec import FORBIDDEN, BadFrame, decode, encode
from common.config import parse_url
from common.errors import WorkFailed
from common.handshake import check_welcome
from common.messages import Hello, Refuse, Welcome
from common.session import Session, StaleEpoch
from common.tls import check_hub, explain
from common.version import VERSION

OPEN_TIMEOUT: Final = 10.0
CLOSE_TIMEOUT: Final = 2.0
MAX_SIZE: Final = 1024 * 1024
MAX_QUEUE: Final = 16  # frames read ahead


class HubRefused(Exception):
    """The hub answered the hello with a refusal."""

    def __init__(self, refusal: Refuse) -> None:
        super().__init__(refusal)
        self.refusal = refusal


@dataclass(frozen=True, slots=True)
class Opened:
    connection: ClientConnection
    welcome: Welcome
    epoch: int


async def open_link(url: str, hub: str, context: ssl.SSLContext, hello: Hello, kept: Session | None) -> Opened:
    """Dials the hub `hub` at `url`, in the hello's role.

    Raises WorkFailed where there is no link, HubRefused, or BadFrame where the welcome is not one.
    """
    connection = await dial(url, hello.role, context)
    try:
        check_hub(connection.transport.get_extra_info("ssl_object"), hub)
        async with asyncio.timeout(OPEN_TIMEOUT):
            await connection.send(encode(hello, epoch=hello.epoch))
            data = await connection.recv()
        frame = decode(data, "hub")
        if isinstance(frame.message, Refuse):
            raise HubRefused(frame.message)
        if not isinstance(frame.message, Welcome):
            raise BadFrame("the hub's first message is neither a welcome nor a refusal", FORBIDDEN)
        check_welcome(hello, frame.message, kept)
        if frame.epoch < hello.epoch:
            raise StaleEpoch(frame.epoch, hello.epoch)
        return Opened(connection, frame.message, frame.epoch)
    except BaseException as error:
        await close(connection, error.close_code if isinstance(error, BadFrame) else 1000)
        if isinstance(error, TimeoutError):
            raise WorkFailed("the hub took the connection and said nothing", "see whether it is overloaded") from None
        if isinstance(error, ConnectionClosed):
            raise WorkFailed(f"the hub closed the connection ({closing_words(error)})", "see its log") from None
        raise


async def close(connection: ClientConnection, code: int) -> None:
    """The closing handshake, for at most CLOSE_TIMEOUT."""
    try:
        async with asyncio.timeout(CLOSE_TIMEOUT):
            await connection.close(code)
    except TimeoutError:
        connection.transport.abort()


async def dial(url: str, path: str, context: ssl.SSLContext) -> ClientConnection:
    """A WebSocket to the hub's `/path`, within our bounds; raises WorkFailed with what is wrong and what to do."""
    place = parse_url(url)
    try:
        return await connect(
            f"wss://{place}/{path}",
            ssl=context,
            server_hostname=place.host,
            compression=None,
            max_size=MAX_SIZE,
            max_queue=MAX_QUEUE,
            open_timeout=OPEN_TIMEOUT,
            close_timeout=CLOSE_TIMEOUT,
            ping_interval=None,  # the session has heartbeats of its own
            proxy=None,
            user_agent_header=user_agent(path),
        )
    except (OSError, WebSocketException) as error:
        raise unreachable(str(place), error) from None


def user_agent(role: str) -> str:
    return f"answerback-{role}/{VERSION}"


def unreachable(place: str, error: BaseException) -> WorkFailed:
    """Why no WebSocket came to be, in words for whoever set this up."""
    if isinstance(error, InvalidStatus):
        status = error.response.status_code
        if status == 403:
            return WorkFailed(
                f"the hub at {place} does not know this certificate", "join or log in again with a new token"
            )
        return WorkFailed(f"what answers at {place} is no hub's link port (HTTP {status})", "check the address")
    # In TLS 1.3 a server's no to our certificate comes after our own handshake is done, inside another error.
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError):
            told = explain(cause)
            return WorkFailed(f"{place}: {told.problem}", told.cure)
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, TimeoutError):
        return WorkFailed(f"{place} does not answer", "is the hub up, and is a firewall in between?")
    if isinstance(error, ConnectionRefusedError):
        return WorkFailed(f"nobody listens at {place}", "is the hub up, and is this its link port?")
    if isinstance(error, (InvalidHandshake, ConnectionError)):
        # Also what a certificate that the hub does not take looks like: asyncio's TLS closes without saying why.
        return WorkFailed(f"{place} broke off the opening", "see the hub's log; is this its link port?")
    reason = (error.strerror if isinstance(error, OSError) else None) or type(error).__name__
    return WorkFailed(f"cannot reach {place} ({reason})", "check the address and this machine's network")


def closing_words(error: ConnectionClosed) -> str:
    """What the other end said when it closed."""
    if error.rcvd is None:
        return "without a word"
    return f"{error.rcvd.code} {error.rcvd.reason}".strip()
