"""A map bounded in entries and bytes; what was not used for longest goes first. Pure."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator


class Lru:
    """Bytes by key. An entry weighs its key, its value and what Python needs around it."""

    OVERHEAD = 200  # bytes that Python needs around an entry, roughly

    def __init__(self, entries: int, size: int) -> None:
        """At most so many entries and so many bytes; 0 of either keeps nothing."""
        self._entries = entries
        self._size = size
        self._values: OrderedDict[str, bytes] = OrderedDict()
        self.bytes = 0
        self.evicted = 0

    def __len__(self) -> int:
        return len(self._values)

    def __iter__(self) -> Iterator[str]:
        """From the one used longest ago to the latest."""
        return iter(self._values)

    def get(self, key: str) -> bytes | None:
        value = self._values.get(key)
        if value is not None:
            self._values.move_to_end(key)
        return value

    def put(self, key: str, value: bytes) -> None:
        """What would not fit even alone is not kept, nor is what it would replace."""
        self.drop(key)
        weight = self._weight(key, value)
        if weight > self._size or not self._entries:
            return
        while self._values and (len(self._values) >= self._entries or self.bytes + weight > self._size):
            self.drop(next(iter(self._values)))
            self.evicted += 1
        self._values[key] = value
        self.bytes += weight

    def drop(self, key: str) -> None:
        value = self._values.pop(key, None)
        if value is not None:
            self.bytes -= self._weight(key, value)

    def clear(self) -> None:
        self._values.clear()
        self.bytes = 0

    def _weight(self, key: str, value: bytes) -> int:
        return len(key) + len(value) + self.OVERHEAD
