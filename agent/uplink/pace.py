"""When to try again and when to renew: pure, with the clock and the dice passed in.

Reconnecting uses full jitter, U(0, min(60, 2^k)) seconds, so that ten thousand agents that lost one hub do not return
as one. A hub that goes down on purpose says over how many seconds to spread the first return; a hub that refuses says
when to come again, or says nothing, which means that only a person can change it: then once in five minutes, for ever.
A failed identity never ends the process, or an impostor could end it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

LONGEST: Final = 60.0
SLOW: Final = 300.0
MAX_SPREAD: Final = 600.0
MAX_RETRY_AFTER: Final = 3_600.0
SETTLED: Final = 5.0
"""Seconds that a link must have lasted to count as a good one."""
_SOFT_CAP: Final = 3
"""A link that was welcomed and soon lost (a hub that is being restarted) never waits more than U(0, 2^3)."""

Dice = Callable[[], float]
"""Uniform in [0, 1)."""


@dataclass(slots=True)
class Pace:
    """How long to wait before the next try, from how the tries before it ended."""

    failures: int = 0

    def unreachable(self, dice: Dice) -> float:
        """No welcome was heard: the wait before the next try."""
        delay = dice() * min(LONGEST, 2.0**self.failures)
        self.failures = min(self.failures + 1, 16)
        return delay

    def lost(self, lasted: float, dice: Dice) -> float:
        """A welcomed link ended after `lasted` seconds."""
        self.failures = 0 if lasted >= SETTLED else min(self.failures, _SOFT_CAP - 1)
        return self.unreachable(dice)

    def dismissed(self, spread: float, dice: Dice) -> float:
        """The hub said goodbye and over how many seconds to spread the return."""
        self.failures = 0
        return dice() * min(max(spread, 1.0), MAX_SPREAD)

    def refused(self, retry_after: float, dice: Dice) -> float:
        """The hub refused: what it asks for and up to a quarter more, or the slow pace where it asks for nothing."""
        if retry_after <= 0:
            return SLOW * (0.9 + 0.2 * dice())
        return min(retry_after, MAX_RETRY_AFTER) * (1.0 + 0.25 * dice())


def renew_at(not_before: float, not_after: float, dice: Dice) -> float:
    """When to renew a certificate: at two thirds of its life, and up to a twelfth of the life later."""
    life = max(0.0, not_after - not_before)
    return not_before + life * (2 / 3 + dice() / 12)


def retry_renewal_at(now: float, not_after: float, dice: Dice) -> float:
    """When to ask again after a renewal that was not answered: in a tenth to a fifth of what is left, 10 s to 1 h."""
    return now + min(3_600.0, max(10.0, (not_after - now) * (0.1 + 0.1 * dice())))
