"""A person's end of a hub's `generic` inlet: messages go out signed, replies come in to a port of this machine.

It is what a chat platform does, with the inlet's own secret, so `answerback chat` goes the very way of a real chat:
webhook, plan, policy, approval, outbox, signed reply. The secret is read from the hub's folder; whoever may read that
may speak as any person of the inlet, which is why it takes the hub's own user or root.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import secrets
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from common.errors import UserError, WorkFailed
from common.identity.tls import local_context
from common.read_file import read_secret, read_toml
from common.text import clean
from common.values import parse_address

MAX_ANSWER: Final = 64 * 1024
MAX_HEAD: Final = 16 * 1024
MAX_REPLY: Final = 4 * 1024 * 1024
MAX_SEEN: Final = 10_000
MAX_QUEUED: Final = 1_000
POST_TIMEOUT: Final = 20.0
READ_TIMEOUT: Final = 30.0
_LOOPBACK: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  replaced, not listened on


@dataclass(frozen=True, slots=True)
class InletAccess:
    """Where an inlet is, what signs its messages, and who is who there: person -> chat user."""

    name: str
    url: str
    secrets: tuple[bytes, ...]
    people: Mapping[str, str]
    certificate: Path | None = None  # what the hub shows there, where it speaks TLS itself

    def sign(self, body: bytes) -> str:
        return hmac.new(self.secrets[0], body, hashlib.sha256).hexdigest()

    def is_signed(self, body: bytes, signature: str) -> bool:
        given = signature.encode("latin-1", "replace")
        return any(
            hmac.compare_digest(hmac.new(secret, body, hashlib.sha256).hexdigest().encode(), given)
            for secret in self.secrets
        )


def read_access(config: Path, inlet: str = "") -> InletAccess:
    """The inlet of that name, or the only generic one, from hub.toml and its secret file; raises UserError."""
    found = read_toml(config, "name the hub's file with --config; `answerback chat` runs on the hub's machine")
    inlets = {name: table for name, table in _tables(found, "inlets").items() if table.get("platform") == "generic"}
    if inlet and inlet not in inlets:
        raise UserError(
            f"{config}: there is no inlet {clean(inlet)} of platform generic", f"there are: {_list(inlets)}"
        )
    if not inlet and len(inlets) != 1:
        raise UserError(
            f"{config}: {len(inlets)} inlets of platform generic",
            f"name one with --inlet: {_list(inlets)}"
            if inlets
            else "add [inlets.ops], as `answerback-hub init` writes it",
        )
    name = inlet or next(iter(inlets))
    secret_file = config.parent / str(inlets[name].get("secret_file", ""))
    lines = read_secret(secret_file, "run this as the hub's user, or as root").splitlines()
    certificate = _certificate(found, config)
    return InletAccess(
        name,
        f"{'http' if certificate is None else 'https'}://{_near(found, config)}/webhook/{name}",
        tuple(line.strip() for line in lines if line.strip()),
        _people(found, name),
        certificate,
    )


def _tables(found: Mapping[str, Any], key: str) -> dict[str, dict[str, Any]]:
    tables = found.get(key, {})
    return (
        {name: table for name, table in tables.items() if isinstance(table, dict)} if isinstance(tables, dict) else {}
    )


def _list(names: Mapping[str, object]) -> str:
    return ", ".join(sorted(names)) or "none"


def _near(found: Mapping[str, Any], config: Path) -> str:
    """Where the hub takes webhooks, as this machine reaches it."""
    http = found.get("http", {})
    listen = http.get("listen", "127.0.0.1:8080") if isinstance(http, dict) else ""
    try:
        address = parse_address(str(listen))
    except ValueError:
        raise UserError(f"{config}: [http] listen: not an address", "write HOST:PORT") from None
    return str(address._replace(host=_LOOPBACK.get(address.host, address.host)))


def _certificate(found: Mapping[str, Any], config: Path) -> Path | None:
    http = found.get("http", {})
    name = http.get("certificate_file") if isinstance(http, dict) else None
    return config.parent / name if isinstance(name, str) and name else None


def _people(found: Mapping[str, Any], inlet: str) -> dict[str, str]:
    people: dict[str, str] = {}
    for name, table in _tables(found, "people").items():
        entries = table.get("chat", [])
        for entry in entries if isinstance(entries, list) else ():
            where, colon, user = str(entry).partition(":")
            if colon and where == inlet:
                people.setdefault(name, user)
    return people


# ---- messages out


@dataclass(frozen=True, slots=True)
class Posted:
    """The hub's answer to a message: it is on disk, or why not."""

    ok: bool
    text: str = ""


def message_body(
    user: str, conversation: str, text: str, reply_url: str, images: tuple[bytes, ...] = (), event: str = ""
) -> tuple[str, bytes]:
    """A message in the generic form, with its id."""
    event = event or f"chat-{secrets.token_hex(8)}"
    body: dict[str, Any] = {
        "id": event,
        "user": user,
        "conversation": conversation,
        "text": text,
        "reply_url": reply_url,
    }
    if images:
        body["images"] = [base64.b64encode(image).decode() for image in images]
    return event, json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")


async def post(access: InletAccess, body: bytes) -> Posted:
    """Posts one message; raises WorkFailed where the hub cannot be reached."""
    place = urlsplit(access.url)
    port = place.port or (443 if place.scheme == "https" else 80)
    context = local_context(access.certificate) if access.certificate is not None else None
    where = f"{place.hostname}:{port}"
    head = (
        f"POST {place.path or '/'} HTTP/1.1\r\nHost: {where}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nX-Signature: {access.sign(body)}\r\nConnection: close\r\n\r\n"
    )
    try:
        async with asyncio.timeout(POST_TIMEOUT):
            reader, writer = await asyncio.open_connection(place.hostname, port, ssl=context)
            try:
                writer.write(head.encode("ascii", "replace") + body)
                await writer.drain()
                answer = await reader.read(MAX_ANSWER)
                while part := await reader.read(MAX_ANSWER):
                    answer = (answer + part)[:MAX_ANSWER]
            finally:
                writer.close()
    except ConnectionRefusedError:
        raise WorkFailed(f"no hub takes messages at {where}", "start it: answerback-hub serve") from None
    except TimeoutError:
        raise WorkFailed(f"the hub at {where} does not answer", "see its log") from None
    except OSError as error:
        raise WorkFailed(
            f"cannot reach the hub at {where} ({error.strerror or error})", "see [http] in hub.toml"
        ) from None
    return read_answer(answer)


def read_answer(answer: bytes) -> Posted:
    """The HTTP response to a message."""
    head, _, body = answer.partition(b"\r\n\r\n")
    words = head.split(b"\r\n")[0].split()
    status = int(words[1]) if len(words) > 1 and words[1].isdigit() else 0
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        told = None
    if not isinstance(told, dict):
        return Posted(False, f"what answers is no hub (HTTP {status})")
    return Posted(200 <= status < 300, clean(str(told.get("message", "")), limit=1_000) or f"HTTP {status}")


# ---- replies in


class ReplyPort:
    """A port of this machine that takes signed replies; each is put into `replies` once. Where that is full the hub is
    told to come again.
    """

    def __init__(self, access: InletAccess) -> None:
        self._access = access
        self.replies: asyncio.Queue[dict[str, Any]] = asyncio.Queue(MAX_QUEUED)
        self._path = f"/replies/{secrets.token_hex(8)}"
        self._seen: OrderedDict[str, None] = OrderedDict()
        self._server: asyncio.Server | None = None
        self.refused = 0

    async def open(self) -> str:
        """Listens; returns the address that replies are to be posted to."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=MAX_HEAD)
        port = self._server.sockets[0].getsockname()[1]
        return f"http://127.0.0.1:{port}{self._path}"

    def close(self) -> None:
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, which may bring several replies."""
        try:
            while await self._serve_one(reader, writer):
                pass
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ConnectionError, TimeoutError, ValueError):
            pass
        finally:
            writer.close()

    async def _serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = await reader.readuntil(b"\r\n\r\n")
        async with asyncio.timeout(READ_TIMEOUT):
            request, *lines = head.decode("latin-1").split("\r\n")
            headers = {key.strip().lower(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
            length = int(headers.get("content-length", "0"))
            if not 0 <= length <= MAX_REPLY:
                return await self._answer(writer, "413 Content Too Large", keep=False)
            body = await reader.readexactly(length)
        method, _, rest = request.partition(" ")
        if method != "POST" or rest.partition(" ")[0] != self._path:
            return await self._answer(writer, "404 Not Found", keep=False)
        if not self._access.is_signed(body, headers.get("x-signature", "")):
            self.refused += 1
            return await self._answer(writer, "401 Unauthorized", keep=False)
        if self.replies.full():
            return await self._answer(writer, "503 Service Unavailable", keep=False)
        self._hand_over(body, headers.get("x-answerback-reply", ""))
        return await self._answer(writer, "200 OK", keep=True)

    def _hand_over(self, body: bytes, reply_id: str) -> None:
        """A reply that is posted again, since its delivery was in doubt, is shown once."""
        if reply_id and reply_id in self._seen:
            return
        self._seen[reply_id] = None
        while len(self._seen) > MAX_SEEN:
            self._seen.popitem(last=False)
        try:
            reply = json.loads(body)
        except (ValueError, RecursionError):
            return
        if isinstance(reply, dict):
            self.replies.put_nowait(reply)

    async def _answer(self, writer: asyncio.StreamWriter, status: str, *, keep: bool) -> bool:
        writer.write(f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{{}}".encode())
        await writer.drain()
        return keep
