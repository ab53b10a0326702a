"""The demo world's chats, the answer to the verb `inlets`. Pure: the same seed and moment give the same answer."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from common.api.inlets import InletView
from tui.demo.cast import CHANNELS

PERIOD: Final = 90.0
"""Seconds within which each chat delivers something."""
OUTBOUND: Final = frozenset({"telegram", "dingtalk"})


def demo_inlets(seed: int, begun: float, now: float) -> tuple[InletView, ...]:
    """All of them work; what is no message is turned away."""
    return tuple(_inlet(at, name, seed, begun, now) for at, name in enumerate(CHANNELS))


def _inlet(at: int, name: str, seed: int, begun: float, now: float) -> InletView:
    inlet = InletView(
        name=name,
        platform="generic" if name == "ops" else name,
        way="outbound" if name in OUTBOUND else "webhook",
        delivered_at=now - (now + 17.0 * (at + seed)) % PERIOD,
        quiet_after=7_200.0 if name == "ops" else None,
    )
    if inlet.is_outbound:
        return replace(inlet, answer="mentions", connected_at=begun - 3_600.0 * at)
    return replace(inlet, refused=2 * at, refused_code="bad_signature", refused_at=begun - 600.0) if at else inlet
