"""The sealed values that did not open when they were read, for whoever tells people: bounded, each place once."""

from __future__ import annotations

import threading
from typing import Final

MAX_PLACES: Final = 200


class BrokenValues:
    """Any thread notes; one takes what is new."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._places: dict[str, str] = {}  # and why
        self._untold: list[str] = []
        self.more = False  # there are more than are named

    def note(self, place: str, why: str) -> None:
        with self._lock:
            if place in self._places:
                return
            if len(self._places) >= MAX_PLACES:
                self.more = True
                return
            self._places[place] = why
            self._untold.append(place)

    def take(self, limit: int) -> list[tuple[str, str]]:
        """Up to `limit` places that nobody was told of, with why they do not open."""
        with self._lock:
            taken, self._untold = self._untold[:limit], self._untold[limit:]
            return [(place, self._places[place]) for place in taken]

    def places(self) -> list[str]:
        """Those that were found since the start."""
        with self._lock:
            return list(self._places)
