"""An immutable set of names of which a change copies only a small part. Pure.

Which machines are online changes thousands of times a minute when ten thousand of them come back after a restart, and
every unit of work holds the set of its moment: copying all names each time would cost more than the unit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

BUCKETS: Final = 128


class NameSet:
    """The names lie in `BUCKETS` frozen sets, of which sets that differ by one name share all but one."""

    __slots__ = ("_buckets",)

    def __init__(self, names: Iterable[str] = ()) -> None:
        buckets: list[set[str]] = [set() for _ in range(BUCKETS)]
        for name in names:
            buckets[hash(name) % BUCKETS].add(name)
        self._buckets = tuple(map(frozenset, buckets))

    def __contains__(self, name: str) -> bool:
        return name in self._buckets[hash(name) % BUCKETS]

    def __iter__(self) -> Iterator[str]:
        return (name for bucket in self._buckets for name in bucket)

    def __len__(self) -> int:
        return sum(map(len, self._buckets))

    def with_name(self, name: str) -> NameSet:
        return self if name in self else self._replaced(name, self._buckets[hash(name) % BUCKETS] | {name})

    def without_name(self, name: str) -> NameSet:
        return self._replaced(name, self._buckets[hash(name) % BUCKETS] - {name}) if name in self else self

    def _replaced(self, name: str, bucket: frozenset[str]) -> NameSet:
        place = hash(name) % BUCKETS
        changed = object.__new__(NameSet)
        changed._buckets = (*self._buckets[:place], bucket, *self._buckets[place + 1 :])
        return changed
