"""When inlets were heard, beyond the end of the hub: one row of the store's settings."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from hub.core.quiet_inlets import QuietInlets
from hub.store.store import Store

_KEY: Final = "inlets.heard"
AWAY: Final = 3_600.0
"""Seconds for which a hub may have been away, and what is silent then still counts as silent before."""


def load_heard(store: Store, quiet: QuietInlets, inlets: Collection[str], away: float) -> None:
    """What the hub before knew, which ended `away` seconds ago; blocks the thread."""
    text = store.read_now(lambda txn: txn.get_meta(_KEY))
    if text is not None:
        quiet.load(text, inlets, still_silent=away < AWAY)


async def write_heard(store: Store, quiet: QuietInlets, now: float) -> None:
    text = quiet.to_write(now)
    if text is not None:
        await store.write(lambda txn: txn.put_meta(_KEY, text))
