"""Refused links and joins, and what was no frame and no TLS, as audit rows and log lines: each kind is told, and no
flood fills the disk.

Three bounds. Of one name or address, path and reason there is a row at once and then one in `SAME_AGAIN` seconds, with
how many there were. Of one path and reason there are at most ten such rows in that time, whatever the names, and one
that sums the rest up. And of whoever has not proved who they are one address has a few rows, then one a minute.

A machine's row keeps the last refusal of a link that proved to be its own, so that it can be told why it is away
(`hub.core.absence`): written where the reason changes, and else once in `NOTE_EVERY` seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from common.errors import WorkFailed
from common.times import format_skew
from hub.core.absence import CLOCK_REFUSED, is_off
from hub.core.lru import Lru
from hub.core.rate_limits import RefusalLimiter, RefusalRow, TokenBuckets, network_key
from hub.core.records import Agent
from hub.identity.agents import AgentRegistry
from hub.links.peer import Peer
from hub.log import logger
from hub.store.store import Store
from hub.store.transaction import Txn

SAME_AGAIN: Final = 600.0
MAX_NAMES: Final = 10_000
ADDRESS_BURST: Final = 10.0
ADDRESS_RATE: Final = 1 / 60
BAD_FRAME: Final = "frame"
"""The code of what is no frame; its row says what was wrong with it."""
NOTE_EVERY: Final = 60.0

MAX_REASON: Final = 200
TLS: Final = "tls"
"""The path of what has come to no path: TLS itself."""

_Key = tuple[str, str, str]
"""Path, code, name or address."""

log = logger("links")


@dataclass(frozen=True, slots=True)
class _Row:
    row: RefusalRow
    reason: str = ""
    address: str = ""
    seconds: int = 0  # that a sum is about


@dataclass(slots=True)
class _Told:
    """A row of one who was refused, and how many came after it."""

    at: float
    count: int = 0
    reason: str = ""
    address: str = ""


class LinkRefusals:
    def __init__(self, store: Store, fleet: AgentRegistry, clock: Callable[[], float]) -> None:
        self._store = store
        self._fleet = fleet
        self._clock = clock
        self._limiter = RefusalLimiter(window=SAME_AGAIN)
        self._addresses = TokenBuckets(ADDRESS_RATE, ADDRESS_BURST)
        self._told: Lru[_Key, _Told] = Lru(MAX_NAMES)
        self._noted: Lru[str, tuple[str, float]] = Lru(MAX_NAMES)
        self._repeated: dict[_Key, _Told] = {}  # of those told, the ones with more to tell

    async def record(self, path: str, code: str, name: str, reason: str = "", address: str = "") -> None:
        """One audit row and log line for whoever was refused; of a flood, a few rows and sums. `address` is that of one
        who has not proved to be `name`.
        """
        key, now = (path, code, name), self._clock()
        before = self._told.get(key)
        if before is not None and now >= before.at and (now - before.at < SAME_AGAIN or before.count):
            before.count += 1
            before.reason, before.address = reason[:MAX_REASON], address
            self._repeated[key] = before
            await self._flush_repeated(now)
            return
        if address and self._addresses.try_acquire(network_key(address), now):
            await self._write([_Row(row) for row in self._limiter.count(path, code, name, now)])
            return
        rows = self._limiter.record(path, code, name, now)
        if any(row.at == now and row.count == 1 for row in rows):
            self._remember(key, _Told(now))
            log.warning("link.refused", path=path, name=name, code=code, reason=reason[:300], address=address)
        await self._write(
            [_Row(row, reason[:MAX_REASON], address) if row.count == 1 and row.at == now else _Row(row) for row in rows]
        )

    async def record_if_possible(self, path: str, code: str, name: str, reason: str, address: str) -> None:
        """The same for one whom nobody waits for. A store that takes nothing now is told by its own alarm."""
        try:
            await self.record(path, code, name, reason, address)
        except WorkFailed as error:
            log.warning("link.refusal_unsaved", path=path, code=code, name=name, reason=str(error))

    def _remember(self, key: _Key, told: _Told) -> None:
        if len(self._told) >= MAX_NAMES:
            oldest = next(iter(self._told))
            gone = self._told.pop(oldest)
            if gone is not None and self._repeated.pop(oldest, None) is not None:
                for _ in range(gone.count):
                    self._limiter.count(*oldest, gone.at)
        self._told.put(key, told)

    async def _flush_repeated(self, now: float, *, everything: bool = False) -> None:
        """The rows of those who came again and again, once in `SAME_AGAIN` seconds each."""
        due = [key for key, told in self._repeated.items() if everything or not 0 <= now - told.at < SAME_AGAIN]
        rows = []
        for key in due:
            told = self._repeated.pop(key)
            path, code, name = key
            row = RefusalRow(path, code, name, now, told.count)
            rows.append(_Row(row, told.reason, told.address, round(max(0.0, now - told.at))))
            told.at, told.count = now, 0
        await self._write(rows)

    async def note(self, peer: Peer, code: str) -> None:
        """Keeps why this machine was not let in; nothing for people, and for a machine that is linked: then it was a
        copy of it.
        """
        identity, now = peer.identity, self._clock()
        if identity is None or identity.kind != "agent" or self._fleet.online(identity.name):
            return
        since = identity.not_after if code == "expired" else now
        noted = self._noted.get(identity.name)
        if noted is not None and noted[0] == code and 0 <= now - noted[1] < NOTE_EVERY:
            return  # without a look at the store, however often it comes
        self._noted.put(identity.name, (code, now))

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

        changed = await self._store.write(unit)
        if changed is not None:
            self._fleet.update(changed)

    async def note_clock(self, peer: Peer) -> None:
        """The machine came only to compare clocks: its own does not take this hub's certificate."""
        if is_off(peer.clock_ahead):
            if peer.identity is not None:
                skew = f"{format_skew(peer.clock_ahead or 0.0)} the hub's"
                await self.record(peer.identity.kind, CLOCK_REFUSED, peer.identity.name, f"its clock is {skew}")
            await self.note(peer, CLOCK_REFUSED)

    async def flush(self, *, everything: bool = False) -> None:
        """Writes the sums that have come due; at shutdown all of them."""
        now = self._clock()
        await self._flush_repeated(now, everything=everything)
        await self._write([_Row(row) for row in self._limiter.pop_due(now, everything=everything)])

    async def _write(self, rows: Sequence[_Row]) -> None:
        def unit(txn: Txn) -> None:
            for kind, subject, actor, data, at in map(_audit_row, rows):
                txn.audit(kind, subject, actor, data, at)

        if rows:
            await self._store.write(unit)


def _audit_row(row: _Row) -> tuple[str, str, str, dict[str, Any], float]:
    """Kind, subject, actor, data, moment."""
    path, code, name, at, count = row.row.inlet, row.row.code, row.row.remote, row.row.at, row.row.count
    data: dict[str, Any] = {"path": path, "code": code, "count": count}
    if row.address:
        data["address"] = row.address
    if row.seconds:
        data["seconds"] = row.seconds
    kind = "join.refused" if path == "join" else "link.refused"
    if code == BAD_FRAME:
        kind = "link.bad_frame"
        data["why"] = row.reason
    elif path == TLS:
        kind = "link.no_tls"
        data["why"] = row.reason
    return kind, name, "unknown" if path in ("join", TLS) or row.address else name, data, at
