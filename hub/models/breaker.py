"""When a node that failed is left alone, and when it is tried again. Pure.

closed: requests go there. open: none do until `until`. half open: the time is over, and one goes there to see. Each
time that one fails too, the next rest is twice as long.

    closed --failure worth it, or the third in a row--> open --time--> half open --success--> closed
                                                         ^                  |
                                                         +----failure-------+
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Literal

from hub.models.ask import Failed

State = Literal["closed", "open", "half_open"]

IN_A_ROW: Final = 3
FIRST_REST: Final = 1.0  # seconds
LONGEST_REST: Final = 60.0
KEY_REST: Final = 30.0  # a key that is refused is not taken a second later
OVERLOAD_REST: Final = 2.0
MAX_RETRY_AFTER: Final = 300.0


@dataclass(frozen=True, slots=True)
class Breaker:
    """A node's standing; every change is a new one."""

    failures: int = 0  # in a row
    rests: int = 0  # in a row
    until: float | None = None  # None: closed
    trying: bool = False  # half open, and the one that is to see is under way

    def state(self, now: float) -> State:
        if self.until is None:
            return "closed"
        return "open" if now < self.until else "half_open"

    def lets(self, now: float) -> bool:
        """Whether a request may go there."""
        return self.state(now) == "closed" or (self.state(now) == "half_open" and not self.trying)

    def begun(self, now: float) -> Breaker:
        """A request goes there."""
        return replace(self, trying=True) if self.state(now) == "half_open" else self

    def succeeded(self) -> Breaker:
        return Breaker()

    def given_up(self) -> Breaker:
        """The request was taken back before it had an outcome: another one may go and see."""
        return replace(self, trying=False)

    def failed(self, failure: Failed, now: float) -> Breaker:
        """A request came to nothing."""
        if failure.kind in ("refused", "cut"):
            return Breaker()  # the node answered, and well; it was the request
        failures = self.failures + 1
        if failure.kind == "unauthorised":
            return self._rest(failures, KEY_REST, now)
        if failure.kind == "overloaded":
            asked = OVERLOAD_REST if failure.retry_after is None else failure.retry_after
            return self._rest(failures, min(max(asked, 0.1), MAX_RETRY_AFTER), now)
        if failures >= IN_A_ROW or self.until is not None:
            return self._rest(failures, 0.0, now)
        return replace(self, failures=failures, trying=False)

    def _rest(self, failures: int, least: float, now: float) -> Breaker:
        seconds = max(least, min(LONGEST_REST, FIRST_REST * 2.0 ** min(self.rests, 10)))
        return Breaker(failures, self.rests + 1, now + seconds)
