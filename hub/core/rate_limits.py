"""How much is let through: token buckets by key, addresses as keys, and the audit's share of a flood. Pure; `now` is
passed in.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final

from hub.core.lru import Lru

MAX_KEYS: Final = 10_000


@dataclass(slots=True)
class TokenBucket:
    """A token bucket: `burst` at once, `rate` a second in the long run. Full at first."""

    rate: float
    burst: float
    tokens: float = field(init=False)
    updated_at: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        self.tokens = self.burst

    def try_acquire(self, now: float) -> float:
        """Takes a token and returns 0, or takes none and returns the seconds until there is one."""
        wait = self.wait_time(now)
        if wait == 0:
            self.tokens -= 1
        return wait

    def wait_time(self, now: float) -> float:
        """Seconds until there is a token; 0 where there is one. A clock that was set back only pauses the refill."""
        if now > self.updated_at:
            if self.updated_at:
                self.tokens = min(self.burst, self.tokens + (now - self.updated_at) * self.rate)
            self.updated_at = now
        return 0.0 if self.tokens >= 1 else (1 - self.tokens) / self.rate

    def refund(self) -> None:
        """Undoes one `try_acquire`: what was let through turned out not to count."""
        self.tokens = min(self.burst, self.tokens + 1)


class TokenBuckets:
    """One bucket a key. At most `max_keys` are remembered; the one not seen for longest is forgotten, which fills it
    again.
    """

    def __init__(self, rate: float, burst: float, max_keys: int = MAX_KEYS) -> None:
        self._rate = rate
        self._burst = burst
        self._buckets: Lru[str, TokenBucket] = Lru(max_keys)

    def __len__(self) -> int:
        return len(self._buckets)

    def try_acquire(self, key: str, now: float) -> float:
        """As `TokenBucket.take`, for `key`."""
        bucket = self._buckets.get(key)
        if bucket is None:
            bucket = TokenBucket(self._rate, self._burst)
            self._buckets.put(key, bucket)
        return bucket.try_acquire(now)

    def wait_time(self, key: str, now: float) -> float:
        """As `TokenBucket.wait`, for `key`; asking remembers nothing."""
        bucket = self._buckets.peek(key)
        return 0.0 if bucket is None else bucket.wait_time(now)


Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def parse_networks(entries: Collection[str]) -> tuple[Network, ...]:
    """Addresses and networks ("10.0.0.0/8"); raises ValueError that names the entry."""
    return tuple(ipaddress.ip_network(entry, strict=False) for entry in entries)


LOOPBACK: Final = parse_networks(("127.0.0.1", "::1"))


def client_address(peer: str, forwarded_for: str, trusted: Collection[Network]) -> str:
    """Whom a request came from: the peer, or, where the peer is a trusted proxy, the last address in X-Forwarded-For
    that is not.

    "" where a trusted proxy names nobody: then the proxy speaks for everyone and nobody in particular is to blame.
    Only the right end of the header is believed: what stands left of it was written by the sender.
    """
    if not is_within(peer, trusted):
        return peer
    for entry in reversed(forwarded_for[-2_000:].split(",")):
        address = entry.strip()
        if is_within(address, trusted):
            continue
        try:
            return str(ipaddress.ip_address(address))
        except ValueError:
            return ""
    return ""


def is_within(address: str, networks: Collection[Network]) -> bool:
    """Whether an address is of one of these networks; False for what is no address."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(parsed, ipaddress.IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    return any(parsed in network for network in networks)


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
class RefusalRow:
    """What the audit is told about deliveries that were turned away."""

    inlet: str  # "" where there is no such inlet
    code: str
    remote: str
    at: float
    count: int = 1  # how many this row stands for; more than 1 only in a row that sums up a flood


class RefusalLimiter:
    """Keeps a forged flood from filling the disk: at most `rows` rows a window for one inlet and code, then one with
    the count.

    Inlets and codes are closed sets, so what is kept here is bounded.
    """

    def __init__(self, rows: int = 10, window: float = 60.0) -> None:
        self._rows = rows
        self._window = window
        self._windows: dict[tuple[str, str], _Window] = {}

    def record(self, inlet: str, code: str, remote: str, now: float) -> list[RefusalRow]:
        """The rows to write now: this refusal's own, none while the window's share is used up, and sums that have
        come due.
        """
        due = self.pop_due(now)
        window = self._windows.setdefault((inlet, code), _Window(now))
        if window.written < self._rows:
            window.written += 1
            return [*due, RefusalRow(inlet, code, remote, now)]
        return [*due, *self.count(inlet, code, remote, now)]

    def count(self, inlet: str, code: str, remote: str, now: float) -> list[RefusalRow]:
        """Only counts this refusal, for a sum; the rows to write now are sums that have come due."""
        due = self.pop_due(now)
        window = self._windows.setdefault((inlet, code), _Window(now))
        window.suppressed += 1
        window.remote = remote
        return due

    def pop_due(self, now: float, *, everything: bool = False) -> list[RefusalRow]:
        """Sums of the windows that are over (at shutdown: of all)."""
        over = [
            key
            for key, window in self._windows.items()
            if everything or not 0 <= now - window.started_at < self._window
        ]
        rows = []
        for inlet, code in over:
            window = self._windows.pop((inlet, code))
            if window.suppressed:
                rows.append(RefusalRow(inlet, code, window.remote, now, window.suppressed))
        return rows


@dataclass(slots=True)
class _Window:
    started_at: float
    written: int = 0
    suppressed: int = 0
    remote: str = ""  # of the last one held
