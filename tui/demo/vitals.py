"""The last ten minutes of a machine of the demo world: made of its name and the time, ending at how it is now."""

from __future__ import annotations

import math
import random
from typing import Final

from common.api.agents import AgentView, VitalsView

SLOT: Final = 10.0
SLOTS: Final = 60
PERIOD: Final = 23
"""Slots of a slow rise and fall."""


def demo_vitals(agent: AgentView, seed: int, now: float) -> VitalsView:
    """Nothing of a machine that is away."""
    here = int(now / SLOT)

    def series(kind: str, current: float | None, swing: float) -> tuple[float | None, ...]:
        if current is None or not agent.online:
            return (None,) * SLOTS
        values: list[float | None] = []
        for slot in range(here - SLOTS + 1, here):
            chance = random.Random(f"{seed} {agent.name} {kind} {slot}")  # noqa: S311 - the same each time, no secret
            wave = 1 + swing * math.sin(slot / PERIOD * math.tau)
            values.append(max(0.0, current * wave * chance.uniform(1 - swing / 2, 1 + swing / 2)))
        return (*values, current)

    return VitalsView(
        agent=agent.name,
        slot=SLOT,
        until=now,
        load=series("load", agent.load, 0.6),
        memory=tuple(None if value is None else min(100.0, value) for value in series("memory", agent.memory, 0.08)),
        rtt=series("rtt", agent.rtt, 0.4),
    )
