"""A small fleet and contexts for the planners' tests."""

from __future__ import annotations

from common.catalogue import detect_language
from hub.core.inventory import Inventory, Machine
from hub.core.outcome import PlanningContext

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


def context(text: str, inventory: Inventory = FLEET) -> PlanningContext:
    """`text` as Alice would send it."""
    return PlanningContext(text, detect_language(text), "alice", ("operator",), inventory, 1_000.0)
