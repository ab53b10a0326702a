"""When an undelivered reply is retried, and when it is given up. Pure.

The backoff doubles from a second to five minutes. 410 Gone ends it at once, another client error on the third attempt,
and a day after it was written any reply is given up. A host that does not answer at all is left alone for a while (a
circuit breaker), so that replies to it do not delay others.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final

from hub.chat.platforms.base import DeliveryFailed
from hub.core.lru import Lru

MAX_AGE: Final = 24 * 3600.0
REFUSED_ATTEMPTS: Final = 3
FIRST_DELAY: Final = 1.0
MAX_DELAY: Final = 300.0
MAX_RETRY_AFTER: Final = 3600.0
JITTER: Final = 0.25  # of the delay, up or down
FAILURE_THRESHOLD: Final = 3  # failures in a row
MAX_OPEN_SECONDS: Final = 60.0
MAX_HOSTS: Final = 1_000
MAX_CONVERSATIONS: Final = 10_000

_SECONDS = re.compile(r"[0-9]{1,9}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Retry:
    at: float
    reason: str


@dataclass(frozen=True, slots=True)
class Dead:
    reason: str


def retry_or_give_up(
    failed: DeliveryFailed, *, attempts: int, created_at: float, now: float, jitter: float
) -> Retry | Dead:
    """What follows a failed attempt. `attempts` includes it; `jitter` is a random number in [0, 1)."""
    if failed.kind == "gone" or (failed.kind == "refused" and attempts >= REFUSED_ATTEMPTS):
        return Dead(failed.reason)
    delay = backoff(attempts, jitter)
    asked = retry_after(failed.retry_after, now)
    if asked is not None:
        delay = max(delay, asked)
    if now + delay - created_at > MAX_AGE:
        return Dead(f"{failed.reason}; given up after a day")
    return Retry(now + delay, failed.reason)


def backoff(attempts: int, jitter: float) -> float:
    """Seconds to wait after the attempt with this number (from 1)."""
    delay = min(MAX_DELAY, FIRST_DELAY * 2.0 ** min(attempts - 1, 30))
    return delay * (1 - JITTER + 2 * JITTER * jitter)


def is_own_wait(attempts: int, left: float, error: str) -> bool:
    """Whether a reply that is due in `left` seconds waits because of the hub's own backoff, or for a host that was left
    alone: of which a hub that has just been started knows nothing, and tries. What a receiver has asked for is longer,
    or comes to the same; and a conversation's pace has no error.
    """
    return bool(error) and left <= (backoff(attempts, 1.0) if attempts else MAX_OPEN_SECONDS + 1.0)


def retry_after(header: str, now: float) -> float | None:
    """The seconds that a Retry-After header asks for (RFC 9110: seconds or a date), at most an hour; or None."""
    text = header.strip()
    if _SECONDS.fullmatch(text):
        return min(float(text), MAX_RETRY_AFTER)
    if not 0 < len(text) <= 64:
        return None
    try:
        date = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    if date.tzinfo is None:
        date = date.replace(tzinfo=UTC)
    return min(max(0.0, date.timestamp() - now), MAX_RETRY_AFTER)


class ConversationPacer:
    """When the next post into a conversation is due, where a platform takes only so many."""

    def __init__(self) -> None:
        self._next: Lru[str, float] = Lru(MAX_CONVERSATIONS)

    def take(self, conversation: str, pace: float, now: float) -> float:
        """The moment of the next post: `now` where it may go at once, and then the one after it waits for `pace`
        seconds; later ones are not reserved, so ask again then.
        """
        due = self._next.peek(conversation) or 0.0
        if due > now:
            return due
        self._next.put(conversation, now + pace)
        return now


class HostBreaker:
    """The hosts that are left alone, and until when. Any HTTP answer counts as success; only no answer as failure."""

    def __init__(self) -> None:
        self._failures: Lru[str, tuple[int, float]] = Lru(MAX_HOSTS)  # host -> failures in a row, held until

    def open_until(self, host: str, now: float) -> float | None:
        """Until when nothing is posted there; None where it may be tried."""
        _, until = self._failures.peek(host) or (0, 0.0)
        return until if until > now else None

    def succeeded(self, host: str) -> None:
        self._failures.pop(host)

    def failed(self, host: str, now: float) -> None:
        failures = (self._failures.peek(host) or (0, 0.0))[0] + 1
        hold = (
            min(MAX_OPEN_SECONDS, 2.0 ** min(failures - FAILURE_THRESHOLD, 30))
            if failures >= FAILURE_THRESHOLD
            else 0.0
        )
        self._failures.put(host, (failures, now + hold))
