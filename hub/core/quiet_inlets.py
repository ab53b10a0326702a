"""When each inlet's chat delivered last, and which have been silent for long. Pure; in memory alone.

Only an inlet that talked since the hub started can be quiet: one that never did is a matter of setting it up.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping


class QuietInlets:
    def __init__(self, heard: dict[str, float]) -> None:
        """`heard` is kept here: inlet -> when, in seconds since the epoch."""
        self._heard = heard
        self._told: set[str] = set()

    def note(self, inlet: str, now: float) -> bool:
        """An authentic delivery; True where its silence had been told."""
        self._heard[inlet] = now
        was_told = inlet in self._told
        self._told.discard(inlet)
        return was_told

    def due(self, limits: Mapping[str, float], now: float) -> list[tuple[str, float]]:
        """The inlets that have been silent for longer than their limit, each once, and when they were heard; 0 is no
        limit.
        """
        found = [(inlet, at) for inlet, at in self.silent(limits, now).items() if inlet not in self._told]
        self._told.update(inlet for inlet, _ in found)
        return found

    def silent(self, limits: Mapping[str, float], now: float) -> dict[str, float]:
        """All that are silent for longer than their limit now, told or not, and when they were heard."""
        return {name: at for name, at in self._heard.items() if 0 < limits.get(name, 0.0) < now - at}

    def keep(self, inlets: Collection[str]) -> None:
        """Forgets those that went."""
        for inlet in [one for one in self._heard if one not in inlets]:
            del self._heard[inlet]
        self._told.intersection_update(inlets)
