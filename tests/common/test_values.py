"""common.values: durations, sizes and addresses as people write them."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common.config import load
from common.errors import UserError
from common.values import (
    Address,
    Duration,
    Size,
    format_age,
    format_duration,
    format_rounded_size,
    format_size,
    parse_address,
    parse_duration,
    parse_duration_option,
    parse_size,
    parse_url,
    parse_whole_seconds,
    split_duration,
)
from tests.common.test_config import Inlet, Web, Whole, written
from tests.each import each_of


def test_every_kind_of_value_is_read(tmp_path: Path) -> None:
    """Numbers, durations, sizes, addresses, lists, choices, paths; comments and a byte order mark do no harm."""
    text = """\ufeff# a comment
    [web]
    listen = "[::1]:8443"
    rate = 10
    share = 1
    wait = "1m30s"
    limit = "4KiB"
    quiet = true
    level = "high"
    hosts = ["a", "b"]
    extra = 3
    password = "hidden"
    [inlets.ops]
    file = "secrets/ops"
    [inlets."a.b"]
    file = "/etc/passwd"
    """
    whole = load(written(tmp_path, text), Whole)
    assert whole.web == Web(
        Address("::1", 8443), 10, 1.0, Duration(90.0), Size(4096), True, "high", ("a", "b"), 3, "hidden"
    )
    assert whole.inlets == {"ops": Inlet(tmp_path / "secrets" / "ops"), "a.b": Inlet(Path("/etc/passwd"))}
    assert "hidden" not in repr(whole)


@each_of(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("10m", 600),
        ("1h30m", 5400),
        ("7d", 604_800),
        ("0s", 0),
        ("1.5s", 1.5),
        ("1d1h1m1s", 90_061),
        ("250ms", 0.25),
        ("1w", 604_800),
        ("1.5h", 5400),
        ("10 m", 600),
        ("1m1h", 3660),
        ("2H", 7200),
        ("5M", 300),
        ("2 days", 172_800),
        ("10 min", 600),
        ("45sec", 45),
        ("1 hour 30 minutes", 5400),
        ("1week2d", 777_600),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    """Numbers with units, one after another; units short or in words, in upper or lower case."""
    assert parse_duration(text) == seconds


@each_of(
    "text",
    [
        "",
        "10",
        "m",
        "-1s",
        "1e3s",
        "１s",
        "1s\n",
        "9999999d",
        " 1s",
        "1s ",
        "1h30",
        "1.s",
        ".5s",
        "1mo",
        "1y",
        "1sm",
        "1,5h",
        "s1",
        "1s,1s",
        "١s",
        "1ſ",
        "0x1s",
        "1_0s",
    ],
)
def test_no_durations(text: str) -> None:
    """Anything else is refused, not guessed."""
    with pytest.raises(ValueError, match="a duration"):
        parse_duration(text)


@each_of("text", ["10", "0", "1.5"])
def test_a_bare_number_is_seconds_only_where_the_caller_says_so(text: str) -> None:
    """A file that means minutes must not get seconds."""
    assert parse_duration(text, plain=True) == float(text)
    with pytest.raises(ValueError, match="a duration such as"):
        parse_duration(text)


def test_bounds_of_a_duration_are_the_callers_and_inclusive() -> None:
    """What lies outside is refused with both bounds."""
    assert parse_duration("1m", low=60, high=60) == 60
    for text in ("59s", "61s"):
        with pytest.raises(ValueError, match="a duration of 1m to 1m"):
            parse_duration(text, low=60, high=60)
    assert parse_duration("999999999999w", high=math.inf) == 604_800 * 999_999_999_999.0


@each_of(("text", "seconds"), [("90", 90), (" 5m ", 300), ("1.5m", 90), ("1h30", None), ("1.5", None), ("2m", None)])
def test_whole_seconds(text: str, seconds: int | None) -> None:
    """A number or a duration within the bounds, without a fraction; blanks around it do no harm."""
    if text == "2m":
        assert parse_whole_seconds(text, high=119) is None
    assert parse_whole_seconds(text) == (120 if text == "2m" else seconds)


def test_an_options_duration_names_the_option() -> None:
    """And shows what was written without control characters."""
    assert parse_duration_option("--ttl", "1h30m") == 5400
    with pytest.raises(UserError, match=r"--ttl so\?n: that is no duration: write 30s, 10m or 2h"):
        parse_duration_option("--ttl", "so\x1bn")


@each_of(
    ("text", "size"),
    [
        ("64KiB", 65_536),
        ("8 MiB", 8 * 2**20),
        ("512B", 512),
        ("10k", 10_240),
        ("5M", 5 * 2**20),
        ("2GiB", 2**31),
        ("1KB", 1024),
        ("1kib", 1024),
        ("1.5MiB", 3 * 2**19),
        ("1T", 2**40),
        ("9999999999999B", 9_999_999_999_999),
    ],
)
def test_sizes(text: str, size: int) -> None:
    """Powers of 1024 in every spelling."""
    assert parse_size(text) == size


@each_of(
    "text",
    ["", "1", "KiB", "-1B", "1  MiB", "1MiB\n", "9999999999999999B", "1K iB", "1i", "1P", "1Kbit", "１k", "1KB "],
)
def test_no_sizes(text: str) -> None:
    """Anything else is refused, a bare number too unless the caller accepts one."""
    with pytest.raises(ValueError, match="a size"):
        parse_size(text)
    if text == "1":
        assert parse_size(text, plain=True) == 1


@each_of(
    ("seconds", "parts"),
    [
        (0, ((0, "s"),)),
        (59, ((59, "s"),)),
        (60, ((1, "m"), (0, "s"))),
        (7500, ((2, "h"), (5, "m"))),
        (86_400, ((1, "d"), (0, "h"))),
        (275_000, ((3, "d"), (4, "h"))),
    ],
)
def test_the_two_largest_units(seconds: int, parts: tuple[tuple[int, str], ...]) -> None:
    """What is below them is dropped."""
    assert split_duration(seconds) == parts


@each_of(("seconds", "text"), [(-5, "0s"), (4.9, "4s"), (192, "3m12s"), (7_500, "2h05m")])
def test_ages_for_columns(seconds: float, text: str) -> None:
    """Two digits in the second unit, so that columns stay straight."""
    assert format_age(seconds) == text


def test_rounded_sizes_stop_at_the_largest_unit_that_is_wanted() -> None:
    """Up to TiB, or GiB."""
    assert format_rounded_size(1023) == "1023 B"
    assert format_rounded_size(1_500_000) == "1.4 MiB"
    assert format_rounded_size(5 * 1024**4) == "5.0 TiB"
    assert format_rounded_size(5 * 1024**4, "GiB") == "5120.0 GiB"


@given(st.integers(0, 10**9))
def test_durations_and_sizes_are_read_back(number: int) -> None:
    """What is shown is what is read."""
    assert parse_duration(format_duration(number % 86_400_000)) == number % 86_400_000
    assert parse_size(format_size(number)) == number


@each_of(
    "text",
    ["127.0.0.1:8080", "[::1]:8443", "0.0.0.0:1", "localhost:65535", "hub.example.org:443", "a_b-c.d:0", "[::]:80"],
)
def test_addresses_are_read_back(text: str) -> None:
    """Names, IPv4, and IPv6 in brackets."""
    assert str(parse_address(text)) == text


@each_of(
    "text",
    [
        "",
        ":80",
        "127.0.0.1",
        "127.0.0.1:",
        "127.0.0.1:65_536",
        "127.0.0.1:-1",
        "127.0.0.1:80 ",
        "127.0.0.256:80",
        "1.2.3:80",
        "::1:80",
        "[127.0.0.1]:80",
        "[localhost]:80",
        "[::1]",
        "a..b:80",
        "-a:80",
        "a b:80",
        "https://a:80",
        "a/b:80",
        "é:80",
        "a" * 64 + ":80",
        "a:٨",
    ],
)
def test_no_addresses(text: str) -> None:
    """No host, no port, a mistyped IPv4 address, a URL, a bare IPv6 address."""
    with pytest.raises(ValueError, match="an address"):
        parse_address(text)


@given(st.text(max_size=60))
def test_no_text_breaks_the_parsers(text: str) -> None:
    """A value or a ValueError, and what is taken is read back the same."""
    try:
        address = parse_address(text)
    except ValueError:
        pass
    else:
        assert parse_address(str(address)) == address
    for parse in (parse_duration, parse_size):
        try:
            assert parse(text) >= 0
        except ValueError:
            pass


@each_of(
    ("url", "place"),
    [
        ("wss://hub.example.org:8443", ("hub.example.org", 8443)),
        ("wss://hub.example.org:8443/", ("hub.example.org", 8443)),
        ("wss://10.0.0.1", ("10.0.0.1", 443)),
        ("wss://[fe80::1]:9", ("fe80::1", 9)),
    ],
)
def test_addresses_that_are_taken(url: str, place: tuple[str, int]) -> None:
    """Names and both kinds of addresses, with or without a port."""
    assert parse_url(url) == place


@each_of(
    "url",
    [
        "",
        "hub:8443",
        "https://hub:8443",
        "ws://hub:8443",
        "wss://",
        "wss://hub:99999",
        "wss://hub:0",
        "wss://hub:x",
        "wss://user@hub:1",
        "wss://hub:1/path",
        "wss://hub:1?q",
        "wss://hub:1#f",
        "wss://hu b:1",
        "wss://hub\r\nX: y:1",
        "wss://[::1:8",
    ],
)
def test_addresses_that_are_not(url: str) -> None:
    """Anything but wss, a host and a port is refused with the form that is wanted."""
    with pytest.raises(UserError, match="wss://HOST:PORT"):
        parse_url(url)


@given(st.text())
def test_no_address_breaks_the_parser(text: str) -> None:
    """Whatever is given, the answer is a host and a port, or a UserError."""
    for url in (text, "wss://" + text):
        try:
            host, port = parse_url(url)
        except UserError:
            continue
        assert host
        assert 0 < port < 65_536
