"""The text of a policy file: where its tables stand, its denials of one line, and what can be read of a broken one.

A policy is edited in a hurry by people who want something to stop. Three rules follow:

    a line `deny = ["rm", "/usr/bin/x"]` means the same wherever it stands, also at the end, below other tables, where
    TOML alone would make it a key of the last of them; it is taken out before TOML is parsed
    a mistake in one table does not hide the others: the file is cut into tables, and each is parsed by itself
    every problem carries the number of its line

`read_source` never raises: what cannot be read is a problem, and the rest is `data`.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

MAX_PROBLEMS: Final = 50
"""Problems that one reading tells; who mends fifty will look again."""
_SALVAGED_LINES: Final = 8  # of one table, left out so that the rest of it can be read
_DENY_LINE: Final = re.compile(
    r"""^[ \t]*deny[ \t]*=[ \t]*(?P<value>\[[^\[\]{}]*\]|"[^"\n]*"|'[^'\n]*')[ \t]*(?:\#(?P<comment>[^\n]*))?$""",
    re.MULTILINE,
)
_HEADER: Final = re.compile(r"^[ \t]*\[{1,2}[ \t]*(?P<name>[A-Za-z0-9_\"'][^\]\n]*)\]{0,2}", re.MULTILINE)
_AT_LINE: Final = re.compile(r"\(at line (\d+), column \d+\)|\(at end of document\)")


@dataclass(frozen=True, slots=True)
class DenyLine:
    """One denial by name alone: names of programs, or their paths."""

    line: int
    names: tuple[str, ...]
    comment: str = ""  # what stands behind it in the file: why


@dataclass(frozen=True, slots=True)
class Span:
    """Lines of the file that belong to a table: `start` is the first one's number, from 1; an empty span knows none."""

    lines: tuple[str, ...] = ()
    start: int = 0

    def line_of(self, key: str) -> int:
        """Where a key is set, else where its table begins; 0 where that is not known."""
        pattern = re.compile(rf"""(?:^|[{{,])\s*["']?{re.escape(key)}["']?\s*=""") if key else None
        for number, line in enumerate(self.lines, start=self.start):
            if pattern is not None and pattern.search(line):
                return number
        if key.startswith("-"):  # an option, which may stand in a list
            found = (number for number, line in enumerate(self.lines, start=self.start) if key in line)
            return next(found, self.start)
        return self.start

    def below(self, key: str) -> Span:
        """The lines of the table `key` within these, and of the tables below it."""
        headers = [
            (index, match["name"].strip()) for index, line in enumerate(self.lines) if (match := _HEADER.match(line))
        ]
        found = [index for index, name in headers if _last(name) == key or name.startswith(f"{key}.")]
        if found:
            return self._from(found[0], next((index for index, _ in headers if index > found[-1]), len(self.lines)))
        line = self.line_of(key)
        return self._from(line - self.start, len(self.lines)) if line > self.start else self

    def each(self, key: str, count: int) -> list[Span]:
        """The lines of every `[[key]]`, where there are `count` of them; else all of these lines for each."""
        found = [
            index
            for index, line in enumerate(self.lines)
            if line.lstrip().startswith("[[") and (match := _HEADER.match(line)) and match["name"].strip() == key
        ]
        if len(found) != count:
            return [self] * count
        return [self._from(index, self._next_group(index, key)) for index in found]

    def _from(self, index: int, end: int) -> Span:
        return Span(self.lines[index:end], self.start + index)

    def _next_group(self, index: int, key: str) -> int:
        for later in range(index + 1, len(self.lines)):
            match = _HEADER.match(self.lines[later])
            if match and not match["name"].strip().startswith(f"{key}."):
                return later
        return len(self.lines)


def _last(name: str) -> str:
    return name.strip().rsplit(".", 1)[-1].strip().strip("\"'")


@dataclass(frozen=True, slots=True)
class PolicySource:
    """What a file's text holds. `problems` are (line, problem, cure); `broken` the lines of tables that have one."""

    data: dict[str, Any]
    span: Span
    denies: tuple[DenyLine, ...] = ()
    problems: tuple[tuple[int, str, str], ...] = ()
    broken: frozenset[int] = field(default_factory=frozenset)
    empty: bool = False  # nothing is said: no key, no table, no denial


def read_source(data: bytes) -> PolicySource:
    problems: list[tuple[int, str, str]] = []
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        problems.append((data.count(b"\n", 0, error.start) + 1, "not UTF-8", "save the file as UTF-8"))
        text = data.decode("utf-8-sig", "replace")
    text, denies = _lift_deny_lines(text.replace("\r\n", "\n"))
    lines = text.split("\n")
    broken: set[int] = set()
    parsed = _loads(text)
    if isinstance(parsed, _Mistake):
        parsed = _salvage(lines, problems, broken)  # leaves what it cannot read out of `lines` too
    empty = not parsed and not denies and not problems
    return PolicySource(
        parsed, Span(tuple(lines), 1), tuple(denies), tuple(problems[:MAX_PROBLEMS]), frozenset(broken), empty
    )


def _lift_deny_lines(text: str) -> tuple[str, list[DenyLine]]:
    """The text without its denials of one line, and those; line numbers stay as they are."""
    found: list[DenyLine] = []

    def take(match: re.Match[str]) -> str:
        names = _names(match["value"])
        if names is None:
            return match[0]
        found.append(DenyLine(text.count("\n", 0, match.start()) + 1, names, (match["comment"] or "").strip()))
        return "\n" * match[0].count("\n")

    return _DENY_LINE.sub(take, text), found


def _names(value: str) -> tuple[str, ...] | None:
    parsed = _loads(f"deny = {value}")
    if isinstance(parsed, _Mistake):
        return None
    names = parsed["deny"]
    names = names if isinstance(names, list) else [names]
    return tuple(names) if names and all(isinstance(name, str) and name for name in names) else None


@dataclass(frozen=True, slots=True)
class _Mistake:
    line: int  # within what was parsed; 0 where it is its end
    text: str


def _loads(text: str) -> dict[str, Any] | _Mistake:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        match = _AT_LINE.search(str(error))
        line = int(match[1]) if match and match[1] else 0
        return _Mistake(line, _AT_LINE.sub("", str(error)).strip()[:200])
    except RecursionError:
        return _Mistake(0, "nested too deep")


def _salvage(readable: list[str], problems: list[tuple[int, str, str]], broken: set[int]) -> dict[str, Any]:
    """The data of everything that can be read; adds a problem for each table that cannot, and empties its lines."""
    groups = list(_groups(readable))
    for first, end in groups:
        _salvage_table(readable, first, end, problems, broken)
    for _ in range(MAX_PROBLEMS):
        parsed = _loads("\n".join(readable))
        if not isinstance(parsed, _Mistake):
            return parsed
        # Each table is right by itself: two of them contradict one another, as where a name is given twice.
        at = (parsed.line or len(readable)) - 1
        first, end = next(((first, end) for first, end in groups if first <= at < end), groups[-1])
        problems.append((at + 1, f"not TOML: {parsed.text}", "correct that line, or leave one of the two out"))
        _leave_out(readable, range(first, end), broken)
    return {}


def _salvage_table(
    readable: list[str], first: int, end: int, problems: list[tuple[int, str, str]], broken: set[int]
) -> None:
    """One table by itself: a line that is no TOML is left out, and told once for each table."""
    for attempt in range(_SALVAGED_LINES + 1):
        parsed = _loads("\n".join(readable[first:end]))
        if not isinstance(parsed, _Mistake):
            return
        at = min(first + (parsed.line or end - first) - 1, end - 1)
        if attempt == 0:
            problems.append((at + 1, f"not TOML: {parsed.text}", "correct that line"))
            broken.update(range(first + 1, end + 1))
        if at == first or attempt == _SALVAGED_LINES:
            _leave_out(readable, range(first, end), broken)
            return
        readable[at] = ""


def _leave_out(readable: list[str], indices: Sequence[int], broken: set[int]) -> None:
    for index in indices:
        readable[index] = ""
        broken.add(index + 1)


def _groups(lines: Sequence[str]) -> Iterator[tuple[int, int]]:
    """First and last-but-one index of each table with the tables below it, such as a rule with its options."""
    starts, root = [0], ""
    for index, line in enumerate(lines):
        match = _HEADER.match(line)
        if match is None:
            continue
        name = match["name"].strip()
        if root and name.startswith(f"{root}."):
            continue
        root = name if line.lstrip().startswith("[[") else ""
        if index:
            starts.append(index)
    yield from zip(starts, [*starts[1:], len(lines)], strict=True)
