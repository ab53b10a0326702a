"""The moments that this runner has given the hub, from which the hub may count what is left of a job's life. Pure, but
for what is random.

A stamp is known to this process alone. It is good for any number of orders, until so many newer ones were given, or
until the runner has reported: from then on nothing starts by it, and the report says so. By that, and by nothing less,
the hub knows of an order that the report does not name that this runner never had it: a runner that was started later,
on this journal or on a copy of it, cannot tell what the one before it, or beside it, has begun by a stamp of its own.
"""

from __future__ import annotations

import secrets
from typing import Final

from common.confirmation import MAX_ENDED, NO_STAMP
from common.link.messages import Stamp

MAX_GIVEN: Final = 6
"""Newer stamps after which an old one is good no more; the hub does not use one that is older than two heartbeats."""


class Stamps:
    def __init__(self) -> None:
        self._given: dict[str, float] = {}  # stamp -> the boot clock when it was made, the oldest first
        self._ended: list[str] = []  # the last ones, the newest last

    @property
    def ended(self) -> tuple[str, ...]:
        return tuple(self._ended)

    def give(self, boot: float) -> str:
        """A new one; `boot` is the boot clock."""
        stamp = secrets.token_hex(8)
        self._given[stamp] = boot
        while len(self._given) > MAX_GIVEN:
            self._end(next(iter(self._given)))
        return stamp

    def tell(self, boot: float, *, taking_orders: bool) -> Stamp:
        """The answer to an uplink that asks for a stamp."""
        return Stamp(self.give(boot) if taking_orders else NO_STAMP, self.ended)

    def end_all(self) -> None:
        """Nothing starts by them any more."""
        for stamp in list(self._given):
            self._end(stamp)

    def take_over(self, ended: tuple[str, ...]) -> None:
        """Those of the program that this process was before (`hand_over`), which had received all that it was sent."""
        self._ended = list(ended[-MAX_ENDED:])

    def made_at(self, stamp: str) -> float | None:
        """The boot clock when it was made; None where it is none of ours, or has ended."""
        return self._given.get(stamp)

    def _end(self, stamp: str) -> None:
        del self._given[stamp]
        self._ended = [*self._ended, stamp][-MAX_ENDED:]
