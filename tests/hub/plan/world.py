"""A small fleet and contexts for the planners' tests."""

from __future__ import annotations

from common.catalogue import language_of
from hub.machines import Inventory, Machine
from hub.plan.outcome import Context

FLEET = Inventory(
    {
        name: Machine(name, labels, online=True)
        for name, labels in (
            ("web-1", {"role": "web", "env": "prod"}),
            ("web-2", {"role": "web", "env": "test"}),
            ("db-1", {"role": "db", "env": "prod"}),
        )
    }
)


def context(text: str, inventory: Inventory = FLEET) -> Context:
    """`text` as Alice would send it."""
    return Context(text, language_of(text), "alice", ("operator",), inventory, 1_000.0)
