"""TOML files into frozen dataclasses, strictly: what a file may say is what the dataclass has, and nothing else.

A field made with `setting` or `required` is a key of the file; its type says what may stand there:

    str  bool  int  float        themselves; numbers and strings within the field's bounds
    Duration                     seconds, written "90s", "10m", "1h30m", "7d"
    Size                         bytes, written "256KiB", "8MiB" or a whole number
    Address                      "127.0.0.1:8080", "[::1]:8443", "hub.example.org:8443"
    Path                         relative to the folder of the file
    Literal["a", "b"]            one of these strings
    tuple[str, ...]              an array of strings
    a dataclass                  a table
    Mapping[str, a dataclass]    a table of tables that people name: [inlets.ops]
    X | None                     X, or left out

A file is checked to its end: one ConfigError carries every problem, one a line, each with file, table, key and what
to do.
"""

from __future__ import annotations

import ipaddress
import os
import re
import stat
import tomllib
import types
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import MISSING, Field, field, fields, is_dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, NewType, TypeVar, Union, cast, get_args, get_origin, get_type_hints
from urllib.parse import urlsplit

from common.errors import UserError
from common.ids import is_name

Duration = NewType("Duration", float)
Size = NewType("Size", int)
T = TypeVar("T")

MAX_FILE: Final = 1024 * 1024
MAX_SECRET: Final = 64 * 1024
MAX_STRING: Final = 4_096
MAX_ITEMS: Final = 1_000
DEFAULT_PORT: Final = 443
"""Of a wss:// address that names none."""
_UNITS: Final = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
_SIZES: Final = {"GiB": 1024**3, "MiB": 1024**2, "KiB": 1024, "B": 1}
_DURATION: Final = re.compile(
    r"(?:([0-9]{1,6})d)?(?:([0-9]{1,7})h)?(?:([0-9]{1,8})m)?(?:([0-9]{1,9}(?:\.[0-9]{1,3})?)s)?", re.ASCII
)
_SIZE: Final = re.compile(r"([0-9]{1,12}) ?(B|KiB|MiB|GiB)", re.ASCII)
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


class ConfigError(UserError):
    """All that is wrong with a file or a set of them; each problem is a whole sentence with its cure."""

    def __init__(self, problems: Iterable[str]) -> None:
        self.problems: tuple[str, ...] = tuple(problems)
        super().__init__("\n".join(self.problems))


def setting(default: T, doc: str, *, low: float | None = None, high: float | None = None, secret: bool = False) -> T:
    """A key that may be left out. `doc` is its comment in the file that is written for people; `low` and `high` are
    inclusive bounds; a `secret` value stays out of the dataclass's `repr`.
    """
    made: T = field(default=default, repr=not secret, metadata={"doc": doc, "low": low, "high": high})
    return made


def required(doc: str, *, low: float | None = None, high: float | None = None) -> Any:
    """A key that must be there."""
    return field(metadata={"doc": doc, "low": low, "high": high})


def table(kind: type[T]) -> T:
    """A table that may be left out: it is then made of its defaults."""
    made: T = field(default_factory=kind, metadata={"doc": ""})
    return made


def tables() -> Any:
    """A table of tables with names of people's choosing; left out it is empty."""
    return field(default_factory=dict, metadata={"doc": ""})


def keys_of(kind: type[Any]) -> list[Field[Any]]:
    """The fields of a dataclass that are keys of the file, in order."""
    return [entry for entry in fields(kind) if "doc" in entry.metadata]


def load(path: Path, kind: type[T]) -> T:
    """The file as a `kind`; raises UserError where it cannot be read and ConfigError where it is not of the form."""
    return build(read_toml(path), kind, path)


def build(body: Mapping[str, Any], kind: type[T], path: Path) -> T:
    """A parsed file as a `kind`. `path` names the file in problems, and its folder is what paths are relative to."""
    reader = _Reader(path)
    built = reader.table(body, kind, ())
    if reader.problems:
        raise ConfigError(reader.problems)
    return cast(T, built)


def bare(hint: Any) -> Any:
    """X of `X | None`, and of X itself."""
    if get_origin(hint) in (Union, types.UnionType):
        return next(arg for arg in get_args(hint) if arg is not type(None))
    return hint


# ---- reading files


def read_toml(path: Path, cure: str = "") -> dict[str, Any]:
    """The file's TOML; raises UserError that names the file, and line and column where it is not TOML."""
    data = read_bytes(path, MAX_FILE, cure)
    try:
        text = data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UserError(f"{path}: line {line} is not UTF-8", "save the file as UTF-8") from None
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{path}: not TOML: {str(error)[:200]}", "correct that line") from None
    except RecursionError:
        raise UserError(f"{path}: not TOML: nested too deep", "take the nesting out") from None


def read_bytes(path: Path, limit: int = MAX_FILE, cure: str = "") -> bytes:
    """A regular file of at most `limit` bytes; raises UserError. `cure` is what to do where it does not exist."""
    return _read(path, limit, cure)[0]


def read_secret(path: Path, cure: str = "") -> bytes:
    """A secret's file as it is: raises UserError where it is empty, too large, or more than its owner and group may
    read it.
    """
    data, mode = _read(path, MAX_SECRET, cure)
    if mode & 0o027:
        raise UserError(f"{path}: mode {mode & 0o777:04o} lets others at a secret", f"chmod 600 {path}")
    if not data.strip():
        raise UserError(f"{path}: empty", cure or "write the secret into it")
    return data


def _read(path: Path, limit: int, cure: str) -> tuple[bytes, int]:
    try:
        # Without O_NONBLOCK a FIFO in the place of a file would hang the program.
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise UserError(f"{path}: not a regular file", cure or "name a file")
            data = file.read(limit + 1)
    except FileNotFoundError:
        raise UserError(f"{path}: there is no such file", cure or "create it, or name another") from None
    except PermissionError:
        raise UserError(f"{path}: not readable by user {os.geteuid()}", "change its owner or mode") from None
    except OSError as error:
        raise UserError(f"{path}: not readable ({error.strerror})", cure or "name a file") from None
    except ValueError:
        raise UserError("a file name with a NUL character", "name a file") from None
    if len(data) > limit:
        raise UserError(f"{path}: larger than {limit} bytes", "this cannot be the right file")
    return data, stat.S_IMODE(status.st_mode)


# ---- values as people write them


def parse_duration(text: str) -> Duration:
    """Seconds of "90s", "10m", "1h30m", "7d"; raises ValueError."""
    match = _DURATION.fullmatch(text)
    if match is None or not text:
        raise ValueError('a duration such as "90s", "10m" or "1h30m"')
    return Duration(
        sum(float(count) * _UNITS[unit] for count, unit in zip(match.groups(), "dhms", strict=True) if count)
    )


def format_duration(seconds: float) -> str:
    """What `parse_duration` reads back, in the largest unit that divides it."""
    unit, size = next((unit, size) for unit, size in _UNITS.items() if seconds % size == 0 or unit == "s")
    return f"{seconds / size:.3f}".rstrip("0").rstrip(".") + unit


def parse_size(text: str) -> Size:
    """Bytes of "64KiB", "8 MiB"; raises ValueError."""
    match = _SIZE.fullmatch(text)
    if match is None:
        raise ValueError('a size such as "64KiB" or "8MiB"')
    return Size(int(match[1]) * _SIZES[match[2]])


def format_size(size: int) -> str:
    """What `parse_size` reads back, in the largest unit that divides it."""
    unit, scale = next((unit, scale) for unit, scale in _SIZES.items() if size % scale == 0)
    return f"{size // scale}{unit}"


def parse_address(text: str) -> Address:
    """HOST:PORT; raises ValueError. Port 0 is any free one, where that makes sense."""
    match = _ADDRESS.fullmatch(text)
    if match is None or not is_host(match[1] or match[2], bracketed=match[1] is not None) or int(match[3]) > 65_535:
        raise ValueError('an address such as "127.0.0.1:8080" or "[::1]:8080"')
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
        # All digits and dots is a mistyped IPv4 address, never a name.
        return (
            not bracketed
            and len(text) <= 253
            and _HOST.fullmatch(text) is not None
            and not re.fullmatch(r"[0-9.]+", text)
        )


# ---- tables


class _Reader:
    """Walks tables and dataclasses side by side and collects what does not fit."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.problems: list[str] = []

    def problem(self, trail: Sequence[str], key: str, text: str) -> None:
        where = f" [{'.'.join(trail)}]" if trail else ""
        self.problems.append(f"{self.path}:{where} {key}: {text}" if key else f"{self.path}:{where}: {text}")

    def table(self, body: Mapping[str, Any], kind: type[Any], trail: tuple[str, ...]) -> Any:
        """An instance of `kind`, or None after a problem was noted."""
        known = {entry.name: entry for entry in keys_of(kind)}
        hints, values, before = get_type_hints(kind), {}, len(self.problems)
        for key, value in body.items():
            if key not in known:
                self.unknown(trail, key, value, known)
                continue
            read = self.value(value, hints[key], known[key], trail, key)
            if read is not None:
                values[key] = read
        for key, entry in known.items():
            if key not in body and entry.default is MISSING and entry.default_factory is MISSING:
                self.problem(trail, key, f"missing; it is needed here: {entry.metadata['doc']}")
        return kind(**values) if len(self.problems) == before else None

    def unknown(self, trail: Sequence[str], key: str, value: Any, known: Mapping[str, Any]) -> None:
        what = "table" if isinstance(value, dict) else "key"
        near = get_close_matches(key, known, 1)
        cure = f"did you mean {near[0]}?" if near else f"known here: {', '.join(known)}"
        self.problem(trail, _shown(key, 64).strip('"'), f"unknown {what}; {cure}")

    def value(self, value: Any, hint: Any, entry: Field[Any], trail: tuple[str, ...], key: str) -> Any:
        """The value in its Python form, or None after a problem was noted."""
        hint = bare(hint)
        origin = get_origin(hint)
        if is_dataclass(hint) or (isinstance(origin, type) and issubclass(origin, Mapping)):
            if not isinstance(value, dict):
                self.problem(
                    trail, key, f"a table was expected: write [{'.'.join((*trail, key))}] on a line of its own"
                )
                return None
            if is_dataclass(hint):
                return self.table(value, cast(type, hint), (*trail, key))
            return self.named(value, get_args(hint)[1], (*trail, key))
        try:
            return _scalar(value, hint, entry, self.path.parent)
        except ValueError as error:
            shown = _shown(value) if entry.repr else "what is there"  # a secret is not shown
            self.problem(trail, key, f"{error} was expected, not {shown}")
            return None

    def named(self, body: Mapping[str, Any], kind: type[Any], trail: tuple[str, ...]) -> dict[str, Any] | None:
        before, found = len(self.problems), {}
        for name, value in body.items():
            if not is_name(name):
                self.problem(trail, _shown(name, 64), "a name is 1 to 64 letters, digits, dots, dashes or underscores")
            elif not isinstance(value, dict):
                self.problem(
                    trail, name, f"a table was expected: write [{'.'.join((*trail, name))}] on a line of its own"
                )
            else:
                found[name] = self.table(value, kind, (*trail, name))
        if len(found) > MAX_ITEMS:
            self.problem(trail, "", f"{len(found)} tables, at most {MAX_ITEMS} are taken")
        return found if len(self.problems) == before else None


def _scalar(value: Any, hint: Any, entry: Field[Any], folder: Path) -> Any:
    """Raises ValueError with what was expected."""
    if get_origin(hint) is Literal:
        choices = get_args(hint)
        if value not in choices:
            raise ValueError("one of " + ", ".join(f'"{choice}"' for choice in choices))
        return value
    if get_origin(hint) is tuple:
        if not isinstance(value, list) or len(value) > MAX_ITEMS or not all(_is_text(item) for item in value):
            raise ValueError('a list of strings such as ["one", "two"]')
        return tuple(value)
    if hint is bool:
        if not isinstance(value, bool):
            raise ValueError("true or false")
        return value
    if hint in _PARSED:
        what, parse = _PARSED[hint]
        if hint is Size and type(value) is int:
            read: Any = value
        elif not _is_text(value):
            raise ValueError(what)
        else:
            read = parse(value)
        if hint is not Address:
            _bounded(read, entry, format_duration if hint is Duration else format_size)
        return read
    if hint in (int, float):
        if type(value) is not int and not (hint is float and type(value) is float):
            raise ValueError("a whole number" if hint is int else "a number")
        _bounded(value, entry, str)
        return hint(value)
    if not _is_text(value) or not value.strip():
        raise ValueError("a path" if hint is Path else "a string that is not empty")
    return folder / value if hint is Path else value


_PARSED: Final[Mapping[Any, Any]] = {
    Duration: ('a duration such as "90s", "10m" or "1h30m"', parse_duration),
    Size: ('a size such as "64KiB" or "8MiB"', parse_size),
    Address: ('an address such as "127.0.0.1:8080" or "[::1]:8080"', parse_address),
}


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= MAX_STRING and value.isprintable()


def _bounded(value: Any, entry: Field[Any], show: Any) -> None:
    low, high = entry.metadata["low"], entry.metadata["high"]
    if value != value or (low is not None and value < low) or (high is not None and value > high):
        if high is None:
            raise ValueError(f"{show(low)} or more")
        raise ValueError(f"{show(low or 0)} to {show(high)}")


def _shown(value: Any, most: int = 80) -> str:
    """A value from a file as a message may hold it: its JSON-like form, printable and cut."""
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, bool):
        return "true" if value else "false"
    text = f'"{value}"' if isinstance(value, str) else str(value)
    text = "".join(char if char.isprintable() else "?" for char in text)
    return text if len(text) <= most else text[: most - 1] + "…"
