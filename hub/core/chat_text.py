"""Values as text for chat: moments, durations, sizes, names, commands, output, and text from outside. Pure.

Escaping the markup of one platform is `hub.chat`'s work. The rules here hold on every platform: no control or invisible
character, no end of a code block inside one, and no mention that would notify people.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from common.catalogue import Language, translate
from common.command.line import quote_command
from common.command.output_filters import FilterWords
from common.text import clean
from common.times import format_moment, utc
from common.values import format_rounded_size, split_duration

FENCE: Final = "```"
MAX_LINE: Final = 300
"""Characters of a line of output that is shortened."""
MAX_NAMES: Final = 10
_UNITS: Final = {"d": "duration_d", "h": "duration_h", "m": "duration_min", "s": "duration_s"}
_BROADCASTS: Final = re.compile(r"@(?=(?:everyone|here|channel|all)\b)", re.IGNORECASE)
_MENTIONS: Final = re.compile(r"<(?=@[\w&!]|!(?:here|channel|everyone|subteam)\b|/?at\b|users/)", re.IGNORECASE)


def neutralize_mentions(text: str) -> str:
    """`text` with nothing in it that calls people on any platform; to be used once on every whole reply."""
    return _MENTIONS.sub("‹", _BROADCASTS.sub("＠", text))


def inline_text(text: str, limit: int = 300) -> str:
    """What somebody wrote, to stand within a sentence: one line, no code marks."""
    return clean(text, limit=limit).replace("`", "'")


def duration_text(seconds: float, language: Language) -> str:
    """Two units at most: "85 ms", "3.2 s", "45 s", "5 min 3 s", "2 h 5 min", "3 d 4 h"."""
    if seconds < 0.9995:
        return translate(language, "duration_ms", count=max(0, round(seconds * 1000)))
    if seconds < 9.95:
        return translate(language, "duration_s", count=f"{seconds:.1f}")
    parts = split_duration(round(seconds))
    return " ".join(translate(language, _UNITS[unit], count=count) for count, unit in parts if count)


def size_text(count: int) -> str:
    """Bytes in binary units, the same in both languages."""
    return format_rounded_size(count)


def time_text(at: float, now: float, language: Language) -> str:
    """A moment with its date where it is not near, and how long until then. In UTC: a room's readers may be in several
    zones, and the hub knows none of them.
    """
    time = format_moment(at, now, utc, seconds=False)
    if at <= now:
        return time
    return translate(language, "moment_ahead", time=time, duration=duration_text(at - now, language))


def join_names(names: Sequence[str], language: Language, most: int | None = MAX_NAMES) -> str:
    """Names in one line; past `most` only their number."""
    between = "、" if language == "zh" else ", "
    if most is None or len(names) <= most:
        return between.join(names)
    return translate(language, "and_more", names=between.join(names[:most]), count=len(names) - most)


def command_text(argv: Sequence[str], filters: Sequence[FilterWords] = (), limit: int = 200) -> str:
    """A command for a headline. It may be cut: not for approvals."""
    text = quote_command(argv, filters)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def inline_code(text: str) -> str:
    return f"`{text}`"


def code_block(text: str) -> str:
    """A code block that its content cannot end."""
    return f"{FENCE}\n{text.replace(FENCE, chr(39) * 3)}\n{FENCE}"


def truncate_output(
    text: str, max_chars: int, language: Language, *, whole: bool = True, end: str = ""
) -> tuple[str, bool]:
    """Output in at most `max_chars` characters, and whether anything is missing.

    `whole`: the text is all of the output, and its beginning and end are kept. Otherwise it is the beginning of a
    longer one, whose `end` may be given too. Lines are kept whole where they can be; long ones are cut, so that one of
    them does not cost all others.
    """
    text = text.rstrip()
    if len(text) <= max_chars and whole:
        return text, False
    lines = list(map(_cut_line, text.split("\n")))
    if not whole and end.strip():
        return _with_end(lines, list(map(_cut_line, end.rstrip().split("\n"))), max_chars, language), True
    max_chars = max(0, max_chars - 40)  # for the line that says how much is missing
    head = _first_lines(lines, max_chars * 2 // 3 if whole else max_chars)
    tail = _first_lines(lines[:0:-1], max_chars - sum(map(len, head)) - len(head), whole_lines=True) if whole else []
    count = len(lines) - len(head) - len(tail)
    missing = (
        translate(language, "lines_left_out", count=max(1, count)) if whole else translate(language, "rest_left_out")
    )
    return "\n".join([*head, missing, *reversed(tail[: max(0, len(lines) - len(head))])]), True


def _with_end(lines: Sequence[str], end: Sequence[str], max_chars: int, language: Language) -> str:
    """The beginning of an output and its end, what is between them left out; the end's first line may be half a one."""
    missing = translate(language, "middle_left_out")
    max_chars = max(0, max_chars - len(missing) - 2)
    tail = _first_lines(list(reversed(end[1:] or end)), max_chars // 2, whole_lines=True)
    head = _first_lines(lines, max_chars - sum(map(len, tail)) - len(tail))
    return "\n".join([*head, missing, *reversed(tail)])


def _cut_line(line: str) -> str:
    return line if len(line) <= MAX_LINE else line[: MAX_LINE - 1] + "…"


def _first_lines(lines: Sequence[str], max_chars: int, *, whole_lines: bool = False) -> list[str]:
    """As many lines as fit into `max_chars`; unless `whole_lines`, at least the beginning of the first one."""
    found: list[str] = []
    for line in lines:
        if len(line) + 1 > max_chars:
            break
        found.append(line)
        max_chars -= len(line) + 1
    if not found and lines and max_chars > 1 and not whole_lines:
        found.append(lines[0][: max_chars - 1] + "…")
    return found
