"""A line from a person becomes an argument vector, or a refusal that names the character.

There is no shell behind this and so there is no expansion: what a shell would give a meaning to is refused where it
stands bare, and is a plain character where it is quoted. The grammar:

    line     = blanks word (blanks word)* blanks      blank is U+0020 only
    word     = (bare | escape | single | double)+
    bare     = a visible character without a meaning to a shell
    escape   = `\\` and one visible character or space
    single   = `'` anything visible or space but `'` `'`
    double   = `"` the same but `"`, `$` and a backtick; `\\"` and `\\\\` are escapes, another `\\` is itself `"`

Control characters, line ends, white space other than U+0020, invisible and bidirectional characters are refused
everywhere, in quotes too: what is shown for approval must be what runs. For every accepted line `shlex.split(line)`
gives the same words.
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
_PLAIN = re.compile(r"[A-Za-z0-9_./:@%+,^=-]+", re.ASCII)  # bare characters that need no second look inside a word

# What shows as nothing outside the categories C and Z: Default_Ignorable_Code_Point and the empty Braille cell.
_INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0000-\U000e0fff]"
)


class BadLine(ValueError):
    """A line that is not of the grammar.

    `position` is the index in the line, from 0; people are told it from 1. `character` is "" where none is to blame.
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


def is_showable(text: str) -> bool:
    """Whether all of `text` is visible characters and U+0020: what a word of an accepted line may consist of."""
    if text.isascii():
        return text.isprintable()
    return all(character == " " or is_visible(character) for character in text)


def name_of(character: str) -> str:
    """A character for people to read: itself where it shows, else its code point and Unicode name."""
    if is_visible(character):
        return character
    name = unicodedata.name(character, "")
    return f"U+{ord(character):04X} {name}".rstrip()


def tokenize(line: str) -> tuple[str, ...]:
    """The words of `line`; raises BadLine."""
    if len(line) > MAX_LINE:
        raise BadLine(MAX_LINE, "", Sentence("grammar_too_long", {"limit": MAX_LINE}))
    _refuse_unseen(line)
    words = _Reader(line).words()
    if not words:
        raise BadLine(0, "", Sentence("grammar_empty"))
    return tuple(words)


def _refuse_unseen(line: str) -> None:
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
            raise _bad(key, position, character)


def _bad(key: str, position: int, character: str) -> BadLine:
    values = {"character": name_of(character), "position": position + 1}
    return BadLine(position, character, Sentence(key, values))


class _Reader:
    """One pass over a line; `at` is the index of the next character."""

    def __init__(self, line: str) -> None:
        self.line = line
        self.at = 0

    def words(self) -> list[str]:
        found: list[str] = []
        while True:
            while self.line.startswith(" ", self.at):
                self.at += 1
            if self.at == len(self.line):
                return found
            if len(found) == MAX_WORDS:
                raise BadLine(self.at, "", Sentence("grammar_too_many_words", {"limit": MAX_WORDS}))
            found.append(self.word(first=not found))

    def word(self, first: bool) -> str:
        parts: list[str] = []
        start = self.at
        while self.at < len(self.line) and self.line[self.at] != " ":
            character = self.line[self.at]
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
        plain = None if first else _PLAIN.match(self.line, self.at)
        if plain:
            self.at = plain.end()
            return plain.group()
        at, character = self.at, self.line[self.at]
        if character in _SEPARATORS:
            raise _bad("grammar_separator", at, character)
        if character in _EXPANSIONS:
            raise _bad("grammar_expansion", at, character)
        if character in _GLOBS:
            raise _bad("grammar_glob", at, character)
        if character == "!":
            raise _bad("grammar_history", at, character)
        if character == "~" and (at == start or self.line[at - 1] in "=:"):
            raise _bad("grammar_home", at, character)
        if character == "#" and at == start:
            raise _bad("grammar_comment", at, character)
        if character == "=" and first:
            raise _bad("grammar_assignment", at, character)
        if character in _CURLY_QUOTES:
            raise _bad("grammar_curly_quote", at, character)
        if character in _DASHES and at == start:
            raise _bad("grammar_dash", at, character)
        self.at += 1
        return character

    def escape(self) -> str:
        if self.at + 1 == len(self.line):
            raise _bad("grammar_backslash", self.at, "\\")
        self.at += 2
        return self.line[self.at - 1]

    def single(self) -> str:
        start = self.at
        end = self.line.find("'", start + 1)
        if end < 0:
            raise _bad("grammar_open_quote", start, "'")
        self.at = end + 1
        return self.line[start + 1 : end]

    def double(self) -> str:
        start = self.at
        parts: list[str] = []
        self.at += 1
        while self.at < len(self.line):
            character = self.line[self.at]
            if character == '"':
                self.at += 1
                return "".join(parts)
            if character in _EXPANSIONS:
                raise _bad("grammar_expansion_quoted", self.at, character)
            if character == "\\" and self.line[self.at + 1 : self.at + 2] in ('"', "\\"):
                self.at += 1
                character = self.line[self.at]
            elif character == "\\" and self.line[self.at + 1 : self.at + 2] in ("$", "`"):
                raise _bad("grammar_expansion_quoted", self.at + 1, self.line[self.at + 1])
            parts.append(character)
            self.at += 1
        raise _bad("grammar_open_quote", start, '"')
