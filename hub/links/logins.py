"""When people came with which certificate: what ends a login that was replaced, and what lists show as last seen.

The first use of a certificate is on disk before its link serves anything; later ones are written once in
`NOTE_EVERY` seconds, so that a script that calls once a second costs a commit a minute.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from common.errors import WorkFailed
from common.identity.certificates import Identity
from hub.core.lru import Lru
from hub.identity.logins import note_use
from hub.log import logger
from hub.store.store import Store

NOTE_EVERY: Final = 60.0
MAX_KNOWN: Final = 4_096

log = logger("links")


class LoginUses:
    def __init__(self, store: Store, clock: Callable[[], float]) -> None:
        self._store = store
        self._clock = clock
        self._noted: Lru[str, float] = Lru(MAX_KNOWN)

    async def note(self, identity: Identity) -> list[str]:
        """Somebody is let in with this certificate. The fingerprints of what it replaced, whose links must end."""
        now, mark = self._clock(), identity.fingerprint
        before = self._noted.get(mark)
        if before is not None and 0 <= now - before < NOTE_EVERY:
            return []
        try:
            ended = await self._store.write(lambda txn: note_use(txn, identity, now))
        except WorkFailed as error:  # the store is full or busy: who comes is let in, and is noted the next time
            log.warning("login.use_unsaved", person=identity.name, reason=str(error))
            return []
        self._noted.put(mark, now)
        if ended:
            log.info("login.replaced", person=identity.name, ended=len(ended))
        return ended
