"""The first contact of a machine with its hub.

    1. GET https://HOST:PORT/ca, believing nothing but the certificate whose pin was given
    2. make the key here, and see that everything can be written: the token is good for one use
    3. dial /join, verified against that certificate; send the token and a signing request; hear `joined` or `refuse`
    4. check the answer, write the files; `agent.toml` last, since its presence is what "joined" means

The name is bound to the token at the hub, and is its part before the last dot. The key never leaves this machine, and
nothing secret is sent before the hub has been verified.
"""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from importlib import resources
from pathlib import Path
from typing import Final

from websockets.exceptions import ConnectionClosed

from agent.certificate import KeyAndRequest, check_certificate, new_request
from agent.state import State, Validity, make_folder, parse_url, write_file
from agent.uplink.dial import OPEN_TIMEOUT, dial, unreachable
from common.codec import BadFrame, decode, encode
from common.errors import UserError, WorkFailed
from common.ids import is_name
from common.messages import Join, Joined, Message, Refuse
from common.tls import check_hub, client_context, is_pin, pin_of, pins_equal, unverified_context
from common.version import VERSION

MAX_ANSWER: Final = 64 * 1024
MAX_TOKEN: Final = 512
MAX_SKEW: Final = 300.0
"""Seconds that the two clocks may differ: a certificate is dated back by as much, and orders expire by the clock."""
_CHECK_ADDRESS: Final = "check the address; it is the hub's link port that is wanted, not its webhook port"
_SET_CLOCK: Final = "set the clock (`timedatectl set-ntp true`) and join again; the token has not been used"
_ASK_AGAIN: Final = "`answerback-hub token --agent NAME` on the hub makes a new one"


@dataclass(frozen=True, slots=True)
class Authority:
    """What GET /ca gave: the PEM, not yet believed, and the hub's clock where it told."""

    pem: str
    date: float | None


def name_in(token: str) -> str:
    """The name that a token (NAME.SECRET) is for; raises UserError, without the token, where it is none."""
    name, dot, secret = token.rpartition(".")
    if len(token) > MAX_TOKEN or not dot or not secret or not is_name(name):
        raise UserError("that is not a join token", f"paste it whole, as the hub printed it, or {_ASK_AGAIN}")
    return name


async def join(
    url: str, token: str, ca_pin: str, state: State, *, force: bool = False, wall: Callable[[], float] = time.time
) -> Joined:
    """Joins this machine to the hub at `url`; raises UserError. Says nothing: the answer names machine and hub."""
    host, port = parse_url(url)
    name = name_in(token)
    if not is_pin(ca_pin):
        raise UserError("the CA pin is not of the form sha256: and 64 hex digits", "paste it as the hub printed it")
    if state.joined() and not force:
        settings = state.settings()
        cure = f"it is {settings.name} of hub {settings.hub}; give --force to replace that"
        raise UserError(f"{state.path} has joined already", cure)
    authority = await fetch_authority(host, port)
    _check_pin(authority.pem, ca_pin)
    if authority.date is not None and abs(wall() - authority.date) > MAX_SKEW:
        raise WorkFailed(f"this machine's clock is {_difference(wall() - authority.date)} the hub's", _SET_CLOCK)
    _make_folders(state)
    lock = state.hold_lock()
    try:
        made = _prepare(state, name)
        message = Join(token, name, made.request, VERSION)
        joined = await _ask(url, client_context(authority.pem), message)
        validity = _check(joined, name, made, authority.pem, wall())
        _keep(state, url, joined, made, authority.pem, validity)
    finally:
        _joining_key(state).unlink(missing_ok=True)
        os.close(lock)
    return joined


# ---- the authority


async def fetch_authority(host: str, port: int) -> Authority:
    """GET /ca without verification, at most 64 KiB in at most ten seconds; raises WorkFailed."""
    place = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    try:
        async with asyncio.timeout(OPEN_TIMEOUT):
            reader, writer = await asyncio.open_connection(host, port, ssl=unverified_context(), limit=MAX_ANSWER)
            try:
                writer.write(
                    f"GET /ca HTTP/1.1\r\nHost: {place}\r\nUser-Agent: answerback-agent/{VERSION}\r\n"
                    "Accept: application/x-pem-file\r\nConnection: close\r\n\r\n".encode()
                )
                answer = await _read_bounded(reader, place)
            finally:
                writer.transport.abort()
    except (OSError, TimeoutError) as error:
        raise unreachable(place, error) from None
    return parse_authority(answer, place)


async def _read_bounded(reader: asyncio.StreamReader, place: str) -> bytes:
    answer = b""
    while part := await reader.read(MAX_ANSWER):
        answer += part
        if len(answer) > MAX_ANSWER:
            raise WorkFailed(f"{place} sends more than a certificate", _CHECK_ADDRESS)
    return answer


def parse_authority(answer: bytes, place: str) -> Authority:
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
        return Authority(body.decode("ascii"), date)
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
            "someone may be in between; or the hub was set up anew, and you need a new join command",
        )


# ---- the exchange


async def _ask(url: str, context: ssl.SSLContext, message: Join) -> Joined:
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
        raise WorkFailed("the hub did not answer", f"try again; if the token counts as used, {_ASK_AGAIN}") from None
    finally:
        connection.transport.abort()
    if isinstance(answer, Refuse):
        reason = "".join(char if char.isprintable() else "?" for char in answer.reason[:500])
        raise WorkFailed(f"the hub refused: {reason}", _ASK_AGAIN)
    if not isinstance(answer, Joined):
        raise WorkFailed("the hub answered something else", "is it of another version?")
    return answer


def _check(joined: Joined, name: str, made: KeyAndRequest, authority_pem: str, now: float) -> Validity:
    if joined.name != name or not is_name(joined.hub):
        raise WorkFailed(f"the hub's answer is not for {name}", _ASK_AGAIN)
    if not joined.job_keys or any(len(key) != 32 for key in joined.job_keys.values()):
        raise WorkFailed("the hub's answer has no keys to check orders with", "tell the hub's operator")
    return check_certificate(joined.certificate, made.key, authority_pem.encode(), name, 1, now)


# ---- the files


def _joining_key(state: State) -> Path:
    return state.uplink / "key.pem.joining"


def _make_folders(state: State) -> None:
    make_folder(state.path, 0o755)
    for folder in (state.uplink, state.runner, state.run):
        make_folder(folder)


def _prepare(state: State, name: str) -> KeyAndRequest:
    """The key on disk before anything is sent, and a trial in the other folder: a full disk must not cost a token."""
    made = new_request(name)
    write_file(_joining_key(state), made.key)
    trial = state.runner / ".joining"
    write_file(trial, b"")
    trial.unlink()
    return made


def _keep(state: State, url: str, joined: Joined, made: KeyAndRequest, authority: str, validity: Validity) -> None:
    state.settings_file.unlink(missing_ok=True)  # from here to the last line nobody mistakes this for a joined machine
    for leftover in (state.next_certificate, state.next_key, state.next_request, state.next_validity):
        leftover.unlink(missing_ok=True)
    trust = {"name": joined.name, "hub": joined.hub, "job_keys": {i: k.hex() for i, k in joined.job_keys.items()}}
    write_file(state.trust, json.dumps(trust, indent=1).encode() + b"\n")
    if not state.policy.exists():  # the machine's owner may have edited it
        default = resources.files("common").joinpath("defaults", "agent-policy.toml")
        write_file(state.policy, default.read_bytes())
    write_file(state.key, made.key)
    write_file(state.certificate, joined.certificate)
    write_file(state.authority, authority.encode())
    write_file(state.validity_file, json.dumps(validity.to_json()).encode())
    # A TOML basic string is a JSON string for the characters that names and addresses are made of.
    lines = [
        f"{key} = {json.dumps(value)}" for key, value in (("url", url), ("name", joined.name), ("hub", joined.hub))
    ]
    write_file(state.settings_file, ("\n".join(lines) + "\n").encode())


def _difference(ahead: float) -> str:
    seconds = abs(ahead)
    for unit, size in (("days", 86_400), ("hours", 3_600), ("minutes", 60)):
        if seconds > 1.9 * size:
            return f"{seconds / size:.0f} {unit} {'ahead of' if ahead > 0 else 'behind'}"
    return f"{seconds:.0f} seconds {'ahead of' if ahead > 0 else 'behind'}"
