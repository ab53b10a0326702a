"""The filters of a job applied to what its program prints: bytes in, bytes out, line by line. Pure.

Memory is bounded: a line longer than MAX_LINE counts as several; `sort` and `tail` keep at most MAX_KEPT bytes, and
`lost_bytes` says how much did not fit. Which filters there are, and their spelling: `common.command.output_filters`.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, Protocol

from common.command.output_filters import FilterWords

MAX_LINE: Final = 64 * 1024
"""Bytes of a line; a longer one counts as several."""
MAX_KEPT: Final = 4 * 1024 * 1024
"""Bytes that `sort` or `tail` keeps."""
_SIZE_UNITS: Final = {unit: 1024.0**power for power, unit in enumerate("KMGTPE", 1)}
_NUMBER: Final = re.compile(r"\s*(-?\d+(?:\.\d+)?)([KMGTPE])?", re.ASCII | re.IGNORECASE)
_FIELDS: Final = re.compile(rb"[ \t]*[^ \t]+")


class _LineFilter(Protocol):
    """Lines in, each with its line end if it has one; lines out, some of them only at the end."""

    @property
    def lost_bytes(self) -> int: ...

    def feed(self, line: bytes) -> Iterable[bytes]: ...

    def finish(self) -> Iterable[bytes]: ...

    def state(self) -> tuple[Any, ...]:
        """What has been fed so far comes down to: numbers, bytes and lists of bytes."""

    def restore(self, state: Sequence[Any]) -> None:
        """Goes on from `state`; raises ValueError or TypeError where it is none of this filter's."""


class OutputPipeline:
    """The filters of one job, fed with what its program prints. Memory is bounded."""

    def __init__(self, filters: Iterable[FilterWords]) -> None:
        self._filters = [_build(words) for words in filters]
        self._begun = bytearray()  # a line without its end

    @property
    def lost_bytes(self) -> int:
        """Of lines that belonged into the result, and that a filter had no room for."""
        return sum(one.lost_bytes for one in self._filters)

    def feed(self, data: bytes) -> bytes:
        """What is ready after `data`."""
        self._begun += data
        *lines, rest = self._begun.split(b"\n")
        out = [self._run(piece, 0) for line in lines for piece in _pieces(bytes(line) + b"\n")]
        while len(rest) > MAX_LINE:
            out.append(self._run(bytes(rest[:MAX_LINE]), 0))
            del rest[:MAX_LINE]
        self._begun = rest
        return b"".join(out)

    def finish(self) -> bytes:
        """What is left once the program has ended."""
        out = [self._run(bytes(self._begun), 0)] if self._begun else []
        self._begun = bytearray()
        for index, one in enumerate(self._filters):
            out += [self._run(line, index + 1) for line in one.finish()]
        return b"".join(out)

    def state(self) -> tuple[Any, ...]:
        """For another process that goes on here: numbers, bytes and lists of bytes."""
        return (bytes(self._begun), *(one.state() for one in self._filters))

    def restore(self, state: Sequence[Any]) -> None:
        """Goes on from the `state` of a pipeline of the same filters; raises ValueError or TypeError."""
        begun, *states = state
        self._begun = bytearray(_bytes(begun))
        for one, its in zip(self._filters, states, strict=True):
            one.restore(its)

    def _run(self, line: bytes, index: int) -> bytes:
        lines = [line]
        for one in self._filters[index:]:
            lines = [made for each in lines for made in one.feed(each)]
            if not lines:
                return b""
        return b"".join(lines)


def _pieces(line: bytes) -> list[bytes]:
    if len(line) <= MAX_LINE:
        return [line]
    return [line[at : at + MAX_LINE] for at in range(0, len(line), MAX_LINE)]


def _build(words: FilterWords) -> _LineFilter:
    name, options = words[0], words[1:]
    match name:
        case "grep":
            return _Grep(options)
        case "head":
            return _Head(int(options[1]))
        case "tail":
            return _From(int(options[1])) if options[1].startswith("+") else _Tail(int(options[1]))
        case "wc":
            return _Count(options[0])
        case "sort":
            return _Sort(options)
        case _:
            return _Uniq(options)


def _text(line: bytes) -> str:
    return line.rstrip(b"\r\n").decode("utf-8", "surrogateescape")


def _bytes(value: Any) -> bytes:
    if not isinstance(value, bytes):
        raise TypeError("not bytes")
    return value


def _count(value: Any) -> int:
    if not isinstance(value, int):
        raise TypeError("not a number")
    return value


class _Lossless:
    """A filter that never has to keep more than it may, and of whose state all is in the fields `carried`."""

    __slots__ = ()
    lost_bytes: ClassVar[int] = 0
    carried: ClassVar[tuple[str, ...]] = ()

    def state(self) -> tuple[Any, ...]:
        return tuple(getattr(self, name) for name in self.carried)

    def restore(self, state: Sequence[Any]) -> None:
        for name, value in zip(self.carried, state, strict=True):
            setattr(self, name, _bytes(value) if isinstance(getattr(self, name), bytes) else _count(value))


@dataclass(slots=True)
class _Grep(_Lossless):
    carried: ClassVar[tuple[str, ...]] = ("number", "count")
    options: FilterWords
    matches: Callable[[str], bool] = field(init=False)
    number: int = 0
    count: int = 0

    def __post_init__(self) -> None:
        at = self.options.index("-e") if "-e" in self.options else len(self.options) - 1
        words = self.options[at + 1 :: 2] or self.options[at:]
        flags = set(self.options[:at])
        fixed, whole, fold = "-F" in flags, "-w" in flags, "-i" in flags
        pattern = "|".join(_pattern(word, fixed, whole) for word in words)
        search = re.compile(pattern, re.IGNORECASE if fold else 0).search
        wanted = "-v" not in flags
        self.matches = lambda text: (search(text) is not None) is wanted
        self.options = tuple(flags)

    def feed(self, line: bytes) -> Iterable[bytes]:
        self.number += 1
        if not self.matches(_text(line)):
            return ()
        self.count += 1
        if "-c" in self.options:
            return ()
        return (b"%d:%b" % (self.number, line) if "-n" in self.options else line,)

    def finish(self) -> Iterable[bytes]:
        return (b"%d\n" % self.count,) if "-c" in self.options else ()


def _pattern(word: str, fixed: bool, whole: bool) -> str:
    """Literal text only, so matching takes time in proportion to the line."""
    begins, ends = not fixed and word.startswith("^"), not fixed and word.endswith("$")
    body = re.escape(word[1 if begins else 0 : -1 if ends else None])
    body = rf"(?<!\w){body}(?!\w)" if whole else body
    return ("^" if begins else "") + body + (r"\Z" if ends else "")


@dataclass(slots=True)
class _Head(_Lossless):
    carried: ClassVar[tuple[str, ...]] = ("left",)
    left: int

    def feed(self, line: bytes) -> Iterable[bytes]:
        self.left -= 1
        return (line,) if self.left >= 0 else ()

    def finish(self) -> Iterable[bytes]:
        return ()


@dataclass(slots=True)
class _From(_Lossless):
    carried: ClassVar[tuple[str, ...]] = ("seen",)
    number: int
    seen: int = 0

    def feed(self, line: bytes) -> Iterable[bytes]:
        self.seen += 1
        return (line,) if self.seen >= self.number else ()

    def finish(self) -> Iterable[bytes]:
        return ()


@dataclass(slots=True)
class _Tail:
    wanted: int
    kept: deque[bytes] = field(default_factory=deque)
    size: int = 0
    sizes: deque[int] = field(init=False)  # of the lines that are wanted, kept or not

    def __post_init__(self) -> None:
        self.sizes = deque(maxlen=self.wanted)

    @property
    def lost_bytes(self) -> int:
        return sum(self.sizes) - self.size

    def feed(self, line: bytes) -> Iterable[bytes]:
        self.sizes.append(len(line))
        self.kept.append(line)
        self.size += len(line)
        while len(self.kept) > self.wanted or self.size > MAX_KEPT:
            self.size -= len(self.kept.popleft())
        return ()

    def finish(self) -> Iterable[bytes]:
        return tuple(self.kept)

    def state(self) -> tuple[Any, ...]:
        return list(self.kept), list(self.sizes)

    def restore(self, state: Sequence[Any]) -> None:
        kept, sizes = state
        self.kept.extend(map(_bytes, kept))
        self.sizes.extend(map(_count, sizes))
        self.size = sum(map(len, self.kept))


@dataclass(slots=True)
class _Count(_Lossless):
    carried: ClassVar[tuple[str, ...]] = ("count",)
    what: str
    count: int = 0

    def feed(self, line: bytes) -> Iterable[bytes]:
        match self.what:
            case "-l":
                self.count += line.endswith(b"\n")
            case "-w":
                self.count += len(line.split())
            case _:
                self.count += len(line)
        return ()

    def finish(self) -> Iterable[bytes]:
        return (b"%d\n" % self.count,)


@dataclass(slots=True)
class _Sort:
    options: FilterWords
    kept: list[bytes] = field(default_factory=list)
    size: int = 0
    lost_bytes: int = 0

    def feed(self, line: bytes) -> Iterable[bytes]:
        if self.size + len(line) > MAX_KEPT:
            self.lost_bytes += len(line)
            return ()
        self.size += len(line)
        self.kept.append(line if line.endswith(b"\n") else line + b"\n")
        return ()

    def finish(self) -> Iterable[bytes]:
        at = int(self.options[self.options.index("-k") + 1]) if "-k" in self.options else 1
        numeric = "-n" in self.options or "-h" in self.options

        def key(line: bytes) -> tuple[float, str]:
            part = _from_field(line, at)
            return (_value(part) if numeric else 0.0, "" if numeric and "-u" in self.options else part)

        lines = sorted(self.kept, key=key, reverse="-r" in self.options)
        if "-u" in self.options:
            lines = list({key(line): line for line in reversed(lines)}.values())[::-1]
        self.kept = []
        return lines

    def state(self) -> tuple[Any, ...]:
        return list(self.kept), self.lost_bytes

    def restore(self, state: Sequence[Any]) -> None:
        kept, lost = state
        self.kept, self.lost_bytes = list(map(_bytes, kept)), _count(lost)
        self.size = sum(map(len, self.kept))


def _from_field(line: bytes, number: int) -> str:
    """The line from its field `number` on, counted from 1; "" where it has fewer."""
    at = 0
    for _ in range(number - 1):
        found = _FIELDS.match(line, at)
        if found is None:
            return ""
        at = found.end()
    return _text(line[at:])


def _value(text: str) -> float:
    """The number that a text begins with, 1.5G as so many bytes; 0 where there is none, as `sort -n` has it."""
    found = _NUMBER.match(text)
    if found is None:
        return 0.0
    return float(found[1]) * _SIZE_UNITS.get((found[2] or "").upper(), 1)


@dataclass(slots=True)
class _Uniq(_Lossless):
    carried: ClassVar[tuple[str, ...]] = ("last", "count")
    options: FilterWords
    last: bytes = b""
    count: int = 0

    def feed(self, line: bytes) -> Iterable[bytes]:
        line = line if line.endswith(b"\n") else line + b"\n"
        if self.count and line == self.last:
            self.count += 1
            return ()
        done = self._done()
        self.last, self.count = line, 1
        return done

    def finish(self) -> Iterable[bytes]:
        return self._done()

    def _done(self) -> Iterable[bytes]:
        if not self.count or ("-d" in self.options and self.count < 2) or ("-u" in self.options and self.count > 1):
            return ()
        return (b"%7d %b" % (self.count, self.last) if "-c" in self.options else self.last,)
