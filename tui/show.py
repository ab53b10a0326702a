"""Tables and lines for terminals. Whatever came from a machine or a chat is made safe before it is shown."""

from __future__ import annotations

import time
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any

from common.text import clean, escape_argv


def width(text: str) -> int:
    """Cells that `text` takes on a terminal: two for wide and full-width characters, none for combining ones."""
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text
    )


def table(head: Sequence[str], rows: Iterable[Sequence[str]], most: int = 60) -> str:
    """Columns aligned by cells; the last one is not cut, the others are at `most` cells."""
    cells = [list(head)] + [[clean(str(cell), limit=400) for cell in row] for row in rows]
    if not cells[1:]:
        return ""
    last = len(head) - 1
    cells = [[cell if index == last else cut(cell, most) for index, cell in enumerate(row)] for row in cells]
    widths = [max(width(row[index]) for row in cells) for index in range(len(head))]
    lines = []
    for row in cells:
        padded = [
            cell if index == last else cell + " " * (widths[index] - width(cell)) for index, cell in enumerate(row)
        ]
        lines.append("  ".join(padded).rstrip())
    return "\n".join(lines)


def cut(text: str, cells: int) -> str:
    """At most `cells` cells, with an ellipsis where something was cut; a wide character is never halved."""
    if width(text) <= cells:
        return text
    kept, used = [], 0
    for char in text:
        used += width(char)
        if used > cells - 1:
            break
        kept.append(char)
    return "".join(kept) + "…"


def age(seconds: float | None) -> str:
    """4s, 3m12s, 2h05m, 3d04h: two units at most."""
    if seconds is None:
        return "-"
    whole = max(0, int(seconds))
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    if whole < 86_400:
        return f"{whole // 3600}h{whole % 3600 // 60:02d}m"
    return f"{whole // 86_400}d{whole % 86_400 // 3600:02d}h"


def moment(at: float | None) -> str:
    """Local time to the second."""
    return "-" if at is None else time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(at))


def size(count: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024 or unit == "GiB":
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return ""


def command(argv: Sequence[str] | None) -> str:
    """An argument vector as a person reads it; nothing in it is hidden."""
    return escape_argv(argv) if argv else "-"


def end_of(job: dict[str, Any]) -> str:
    """How a job ended, in words."""
    state = str(job["state"])
    if job.get("signal"):
        state += f" (signal {job['signal']})"
    elif job.get("exit_code"):
        state += f" (exit {job['exit_code']})"
    return f"{state}: {clean(job['reason'], limit=300)}" if job.get("reason") else state
