"""Values as people write them, and as they are shown to people: durations, sizes, addresses. Pure.

There is one grammar for each kind of value. Files, command-line options, dialogs, filters and chat all use it, so a
spelling that works in one of them means the same in every other. What differs from caller to caller is an argument:
the bounds, and whether a bare number is taken.

    duration    250ms  10s  5m  2h  1d  1w  1h30m  1.5h  "2 days"  "10 min"      upper and lower case alike
    size        512B  10k  5M  2G  64KiB  8MiB  1.5MB  "1 MiB"                   powers of 1024 in every spelling
    address     127.0.0.1:8080  [::1]:8443  hub.example.org:443

Moments are in `common.times`.
"""

from __future__ import annotations

import ipaddress
import re
from itertools import pairwise
from typing import Final, Literal, NamedTuple, NewType
from urllib.parse import urlsplit

from common.errors import UserError

Duration = NewType("Duration", float)
"""Seconds."""
Size = NewType("Size", int)
"""Bytes."""

DEFAULT_PORT: Final = 443
"""Port of a wss:// address that names none."""
MAX_DURATION: Final = 5_000 * 365 * 86_400.0
"""Seconds that `parse_duration` accepts unless the caller sets a bound: more is a typing error, and no date is that
far away."""
DURATION_FORM: Final = 'a duration such as "90s", "10m" or "1h30m"'
SIZE_FORM: Final = 'a size such as "64KiB" or "8MiB"'
ADDRESS_FORM: Final = 'an address such as "127.0.0.1:8080" or "[::1]:8080"'

_SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0, "w": 604_800.0}
_UNITS: Final = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
_SIZES: Final = {"GiB": 1024**3, "MiB": 1024**2, "KiB": 1024, "B": 1}
_SCALES: Final = {"": 1, "k": 1024, "m": 1024**2, "g": 1024**3, "t": 1024**4}

_AMOUNT: Final = r"\d{1,12}(?:\.\d{1,6})?"
_PLAIN_NUMBER: Final = re.compile(_AMOUNT, re.ASCII)
_UNIT_NAMES: Final = r"(?:(ms)|(s)(?:ecs?|econds?)?|(m)(?:ins?|inutes?)?|(h)(?:ours?)?|(d)(?:ays?)?|(w)(?:eeks?)?)"
_DURATION_PART: Final = re.compile(rf"({_AMOUNT})\s*{_UNIT_NAMES}(?![a-z])", re.ASCII | re.IGNORECASE)
_BETWEEN_PARTS: Final = re.compile(r"\s*", re.ASCII)
_SIZE: Final = re.compile(r"(\d{1,15}(?:\.\d{1,6})?) ?(?:([kmgt])(?:i?b)?|b|)", re.ASCII | re.IGNORECASE)
_ADDRESS: Final = re.compile(r"(?:\[([^\[\]]{2,64})\]|([^:\[\]]{1,253})):([0-9]{1,5})", re.ASCII)
_HOST: Final = re.compile(
    r"(?:[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?)(?:\.[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?)*\.?",
    re.ASCII,
)


class Address(NamedTuple):
    """Where to listen or to dial; `str()` is what `parse_address` reads."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


# ---- durations


def parse_duration(text: str, *, low: float = 0.0, high: float = MAX_DURATION, plain: bool = False) -> Duration:
    """Seconds of "90s", "10m", "1h30m", "2 days"; raises ValueError that says what was expected.

    `low` and `high` are inclusive, in seconds. `plain`: a bare number is accepted and means seconds.
    """
    if plain and _PLAIN_NUMBER.fullmatch(text):
        text += "s"
    total, position = 0.0, 0
    while part := _DURATION_PART.match(text, position):
        total += float(part[1]) * _SECONDS[next(unit for unit in part.groups()[1:] if unit).lower()]
        if part.end() == len(text):
            break
        between = _BETWEEN_PARTS.match(text, part.end())
        position = between.end() if between else part.end()
    if part is None:
        raise ValueError(DURATION_FORM)
    total = round(total, 6)
    if not low <= total <= high:
        raise ValueError(f"a duration of {format_duration(low)} to {format_duration(high)}")
    return Duration(total)


def parse_whole_seconds(text: str, low: int = 0, high: float = MAX_DURATION) -> int | None:
    """A duration, or a bare number of seconds, where only whole seconds make sense; None where it is neither or lies
    outside the bounds. Blanks around it do not matter.
    """
    text = text.strip()
    if not text[:1].isdigit():  # most words of a chat message: no exception for each of them
        return None
    try:
        seconds = parse_duration(text, low=low, high=high, plain=True)
    except ValueError:
        return None
    return int(seconds) if seconds.is_integer() else None


def parse_duration_option(option: str, text: str, cure: str = "write 30s, 10m or 2h") -> Duration:
    """The value of a command-line option; raises UserError that names the option."""
    try:
        return parse_duration(text)
    except ValueError:
        shown = "".join(char if char.isprintable() else "?" for char in text[:40])
        raise UserError(f"{option} {shown}: that is no duration", cure) from None


def format_duration(seconds: float) -> str:
    """What `parse_duration` reads back, in the largest unit that divides it."""
    unit, size = next((unit, size) for unit, size in _UNITS.items() if seconds % size == 0 or unit == "s")
    return f"{seconds / size:.3f}".rstrip("0").rstrip(".") + unit


def split_duration(seconds: int) -> tuple[tuple[int, str], ...]:
    """Whole seconds in the two largest units that fit, d h m s: 7500 is ((2, "h"), (5, "m")), 45 is ((45, "s"),)."""
    for (unit, size), (smaller, smaller_size) in pairwise(_UNITS.items()):
        if seconds >= size:
            return (seconds // size, unit), (seconds % size // smaller_size, smaller)
    return ((seconds, "s"),)


def format_age(seconds: float) -> str:
    """How long ago, or how long it lasts, for a column: 4s, 3m12s, 2h05m, 3d04h; the same in every language."""
    (count, unit), *rest = split_duration(max(0, int(seconds)))
    return f"{count}{unit}" + "".join(f"{count:02d}{unit}" for count, unit in rest)


def format_took(seconds: float) -> str:
    """How long something took, for a column: 0.4ms, 310ms, 1.4s, 61s, 4m08s."""
    if seconds < 0.0095:
        return f"{max(0.0, seconds) * 1000:.1f}ms"
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f}ms"
    if seconds < 9.95:
        return f"{seconds:.1f}s"
    return f"{seconds:.0f}s" if seconds < 99.5 else format_age(seconds)


# ---- sizes


def parse_size(text: str, *, plain: bool = False) -> Size:
    """Bytes of "64KiB", "8 MiB", "10k"; raises ValueError. `plain`: a bare number is accepted and means bytes."""
    match = _SIZE.fullmatch(text)
    if match is None or (not plain and text[-1:].isdigit()):
        raise ValueError(SIZE_FORM)
    return Size(int(float(match[1]) * _SCALES[(match[2] or "").lower()]))


def format_size(size: int) -> str:
    """What `parse_size` reads back, in the largest unit that divides it."""
    unit, scale = next((unit, scale) for unit, scale in _SIZES.items() if size % scale == 0)
    return f"{size // scale}{unit}"


def format_rounded_size(count: float, largest: Literal["GiB", "TiB"] = "TiB") -> str:
    """Bytes for reading, not for reading back: "512 B", "1.4 MiB"; nothing larger than the unit `largest`."""
    value, unit = float(count), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if value < 1024 or unit == largest:
            break
        value, unit = value / 1024, larger
    return f"{count:.0f} B" if unit == "B" else f"{value:.1f} {unit}"


# ---- addresses


def parse_address(text: str) -> Address:
    """HOST:PORT; raises ValueError. Port 0 means any free port, where that makes sense."""
    match = _ADDRESS.fullmatch(text)
    if match is None or not is_host(match[1] or match[2], bracketed=match[1] is not None) or int(match[3]) > 65_535:
        raise ValueError(ADDRESS_FORM)
    return Address(match[1] or match[2], int(match[3]))


def parse_url(url: str, what: str = "the hub's address") -> Address:
    """Host and port of a hub's link port, `wss://HOST:PORT`; raises UserError on anything else."""
    cure = "give it as wss://HOST:PORT"
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise UserError(f"{what} is not an address", cure) from None
    if parts.scheme != "wss":
        raise UserError(f"{what} does not begin with wss://", cure)
    if not host or parts.username is not None or parts.path not in ("", "/") or parts.query or parts.fragment:
        raise UserError(f"{what} is more or less than a host and a port", cure)
    if not is_host(host, bracketed=":" in host) or port == 0:
        raise UserError(f"{what} names no host that could be", cure)
    return Address(host, DEFAULT_PORT if port is None else port)


def is_host(text: str, *, bracketed: bool = False) -> bool:
    """Whether it is an IPv4 address or a host name, or, where `bracketed`, an IPv6 address."""
    try:
        return ipaddress.ip_address(text).version == (6 if bracketed else 4)
    except ValueError:
        # Digits and dots alone are a mistyped IPv4 address, never a name.
        return (
            not bracketed
            and len(text) <= 253
            and _HOST.fullmatch(text) is not None
            and not re.fullmatch(r"[0-9.]+", text)
        )
