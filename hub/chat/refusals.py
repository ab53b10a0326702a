"""Messages that were turned away: counted, logged, an audit row each (of a flood: ten a minute, then one with the
count).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

from hub.core.inlet_activity import InletActivity
from hub.core.rate_limits import RefusalLimiter, RefusalRow
from hub.log import logger
from hub.metrics import Metrics
from hub.store.store import Store

log = logger("refusals")

_AUDIT_SECONDS: Final = 2.0


class Refusals:
    """`record` writes one audit row."""

    def __init__(
        self,
        metrics: Metrics,
        record: Callable[[RefusalRow], Awaitable[None]],
        clock: Callable[[], float],
        activity: InletActivity | None = None,
    ) -> None:
        self._activity = activity or InletActivity()
        self._metrics = metrics
        self._record = record
        self._clock = clock
        self._limiter = RefusalLimiter()

    async def count(self, inlet: str, code: str, remote: str) -> None:
        """`inlet` is "" where there is no such inlet; `remote` is who is to blame: an address, a chat user."""
        self._metrics.count_refused(inlet, code)
        now = self._clock()
        self._activity.note_refusal(inlet, code, now)
        rows = self._limiter.record(inlet, code, remote, now)
        if rows:
            log.warning("message.refused", inlet=inlet, reason=code, remote=remote)
        await self._audit(rows)

    async def flush(self, now: float, *, all_of_them: bool = False) -> None:
        """Writes the audit rows that sum up refusals of past windows; with `all_of_them` (at shutdown), of all
        windows.
        """
        await self._audit(self._limiter.pop_due(now, everything=all_of_them))

    async def _audit(self, rows: Iterable[RefusalRow]) -> None:
        """Writes audit rows; one that cannot be written must not delay the refusal."""
        for row in rows:
            try:
                async with asyncio.timeout(_AUDIT_SECONDS):
                    await self._record(row)
            except TimeoutError:
                log.warning("audit.refusal_lost", inlet=row.inlet, code=row.code, count=row.count, reason="too slow")
            except Exception:
                log.exception("audit.refusal_lost", inlet=row.inlet, code=row.code, count=row.count)


async def record_refusal(store: Store, refusal: RefusalRow) -> None:
    """One audit row for deliveries that were turned away."""
    data = {"inlet": refusal.inlet, "code": refusal.code, "remote": refusal.remote, "count": refusal.count}
    subject, actor = refusal.inlet or "http", refusal.remote or "unknown"
    await store.write(lambda txn: txn.audit("message.refused", subject, actor, data, refusal.at))
