"""Refused links and joins as audit rows and log lines: each kind of refusal is told, and no flood fills the disk.

Two bounds. Of one name and reason there is a row in `SAME_AGAIN` seconds: a machine that comes again every five minutes
is told once. And of one path and reason there are at most ten rows a minute, whatever the names. What is held back is
counted in a row that sums up.

A machine's row keeps the last refusal of a link that proved to be its own, so that it can be told why it is away
(`hub.core.absence`): written where the reason changes, and else once in `NOTE_EVERY` seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from common.times import format_skew
from hub.core.absence import CLOCK_REFUSED, is_off
from hub.core.lru import Lru
from hub.core.rate_limits import RefusalLimiter, RefusalRow
from hub.core.records import Agent
from hub.identity.agents import AgentRegistry
from hub.links.peer import Peer
from hub.log import logger
from hub.store.store import Store
from hub.store.transaction import Txn

SAME_AGAIN: Final = 600.0
MAX_NAMES: Final = 10_000
NOTE_EVERY: Final = 60.0

log = logger("links")


class LinkRefusals:
    def __init__(self, store: Store, fleet: AgentRegistry, clock: Callable[[], float]) -> None:
        self._store = store
        self._fleet = fleet
        self._clock = clock
        self._limiter = RefusalLimiter()
        self._told: Lru[tuple[str, str, str], float] = Lru(MAX_NAMES)

    async def record(self, path: str, code: str, name: str, reason: str = "") -> None:
        """One audit row and log line for whoever was refused; of a flood, a few rows and a sum."""
        key, now = (path, code, name), self._clock()
        before = self._told.get(key)
        if before is not None and 0 <= now - before < SAME_AGAIN:
            await self._write(self._limiter.count(path, code, name, now))
            return
        rows = self._limiter.record(path, code, name, now)
        if any(row.at == now and row.count == 1 for row in rows):
            self._told.put(key, now)
            log.warning("link.refused", path=path, name=name, code=code, reason=reason[:300])
        await self._write(rows)

    async def note(self, peer: Peer, code: str) -> None:
        """Keeps why this machine was not let in; nothing for people, and for a machine that is linked: then it was a
        copy of it.
        """
        identity, now = peer.identity, self._clock()
        if identity is None or identity.kind != "agent" or self._fleet.online(identity.name):
            return
        since = identity.not_after if code == "expired" else now

        def unit(txn: Txn) -> Agent | None:
            before = txn.agent(identity.name)
            if before is None or (
                before.refused_code == code
                and before.refused_since == (since if code == "expired" else before.refused_since)
                and 0 <= now - (before.refused_at or 0.0) < NOTE_EVERY
            ):
                return None
            after = replace(
                before, refused_at=now, refused_code=code, refused_since=since, clock_ahead=peer.clock_ahead
            )
            txn.save_agent(before, after)
            return after

        noted = await self._store.write(unit)
        if noted is not None:
            self._fleet.update(noted)

    async def note_clock(self, peer: Peer) -> None:
        """The machine came only to compare clocks: its own does not take this hub's certificate."""
        if is_off(peer.clock_ahead):
            if peer.identity is not None:
                skew = f"{format_skew(peer.clock_ahead or 0.0)} the hub's"
                await self.record(peer.identity.kind, CLOCK_REFUSED, peer.identity.name, f"its clock is {skew}")
            await self.note(peer, CLOCK_REFUSED)

    async def flush(self, *, everything: bool = False) -> None:
        """Writes the sums that have come due; at shutdown all of them."""
        await self._write(self._limiter.pop_due(self._clock(), everything=everything))

    async def _write(self, rows: Sequence[RefusalRow]) -> None:
        def unit(txn: Txn) -> None:
            for row in rows:
                joining = row.inlet == "join"
                actor = "unknown" if joining else row.remote
                data = {"path": row.inlet, "code": row.code, "count": row.count}
                txn.audit("join.refused" if joining else "link.refused", row.remote, actor, data, row.at)

        if rows:
            await self._store.write(unit)
