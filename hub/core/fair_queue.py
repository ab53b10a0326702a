"""A line in which nobody stands behind somebody else's pile. Pure; `now` is passed in.

    class   acts before messages, messages before what can wait. A class that was passed over `floor` times in a row has
            the next turn, so that none of them stands still
    group   within a class the inlets (or whatever is above a key) take turns
    key     within a group the people (or machines) take turns

A turn is `quantum` of cost (deficit round robin): one entry where each costs 1. What one key puts in is served in its
order. So a newcomer waits for one turn of each other key at most, whatever they have piled up: `ahead` says how many
that are. Everything costs the same however long the line is. Bounded in total, a group and a key.

`Turns` is such a line in which of each key one at a time is served: a pile takes up one place, not all there are.
`DrainRate` is how fast such a line moves, by which the wait of a newcomer is told before it stands in it.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import exp
from typing import Final, Generic, NamedTuple, TypeVar

T = TypeVar("T")
NEVER: Final = 0
"""The floor of a class that needs none: the first, which is never passed over."""


class Key(NamedTuple):
    """Whose entry it is."""

    group: str
    name: str


@dataclass(slots=True)
class _Line(Generic[T]):
    """What one key has in the line."""

    entries: deque[tuple[T, int]] = field(default_factory=deque)  # with their cost
    left: int = 0  # of its turn


@dataclass(slots=True)
class _Group(Generic[T]):
    keys: OrderedDict[str, _Line[T]] = field(default_factory=OrderedDict)  # the next whose turn it is first
    count: int = 0


@dataclass(slots=True)
class _Class(Generic[T]):
    floor: int
    groups: OrderedDict[str, _Group[T]] = field(default_factory=OrderedDict)
    count: int = 0
    passed_over: int = 0


class FairQueue(Generic[T]):
    def __init__(
        self,
        floors: Sequence[int],
        *,
        total: int,
        per_group: int | None = None,
        per_key: int | None = None,
        quantum: int = 1,
    ) -> None:
        """`floors` has one entry a class, the first class first. An entry that costs more than `quantum` counts as one
        of that cost.
        """
        self._classes: list[_Class[T]] = [_Class(floor) for floor in floors]
        self._total = total
        self._per_group = total if per_group is None else per_group
        self._per_key = total if per_key is None else per_key
        self._quantum = quantum
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def has_room(self, kind: int, key: Key) -> bool:
        group = self._classes[kind].groups.get(key.group)
        if group is None or self._count >= self._total:
            return self._count < self._total
        line = group.keys.get(key.name)
        return group.count < self._per_group and (line is None or len(line.entries) < self._per_key)

    def put(self, kind: int, key: Key, item: T, cost: int = 1) -> bool:
        """Puts an entry at the end of its key's; False where that has no room."""
        if not self.has_room(kind, key):
            return False
        group = (one := self._classes[kind]).groups.get(key.group)
        if group is None:
            group = one.groups[key.group] = _Group()
        line = group.keys.get(key.name)
        if line is None:
            line = group.keys[key.name] = _Line()
        line.entries.append((item, min(cost, self._quantum)))
        group.count += 1
        one.count += 1
        self._count += 1
        return True

    def pop(self) -> T | None:
        """Whose turn it is; None where the line is empty."""
        one = self._next_class()
        if one is None:
            return None
        group_name, group = next(iter(one.groups.items()))
        name, line = next(iter(group.keys.items()))
        item, cost = line.entries.popleft()
        if line.left < cost:  # its turn begins; what was left of the last one counts
            line.left += self._quantum
        line.left -= cost
        if not line.entries:
            del group.keys[name]
        elif line.left < line.entries[0][1]:
            group.keys.move_to_end(name)
        if not line.entries or line.left < line.entries[0][1]:
            one.groups.move_to_end(group_name)
        group.count -= 1
        if not group.count:
            del one.groups[group_name]
        one.count -= 1
        self._count -= 1
        return item

    def _next_class(self) -> _Class[T] | None:
        """The first class with entries, but for one below that was passed over for as long as its floor allows."""
        waiting = [one for one in self._classes if one.count]
        if not waiting:
            return None
        chosen = next((one for one in waiting[1:] if one.passed_over >= one.floor), waiting[0])
        for one in waiting:
            one.passed_over += 1
        chosen.passed_over = 0
        return chosen

    def ahead(self, kind: int, key: Key) -> int:
        """How many entries are served at most before one that `key` puts in now, of those that are in the line. What
        comes into a class above afterwards is served before it too, and of its own class nobody twice.
        """
        one = self._classes[kind]
        above = sum(each.count for each in self._classes[:kind])
        group = one.groups.get(key.group)
        line = group.keys.get(key.name) if group is not None else None
        own = len(line.entries) if line is not None else 0
        groups = len(one.groups) + (group is None)
        keys = (len(group.keys) if group is not None else 0) + (line is None)
        in_turns = (own + 1) * groups * keys - 1
        below = 0
        if kind:  # turns that it has for its floor, whatever stands above it
            above = min(above, (min(one.count, in_turns) + 1) * max(1, one.floor))
        for each in self._classes[kind + 1 :]:
            below += min(each.count, (above + min(one.count, in_turns) + each.passed_over) // max(1, each.floor) + 1)
        return above + min(one.count, in_turns) + below


class Turn(NamedTuple):
    """A class and a key: what is served one at a time."""

    kind: int
    key: Key


class Turns(Generic[T]):
    """A fair queue of the first entries of each key, with the others behind them: the next one of a key stands in line
    when the one before is done. So what comes from one key stays in its order, and however much it is, the place that
    it takes up is one.
    """

    def __init__(self, floors: Sequence[int], *, total: int, per_key: int) -> None:
        self._first: FairQueue[tuple[Turn, T]] = FairQueue(floors, total=total)
        self._behind: dict[Turn, deque[T]] = {}  # of each key that waits or is served, what waits behind that
        self._total = total
        self._per_key = per_key
        self._count = 0

    def __len__(self) -> int:
        """Entries that wait."""
        return self._count

    @property
    def ready(self) -> bool:
        """Whether `pop` has one: all that wait may wait for one of their own that is being served."""
        return len(self._first) > 0

    def is_served(self, turn: Turn) -> bool:
        """Whether one of this key waits, or has its turn."""
        return turn in self._behind

    def has_room(self, turn: Turn) -> bool:
        behind = self._behind.get(turn)
        return self._count < self._total and (behind is None or len(behind) < self._per_key)

    def begin(self, turn: Turn) -> None:
        """One has its turn that has not waited."""
        self._behind[turn] = deque()

    def put(self, turn: Turn, item: T) -> bool:
        """Puts an entry at the end of its key's; False where there is no room."""
        if not self.has_room(turn):
            return False
        behind = self._behind.get(turn)
        if behind is None:
            self._behind[turn] = deque()
            self._first.put(*turn, (turn, item))
        else:
            behind.append(item)
        self._count += 1
        return True

    def pop(self) -> tuple[Turn, T] | None:
        """Whose turn it is, until it is `done`; None where it is nobody's."""
        first = self._first.pop()
        if first is not None:
            self._count -= 1
        return first

    def done(self, turn: Turn) -> None:
        """The turn is over; the next one of this key stands in line."""
        behind = self._behind[turn]
        if behind:
            self._first.put(*turn, (turn, behind.popleft()))
        else:
            del self._behind[turn]

    def ahead(self, turn: Turn) -> int:
        """How many of those in line are served at most before one that is put in now."""
        others = self._first.ahead(*turn)
        behind = self._behind.get(turn)
        own = 0 if behind is None else len(behind) + 1
        return min(self._count, others + own * (others + 1))


class DrainRate:
    """How long a line takes for one entry, as it was lately; while nothing moves, as long as that lasts.

    A mean over the last seconds in which somebody waited, and not over the last entries: one that was slow, where most
    are not, says little of those behind it. Until there was enough to measure, and after a pause, what is hoped for
    counts most, so that a burst after a silence is not refused for a hiccup.
    """

    MEMORY: Final = 2.0  # seconds of waiting after which what was measured counts for a third
    HOPED: Final = 50  # entries that are taken to have been measured at the start
    HICCUP: Final = 0.5  # seconds that one entry counts for at most: a stall is over when the next one is served
    PAUSE: Final = 10.0  # seconds without anybody in line after which it is like the start

    def __init__(self, seconds: float = 0.005) -> None:
        """`seconds` is what the first ones are taken to need."""
        self._hoped = seconds
        self._count, self._time = float(self.HOPED), self.HOPED * seconds
        self._last: float | None = None
        self._empty_since: float | None = None

    @property
    def seconds(self) -> float:
        """What one entry takes."""
        return self._time / self._count

    def served(self, now: float, waiting: int) -> None:
        """One more has had its turn; `waiting` are left in the line. Called for each, in order."""
        if self._last is not None:
            took = min(max(0.0, now - self._last), self.HICCUP)
            left = exp(-took / self.MEMORY)
            self._count, self._time = self._count * left + 1, self._time * left + took
        self._last = now if waiting else None
        self._empty_since = None if waiting else now

    def begin(self, now: float) -> None:
        """Somebody has to wait, the first since the line was empty."""
        if self._empty_since is not None and now - self._empty_since > self.PAUSE:
            self._count, self._time = float(self.HOPED), self.HOPED * self._hoped
        self._last, self._empty_since = now, None

    def wait(self, ahead: int, now: float) -> float:
        """Seconds until `ahead` entries and the one behind them are served."""
        stands = 0.0 if self._last is None else now - self._last
        return (ahead + 1) * self.seconds if stands < 10 * self.seconds else (ahead + 1) * self.seconds + stands
