"""What a machine's hello says of who holds its name: put beside what was seen, before anybody is welcomed.

An agent of today tells its links (`hub.core.holder`); of one of before the processes are counted that come
(`hub.core.copied_identity`). A copy that has noticed by itself what it is says so at an entrance of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from common.identity.certificates import Identity
from common.link.dial import COPIED
from common.link.lineage import parse_lineage
from common.link.messages import Hello, Message, Refuse
from hub.core.copied_identity import PROCESS_FACT, CopyDetector
from hub.core.holder import LINEAGE_FACT
from hub.core.lru import Lru
from hub.engine.engine import Engine
from hub.identity.agents import AgentRegistry
from hub.identity.certificates import NotTrusted
from hub.links.connected import connection_note
from hub.links.peer import Peer
from hub.log import logger

MAX_NAMES: Final = 10_000
MAX_PROCESS: Final = 200
TOLD_AGAIN: Final = 600.0
"""Seconds in which a copy that refuses itself, again and again, is told once."""

log = logger("links")


class HolderChecks:
    def __init__(self, engine: Engine, fleet: AgentRegistry) -> None:
        self._engine = engine
        self._fleet = fleet
        self._copies = CopyDetector()
        self._told: Lru[str, float] = Lru(MAX_NAMES)

    async def let_in(
        self, peer: Peer, hello: Hello, now: float, wall: float, welcome: Callable[[], bool]
    ) -> tuple[bool, Refuse | None]:
        """Whether the machine has heard a hub whose work this store does not know; and the refusal where there are two
        of this machine, which is locked then, or where this is an old link of it. What is believed is on disk when this
        returns, and with it that the machine is here, unless `welcome` says that its hello is refused for something
        else. One unit for all of it: ten thousand machines come at once. Raises NotTrusted.

        `peer` has proved to be a machine of this hub.
        """
        identity, facts, seen = peer.identity, hello.facts or {}, None
        assert identity is not None  # noqa: S101 - see above
        name = identity.name
        estranged = await self._engine.hear(hello, name)
        lineage = parse_lineage(facts.get(LINEAGE_FACT, ""))
        if lineage is None:
            await self._engine.admit(identity, wall)
        if lineage is None and self._copies.note(name, facts.get(PROCESS_FACT, "")[:MAX_PROCESS], now):
            self._copies.forget(name)
            refusal: Refuse | None = await self._engine.lock_copied(name)
        else:
            note = connection_note(identity, hello, peer.clock_ahead, now) if welcome() else None
            refusal, seen = await self._engine.let_in(identity, wall, lineage, estranged, note)
        if seen is not None:
            self._fleet.update(seen)
        if refusal is not None and refusal.code == "locked":
            log.error("link.two_machines", agent=name)
            await self._fleet.reload(name)
        return estranged, refusal

    async def note_copy(self, identity: Identity | None, hello: Message, now: float) -> Refuse:
        """A copy of a machine's state folder was started elsewhere and serves nothing; the answer to it."""
        if identity is None or identity.kind != "agent" or not isinstance(hello, Hello):
            return Refuse("identity", "this path takes the certificate of an agent")
        try:
            await self._engine.admit(identity, now)
        except NotTrusted as error:
            return Refuse(error.code, error.reason)
        told_at = self._told.get(identity.name)
        if told_at is None or not 0 <= now - told_at < TOLD_AGAIN:
            self._told.put(identity.name, now)
            log.error("link.copy_refused_itself", agent=identity.name)
            await self._engine.note_moved(identity.name, hello.facts or {})
        return Refuse(COPIED, "noted: an admin is told")
