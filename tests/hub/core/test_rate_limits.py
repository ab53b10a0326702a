"""Token buckets, whom a request came from, and how many audit rows a flood gets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hub.core.rate_limits import (
    RefusalLimiter,
    RefusalRow,
    TokenBucket,
    TokenBuckets,
    client_address,
    network_key,
    parse_networks,
)
from tests.each import each_of

LOOPBACK = parse_networks(("127.0.0.1", "::1"))


def test_a_bucket_gives_its_burst_and_then_its_rate() -> None:
    """After the burst a token comes every 1/rate seconds, and the wait says when."""
    bucket = TokenBucket(rate=2, burst=3)
    assert [bucket.try_acquire(100.0) for _ in range(3)] == [0, 0, 0]
    assert bucket.try_acquire(100.0) == pytest.approx(0.5)
    assert bucket.try_acquire(100.25) == pytest.approx(0.25)
    assert bucket.try_acquire(100.5) == 0
    assert bucket.try_acquire(100.5) > 0


def test_a_refusal_costs_no_token() -> None:
    """Asking too early again and again does not push the next token away."""
    bucket = TokenBucket(rate=1, burst=1)
    bucket.try_acquire(10.0)
    for _ in range(100):
        assert bucket.try_acquire(10.5) == pytest.approx(0.5)
    assert bucket.try_acquire(11.0) == 0


def test_a_token_given_back_can_be_taken_again() -> None:
    """What did not count is undone, and never beyond the burst."""
    bucket = TokenBucket(rate=1, burst=1)
    assert bucket.try_acquire(10.0) == 0
    bucket.refund()
    bucket.refund()
    assert bucket.try_acquire(10.0) == 0
    assert bucket.try_acquire(10.0) > 0


def test_a_clock_set_back_neither_fills_nor_locks_a_bucket() -> None:
    """Time that runs backwards gives no tokens, and the refill goes on once it has caught up."""
    bucket = TokenBucket(rate=1, burst=1)
    bucket.try_acquire(1_000.0)
    assert bucket.try_acquire(10.0) > 0
    assert bucket.try_acquire(1_001.0) == 0


@given(st.lists(st.floats(0, 3), max_size=200), st.floats(0.1, 50), st.integers(1, 20))
def test_no_stretch_of_time_gets_more_than_burst_and_rate(gaps: list[float], rate: float, burst: int) -> None:
    """However requests are spread, at most burst + rate x time of them pass."""
    bucket = TokenBucket(rate, float(burst))
    now = start = 1_000.0
    passed = 0
    for gap in gaps:
        now += gap
        passed += bucket.try_acquire(now) == 0
    assert passed <= burst + rate * (now - start) + 1e-6


def test_keys_have_their_own_buckets_and_a_bound() -> None:
    """One key's use does not touch another's, and ten thousand keys later the oldest is forgotten."""
    buckets = TokenBuckets(rate=1, burst=1, max_keys=3)
    assert buckets.try_acquire("a", 10.0) == 0
    assert buckets.wait_time("a", 10.0) > 0
    assert buckets.wait_time("b", 10.0) == 0
    for key in ("b", "c", "d"):
        assert buckets.try_acquire(key, 10.0) == 0
    assert len(buckets) == 3
    assert buckets.wait_time("a", 10.0) == 0
    assert buckets.wait_time("b", 10.0) > 0


def test_asking_remembers_nothing() -> None:
    """A flood of addresses that only ask takes no memory."""
    buckets = TokenBuckets(rate=1, burst=1)
    for number in range(100):
        buckets.wait_time(str(number), 1.0)
    assert len(buckets) == 0


@each_of(
    ("peer", "forwarded", "expected"),
    [
        ("203.0.113.9", "", "203.0.113.9"),
        ("203.0.113.9", "198.51.100.1", "203.0.113.9"),  # not a proxy of ours: its word does not count
        ("127.0.0.1", "198.51.100.1", "198.51.100.1"),
        ("127.0.0.1", "10.0.0.1, 198.51.100.1", "198.51.100.1"),  # the left was written by the sender
        ("127.0.0.1", "198.51.100.1, 127.0.0.1", "198.51.100.1"),  # two proxies of ours
        ("::1", "2001:db8::7", "2001:db8::7"),
        ("127.0.0.1", "", ""),
        ("127.0.0.1", "unknown", ""),
        ("127.0.0.1", "<script>", ""),
        ("127.0.0.1", "1.2.3.4," * 100_000 + "198.51.100.1", "198.51.100.1"),
    ],
)
def test_the_sender_is_the_peer_or_whom_a_trusted_proxy_names(peer: str, forwarded: str, expected: str) -> None:
    """X-Forwarded-For counts only from a trusted proxy, and only its right end."""
    assert client_address(peer, forwarded, LOOPBACK) == expected


def test_proxies_may_be_networks() -> None:
    """Containers get another address every day; a mapped IPv4 address is that address."""
    trusted = parse_networks(("172.16.0.0/12", "fd00::/8"))
    assert client_address("172.17.0.9", "198.51.100.1, 172.18.0.2", trusted) == "198.51.100.1"
    assert client_address("::ffff:172.17.0.9", "198.51.100.1", trusted) == "198.51.100.1"
    assert client_address("fd00::2%eth0", "198.51.100.1", trusted) == "198.51.100.1"
    assert client_address("172.32.0.1", "198.51.100.1", trusted) == "172.32.0.1"
    with pytest.raises(ValueError, match="proxy"):
        parse_networks(("proxy",))


@each_of(
    ("address", "key"),
    [
        ("198.51.100.1", "198.51.100.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:198.51.100.1", "198.51.100.1"),
        ("what:ever", "what:ever"),
    ],
)
def test_an_ipv6_network_counts_as_one_sender(address: str, key: str) -> None:
    """One host owns a whole /64, so it is counted under it."""
    assert network_key(address) == key


def test_a_flood_gets_ten_rows_a_minute_and_then_a_count() -> None:
    """A thousand refusals in a minute are ten rows, and one row with the other 990 when the minute is over."""
    refusals = RefusalLimiter(rows=10, window=60)
    rows = [row for _ in range(1_000) for row in refusals.record("ops", "bad_signature", "198.51.100.1", 100.0)]
    assert rows == [RefusalRow("ops", "bad_signature", "198.51.100.1", 100.0)] * 10
    assert refusals.pop_due(159.0) == []
    assert refusals.pop_due(160.0) == [RefusalRow("ops", "bad_signature", "198.51.100.1", 160.0, 990)]
    assert refusals.pop_due(160.0) == []


def test_another_inlet_or_reason_has_its_own_share() -> None:
    """A flood on one inlet does not hide a single refusal on another."""
    refusals = RefusalLimiter(rows=1)
    refusals.record("ops", "bad_signature", "a", 100.0)
    assert refusals.record("ops", "bad_signature", "a", 100.0) == []
    assert refusals.record("ops", "stale", "a", 100.0) == [RefusalRow("ops", "stale", "a", 100.0)]
    assert refusals.record("dev", "bad_signature", "a", 100.0) == [RefusalRow("dev", "bad_signature", "a", 100.0)]


def test_the_next_refusal_brings_sums_that_are_due() -> None:
    """Nobody needs to call `pop_due` while refusals go on, and a shutdown asks for all."""
    refusals = RefusalLimiter(rows=1)
    refusals.record("ops", "rate", "a", 100.0)
    refusals.record("ops", "rate", "b", 101.0)
    assert refusals.record("ops", "rate", "c", 200.0) == [
        RefusalRow("ops", "rate", "b", 200.0),
        RefusalRow("ops", "rate", "c", 200.0),
    ]
    refusals.record("ops", "rate", "d", 200.0)
    assert refusals.pop_due(201.0, everything=True) == [RefusalRow("ops", "rate", "d", 201.0, 1)]


@given(st.lists(st.tuples(st.sampled_from("ab"), st.floats(0, 100)), max_size=300))
def test_no_refusal_is_lost_from_the_count(notes: list[tuple[str, float]]) -> None:
    """Rows and sums together count every refusal exactly once."""
    refusals = RefusalLimiter(rows=3, window=10)
    now, counted = 1_000.0, 0
    for inlet, gap in notes:
        now += gap
        counted += sum(row.count for row in refusals.record(inlet, "rate", "x", now))
    counted += sum(row.count for row in refusals.pop_due(now, everything=True))
    assert counted == len(notes)
