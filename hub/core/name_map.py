"""An immutable mapping by name of which a change copies only a small part; `name_set` says why. Pure."""

from __future__ import annotations

from collections.abc import ItemsView, Iterable, Iterator, Mapping, ValuesView
from itertools import chain
from typing import Final, Generic, TypeVar

V = TypeVar("V")
BUCKETS: Final = 128


class NameMap(Mapping[str, V], Generic[V]):
    """The items lie in `BUCKETS` dicts, of which maps that differ by one name share all but one."""

    __slots__ = ("_buckets", "_count")

    def __init__(self, items: Iterable[tuple[str, V]] = ()) -> None:
        buckets: list[dict[str, V]] = [{} for _ in range(BUCKETS)]
        for name, value in items:
            buckets[hash(name) % BUCKETS][name] = value
        self._buckets = tuple(buckets)
        self._count = sum(map(len, buckets))

    def __getitem__(self, name: str) -> V:
        return self._buckets[hash(name) % BUCKETS][name]

    def __contains__(self, name: object) -> bool:
        return name in self._buckets[hash(name) % BUCKETS]

    def __iter__(self) -> Iterator[str]:
        return (name for bucket in self._buckets for name in bucket)

    def __len__(self) -> int:
        return self._count

    def values(self) -> ValuesView[V]:
        return _Values(self)

    def items(self) -> ItemsView[str, V]:
        return _Items(self)

    def walk_values(self) -> Iterator[V]:
        return chain.from_iterable(map(dict.values, self._buckets))

    def walk_items(self) -> Iterator[tuple[str, V]]:
        return chain.from_iterable(map(dict.items, self._buckets))

    def with_item(self, name: str, value: V) -> NameMap[V]:
        place = hash(name) % BUCKETS
        return self._replaced(place, {**self._buckets[place], name: value})

    def without_name(self, name: str) -> NameMap[V]:
        if name not in self:
            return self
        place = hash(name) % BUCKETS
        return self._replaced(place, {other: value for other, value in self._buckets[place].items() if other != name})

    def _replaced(self, place: int, bucket: dict[str, V]) -> NameMap[V]:
        changed: NameMap[V] = object.__new__(NameMap)
        changed._buckets = (*self._buckets[:place], bucket, *self._buckets[place + 1 :])
        changed._count = self._count - len(self._buckets[place]) + len(bucket)
        return changed


class _Values(ValuesView[V]):
    """Of which each value is not looked up by its name."""

    _mapping: NameMap[V]

    def __iter__(self) -> Iterator[V]:
        return self._mapping.walk_values()


class _Items(ItemsView[str, V]):
    _mapping: NameMap[V]

    def __iter__(self) -> Iterator[tuple[str, V]]:
        return self._mapping.walk_items()
