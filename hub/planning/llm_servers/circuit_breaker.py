"""The circuit breaker of a node: when it is left alone after failures, and when it is tried again. Pure.

closed: requests are sent. open: none are until `open_until`. half open: that time is over, and one request is sent as a
probe. Each time the probe fails too, the next open period is twice as long.

    closed --grave failure, or the third in a row--> open --time--> half open --success--> closed
                                                      ^                  |
                                                      +----failure-------+
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, Literal

from hub.planning.llm_servers.types import AttemptFailed

BreakerState = Literal["closed", "open", "half_open"]

FAILURE_THRESHOLD: Final = 3
MIN_OPEN_SECONDS: Final = 1.0  # seconds
MAX_OPEN_SECONDS: Final = 60.0
UNAUTHORISED_OPEN_SECONDS: Final = 30.0  # a refused key is not accepted a second later
OVERLOAD_OPEN_SECONDS: Final = 2.0
MAX_RETRY_AFTER: Final = 300.0


@dataclass(frozen=True, slots=True)
class CircuitBreaker:
    """The state of a node's breaker, immutable: every event returns a new one."""

    failures: int = 0  # in a row
    openings: int = 0  # in a row
    open_until: float | None = None  # None: closed
    probing: bool = False  # half open, and the probe is under way

    def state(self, now: float) -> BreakerState:
        if self.open_until is None:
            return "closed"
        return "open" if now < self.open_until else "half_open"

    def allows(self, now: float) -> bool:
        """Whether a request may be sent now."""
        return self.state(now) == "closed" or (self.state(now) == "half_open" and not self.probing)

    def started(self, now: float) -> CircuitBreaker:
        """A request is sent."""
        return replace(self, probing=True) if self.state(now) == "half_open" else self

    def succeeded(self) -> CircuitBreaker:
        return CircuitBreaker()

    def cancelled(self) -> CircuitBreaker:
        """The request was cancelled without an outcome: another one may be the probe."""
        return replace(self, probing=False)

    def failed(self, failure: AttemptFailed, now: float) -> CircuitBreaker:
        """A request failed."""
        if failure.kind in ("refused", "cut"):
            return CircuitBreaker()  # the node is well; the request was the cause
        failures = self.failures + 1
        if failure.kind == "unauthorised":
            return self._open(failures, UNAUTHORISED_OPEN_SECONDS, now)
        if failure.kind == "overloaded":
            asked = OVERLOAD_OPEN_SECONDS if failure.retry_after is None else failure.retry_after
            return self._open(failures, min(max(asked, 0.1), MAX_RETRY_AFTER), now)
        if failures >= FAILURE_THRESHOLD or self.open_until is not None:
            return self._open(failures, 0.0, now)
        return replace(self, failures=failures, probing=False)

    def _open(self, failures: int, least: float, now: float) -> CircuitBreaker:
        seconds = max(least, min(MAX_OPEN_SECONDS, MIN_OPEN_SECONDS * 2.0 ** min(self.openings, 10)))
        return CircuitBreaker(failures, self.openings + 1, now + seconds)
