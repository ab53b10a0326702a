"""When a reply that was not delivered is tried again, and when it is given up. Pure.

Backoff doubles from a second to five minutes. 410 Gone ends it at once, another client error on the third attempt, and
a day after it was written any reply is dead: nobody waits for it any more. A host that does not answer at all is left
alone for a while as a whole, so that replies to it do not keep others waiting.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final

from hub.chat.platform import Failed

MAX_AGE: Final = 24 * 3600.0
REFUSED_ATTEMPTS: Final = 3
FIRST_DELAY: Final = 1.0
MAX_DELAY: Final = 300.0
MAX_RETRY_AFTER: Final = 3600.0
JITTER: Final = 0.25  # of the delay, either way
HOLD_AFTER: Final = 3  # failures in a row
MAX_HOLD: Final = 60.0
MAX_HOSTS: Final = 1_000

_SECONDS = re.compile(r"[0-9]{1,9}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Retry:
    at: float
    reason: str


@dataclass(frozen=True, slots=True)
class Dead:
    reason: str


def after_failure(failed: Failed, *, attempts: int, created_at: float, now: float, chance: float) -> Retry | Dead:
    """What follows from a failed attempt. `attempts` counts it; `chance` is a random number from 0 up to 1."""
    if failed.kind == "gone" or (failed.kind == "refused" and attempts >= REFUSED_ATTEMPTS):
        return Dead(failed.reason)
    delay = backoff(attempts, chance)
    asked = retry_after(failed.retry_after, now)
    if asked is not None:
        delay = max(delay, asked)
    if now + delay - created_at > MAX_AGE:
        return Dead(f"{failed.reason}; given up after a day")
    return Retry(now + delay, failed.reason)


def backoff(attempts: int, chance: float) -> float:
    """Seconds to wait after the attempt with this number (from 1)."""
    delay = min(MAX_DELAY, FIRST_DELAY * 2.0 ** min(attempts - 1, 30))
    return delay * (1 - JITTER + 2 * JITTER * chance)


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


class Hosts:
    """Which hosts are left alone until when. Any answer is a sign of life; only silence counts as failing."""

    def __init__(self) -> None:
        self._silent: OrderedDict[str, tuple[int, float]] = OrderedDict()  # host -> failures in a row, held until

    def held_until(self, host: str, now: float) -> float | None:
        """Until when nothing is posted there; None where it may be tried."""
        _, until = self._silent.get(host, (0, 0.0))
        return until if until > now else None

    def answered(self, host: str) -> None:
        self._silent.pop(host, None)

    def silent(self, host: str, now: float) -> None:
        failures = self._silent.pop(host, (0, 0.0))[0] + 1
        hold = min(MAX_HOLD, 2.0 ** min(failures - HOLD_AFTER, 30)) if failures >= HOLD_AFTER else 0.0
        self._silent[host] = (failures, now + hold)
        if len(self._silent) > MAX_HOSTS:
            self._silent.popitem(last=False)
