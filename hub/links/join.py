"""The entrance for whoever has no certificate yet, /join: one `join`, one answer, goodbye."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

from websockets.asyncio.server import ServerConnection

from common.link import codec
from common.link.messages import Join, Message, Refuse
from hub.engine.engine import Engine
from hub.identity.authorities import LiveAuthorities
from hub.identity.certificates import JoinRefused, join
from hub.links.peer import peer_of
from hub.links.refusals import LinkRefusals
from hub.links.renewal import FIRST_FRAME_TIMEOUT
from hub.log import logger
from hub.store.store import Store

log = logger("links")


class JoinEntrance:
    def __init__(
        self,
        *,
        store: Store,
        engine: Engine,
        authorities: LiveAuthorities,
        job_keys: Mapping[str, bytes],
        hub_id: str,
        refusals: LinkRefusals,
        clock: Callable[[], float],
        wall: Callable[[], float],
        refused: Callable[[ServerConnection], None],
        joined: Callable[[str], Awaitable[None]],
    ) -> None:
        """`refused` counts who has proved nothing; `joined` is told the name of who has joined, before they are."""
        self._store = store
        self._engine = engine
        self._authorities = authorities
        self._job_keys = job_keys
        self._hub_id = hub_id
        self._refusals = refusals
        self._clock = clock
        self._wall = wall
        self._refused = refused
        self._joined = joined

    async def serve(self, connection: ServerConnection) -> None:
        """Answers the one request of this connection."""
        async with asyncio.timeout(FIRST_FRAME_TIMEOUT):
            data = await connection.recv()
        message = codec.decode(data, "anyone", codec.HANDSHAKE_LIMITS).message
        assert isinstance(message, Join)  # noqa: S101 - the only type that `anyone` may send
        now, wall = self._clock(), self._wall()
        answer: Message
        try:
            answer = await self._store.write(
                lambda txn: join(txn, self._authorities.now, message, self._job_keys, self._hub_id, now, wall)
            )
        except JoinRefused as error:
            answer = Refuse(error.code, error.reason)
            self._refused(connection)
            address = peer_of(connection, now).address
            await self._refusals.record("join", error.code, message.name[:64], error.reason, address)
        else:
            log.info("join.accepted", name=message.name[:64])
            await self._joined(message.name)
        await connection.send(codec.encode(answer, epoch=self._engine.epoch))
        await connection.close()
