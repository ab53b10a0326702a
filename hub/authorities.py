"""The hub's CA while it serves: a step of a rotation that a command has made is taken up, without a restart.

The files decide (`hub.identity.authorities`); the command that changed them waits until the store says that they were
taken up here. From then on new connections meet the other certificate and the other CAs, renewals are signed by the
other one, and every link is told. No link is closed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from common.errors import UserError, WorkFailed
from hub.chat.listener_tls import ListenerTls
from hub.config import Folder
from hub.identity.authorities import Authorities, LiveAuthorities, load_authorities, locked, settle, stamp
from hub.identity.ca_steps import CA_LOADED, note_state
from hub.identity.keys import refresh_certificate
from hub.links.live_tls import LinkTls
from hub.log import logger
from hub.store.store import Store
from hub.store.transaction import Txn

WATCH_EVERY: Final = 1.0
"""Seconds between two looks at the files."""

log = logger("authorities")


class AuthorityTasks:
    """`run` serves until it is cancelled."""

    def __init__(
        self,
        *,
        store: Store,
        folder: Folder,
        live: LiveAuthorities,
        tls: LinkTls,
        tell: Callable[[], None],
        clock: Callable[[], float],
        wall: Callable[[], float] | None = None,
    ) -> None:
        """`clock` gives the hub's time; `wall` the wall clock, by which certificates are valid, None: the same. `tell`
        says to every link what it is to trust now.
        """
        self._store = store
        self._folder = folder
        self._live = live
        self._tls = tls
        self._tell = tell
        self._clock = clock
        self._wall = wall or clock
        self._seen: object = None
        self._announced = ""
        self._failing = ""

    async def run(self) -> None:
        while True:
            try:
                await self.watch()
                self._failing = ""
            except (UserError, WorkFailed) as error:
                if self._failing != str(error):
                    log.error("authorities.failed", problem=str(error))
                    self._failing = str(error)
            await asyncio.sleep(WATCH_EVERY)

    async def watch(self) -> None:
        """Takes up what the files say, where they have changed."""
        seen = stamp(self._folder)
        if seen == self._seen:
            return
        fresh = await asyncio.to_thread(self._read)
        if fresh.state != self._live.now.state:
            self._tls.load(fresh)
            self._live.now = fresh
            self._tell()
            log.info("authorities.taken_up", phase=fresh.phase, trusted=[one.pin for one in fresh.trusted])
        await self.announce()
        self._seen = seen

    def _read(self) -> Authorities:
        fresh = load_authorities(self._folder)
        refresh_certificate(self._folder, fresh, self._wall())
        if fresh.phase == "standby" and self._folder.ca_rotation.exists():
            with suppress(UserError), locked(self._folder):
                settle(self._folder)  # of a command that was killed after its last step
        return fresh

    async def announce(self) -> None:
        """The store knows what this hub has loaded, and of which CA the certificates of a version before are."""
        now, at = self._live.now, self._clock()
        if self._announced == now.state:
            return

        def unit(txn: Txn) -> None:
            txn.fill_issuer(now.current.key_id)
            note_state(txn, now, "hub", at)
            txn.put_meta(CA_LOADED, now.state)

        await self._store.write(unit)
        self._announced = now.state

    def renew(self) -> bool:
        """A new certificate of the hub's own where that is due; True where there is one."""
        if not refresh_certificate(self._folder, self._live.now, self._wall()):
            return False
        self._tls.load(self._live.now)
        return True


def renew_certificates(http_tls: ListenerTls | None, authorities: AuthorityTasks) -> None:
    """New certificates, of links and of webhooks, are shown to connections from now on; those that are open do not
    notice.
    """
    if http_tls is not None:
        http_tls.reload()
    if authorities.renew():
        log.info("hub.certificate_renewed")
