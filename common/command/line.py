"""A command and its filters as one line, and back: `df -h /var | grep -i disk`. Pure.

The line is that of the grammar (`common.command.grammar`), so that what people read is what they may write. A command
or filter that no such line says beyond doubt, since a word of it holds something invisible, a control character, or
what may pass for another character, is shown as a JSON array of its words: different commands always give different
texts.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from typing import Any, Final

from common.catalogue import Sentence
from common.command.grammar import MAX_LINE, BadLine, check_line, tokenize, tokenize_part
from common.command.output_filters import FilterWords, parse_filters
from common.text import escape_argv, is_ambiguous

MAX_ARRAY: Final = 256 * 1024
"""Characters of a JSON array: the longest command, each character of it escaped."""


def quote_command(argv: Sequence[str], filters: Sequence[FilterWords] = ()) -> str:
    """The line that `parse_command` reads as exactly this. Never truncate it where an approval is about it."""
    return " | ".join(map(quote_argv, (argv, *filters)))


def quote_argv(argv: Sequence[str]) -> str:
    """A line that `tokenize` reads as exactly `argv`; the JSON array where there is none that is beyond doubt."""
    line = shlex.join(argv)
    try:
        if not is_ambiguous(line) and tokenize(line) == tuple(argv) and not line.startswith("["):
            return line
    except BadLine:
        pass
    return escape_argv(argv)


def parse_command(line: str) -> tuple[tuple[str, ...], tuple[FilterWords, ...]]:
    """The command of a line and its filters; raises BadLine and BadFilter."""
    check_line(line, MAX_ARRAY if line.startswith("[") else MAX_LINE)
    found: list[tuple[str, ...]] = []
    position = 0
    while True:
        while line.startswith(" ", position):
            position += 1
        words, position = (_read_array if line.startswith("[", position) else tokenize_part)(line, position)
        found.append(words)
        if position == len(line):
            return found[0], parse_filters(found[1:])
        position += 1


def _read_array(line: str, start: int) -> tuple[tuple[str, ...], int]:
    """The words of a JSON array, and where the next `|` or the end is."""
    words: Any = None
    end = start
    try:
        words, end = json.JSONDecoder().raw_decode(line, start)
    except (ValueError, RecursionError):
        pass
    while line.startswith(" ", end):
        end += 1
    good = isinstance(words, list) and bool(words) and all(isinstance(word, str) for word in words)
    if not good or (end < len(line) and line[end] != "|"):
        raise BadLine(start, "[", Sentence("command_json"))
    return tuple(words), end
