"""Who waits at a port and has not said yet who they are: how many of them, of one address and in all, and whose turn is
next. Pure; `now` is passed in.

Nobody is turned away who can wait: connections stand in line by address, and the addresses take turns, so an office of
a thousand machines behind one address comes back without a scan from elsewhere holding it up, nor it anybody else. What
is limited is who takes room and proves nothing:

    address   connections of one address that wait or are being opened; IPv6 counts by /64
    total     those of all addresses. Where that is reached, the address with the most gives one up: the oldest that
              is being opened, or else the last in line
    failures  openings that prove nothing (no TLS, no certificate, a bad token, no frame) use up their address's
              allowance. One that has none left is not shut out, since honest machines may sit behind it: it has few
              connections and few turns, until it lets some time go by
    wait      whoever stood in line for longer has given up by then, and its turn would be wasted

Everything here is bounded by `total`, and the allowances by the table of `rate_limits`.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from dataclasses import dataclass, field
from itertools import islice
from typing import Final, Generic, TypeVar

from hub.core.rate_limits import TokenBuckets

T = TypeVar("T")
LOOKS: Final = 64
"""Addresses that are looked at for one turn, or for one that gives up a connection."""


@dataclass(frozen=True, slots=True)
class ArrivalLimits:
    total: int = 4_096
    address: int = 1_024
    failing: int = 32  # of an address whose allowance is used up
    wait: float = 3.0  # seconds in line: what comes then has to fit into the ten that a machine gives it
    failures: float = 300.0  # at once
    failure_rate: float = 5.0  # a second, in the long run
    failing_rate: float = 5.0  # turns a second of an address whose allowance is used up


@dataclass(eq=False, slots=True)
class Arrival(Generic[T]):
    """A connection that nobody stands behind yet."""

    address: str
    at: float
    item: T
    present: bool = True  # counted here


@dataclass(slots=True)
class _Address(Generic[T]):
    present: dict[Arrival[T], None] = field(default_factory=dict)  # the oldest first
    line: deque[Arrival[T]] = field(default_factory=deque)


class ArrivalQueue(Generic[T]):
    def __init__(self, limits: ArrivalLimits | None = None) -> None:
        self.limits = limits or ArrivalLimits()
        self._addresses: OrderedDict[str, _Address[T]] = OrderedDict()  # the next whose turn it is first
        self._failures = TokenBuckets(self.limits.failure_rate, self.limits.failures)
        self._turns = TokenBuckets(self.limits.failing_rate, self.limits.failing_rate)
        self._present = 0
        self._waiting = 0

    def __len__(self) -> int:
        """Those that wait and those that are being opened."""
        return self._present

    @property
    def waiting(self) -> int:
        return self._waiting

    def is_failing(self, address: str, now: float) -> bool:
        return self._failures.wait_time(address, now) > 0

    def arrive(self, address: str, item: T, now: float) -> tuple[Arrival[T] | None, Arrival[T] | None]:
        """Puts a connection in line: its place, None where it is turned away; and one that has to go for it. The
        address "" is nobody's in particular, and has no limit of its own.
        """
        limits, one = self.limits, self._addresses.get(address)
        most = limits.failing if self.is_failing(address, now) else limits.address if address else limits.total
        if one is not None and len(one.present) >= most:
            return None, None
        going: Arrival[T] | None = None
        if self._present >= limits.total:
            heaviest = max(islice(self._addresses.values(), LOOKS), key=lambda each: len(each.present))
            if len(heaviest.present) <= (len(one.present) if one is not None else 0) + 1:
                return None, None
            opened = len(heaviest.present) > len(heaviest.line)
            going = next(iter(heaviest.present)) if opened else heaviest.line[-1]
            self.leave(going)
        one = self._addresses.setdefault(address, one or _Address())
        arrival = Arrival(address, now, item)
        one.present[arrival] = None
        one.line.append(arrival)
        self._present += 1
        self._waiting += 1
        return arrival, going

    def pop(self, now: float) -> Arrival[T] | None:
        """Whose turn it is; it counts as being opened until it leaves. None where nobody's is now."""
        for _ in range(min(LOOKS, len(self._addresses))):
            address, one = next(iter(self._addresses.items()))
            self._addresses.move_to_end(address)
            if one.line and not (self.is_failing(address, now) and self._turns.try_acquire(address, now)):
                self._waiting -= 1
                return one.line.popleft()
        return None

    def is_late(self, arrival: Arrival[T], now: float) -> bool:
        """Whether it stood in line for too long to be worth a turn."""
        return now - arrival.at > self.limits.wait

    def leave(self, arrival: Arrival[T]) -> None:
        """It has said who it is, or has gone."""
        if not arrival.present:
            return
        arrival.present = False
        one = self._addresses[arrival.address]
        del one.present[arrival]
        self._present -= 1
        try:
            one.line.remove(arrival)
            self._waiting -= 1
        except ValueError:
            pass  # it was not in line any more
        if not one.present:
            del self._addresses[arrival.address]

    def fail(self, address: str, now: float) -> None:
        """A connection of this address has proved nothing."""
        if address:
            self._failures.try_acquire(address, now)

    def pop_any(self) -> Arrival[T] | None:
        """One of those that are here, for a port that closes; the caller makes it leave."""
        return next((next(iter(one.present)) for one in self._addresses.values()), None)
