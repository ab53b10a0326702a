"""When each inlet's chat delivered last, in which hours it usually does, and which have been silent for long. Pure.

Only an inlet that talked can be quiet: one that never did is a matter of setting it up. What is known outlives the hub
as `to_json` (hub/chat/inlet_memory.py).
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Final

from hub.core.inlet_rhythm import Rhythm

WRITE_EVERY: Final = 600.0
"""Seconds after which a later delivery is written, where nothing else is news."""


class QuietInlets:
    def __init__(self, heard: dict[str, float]) -> None:
        """`heard` is kept here: inlet -> when, in seconds since the epoch."""
        self._heard = heard
        self._rhythms: dict[str, Rhythm] = {}
        self._told: set[str] = set()
        self._news = False
        self._written_at = 0.0

    def note(self, inlet: str, now: float) -> bool:
        """An authentic delivery; True where its silence had been told."""
        self._heard[inlet] = now
        rhythm = self._rhythms.get(inlet)
        if rhythm is None:
            rhythm = self._rhythms[inlet] = Rhythm()
        self._news = rhythm.note(now) or self._news
        was_told = inlet in self._told
        self._told.discard(inlet)
        return was_told

    def limits(self, configured: Mapping[str, float | None]) -> dict[str, float]:
        """After how many seconds each inlet is quiet: what hub.toml says, and where that is None what its last weeks
        say. 0: never.
        """
        return {name: self._learned(name) if limit is None else limit for name, limit in configured.items()}

    def _learned(self, inlet: str) -> float:
        rhythm, heard = self._rhythms.get(inlet), self._heard.get(inlet)
        return 0.0 if rhythm is None or heard is None else rhythm.limit(heard)

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
        for inlet in [one for one in {*self._heard, *self._rhythms} if one not in inlets]:
            self._heard.pop(inlet, None)
            self._rhythms.pop(inlet, None)
        self._told.intersection_update(inlets)

    # ---- beyond the hub's end

    def to_write(self, now: float) -> str | None:
        """What is to be written now; None where there is no news. At most a row in WRITE_EVERY, but where an hour of
        the week is new.
        """
        latest = max(self._heard.values(), default=0.0)
        if not self._news and (latest <= self._written_at or now - self._written_at < WRITE_EVERY):
            return None
        self._news, self._written_at = False, now
        return self.to_json()

    def to_json(self) -> str:
        return json.dumps(
            {
                name: {"heard": round(self._heard.get(name, 0.0), 3), **rhythm.to_json()}
                for name, rhythm in self._rhythms.items()
            },
            separators=(",", ":"),
        )

    def load(self, text: str, inlets: Collection[str], *, still_silent: bool) -> None:
        """What was written. Not `still_silent`: the hub was away for long, and what came meanwhile it could not hear;
        each inlet then begins to be silent with its next delivery. What does not read is left out.
        """
        try:
            entries = json.loads(text)
            items = entries.items()
        except (AttributeError, ValueError, RecursionError):
            return
        for name, body in items:
            try:
                rhythm, heard = Rhythm.from_json(body), float(body["heard"])
            except (KeyError, TypeError, ValueError, AttributeError):
                continue
            if name in inlets:
                self._rhythms[name] = rhythm
                if still_silent and heard > 0:
                    self._heard[name] = heard
