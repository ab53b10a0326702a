"""When to reconnect and when to renew: pure, with clock and random source passed in.

Reconnecting uses full jitter, U(0, min(60, 2^k)) seconds, so that ten thousand agents that lost one hub do not
reconnect at the same moment (Marc Brooker, "Exponential Backoff And Jitter", AWS Architecture Blog). A hub that goes
down on purpose says over how many seconds to spread the first attempt, and with each welcome over how many where it
should go without a word (killed, out of power), when every agent would dial in the same second. A hub that refuses says
when to try again, or nothing, which means that only a person can change it: then once in five minutes, for ever. An
unexpected identity of the hub never ends the process, or an impostor could stop agents.

A hub that has just gone is being restarted: while the waits together are shorter than `PATIENCE`, or four times the
spread, they do not grow. An uplink that has just been started takes the hub for such a one, with the spread that the
uplink before it heard: after a power failure hub and machines start together.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from common.identity.credential import Validity

MAX_DELAY: Final = 60.0
REFUSED_DELAY: Final = 300.0
MAX_SPREAD: Final = 600.0
MAX_RETRY_AFTER: Final = 3_600.0
STABLE_AFTER: Final = 5.0
"""Seconds after which a link counts as a good one and resets the backoff."""
SHORT_LINKS: Final = 3
"""Links in a row that were welcomed, ended sooner without a word, and still count as a hub that was killed again."""
_MAX_FAILURES_AFTER_WELCOME: Final = 3
"""A link that was welcomed and soon lost never waits more than U(0, 2^3)."""

PATIENCE: Final = 30.0
_LEAST_RETURN: Final = 1.0

UniformRandom = Callable[[], float]
"""Uniform in [0, 1)."""


@dataclass(slots=True)
class UplinkBackoff:
    """The wait before the next connection attempt, from how the ones before it ended."""

    failures: int = 0
    spread: float = 0.0  # seconds over which the hub wants its machines back, as it said last
    returning: bool = False  # the hub has gone, and everybody comes back
    waited: float = 0.0  # seconds since then
    short_links: int = 0  # in a row

    @classmethod
    def started(cls, spread: float) -> UplinkBackoff:
        """Of an uplink that has just been started; `spread` is what the hub said to the one before."""
        return cls(spread=min(max(spread, 0.0), MAX_SPREAD), returning=True)

    def note_spread(self, spread: float) -> None:
        """The hub has welcomed us, and said over how long to spread a return that it does not announce."""
        self.spread = min(max(spread, 0.0), MAX_SPREAD)
        self.returning = False

    def delay_unreachable(self, uniform: UniformRandom) -> float:
        """Seconds to wait where no welcome was received."""
        if self.returning:
            longest = self._return_wait()
            if self.waited < max(PATIENCE, 4 * longest):
                delay = uniform() * longest
                self.waited += delay
                return delay
            self.returning = False
        delay = uniform() * min(MAX_DELAY, 2.0**self.failures)
        self.failures = min(self.failures + 1, 16)
        return delay

    def delay_dropped(self, lasted: float, uniform: UniformRandom) -> float:
        """Seconds to wait after a link that ended without a word, as it does where the hub was killed: then everybody
        dials at once, unless each waits a share of what the hub said beforehand.
        """
        self.short_links = 0 if lasted >= STABLE_AFTER else self.short_links + 1
        if self.short_links > SHORT_LINKS:
            return self.delay_lost(lasted, uniform)
        return self._return(uniform)

    def delay_lost(self, lasted: float, uniform: UniformRandom) -> float:
        """Seconds to wait after a welcomed link that ended after `lasted` seconds."""
        self.returning = False
        self.failures = 0 if lasted >= STABLE_AFTER else min(self.failures, _MAX_FAILURES_AFTER_WELCOME - 1)
        return self.delay_unreachable(uniform)

    def delay_bye(self, spread: float, uniform: UniformRandom) -> float:
        """Seconds to wait after the hub closed on purpose and asked to spread reconnects over `spread` seconds."""
        self.spread = min(max(spread, 0.0), MAX_SPREAD)
        return self._return(uniform)

    def _return(self, uniform: UniformRandom) -> float:
        """The first wait after the hub has gone; those after it go by the same time, until patience is over."""
        self.failures, self.returning = 0, True
        self.waited = delay = uniform() * self._return_wait()
        return delay

    def _return_wait(self) -> float:
        return max(_LEAST_RETURN, self.spread)

    def delay_refused(self, retry_after: float, uniform: UniformRandom) -> float:
        """Seconds to wait after a refusal: `retry_after` and up to a quarter more, or about REFUSED_DELAY where it is
        0.
        """
        if retry_after <= 0:
            return REFUSED_DELAY * (0.9 + 0.2 * uniform())
        return min(retry_after, MAX_RETRY_AFTER) * (1.0 + 0.25 * uniform())


def renew_at(validity: Validity, uniform: UniformRandom) -> float:
    """When to renew a certificate (epoch seconds): from half of its life, and up to a twelfth of it later."""
    life = max(0.0, validity.not_after - validity.not_before)
    return validity.renew_at + life * uniform() / 12


def retry_renewal_at(now: float, not_after: float, failures: int, uniform: UniformRandom) -> float:
    """When to try again after so many failures in a row: 1, 2, 4 … minutes, each half jittered, at most an hour, and
    twenty tries at least in the time that is left.
    """
    wait = min(3_600.0, 60.0 * 2.0 ** min(failures - 1, 16), max(60.0, (not_after - now) / 20))
    return now + wait * (0.5 + 0.5 * uniform())
