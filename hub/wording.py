"""How single things are put into words for chat: times, sizes, names, commands, output, and what strangers wrote. Pure.

What a platform does to markup is the platform's to undo (`hub.chat`). Here is what holds everywhere: no control or
invisible character, no end of a code block inside one, and no mention that would call people.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import Final

from common.catalogue import Language, say
from common.text import clean, escape_argv

FENCE: Final = "```"
MAX_NAMES: Final = 10
_UNITS: Final = ((86_400, "duration_d"), (3_600, "duration_h"), (60, "duration_min"), (1, "duration_s"))
_CALLS: Final = re.compile(r"@(?=(?:everyone|here|channel|all)\b)", re.IGNORECASE)
_MENTIONS: Final = re.compile(r"<(?=@[\w&!]|!(?:here|channel|everyone|subteam)\b|/?at\b|users/)", re.IGNORECASE)
_PLAIN_ARG: Final = re.compile(r"[A-Za-z0-9_./:@%+,=^-]+", re.ASCII)


def neutral(text: str) -> str:
    """`text` with nothing in it that calls people on any platform; to be used once on every whole reply."""
    return _MENTIONS.sub("‹", _CALLS.sub("＠", text))


def prose(text: str, limit: int = 300) -> str:
    """What somebody wrote, to stand within a sentence: one line, no code marks."""
    return clean(text, limit=limit).replace("`", "'")


def duration(seconds: float, language: Language) -> str:
    """Two units at most: "85 ms", "3.2 s", "45 s", "5 min 3 s", "2 h 5 min", "3 d 4 h"."""
    if seconds < 0.9995:
        return say(language, "duration_ms", count=max(0, round(seconds * 1000)))
    if seconds < 9.95:
        return say(language, "duration_s", count=f"{seconds:.1f}")
    whole = round(seconds)
    for (unit, key), (smaller, smaller_key) in pairwise(_UNITS):
        if whole >= unit:
            first, rest = say(language, key, count=whole // unit), whole % unit // smaller
            return f"{first} {say(language, smaller_key, count=rest)}" if rest else first
    return say(language, "duration_s", count=whole)


def size(count: int) -> str:
    """Bytes in binary units, the same in both languages."""
    value, unit = float(count), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if value < 1024:
            break
        value, unit = value / 1024, larger
    return f"{count} B" if unit == "B" else f"{value:.1f} {unit}"


def moment(at: float, now: float, language: Language) -> str:
    """A time in UTC, with the day where it is not near, and how long until then."""
    form = "%H:%M" if abs(at - now) < 12 * 3600 else "%Y-%m-%d %H:%M"
    time = datetime.fromtimestamp(at, UTC).strftime(form)
    if at <= now:
        return say(language, "moment", time=time)
    return say(language, "moment_ahead", time=time, duration=duration(at - now, language))


def listed(names: Sequence[str], language: Language, most: int | None = MAX_NAMES) -> str:
    """Names in one line; past `most` only their number."""
    between = "、" if language == "zh" else ", "
    if most is None or len(names) <= most:
        return between.join(names)
    return say(language, "and_more", names=between.join(names[:most]), count=len(names) - most)


def command(argv: Sequence[str], limit: int = 200) -> str:
    """A command for a headline: as typed where every word is plain, else exact. It may be cut: not for approvals."""
    text = " ".join(argv) if all(_PLAIN_ARG.fullmatch(arg) for arg in argv) else escape_argv(argv)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def code(text: str) -> str:
    return f"`{text}`"


def fenced(text: str) -> str:
    """A code block that its content cannot end."""
    return f"{FENCE}\n{text.replace(FENCE, chr(39) * 3)}\n{FENCE}"


def shortened(text: str, room: int, language: Language, *, whole: bool = True) -> tuple[str, bool]:
    """Output in at most `room` characters, and whether anything is missing.

    Of a whole output the beginning and the end stay; of the beginning of a longer one (`whole` false) the beginning.
    """
    text = text.rstrip()
    if len(text) <= room and whole:
        return text, False
    lines = text.split("\n")
    room = max(0, room - 40)  # for the line that tells what is missing
    head = _first_lines(lines, room * 2 // 3 if whole else room)
    tail = _first_lines(lines[:0:-1], room - sum(map(len, head)) - len(head), whole_lines=True) if whole else []
    count = len(lines) - len(head) - len(tail)
    missing = say(language, "lines_left_out", count=max(1, count)) if whole else say(language, "rest_left_out")
    return "\n".join([*head, missing, *reversed(tail[: max(0, len(lines) - len(head))])]), True


def _first_lines(lines: Sequence[str], room: int, *, whole_lines: bool = False) -> list[str]:
    """As many lines as fit into `room`; the beginning of the first one at least, where that is not to be whole."""
    found: list[str] = []
    for line in lines:
        if len(line) + 1 > room:
            break
        found.append(line)
        room -= len(line) + 1
    if not found and lines and room > 1 and not whole_lines:
        found.append(lines[0][: room - 1] + "…")
    return found
