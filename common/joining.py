"""The first contact of a machine (join) or a person (log in) with a hub: a token becomes a certificate.

    1. `believe`   GET https://HOST:PORT/ca, believing nothing but the certificate whose pin was given
    2. the caller makes a key, and sees that everything can be written: the token is good for one use
    3. `exchange`  dial /join, verified against that certificate; send the token and a signing request; hear `joined`
                   or `refuse`, and check the answer
    4. the caller keeps what came

The name is bound to the token at the hub, and is its part before the last dot. The key never leaves its maker, and
nothing secret is sent before the hub has been verified. Loads `cryptography`.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Final

from websockets.exceptions import ConnectionClosed

from common.certificate import Client, KeyAndRequest, check_certificate
from common.codec import BadFrame, decode, encode
from common.config import Address, parse_url
from common.credential import Validity
from common.dial import OPEN_TIMEOUT, dial, unreachable, user_agent
from common.errors import UserError, WorkFailed
from common.ids import is_name
from common.messages import Join, Joined, Message, Refuse
from common.text import clean
from common.tls import check_hub, client_context, is_pin, pin_of, pins_equal, unverified_context
from common.version import VERSION

MAX_ANSWER: Final = 64 * 1024
MAX_TOKEN: Final = 512
MAX_SKEW: Final = 300.0
"""Seconds that the two clocks may differ: a certificate is dated back by as much, and orders expire by the clock."""
_CHECK_ADDRESS: Final = "check the address; it is the hub's link port that is wanted, not its webhook port"


@dataclass(frozen=True, slots=True)
class _Words:
    """What a first contact is called, and how to get another token for it."""

    act: str
    again: str


_WORDS: Final[Mapping[Client, _Words]] = {
    "agent": _Words("join", "`answerback-hub token --agent NAME` on the hub makes a new one"),
    "operator": _Words("log in", "`answerback-hub operator add NAME --role ROLE` on the hub makes a new one"),
}


@dataclass(frozen=True, slots=True)
class Shown:
    """What GET /ca gave: the PEM, not yet believed, and the hub's clock where it told."""

    pem: str
    date: float | None


@dataclass(frozen=True, slots=True)
class Accepted:
    """The hub's answer, checked."""

    joined: Joined
    validity: Validity


def name_in(token: str, kind: Client) -> str:
    """The name that a token (NAME.SECRET) is for; raises UserError, without the token, where it is none."""
    name, dot, secret = token.rpartition(".")
    if len(token) > MAX_TOKEN or not dot or not secret or not is_name(name):
        raise UserError("that is no token", f"paste it whole, as the hub printed it; {_WORDS[kind].again}")
    return name


# ---- the authority


async def believe(url: str, ca_pin: str, kind: Client, now: float) -> str:
    """The PEM of the authority with this pin, from the hub at `url`.

    Raises UserError, also where the two clocks are too far apart for certificates to be good.
    """
    place = parse_url(url)
    if not is_pin(ca_pin):
        raise UserError("the CA pin is not of the form sha256: and 64 hex digits", "paste it as the hub printed it")
    shown = await fetch_authority(place, kind)
    _check_pin(shown.pem, ca_pin)
    if shown.date is not None and abs(now - shown.date) > MAX_SKEW:
        act = _WORDS[kind].act
        cure = f"set the clock (`timedatectl set-ntp true`) and {act} again; the token has not been used"
        raise WorkFailed(f"this machine's clock is {_difference(now - shown.date)} the hub's", cure)
    return shown.pem


async def fetch_authority(place: Address, kind: Client) -> Shown:
    """GET /ca without verification, at most 64 KiB in at most ten seconds; raises WorkFailed."""
    try:
        async with asyncio.timeout(OPEN_TIMEOUT):
            reader, writer = await asyncio.open_connection(*place, ssl=unverified_context(), limit=MAX_ANSWER)
            try:
                writer.write(
                    f"GET /ca HTTP/1.1\r\nHost: {place}\r\nUser-Agent: {user_agent(kind)}\r\n"
                    "Accept: application/x-pem-file\r\nConnection: close\r\n\r\n".encode()
                )
                answer = await _read_bounded(reader, place)
            finally:
                writer.transport.abort()
    except (OSError, TimeoutError) as error:
        raise unreachable(str(place), error) from None
    return parse_authority(answer, place)


async def _read_bounded(reader: asyncio.StreamReader, place: Address) -> bytes:
    answer = b""
    while part := await reader.read(MAX_ANSWER):
        answer += part
        if len(answer) > MAX_ANSWER:
            raise WorkFailed(f"{place} sends more than a certificate", _CHECK_ADDRESS)
    return answer


def parse_authority(answer: bytes, place: Address) -> Shown:
    """The body and the date of an HTTP/1.1 answer that ends with its connection; raises WorkFailed."""
    head, blank, body = answer.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    status = lines[0].split(b" ")
    if not blank or len(status) < 2 or not status[0].startswith(b"HTTP/1.") or status[1] != b"200":
        raise WorkFailed(f"what answers at {place} is no hub's link port", _CHECK_ADDRESS)
    date = None
    for line in lines[1:]:
        field, _, value = line.partition(b":")
        if field.strip().lower() == b"date":
            date = _date(value)
    try:
        return Shown(body.decode("ascii"), date)
    except UnicodeDecodeError:
        raise WorkFailed(f"{place} sent no certificate", _CHECK_ADDRESS) from None


def _date(value: bytes) -> float | None:
    try:
        return parsedate_to_datetime(value.decode("ascii").strip()).timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def _check_pin(pem: str, ca_pin: str) -> None:
    try:
        found = pin_of(pem)
    except ValueError:
        raise WorkFailed("the hub sent no certificate", _CHECK_ADDRESS) from None
    if not pins_equal(found, ca_pin):
        raise WorkFailed(
            f"the hub shows another authority\n  expected {ca_pin}\n  it shows {found}\n",
            "someone may be in between; or the hub was set up anew, and you need a new command from it",
        )


def _difference(ahead: float) -> str:
    seconds = abs(ahead)
    for unit, size in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds > 1.9 * size:
            return f"{seconds / size:.0f} {unit} {'ahead of' if ahead > 0 else 'behind'}"
    return f"{seconds:.0f} seconds {'ahead of' if ahead > 0 else 'behind'}"


# ---- the exchange


async def exchange(url: str, authority: str, token: str, made: KeyAndRequest, kind: Client, now: float) -> Accepted:
    """The certificate for the token and the request; raises UserError, and then the token may or may not be used."""
    name = name_in(token, kind)
    joined = await _ask(url, client_context(authority), Join(token, name, made.request, VERSION), kind)
    if joined.name != name or not is_name(joined.hub):
        raise WorkFailed(f"the hub's answer is not for {name}", _WORDS[kind].again)
    return Accepted(joined, check_certificate(joined.certificate, made.key, authority.encode(), kind, name, 1, now))


async def _ask(url: str, context: ssl.SSLContext, message: Join, kind: Client) -> Joined:
    connection = await dial(url, "join", context)
    try:
        async with asyncio.timeout(OPEN_TIMEOUT):
            await connection.send(encode(message))
            answer: Message = decode(await connection.recv(), "hub").message
        if isinstance(answer, Joined) and is_name(answer.hub):
            check_hub(connection.transport.get_extra_info("ssl_object"), answer.hub)
    except BadFrame as error:
        raise WorkFailed(f"the hub answered nonsense ({error})", "is it of another version?") from None
    except (ConnectionClosed, TimeoutError):
        cure = f"try again; if the token counts as used, {_WORDS[kind].again}"
        raise WorkFailed("the hub did not answer", cure) from None
    finally:
        connection.transport.abort()
    if isinstance(answer, Refuse):
        raise WorkFailed(f"the hub refused: {clean(answer.reason, limit=500)}", _WORDS[kind].again)
    if not isinstance(answer, Joined):
        raise WorkFailed("the hub answered something else", "is it of another version?")
    return answer
