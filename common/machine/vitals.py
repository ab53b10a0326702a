"""Which figures of a machine can be true. Pure.

A container or a strange kernel answers with zeros, infinities or shares above the whole where it does not know. Such a
figure is left out, by the agent before it is sent and by the hub before it is kept: a gap is honest, "memory 0 B" is
not a figure.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import Final

_SHARES: Final = frozenset({"cpu", "memory", "disk"})
"""Percent of a whole."""
_SIGNED: Final = frozenset({"clock_ahead"})
"""Seconds, which may be below zero."""
_NEVER_ZERO: Final = frozenset({"memory", "uptime"})
"""What runs takes some memory and some time."""


def plausible_vitals(vitals: Mapping[str, float]) -> dict[str, float]:
    """The vitals without those that cannot be true."""
    return {name: value for name, value in vitals.items() if is_plausible(name, value)}


def is_plausible(name: str, value: float) -> bool:
    if not isfinite(value) or (value < 0 and name not in _SIGNED) or (value == 0 and name in _NEVER_ZERO):
        return False
    return name not in _SHARES or value <= 100
