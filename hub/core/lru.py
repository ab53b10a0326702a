"""A map bounded in entries and in size; what was not used for longest goes first. Pure.

The hub's one such map: plans in memory and on disk, prompts, token budgets, rate limits, hosts that fail. It bounds
both numbers at once and says what made room, which libraries of caches do not: files have to be removed with it.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterator, KeysView
from math import inf
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")


class Lru(Generic[K, V]):
    def __init__(self, entries: int, size: float = inf) -> None:
        """At most so many entries, of at most so much size together; 0 of either keeps nothing."""
        self._entries = entries
        self._limit = size
        self._values: OrderedDict[K, tuple[V, int]] = OrderedDict()  # from the one used longest ago to the latest
        self.size = 0
        self.evicted = 0  # entries that made room for others

    def __len__(self) -> int:
        return len(self._values)

    def __iter__(self) -> Iterator[K]:
        """From the one used longest ago to the latest."""
        return iter(self._values)

    def __contains__(self, key: object) -> bool:
        return key in self._values

    def keys(self) -> KeysView[K]:
        return self._values.keys()

    def get(self, key: K) -> V | None:
        """The value; this is use."""
        found = self._values.get(key)
        if found is None:
            return None
        self._values.move_to_end(key)
        return found[0]

    def peek(self, key: K) -> V | None:
        """The value; this is no use."""
        found = self._values.get(key)
        return None if found is None else found[0]

    def put(self, key: K, value: V, size: int = 0) -> list[K]:
        """The keys that made room. What would not fit even alone is not kept, nor is what it would replace."""
        self.pop(key)
        removed: list[K] = []
        if size > self._limit or not self._entries:
            return removed
        while self._values and (len(self._values) >= self._entries or self.size + size > self._limit):
            removed.append(oldest := next(iter(self._values)))
            self.pop(oldest)
        self.evicted += len(removed)
        self._values[key] = value, size
        self.size += size
        return removed

    def pop(self, key: K) -> V | None:
        value, size = self._values.pop(key, (None, 0))
        self.size -= size
        return value

    def clear(self) -> None:
        self._values.clear()
        self.size = 0
