"""What stands in a cell or a line: words, numbers, ages, sparklines; cut by terminal cells. Pure.

Everything that came from a machine or a chat goes through `one_line`. Numbers are short and keep their unit; times
are UTC.
"""

from __future__ import annotations

import math
import shlex
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeGuard

from rich.cells import cell_len, set_cell_size

from common.catalogue import Language
from common.text import clean
from tui import show

Tone = Literal["", "ok", "busy", "warn", "bad", "dim", "head", "key"]
"""What colour repeats; the words say it already."""

BARS: Final = "▁▂▃▄▅▆▇█"
ASCII_BARS: Final = "_.:-=+*#"
DAY: Final = 86_400
USUAL: Final = frozenset({"/usr/bin", "/bin", "/usr/sbin", "/sbin"})


@dataclass(frozen=True, slots=True)
class Cell:
    text: str
    tone: Tone = ""


@dataclass(frozen=True, slots=True)
class Look:
    """How to say it: language, glyphs, and the hub's time now."""

    language: Language = "en"
    ascii: bool = False
    now: float = 0.0

    @property
    def cut(self) -> str:
        return "~" if self.ascii else "…"


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a pane; `mark` is what stands in the gutter, `indent` where its text goes on when it is wrapped."""

    text: str
    tone: Tone = ""
    mark: str = ""
    indent: int = 0


LONG_FOLDER: Final = 12
"""Cells of a program's folder up to which a table shows it."""


def one_line(value: Any, limit: int = 400) -> str:
    """Any value from outside as one safe line."""
    return clean(value if isinstance(value, str) else str(value), limit=limit)


def fit(text: str, cells: int, *, cut: str = "…", right: bool = False) -> str:
    """Exactly `cells` cells: padded, or cut with a sign of it; a wide character is never halved."""
    if cells <= 0:
        return ""
    length = cell_len(text)
    if length > cells:
        text = set_cell_size(text, cells - 1).rstrip() + cut
        length = cell_len(text)
    padding = " " * (cells - length)
    return padding + text if right else text + padding


def wrap(text: str, cells: int, indent: int = 0) -> list[str]:
    """The text in lines of at most `cells` cells; at spaces where there are some near the end, else anywhere. All but
    the first begin with `indent` blanks, where there is room for them.
    """
    cells = max(2, cells)
    later = " " * indent if indent < cells // 2 else ""
    lines = []
    while cell_len(text) > cells:
        head = _longest(text, cells) or text[:1]
        at = head.rfind(" ")
        if at > len(head) * 2 // 3:
            head = head[: at + 1]
        lines.append(head.rstrip())
        text = later + text[len(head) :]
    return [*lines, text]


def _longest(text: str, cells: int) -> str:
    used = 0
    for at, char in enumerate(text):
        used += cell_len(char)
        if used > cells:
            return text[:at]
    return text


def age(seconds: float | None) -> str:
    """12s, 4m12s, 31m, 2h05m, 3d04h: the longer it is, the rarer it changes."""
    if seconds is None or not math.isfinite(seconds):
        return "-"
    if 600 <= seconds < 3600:
        return f"{int(seconds) // 60}m"
    return show.age(seconds)


def latency(seconds: float | None) -> str:
    """8ms, 310ms, 1.4s, 61s, 4m08s."""
    if seconds is None or not math.isfinite(seconds) or seconds < 0:
        return "-"
    if seconds < 0.0095:
        return f"{seconds * 1000:.1f}ms"
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f}ms"
    if seconds < 9.95:
        return f"{seconds:.1f}s"
    return f"{seconds:.0f}s" if seconds < 99.5 else age(seconds)


def number(count: float | None) -> str:
    """98,311."""
    return "-" if count is None else f"{int(count):,}"


def short_number(count: float | None) -> str:
    """Up to 9,999 as it is, then 98.3k, 1.2M."""
    if count is None:
        return "-"
    if abs(count) < 10_000:
        return number(count)
    return f"{count / 1000:.1f}k" if abs(count) < 1_000_000 else f"{count / 1_000_000:.1f}M"


def rate(per_second: float | None) -> str:
    return "-" if per_second is None else f"{per_second:.1f}" if per_second < 100 else f"{per_second:.0f}"


def percent(part: float | None) -> str:
    return "-" if part is None else f"{part * 100:.1f}%"


def is_date(at: float | None) -> TypeGuard[float]:
    """Whether a time is one that a calendar has: of the years 1970 to 9999."""
    return at is not None and 0 <= at < 253_402_300_800


def clock(at: float | None) -> str:
    """14:03:21 UTC of the day; with the date where no day is meant by itself."""
    return "-" if not is_date(at) else time.strftime("%H:%M:%S", time.gmtime(at))


def moment(at: float | None, now: float) -> str:
    """The time of day, with its date where it is not within a day of `now`."""
    if not is_date(at):
        return "-"
    form = "%H:%M:%SZ" if abs(now - at) < DAY / 2 else "%Y-%m-%d %H:%M:%SZ"
    return time.strftime(form, time.gmtime(at))


def spark(values: Sequence[float | None], width: int, *, plain: bool = False) -> str:
    """The last `width` values as bars from 0 to the highest; a gap is a blank."""
    bars = ASCII_BARS if plain else BARS
    shown = list(values)[-width:] if width > 0 else []
    known = [value for value in shown if value is not None and math.isfinite(value)]
    top = max(known, default=0.0)
    drawn = "".join(
        " "
        if value is None or not math.isfinite(value)
        else bars[min(len(bars) - 1, int(value / top * (len(bars) - 1) + 0.5))]
        if top > 0 and value > 0
        else bars[0]
        for value in shown
    )
    return drawn.rjust(max(0, width))


def shorter(line: str) -> str:
    """A command line without its program's usual folder."""
    folder, _, rest = line.partition(" ")[0].rpartition("/")
    return line[len(folder) + 1 :] if folder in USUAL and rest else line


def short_id(identity: Any) -> str:
    """The last characters of a ULID, which tell jobs apart and are accepted by every command."""
    return one_line(identity, 64)[-6:].lower()


def command(argv: Any, limit: int = 300) -> str:
    """A command for a headline, the program without its usual folder. It may be cut: never for an approval."""
    if not isinstance(argv, list | tuple) or not argv:
        return "-"
    words = [str(word) for word in argv]
    if not all(word.isprintable() for word in words):
        return one_line(show.command(words), limit)
    folder, _, program = words[0].rpartition("/")
    if folder in USUAL and program:
        words[0] = program
    return one_line(shlex.join(words), limit)


def brief(line: str, cut: str) -> str:
    """A command line for a cell: a long folder before its program gives way to what runs, with a sign of it."""
    program, blank, rest = line.partition(" ")
    folder, slash, name = program.rpartition("/")
    if not slash or not name or len(folder) <= LONG_FOLDER or program.startswith("'"):
        return line
    return f"{cut}/{name}{blank}{rest}"


def joined(parts: Iterable[str], between: str = "  ") -> str:
    return between.join(part for part in parts if part)
