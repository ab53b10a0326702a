"""What is looked up and noted of whoever opens a link, before the hello is answered.

A machine that comes while the store has no room for that is let in all the same, so that it is seen to be there: its
link is held, which means that nothing it reports is taken and nothing is handed to it. When there is room again it is
asked to come anew, and then it is noted as ever, before anything of it counts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from common.identity.certificates import Identity
from common.link.messages import Hello, Message, Refuse
from hub.engine.engine import Engine
from hub.identity.certificates import NotTrusted
from hub.links.admission import LinkAdmission, busy
from hub.links.holders import HolderChecks
from hub.links.peer import Peer
from hub.store.errors import StoreBusy, StoreFull
from hub.store.store import Store


@dataclass(slots=True)
class Entering:
    """What is known of somebody at the door."""

    refusal: Refuse | None = None
    estranged: bool = False  # the machine has heard a hub whose work this store does not know
    held: bool = False


class Entrance:
    def __init__(self, store: Store, engine: Engine, holders: HolderChecks, admission: LinkAdmission) -> None:
        self._store = store
        self._engine = engine
        self._holders = holders
        self._admission = admission

    async def enter(
        self, peer: Peer, identity: Identity, hello: Message, now: float, wall: float, welcome: Callable[[], bool]
    ) -> Entering:
        """`identity` is the peer's. `welcome` says whether the hello would be answered by one."""
        found = Entering(held=identity.kind == "agent" and self._store.waits)
        try:
            with self._admission.letting_in(identity) as greeting:
                if identity.kind == "agent" and isinstance(hello, Hello) and not found.held:
                    await self._let_in(found, peer, hello, now, wall, welcome)
                else:
                    await self._engine.admit(identity, wall)
                found.refusal = found.refusal or greeting.refusal()
        except NotTrusted as error:
            found.refusal = Refuse(error.code, error.reason)
        except StoreBusy:
            found.refusal = busy()
        return found

    async def _let_in(
        self, found: Entering, peer: Peer, hello: Hello, now: float, wall: float, welcome: Callable[[], bool]
    ) -> None:
        assert peer.identity is not None  # noqa: S101 - see `enter`
        try:
            found.estranged, found.refusal = await self._holders.let_in(peer, hello, now, wall, welcome)
        except StoreFull:
            found.held = True
            await self._engine.admit(peer.identity, wall)
