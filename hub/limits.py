"""How much is let through: token buckets by key, addresses as keys, and the audit's share of a flood. Pure; `now` is
passed in.
"""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final

MAX_KEYS: Final = 10_000


@dataclass(slots=True)
class Bucket:
    """A token bucket: `burst` at once, `rate` a second in the long run. Full at first."""

    rate: float
    burst: float
    tokens: float = field(init=False)
    at: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        self.tokens = self.burst

    def take(self, now: float) -> float:
        """Takes a token and returns 0, or takes none and returns the seconds until there is one."""
        wait = self.wait(now)
        if wait == 0:
            self.tokens -= 1
        return wait

    def wait(self, now: float) -> float:
        """Seconds until there is a token; 0 where there is one. A clock that was set back only pauses the refill."""
        if now > self.at:
            if self.at:
                self.tokens = min(self.burst, self.tokens + (now - self.at) * self.rate)
            self.at = now
        return 0.0 if self.tokens >= 1 else (1 - self.tokens) / self.rate

    def give_back(self) -> None:
        """Undoes one `take`: what was let through turned out not to count."""
        self.tokens = min(self.burst, self.tokens + 1)


class Buckets:
    """One bucket a key. At most `max_keys` are remembered; the one not seen for longest is forgotten, which fills it
    again.
    """

    def __init__(self, rate: float, burst: float, max_keys: int = MAX_KEYS) -> None:
        self._rate = rate
        self._burst = burst
        self._max_keys = max_keys
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()

    def __len__(self) -> int:
        return len(self._buckets)

    def take(self, key: str, now: float) -> float:
        """As `Bucket.take`, for `key`."""
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = self._buckets[key] = Bucket(self._rate, self._burst)
            if len(self._buckets) > self._max_keys:
                self._buckets.popitem(last=False)
        else:
            self._buckets.move_to_end(key)
        return bucket.take(now)

    def wait(self, key: str, now: float) -> float:
        """As `Bucket.wait`, for `key`; asking remembers nothing."""
        bucket = self._buckets.get(key)
        return 0.0 if bucket is None else bucket.wait(now)


def sender_address(peer: str, forwarded_for: str, trusted: Collection[str]) -> str:
    """Whom a request came from: the peer, or, where the peer is a trusted proxy, the last address in X-Forwarded-For
    that is not.

    "" where a trusted proxy names nobody: then the proxy speaks for everyone and nobody in particular is to blame.
    Only the right end of the header is believed: what stands left of it was written by the sender.
    """
    if peer not in trusted:
        return peer
    for entry in reversed(forwarded_for[-2_000:].split(",")):
        address = entry.strip()
        if address in trusted:
            continue
        try:
            return str(ipaddress.ip_address(address))
        except ValueError:
            return ""
    return ""


def network_key(address: str) -> str:
    """The key that an address is counted under: IPv4 itself, IPv6 its /64, since one host has all of a /64."""
    if ":" not in address:
        return address
    try:
        parsed = ipaddress.IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.IPv6Network((parsed, 64), strict=False).network_address) + "/64"


@dataclass(frozen=True, slots=True)
class Refusal:
    """What the audit is told about deliveries that were turned away."""

    inlet: str  # "" where there is no such inlet
    code: str
    remote: str
    at: float
    count: int = 1  # how many this row stands for; more than 1 only in a row that sums up a flood


class Refusals:
    """Keeps a forged flood from filling the disk: at most `rows` rows a window for one inlet and code, then one with
    the count.

    Inlets and codes are closed sets, so what is kept here is bounded.
    """

    def __init__(self, rows: int = 10, window: float = 60.0) -> None:
        self._rows = rows
        self._window = window
        self._seen: dict[tuple[str, str], _Window] = {}

    def note(self, inlet: str, code: str, remote: str, now: float) -> list[Refusal]:
        """The rows to write now: this refusal's own, none while the window's share is used up, and sums that have
        come due.
        """
        due = self.due(now)
        window = self._seen.setdefault((inlet, code), _Window(now))
        if window.written < self._rows:
            window.written += 1
            return [*due, Refusal(inlet, code, remote, now)]
        window.held += 1
        window.remote = remote
        return due

    def due(self, now: float, *, all_of_them: bool = False) -> list[Refusal]:
        """Sums of the windows that are over (at shutdown: of all)."""
        over = [key for key, window in self._seen.items() if all_of_them or not 0 <= now - window.since < self._window]
        rows = []
        for inlet, code in over:
            window = self._seen.pop((inlet, code))
            if window.held:
                rows.append(Refusal(inlet, code, window.remote, now, window.held))
        return rows


@dataclass(slots=True)
class _Window:
    since: float
    written: int = 0
    held: int = 0
    remote: str = ""  # of the last one held
