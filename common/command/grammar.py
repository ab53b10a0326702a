"""A line from a person becomes an argument vector, or a refusal that names the character.

There is no shell behind this and so there is no expansion: a character with a meaning to a shell is refused where it
is unquoted, and is literal where it is quoted. The grammar:

    line     = blanks word (blanks word)* blanks      blank is U+0020 only
    word     = (bare | escape | single | double)+
    bare     = a visible character without a meaning to a shell
    escape   = `\\` and one visible character or space
    single   = `'` anything visible or space but `'` `'`
    double   = `"` the same but `"`, `$` and a backtick; `\\"` and `\\\\` are escapes, another `\\` is itself `"`

Control characters, line ends, white space other than U+0020, invisible and bidirectional characters are refused
everywhere, in quotes too: what is shown for approval must be what runs. For every accepted line `shlex.split(line)`
gives the same words. `tokenize_pipeline` takes several such lines with an unquoted `|` between them.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from common.catalogue import Sentence

MAX_LINE: Final = 8_192  # characters
MAX_WORDS: Final = 256

_SEPARATORS: Final = "|&;<>(){}"
_EXPANSIONS: Final = "$`"
_GLOBS: Final = "*?[]"
_CURLY_QUOTES: Final = "\u2018\u2019\u201c\u201d"
_DASHES: Final = "\u2013\u2014"
_PLAIN = re.compile(
    r"[A-Za-z0-9_./:@%+,^=-]+", re.ASCII
)  # characters that are always allowed after the first of a word

# Invisible characters outside the categories C and Z: Default_Ignorable_Code_Point and the empty Braille cell.
_INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0000-\U000e0fff]"
)


class BadLine(ValueError):
    """A line that the grammar refuses.

    `position` is the index in the line, from 0; messages count from 1. `character` is "" where no single one is at
    fault.
    """

    def __init__(self, position: int, character: str, sentence: Sentence) -> None:
        super().__init__(position, character)
        self.position = position
        self.character = character
        self.sentence = sentence

    def __str__(self) -> str:
        return str(self.sentence)


def is_visible(character: str) -> bool:
    """Whether one character shows as itself: no control, format, surrogate, private, unassigned or separating one."""
    return unicodedata.category(character)[0] not in "CZ" and not _INVISIBLE.match(character)


def is_printable_text(text: str) -> bool:
    """Whether all of `text` is visible characters and U+0020: what a word of an accepted line may consist of."""
    if text.isascii():
        return text.isprintable()
    return all(character == " " or is_visible(character) for character in text)


def describe_character(character: str) -> str:
    """A character for people to read: itself where it shows, else its code point and Unicode name."""
    if is_visible(character):
        return character
    name = unicodedata.name(character, "")
    return f"U+{ord(character):04X} {name}".rstrip()


def tokenize(line: str) -> tuple[str, ...]:
    """The words of `line`; raises BadLine."""
    check_line(line)
    words = _Tokenizer(line).words()
    if not words:
        raise BadLine(0, "", Sentence("grammar_empty"))
    return tuple(words)


def tokenize_pipeline(line: str) -> tuple[tuple[str, ...], ...]:
    """The words of each part of `line`, a single unquoted `|` between two; raises BadLine."""
    check_line(line)
    parts: list[tuple[str, ...]] = []
    position = 0
    while True:
        words, position = tokenize_part(line, position)
        parts.append(words)
        if position == len(line):
            return tuple(parts)
        position += 1


def check_line(line: str, limit: int = MAX_LINE) -> None:
    """Raises BadLine where a line is longer than `limit` characters or holds something that does not show."""
    if len(line) > limit:
        raise BadLine(limit, "", Sentence("grammar_too_long", {"limit": limit}))
    _check_visible(line)


def tokenize_part(line: str, start: int = 0) -> tuple[tuple[str, ...], int]:
    """The words of a checked line from `start` to the next unquoted `|`, and where that or the end is; BadLine."""
    tokenizer = _Tokenizer(line, "|")
    tokenizer.position = start
    words = tuple(tokenizer.words())
    if not words:
        if start == 0 and tokenizer.position == len(line):
            raise BadLine(0, "", Sentence("grammar_empty"))
        raise _bad_character("grammar_separator", min(tokenizer.position, len(line) - 1), "|")
    return words, tokenizer.position


def _check_visible(line: str) -> None:
    if line.isascii() and line.isprintable():
        return
    for position, character in enumerate(line):
        if character != " " and not is_visible(character):
            if character in "\r\n":
                key = "grammar_line_end"
            elif unicodedata.category(character) == "Cc":
                key = "grammar_control"
            elif character.isspace():
                key = "grammar_white_space"
            else:
                key = "grammar_invisible"
            raise _bad_character(key, position, character)


def _bad_character(key: str, position: int, character: str) -> BadLine:
    values = {"character": describe_character(character), "position": position + 1}
    return BadLine(position, character, Sentence(key, values))


class _Tokenizer:
    """One pass over a line; `position` is the index of the next character. Words end before an unquoted `stop`."""

    def __init__(self, line: str, stop: str = "") -> None:
        self.line = line
        self.position = 0
        self._stop = stop
        self._ends = {" ", stop}

    def words(self) -> list[str]:
        found: list[str] = []
        while True:
            while self.line.startswith(" ", self.position):
                self.position += 1
            if self.position == len(self.line) or self.line[self.position] == self._stop:
                return found
            if len(found) == MAX_WORDS:
                raise BadLine(self.position, "", Sentence("grammar_too_many_words", {"limit": MAX_WORDS}))
            found.append(self.word(first=not found))

    def word(self, first: bool) -> str:
        parts: list[str] = []
        start = self.position
        while self.position < len(self.line) and self.line[self.position] not in self._ends:
            character = self.line[self.position]
            if character == "'":
                parts.append(self.single())
            elif character == '"':
                parts.append(self.double())
            elif character == "\\":
                parts.append(self.escape())
            else:
                parts.append(self.bare(first, start))
        return "".join(parts)

    def bare(self, first: bool, start: int) -> str:
        plain = None if first else _PLAIN.match(self.line, self.position)
        if plain:
            self.position = plain.end()
            return plain.group()
        at, character = self.position, self.line[self.position]
        if character in _SEPARATORS:
            raise _bad_character("grammar_separator", at, character)
        if character in _EXPANSIONS:
            raise _bad_character("grammar_expansion", at, character)
        if character in _GLOBS:
            raise _bad_character("grammar_glob", at, character)
        if character == "!":
            raise _bad_character("grammar_history", at, character)
        if character == "~" and (at == start or self.line[at - 1] in "=:"):
            raise _bad_character("grammar_home", at, character)
        if character == "#" and at == start:
            raise _bad_character("grammar_comment", at, character)
        if character == "=" and first:
            raise _bad_character("grammar_assignment", at, character)
        if character in _CURLY_QUOTES:
            raise _bad_character("grammar_curly_quote", at, character)
        if character in _DASHES and at == start:
            raise _bad_character("grammar_dash", at, character)
        self.position += 1
        return character

    def escape(self) -> str:
        if self.position + 1 == len(self.line):
            raise _bad_character("grammar_backslash", self.position, "\\")
        self.position += 2
        return self.line[self.position - 1]

    def single(self) -> str:
        start = self.position
        end = self.line.find("'", start + 1)
        if end < 0:
            raise _bad_character("grammar_open_quote", start, "'")
        self.position = end + 1
        return self.line[start + 1 : end]

    def double(self) -> str:
        start = self.position
        parts: list[str] = []
        self.position += 1
        while self.position < len(self.line):
            character = self.line[self.position]
            if character == '"':
                self.position += 1
                return "".join(parts)
            if character in _EXPANSIONS:
                raise _bad_character("grammar_expansion_quoted", self.position, character)
            if character == "\\" and self.line[self.position + 1 : self.position + 2] in ('"', "\\"):
                self.position += 1
                character = self.line[self.position]
            elif character == "\\" and self.line[self.position + 1 : self.position + 2] in ("$", "`"):
                raise _bad_character("grammar_expansion_quoted", self.position + 1, self.line[self.position + 1])
            parts.append(character)
            self.position += 1
        raise _bad_character("grammar_open_quote", start, '"')
