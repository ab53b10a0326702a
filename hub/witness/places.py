"""The witnesses beside the file: syslog, a conversation in chat, a webhook, a bucket of S3 or what is like it.

Each keeps one note at a time, and a note stands for all before it: what waits for a place that does not answer is the
newest alone, so nothing piles up.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import logging
import logging.handlers
import socket
import time
from collections.abc import Callable
from typing import Final, Protocol

import aiohttp

from common.audit.checkpoint import Checkpoint
from common.catalogue import Sentence
from common.identity.signing import SigningKey
from hub.chat.compose import ReplyComposer
from hub.chat.http_client import FAILURES, describe_failure, make_call
from hub.chat.platforms.base import HttpCall
from hub.core.sigv4 import AccessKey, object_path, sign_request
from hub.store.store import Store
from hub.store.transaction import Txn
from hub.witness.file import WitnessFile

PUT_SECONDS: Final = 20.0
MAX_ANSWER: Final = 4_096
_TAG: Final = "answerback-hub: "


class WitnessFailed(Exception):
    """Why a place did not take a note, in words, without what is secret."""


class Place(Protocol):
    """`name` is that of its key in [audit]; `put` raises WitnessFailed."""

    name: str

    async def put(self, mark: Checkpoint, now: float) -> None: ...


class Signed:
    """Notes of one hub under one key."""

    def __init__(self, hub: str, key: SigningKey) -> None:
        self.hub = hub
        self.public = key.public

    def line(self, mark: Checkpoint) -> str:
        return mark.line(self.hub, self.public)

    def note(self, mark: Checkpoint) -> str:
        return mark.note(self.hub, self.public)


class FilePlace:
    name = "file"

    def __init__(self, file: WitnessFile, signed: Signed) -> None:
        self._file = file
        self._signed = signed

    async def put(self, mark: Checkpoint, now: float) -> None:
        try:
            await asyncio.to_thread(self._file.append, mark, self._signed.public)
        except OSError as error:
            raise WitnessFailed(f"{self._file.path}: {error.strerror or error}") from None


class SyslogPlace:
    """RFC 3164 to a local socket or by UDP, through the standard library's handler. UDP tells of no loss."""

    name = "syslog"

    def __init__(self, address: str, signed: Signed) -> None:
        host, _, port = address.rpartition(":")
        self._address = address if address.startswith("/") else (host, int(port))
        self._signed = signed

    async def put(self, mark: Checkpoint, now: float) -> None:
        try:
            await asyncio.to_thread(self._send, self._signed.line(mark))
        except OSError as error:
            raise WitnessFailed(f"{self._address}: {error.strerror or error}") from None

    def _send(self, line: str) -> None:
        handler = _Syslog(self._address, logging.handlers.SysLogHandler.LOG_AUTHPRIV)
        try:
            handler.handle(logging.LogRecord("audit", logging.INFO, "", 0, _TAG + line, None, None))
        finally:
            handler.close()


class _Syslog(logging.handlers.SysLogHandler):
    def handleError(self, record: logging.LogRecord) -> None:
        raise  # noqa: PLE0704 - called while the error is handled


class ChatPlace:
    """A conversation, through the outbox: where somebody has written to the bot, the address is known."""

    name = "chat"

    def __init__(
        self, where: str, store: Store, composer: ReplyComposer, signed: Signed, wake: Callable[[], None]
    ) -> None:
        self._inlet, _, self._conversation = where.partition(":")
        self._store, self._composer, self._signed, self._wake = store, composer, signed, wake

    async def put(self, mark: Checkpoint, now: float) -> None:
        line = self._signed.line(mark)

        def unit(txn: Txn) -> bool:
            request = txn.last_request_in(self._inlet, self._conversation)
            if request is None:
                return False
            text = Sentence("audit_note", {"seq": mark.seq, "line": line}).render(request.language)
            return self._composer.enqueue_notice(txn, request, text, now)

        if not await self._store.write(unit):
            raise WitnessFailed(
                f"{self._inlet}: nobody has written to the bot there yet, or it takes final replies only"
            )
        self._wake()


class WebhookPlace:
    name = "webhook"

    def __init__(self, url: str, token: bytes, signed: Signed, session: Callable[[], aiohttp.ClientSession]) -> None:
        self._url, self._signed, self._session = url, signed, session
        bearer = {"Authorization": f"Bearer {token.decode('ascii', 'replace')}"} if token else {}
        self._headers = {"Content-Type": "application/json", **bearer}

    async def put(self, mark: Checkpoint, now: float) -> None:
        line, note = self._signed.line(mark), self._signed.note(mark)
        body = {"hub": self._signed.hub, "seq": mark.seq, "at": mark.at, "line": line, "note": note}
        call = HttpCall(self._url, json.dumps(body).encode(), self._headers)
        status = await _status(self._session(), call)
        if not 200 <= status < 300:
            raise WitnessFailed(f"it answers {status}")


class S3Place:
    """An object a note, never written over (If-None-Match), locked for a time where that is wanted."""

    name = "s3"

    def __init__(
        self,
        url: str,
        key: AccessKey,
        region: str,
        retain: float,
        signed: Signed,
        session: Callable[[], aiohttp.ClientSession],
    ) -> None:
        self._url, self._key, self._region, self._retain = url.rstrip("/"), key, region, retain
        self._signed, self._session = signed, session

    async def put(self, mark: Checkpoint, now: float) -> None:
        body = self._signed.note(mark).encode()
        url = f"{self._url}/{object_path(f'{self._signed.hub}/{mark.seq:012d}-{mark.hash[:16]}.note')}"
        digest = base64.b64encode(hashlib.sha256(body).digest()).decode()
        headers = {"content-type": "text/plain; charset=utf-8", "if-none-match": "*", "x-amz-checksum-sha256": digest}
        if self._retain:
            until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now + self._retain))
            headers |= {"x-amz-object-lock-mode": "COMPLIANCE", "x-amz-object-lock-retain-until-date": until}
        signed = sign_request("PUT", url, headers, body, self._key, self._region, now)
        status = await _status(self._session(), HttpCall(url, body, signed, "PUT"))
        if status != 412 and not 200 <= status < 300:  # 412: it is there already
            raise WitnessFailed(f"it answers {status}")


async def _status(session: aiohttp.ClientSession, call: HttpCall) -> int:
    try:
        answer, _ = await make_call(session, call, MAX_ANSWER, PUT_SECONDS)
    except (*FAILURES, socket.gaierror) as error:
        raise WitnessFailed(describe_failure(error, PUT_SECONDS)) from None
    return answer.status
