"""What stands in a cell or a line: words, numbers, ages, sparklines; cut by terminal cells. Pure.

Everything that came from a machine or a chat goes through `one_line`. Numbers are short and keep their unit; times
are in the reader's zone (`RenderContext.zone`) and say so, `Z` for UTC. Where a column has no room for the zone's name,
the title bar's clock has it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from rich.cells import cell_len, set_cell_size

from common import times
from common.catalogue import Language
from common.command.output_filters import FilterWords
from common.text import clean
from common.times import Zone, utc
from common.values import format_took
from tui.text import tables

Tone = Literal["", "ok", "busy", "warn", "bad", "dim", "head", "key"]
"""What colour repeats; the words say it already."""

SPARK_GLYPHS: Final = "▁▂▃▄▅▆▇█"
ASCII_SPARK_GLYPHS: Final = "_.:-=+*#"
STANDARD_FOLDERS: Final = frozenset({"/usr/bin", "/bin", "/usr/sbin", "/sbin"})


@dataclass(frozen=True, slots=True)
class Cell:
    text: str
    tone: Tone = ""


@dataclass(frozen=True, slots=True)
class RenderContext:
    """How to say it: language, glyphs, the hub's time now, and the reader's time zone."""

    language: Language = "en"
    ascii: bool = False
    now: float = 0.0
    zone: Zone = utc

    @property
    def ellipsis(self) -> str:
        return "~" if self.ascii else "…"


@dataclass(frozen=True, slots=True)
class PaneLine:
    """One line of a pane; `gutter` is what stands in the gutter, `indent` where its text goes on when it is wrapped."""

    text: str
    tone: Tone = ""
    gutter: str = ""
    indent: int = 0


MAX_FOLDER_CELLS: Final = 12
"""Cells of a program's folder up to which a table shows it."""


def one_line(value: Any, limit: int = 400) -> str:
    """Any value from outside as one safe line."""
    return clean(value if isinstance(value, str) else str(value), limit=limit)


def fit_cells(text: str, cells: int, *, ellipsis: str = "…", right: bool = False) -> str:
    """Exactly `cells` cells: padded, or cut with a sign of it; a wide character is never halved."""
    if cells <= 0:
        return ""
    length = cell_len(text)
    if length > cells:
        text = set_cell_size(text, cells - 1).rstrip() + ellipsis
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
        head = _longest_prefix(text, cells) or text[:1]
        at = head.rfind(" ")
        if at > len(head) * 2 // 3:
            head = head[: at + 1]
        lines.append(head.rstrip())
        text = later + text[len(head) :]
    return [*lines, text]


def _longest_prefix(text: str, cells: int) -> str:
    used = 0
    for at, char in enumerate(text):
        used += cell_len(char)
        if used > cells:
            return text[:at]
    return text


def format_age(seconds: float | None) -> str:
    """12s, 4m12s, 31m, 2h05m, 3d04h: the longer it is, the rarer it changes."""
    if seconds is None or not math.isfinite(seconds):
        return "-"
    if 600 <= seconds < 3600:
        return f"{int(seconds) // 60}m"
    return tables.age(seconds)


def format_latency(seconds: float | None) -> str:
    """8ms, 310ms, 1.4s, 61s, 4m08s."""
    if seconds is None or not math.isfinite(seconds) or seconds < 0:
        return "-"
    return format_took(seconds) if seconds < 99.5 else format_age(seconds)


def format_number(count: float | None) -> str:
    """98,311."""
    return "-" if count is None else f"{int(count):,}"


def format_short_number(count: float | None) -> str:
    """Up to 9,999 as it is, then 98.3k, 1.2M."""
    if count is None:
        return "-"
    if abs(count) < 10_000:
        return format_number(count)
    return f"{count / 1000:.1f}k" if abs(count) < 1_000_000 else f"{count / 1_000_000:.1f}M"


def format_rate(per_second: float | None) -> str:
    return "-" if per_second is None else f"{per_second:.1f}" if per_second < 100 else f"{per_second:.0f}"


def format_percent(part: float | None) -> str:
    return "-" if part is None else f"{part * 100:.1f}%"


def format_clock(at: float | None, zone: Zone) -> str:
    """14:03:21, for a column of eight cells; the zone's name stands in the title bar."""
    return "-" if not times.is_date(at) else times.format_in_zone(at, "%H:%M:%S", zone)


def format_start(at: float | None, now: float, zone: Zone) -> str:
    """14:03:21, or 11-29 14:03 where that is not within twelve hours of `now`: for a column."""
    if not times.is_date(at):
        return "-"
    return times.format_in_zone(at, "%H:%M:%S" if abs(at - now) < times.NEAR else "%m-%d %H:%M", zone)


def format_short_start(at: float | None, now: float, zone: Zone) -> str:
    """14:03, or 11-29 14:03 where that is not within twelve hours of `now`: for words in a column."""
    if not times.is_date(at):
        return "-"
    return times.format_in_zone(at, "%H:%M" if abs(at - now) < times.NEAR else "%m-%d %H:%M", zone)


def zone_mark(at: float, zone: Zone) -> str:
    """What follows a time of day: ` CET`, or `Z` for UTC, which takes fewer cells."""
    name = zone(at)[1]
    return "Z" if name == "UTC" else f" {name}"


def format_moment(at: float | None, now: float, zone: Zone) -> str:
    """The time of day with its zone, and its date where it is not within twelve hours of `now`."""
    text = times.format_moment(at, now, zone)
    return text if not times.is_date(at) else text.rpartition(" ")[0] + zone_mark(at, zone)


def sparkline(values: Sequence[float | None], width: int, *, plain: bool = False, top: float | None = None) -> str:
    """The last `width` values as bars from 0 to `top`, else to the highest; a gap is a blank."""
    bars = ASCII_SPARK_GLYPHS if plain else SPARK_GLYPHS
    shown = list(values)[-width:] if width > 0 else []
    top = highest(shown) if top is None else top
    drawn = "".join(
        " "
        if value is None or not math.isfinite(value)
        else bars[min(len(bars) - 1, int(value / top * (len(bars) - 1) + 0.5))]
        if top > 0 and value > 0
        else bars[0]
        for value in shown
    )
    return drawn.rjust(max(0, width))


def highest(values: Iterable[float | None]) -> float:
    """The highest of what is known; 0 where nothing is."""
    return max((value for value in values if value is not None and math.isfinite(value)), default=0.0)


def fit_samples(values: Sequence[float | None], width: int) -> list[float | None]:
    """The samples for a graph of `width` cells: spread over all of them, or of several the highest where there are more
    samples than cells.
    """
    if not values or width <= 0:
        return []
    count = len(values)
    groups = (
        values[at * count // width : max(at * count // width + 1, (at + 1) * count // width)] for at in range(width)
    )
    return [highest(group) if any(value is not None for value in group) else None for group in groups]


def strip_standard_folder(line: str) -> str:
    """A command line without its program's usual folder."""
    folder, _, rest = line.partition(" ")[0].rpartition("/")
    return line[len(folder) + 1 :] if folder in STANDARD_FOLDERS and rest else line


def short_id(identity: Any) -> str:
    """The last characters of a ULID, which tell jobs apart and are accepted by every command."""
    return one_line(identity, 64)[-6:].lower()


def format_command(argv: Any, filters: Sequence[FilterWords] = (), limit: int = 300) -> str:
    """A command for a headline, the program without its usual folder. It may be cut: never for an approval."""
    if not isinstance(argv, list | tuple) or not argv:
        return "-"
    words = [str(word) for word in argv]
    if not all(word.isprintable() for word in words):
        return one_line(tables.quote_command(words, filters), limit)
    folder, _, program = words[0].rpartition("/")
    if folder in STANDARD_FOLDERS and program:
        words[0] = program
    return one_line(tables.quote_command(words, filters), limit)


def abbreviate_command(line: str, ellipsis: str) -> str:
    """A command line for a cell: a long folder before its program gives way to what runs, with a sign of it."""
    program, blank, rest = line.partition(" ")
    folder, slash, name = program.rpartition("/")
    if not slash or not name or len(folder) <= MAX_FOLDER_CELLS or program.startswith("'"):
        return line
    return f"{ellipsis}/{name}{blank}{rest}"


def join_nonempty(parts: Iterable[str], between: str = "  ") -> str:
    return between.join(part for part in parts if part)
