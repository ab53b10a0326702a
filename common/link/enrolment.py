"""Enrolment of a machine (join) or a person (login) at a hub: a token becomes a certificate.

    1. `fetch_pinned_authority`: GET https://HOST:PORT/ca without verification; only the certificate with the given pin
       is accepted
    2. the caller makes a key and checks that everything can be written: the token is good for one use
    3. `redeem_token`: dial /join, verified against that certificate; send the token and a signing request; receive
       `joined` or `refuse`, and check the answer
    4. the caller stores the result

The name is bound to the token at the hub, and is its part before the last dot. The key never leaves the machine, and
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

from common.errors import UserError, WorkFailed
from common.identity.credential import Validity
from common.identity.csr import CredentialKind, KeyAndRequest, check_certificate
from common.identity.tls import check_hub, client_context, compute_pin, is_pin, pins_equal, unverified_context
from common.identity.trust_check import check_bundle
from common.ids import is_name
from common.link.codec import BadFrame, decode, encode
from common.link.dial import OPEN_TIMEOUT, connect_error, dial, user_agent
from common.link.messages import Join, Joined, Message, Refuse
from common.text import clean
from common.times import format_skew
from common.values import Address, parse_url
from common.version import VERSION

MAX_RESPONSE: Final = 64 * 1024
MAX_TOKEN: Final = 512
MAX_CLOCK_SKEW: Final = 300.0
"""Seconds that the two clocks may differ: certificates are backdated by as much, and orders expire by the clock."""
_CHECK_ADDRESS: Final = "check the address; it is the hub's link port that is wanted, not its webhook port"


@dataclass(frozen=True, slots=True)
class _Wording:
    """How an enrolment is called in messages, and how to get another token."""

    verb: str
    token_hint: str


_WORDING: Final[Mapping[CredentialKind, _Wording]] = {
    "agent": _Wording("join", "`answerback-hub token --agent NAME` on the hub makes a new one"),
    "operator": _Wording("log in", "`answerback-hub operator add NAME --role ROLE` on the hub makes a new one"),
}


@dataclass(frozen=True, slots=True)
class FetchedAuthority:
    """The response of GET /ca: the PEM, not verified yet, and the hub's clock (epoch seconds) if it sent a Date."""

    pem: str
    date: float | None


@dataclass(frozen=True, slots=True)
class Enrolment:
    """The hub's answer, verified."""

    joined: Joined
    validity: Validity
    authority: bytes  # PEM: the CA with the pin, and while it is replaced its successor


def token_name(token: str, kind: CredentialKind) -> str:
    """The name that a token (NAME.SECRET) is for; raises UserError, which never quotes the token, where it is
    malformed.
    """
    name, dot, secret = token.rpartition(".")
    if len(token) > MAX_TOKEN or not dot or not secret or not is_name(name):
        raise UserError("that is no token", f"paste it whole, as the hub printed it; {_WORDING[kind].token_hint}")
    return name


# ---- the authority


async def fetch_pinned_authority(url: str, ca_pin: str, kind: CredentialKind, now: float) -> str:
    """The PEM of the authority with this pin, from the hub at `url`.

    Raises UserError, also where the two clocks are too far apart for certificates to be valid.
    """
    place = parse_url(url)
    if not is_pin(ca_pin):
        raise UserError("the CA pin is not of the form sha256: and 64 hex digits", "paste it as the hub printed it")
    fetched = await fetch_authority(place, kind)
    _check_pin(fetched.pem, ca_pin)
    if fetched.date is not None and abs(now - fetched.date) > MAX_CLOCK_SKEW:
        act = _WORDING[kind].verb
        cure = f"set the clock (`timedatectl set-ntp true`) and {act} again; the token has not been used"
        raise WorkFailed(f"this machine's clock is {format_skew(now - fetched.date)} the hub's", cure)
    return fetched.pem


async def fetch_authority(address: Address, kind: CredentialKind) -> FetchedAuthority:
    """GET /ca without verification, at most 64 KiB in at most ten seconds; raises WorkFailed."""
    try:
        async with asyncio.timeout(OPEN_TIMEOUT):
            reader, writer = await asyncio.open_connection(*address, ssl=unverified_context(), limit=MAX_RESPONSE)
            try:
                writer.write(
                    f"GET /ca HTTP/1.1\r\nHost: {address}\r\nUser-Agent: {user_agent(kind)}\r\n"
                    "Accept: application/x-pem-file\r\nConnection: close\r\n\r\n".encode()
                )
                answer = await _read_bounded(reader, address)
            finally:
                writer.transport.abort()
    except (OSError, TimeoutError) as error:
        raise connect_error(str(address), error) from None
    return parse_authority_response(answer, address)


async def _read_bounded(reader: asyncio.StreamReader, address: Address) -> bytes:
    answer = b""
    while part := await reader.read(MAX_RESPONSE):
        answer += part
        if len(answer) > MAX_RESPONSE:
            raise WorkFailed(f"{address} sends more than a certificate", _CHECK_ADDRESS)
    return answer


def parse_authority_response(response: bytes, address: Address) -> FetchedAuthority:
    """Body and date of an HTTP/1.1 response without Content-Length (it ends with the connection); raises WorkFailed."""
    head, blank, body = response.partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    status = lines[0].split(b" ")
    if not blank or len(status) < 2 or not status[0].startswith(b"HTTP/1.") or status[1] != b"200":
        raise WorkFailed(f"what answers at {address} is no hub's link port", _CHECK_ADDRESS)
    date = None
    for line in lines[1:]:
        field, _, value = line.partition(b":")
        if field.strip().lower() == b"date":
            date = _parse_http_date(value)
    try:
        return FetchedAuthority(body.decode("ascii"), date)
    except UnicodeDecodeError:
        raise WorkFailed(f"{address} sent no certificate", _CHECK_ADDRESS) from None


def _parse_http_date(value: bytes) -> float | None:
    try:
        return parsedate_to_datetime(value.decode("ascii").strip()).timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def _check_pin(pem: str, ca_pin: str) -> None:
    try:
        found = compute_pin(pem)
    except ValueError:
        raise WorkFailed("the hub sent no certificate", _CHECK_ADDRESS) from None
    if not pins_equal(found, ca_pin):
        raise WorkFailed(
            f"the hub shows another authority\n  expected {ca_pin}\n  it shows {found}\n",
            "someone may be in between; or the hub was set up anew, and you need a new command from it",
        )


# ---- the exchange


async def redeem_token(
    url: str, authority: str, token: str, key_request: KeyAndRequest, kind: CredentialKind, now: float
) -> Enrolment:
    """The certificate for the token and the request; raises UserError; the token may or may not be used up then."""
    name = token_name(token, kind)
    joined = await _send_join(url, client_context(authority), Join(token, name, key_request.request, VERSION), kind)
    if joined.name != name or not is_name(joined.hub):
        raise WorkFailed(f"the hub's answer is not for {name}", _WORDING[kind].token_hint)
    trusted = _trusted(joined, authority.encode(), now)
    return Enrolment(
        joined, check_certificate(joined.certificate, key_request.key, trusted, kind, name, 1, now), trusted
    )


def _trusted(joined: Joined, pinned: bytes, now: float) -> bytes:
    """The CAs to trust: what the hub sends beside the one with the pin counts only where that one vouches for it. A
    bundle that does not hold costs no token: the link tells it again.
    """
    try:
        return check_bundle(joined.authority, pinned, joined.hub, now)
    except WorkFailed:
        return pinned


async def _send_join(url: str, context: ssl.SSLContext, message: Join, kind: CredentialKind) -> Joined:
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
        cure = f"try again; if the token counts as used, {_WORDING[kind].token_hint}"
        raise WorkFailed("the hub did not answer", cure) from None
    finally:
        connection.transport.abort()
    if isinstance(answer, Refuse):
        raise WorkFailed(f"the hub refused: {clean(answer.reason, limit=500)}", _WORDING[kind].token_hint)
    if not isinstance(answer, Joined):
        raise WorkFailed("the hub answered something else", "is it of another version?")
    return answer
