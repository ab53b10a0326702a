"""The open sockets of outbound modes, and the calls that replies make over them.

A platform whose API is reached over its socket alone renders replies as `SocketCall`. The delivery worker hands them in
here, the supervisor of outbound modes says which sockets are open and what is answered. Where none is open, or it ends
before the answer, the reply waits in the outbox and is tried again later: whether it was posted is not known then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from hub.chat.http_client import FAILURES, describe_failure
from hub.chat.platforms.base import DeliveryFailed, HttpResponse
from hub.chat.platforms.outbound import Frame, SocketCall

ANSWER_SECONDS: Final = 10.0

Send = Callable[[Frame], Awaitable[None]]


class OpenSockets:
    """Of one hub; each inlet has one socket at most."""

    def __init__(self, seconds: float = ANSWER_SECONDS) -> None:
        """`seconds`: how long an answer is waited for."""
        self._seconds = seconds
        self._open: dict[str, Send] = {}
        self._waiting: dict[tuple[str, str], asyncio.Future[bytes | None]] = {}

    def open(self, inlet: str, send: Send) -> None:
        """From now on calls of this inlet are sent."""
        self._open[inlet] = send

    def close(self, inlet: str) -> None:
        """Ends the calls that are under way; harmless where none is open."""
        self._open.pop(inlet, None)
        for (name, _), future in self._waiting.items():
            if name == inlet and not future.done():
                future.set_result(None)

    def answer(self, inlet: str, key: str, body: bytes) -> None:
        """The answer to the call with this key; dropped where nobody waits for it any more."""
        future = self._waiting.get((inlet, key))
        if future is not None and not future.done():
            future.set_result(body)

    async def call(self, inlet: str, call: SocketCall) -> HttpResponse | DeliveryFailed:
        """The answer, as a response with status 200."""
        send, name = self._open.get(inlet), (inlet, call.key)
        if send is None:
            return DeliveryFailed("its connection is not open")
        if name in self._waiting:
            return DeliveryFailed("a call with this key is under way")
        future = self._waiting[name] = asyncio.get_running_loop().create_future()
        try:
            async with asyncio.timeout(self._seconds):
                await send(call.body.decode())
                body = await future
        except FAILURES as error:
            return DeliveryFailed(describe_failure(error, self._seconds))
        finally:
            del self._waiting[name]
        return DeliveryFailed("its connection ended before the answer") if body is None else HttpResponse(200, {}, body)
