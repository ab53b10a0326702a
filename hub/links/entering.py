"""What is looked up and noted of whoever opens a link, before the hello is answered.

A machine that comes while the store has no room for that is let in all the same, so that it is seen to be there: its
link is held, which means that nothing it reports is taken and nothing is handed to it. When there is room again it is
asked to come anew, and then it is noted as ever, before anything of it counts.
"""

from __future__ import annotations

from dataclasses import dataclass

from common.identity.certificates import Identity
from common.link.messages import Hello, Message, Refuse
from hub.engine.engine import Engine
from hub.identity.certificates import NotTrusted
from hub.links.admission import LinkAdmission, busy
from hub.links.holders import HolderChecks
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

    async def enter(self, identity: Identity, hello: Message, now: float, wall: float) -> Entering:
        found = Entering(held=identity.kind == "agent" and self._store.waits)
        try:
            with self._admission.letting_in():
                if identity.kind == "agent" and isinstance(hello, Hello):
                    await self._hear(found, identity, hello)
                await self._engine.admit(identity, wall)
                if identity.kind == "agent" and isinstance(hello, Hello):
                    await self._note(found, identity, hello, now)
        except NotTrusted as error:
            found.refusal = Refuse(error.code, error.reason)
        except StoreBusy:
            found.refusal = busy()
        return found

    async def _hear(self, found: Entering, identity: Identity, hello: Hello) -> None:
        try:
            if not found.held:
                found.estranged = await self._engine.hear(hello, identity.name)
        except StoreFull:
            found.held = True

    async def _note(self, found: Entering, identity: Identity, hello: Hello, now: float) -> None:
        try:
            if not found.held:
                found.refusal = await self._holders.note(identity.name, hello, found.estranged, now)
        except StoreFull:
            found.held = True
