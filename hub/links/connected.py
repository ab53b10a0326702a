"""The row of a machine that has just linked: when it came, its version, what it says of itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final

from common.errors import WorkFailed
from common.identity.certificates import Identity
from common.link.messages import ORDERS_FACT, TRUSTS_FACT, Hello
from hub.core.copied_identity import PROCESS_FACT
from hub.core.holder import LINEAGE_FACT
from hub.core.records import Agent
from hub.links.trust import note, told_digest
from hub.log import logger
from hub.store.store import Store
from hub.store.transaction import Txn

MAX_FACTS: Final = 32  # of a machine, and characters of each
MAX_FACT: Final = 200
log = logger("links")

_NOT_KEPT: Final = (PROCESS_FACT, LINEAGE_FACT, ORDERS_FACT, TRUSTS_FACT)


async def touch(store: Store, seen: Sequence[tuple[str, float, None]]) -> None:
    """Writes when machines were last here."""
    try:
        if seen:
            await store.write(lambda txn: txn.touch_agents(seen))
    except WorkFailed as error:
        log.warning("agent.last_seen_unsaved", agents=len(seen), reason=str(error))


def connection_note(
    identity: Identity, hello: Hello, clock_ahead: float | None, now: float
) -> Callable[[Txn, Agent], Agent]:
    """What writes it, given the row as it is in that transaction; it returns the row as it is then."""
    facts = {key[:MAX_FACT]: value[:MAX_FACT] for key, value in list((hello.facts or {}).items())[:MAX_FACTS]}
    for name in _NOT_KEPT:
        facts.pop(name, None)

    def note_connected(txn: Txn, before: Agent) -> Agent:
        seen = replace(before, last_seen=now, version=hello.version[:40], facts=facts, clock_ahead=clock_ahead)
        after = replace(seen, refused_at=None, refused_since=None, refused_code="")
        txn.save_agent(before, after)
        note(txn, identity, told_digest(hello))
        return after

    return note_connected
