"""Tables and lines for terminals. Whatever came from a machine or a chat is made safe before it is shown."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Sequence

from common.api.jobs import JobView
from common.command import line as command_line
from common.command.output_filters import FilterWords
from common.machine.end_notes import LOSSES, has_code, note_sentences
from common.text import clean
from common.times import format_moment, local_zone
from common.values import format_age, format_rounded_size


def cell_width(text: str) -> int:
    """Cells that `text` takes on a terminal: two for wide and full-width characters, none for combining ones."""
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1 for char in text
    )


def render_table(head: Sequence[str], rows: Iterable[Sequence[str]], most: int = 60) -> str:
    """Columns aligned by cells; the last one is not cut, the others are at `most` cells."""
    cells = [list(head)] + [[clean(str(cell), limit=400) for cell in row] for row in rows]
    if not cells[1:]:
        return ""
    last = len(head) - 1
    cells = [[cell if index == last else truncate_cells(cell, most) for index, cell in enumerate(row)] for row in cells]
    widths = [max(cell_width(row[index]) for row in cells) for index in range(len(head))]
    lines = []
    for row in cells:
        padded = [
            cell if index == last else cell + " " * (widths[index] - cell_width(cell)) for index, cell in enumerate(row)
        ]
        lines.append("  ".join(padded).rstrip())
    return "\n".join(lines)


def truncate_cells(text: str, cells: int) -> str:
    """At most `cells` cells, with an ellipsis where something was cut; a wide character is never halved."""
    if cell_width(text) <= cells:
        return text
    kept, used = [], 0
    for char in text:
        used += cell_width(char)
        if used > cells - 1:
            break
        kept.append(char)
    return "".join(kept) + "…"


def age(seconds: float | None) -> str:
    """4s, 3m12s, 2h05m, 3d04h: two units at most; "-" where it is not known."""
    return "-" if seconds is None else format_age(seconds)


def format_local_time(at: float | None) -> str:
    """Date and time to the second in the reader's zone, with its name."""
    return format_moment(at, None, local_zone)


def format_size(count: float) -> str:
    """Bytes in binary units up to GiB: "512 B", "1.4 MiB"."""
    return format_rounded_size(count, "GiB")


def quote_command(argv: Sequence[str] | None, filters: Sequence[FilterWords] = ()) -> str:
    """A command as a person reads it; nothing in it is hidden."""
    return command_line.quote_command(argv, filters) if argv else "-"


def describe_end(job: JobView) -> str:
    """How a job ended, in words."""
    state = job.state
    if job.signal:
        state += f" (signal {job.signal})"
    elif job.exit_code:
        state += f" (exit {job.exit_code})"
    return f"{state}: {clean(job.reason, limit=300)}" if job.reason else state


def describe_notes(job: JobView) -> list[str]:
    """What is to be told of a job's end besides: what is lost of its output, what it left running."""
    return [clean(str(note), limit=400) for note in note_sentences(job.notes, job.agent)]


def has_loss_note(job: JobView) -> bool:
    """Whether its notes say that output is lost; output over its cap has no note."""
    return has_code(job.notes, LOSSES)


def has_lost_output(job: JobView) -> bool:
    """Whether some of what the command wrote is not there to be read."""
    return job.truncated or has_loss_note(job)
