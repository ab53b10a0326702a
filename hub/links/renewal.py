"""The renewal entrance, /renew: a certificate that has run out is still good for one thing, to ask for its successor.

The TLS handshake proves that whoever asks has the certificate's key, and does so anew for each connection: a recorded
request is worth nothing. One `renew`, one answer, goodbye. Whether the certificate may have a successor, for how long
after it ran out, and which number it must have is decided in `hub.identity.certificates`; here are the bounds: of the
frame, of the time for it, and of how often an address and a name may ask.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed

from common.identity.certificates import Identity
from common.link import codec
from common.link.codec import FORBIDDEN, BadFrame
from common.link.messages import Message, Refuse, Renew, Sender
from common.times import format_iso
from hub.core.rate_limits import TokenBuckets, network_key
from hub.engine.engine import Engine
from hub.links.peer import Peer
from hub.links.refusals import LinkRefusals
from hub.log import logger

FIRST_FRAME_TIMEOUT: Final = 5.0
ADDRESS_RATE: Final = 20.0  # a second: a fleet behind one address comes back together after a weekend
ADDRESS_BURST: Final = 200.0
NAME_RATE: Final = 1 / 60
NAME_BURST: Final = 5.0

log = logger("links")


class RenewalEntrance:
    def __init__(self, engine: Engine, refusals: LinkRefusals, clock: Callable[[], float]) -> None:
        self._engine = engine
        self._refusals = refusals
        self._clock = clock
        self._addresses = TokenBuckets(ADDRESS_RATE, ADDRESS_BURST)
        self._names = TokenBuckets(NAME_RATE, NAME_BURST)

    async def serve(self, connection: ServerConnection, peer: Peer) -> None:
        """Answers the one request of this connection."""
        assert peer.identity is not None  # noqa: S101 - checked before the upgrade
        try:
            async with asyncio.timeout(FIRST_FRAME_TIMEOUT):
                data = await connection.recv()
        except ConnectionClosed:
            await self._refusals.note_clock(peer)
            return
        sender: Sender = "agent" if peer.identity.kind == "agent" else "console"
        message = codec.decode(data, sender, codec.HANDSHAKE_LIMITS).message
        if not isinstance(message, Renew):
            raise BadFrame("the one message here is a renewal", FORBIDDEN)
        answer = self._wait(peer.identity, peer.address) or await self._renew(peer.identity, peer, message)
        await connection.send(codec.encode(answer, epoch=self._engine.epoch))
        await connection.close()

    async def on_link(self, identity: Identity, message: Renew) -> Message:
        """The answer to one who renews over a link, which a machine does once in its certificate's life."""
        wait = self._names.try_acquire(f"{identity.kind} {identity.name}", self._clock())
        if wait:
            return Refuse("busy", "too many renewals at once; come again", max(1.0, wait))
        return await self._engine.renew(identity, message)

    def _wait(self, identity: Identity, address: str) -> Refuse | None:
        """A refusal with the time to wait, where this address or name has asked too often."""
        now = self._clock()
        wait = self._addresses.try_acquire(network_key(address), now)
        wait = wait or self._names.try_acquire(f"{identity.kind} {identity.name}", now)
        return Refuse("busy", "too many renewals at once; come again", max(1.0, wait)) if wait else None

    async def _renew(self, identity: Identity, peer: Peer, message: Renew) -> Message:
        answer = await self._engine.renew(identity, message, "renewal")
        if isinstance(answer, Refuse):
            await self._refusals.record("renew", answer.code, identity.name, answer.reason)
            await self._refusals.note(peer, answer.code)
        else:
            expired = format_iso(identity.not_after)
            log.info("renewal.late", kind=identity.kind, name=identity.name, expired=expired, address=peer.address)
        return answer
