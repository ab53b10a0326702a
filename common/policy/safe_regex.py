"""Regular expressions that a policy may use: a dialect in which matching cannot blow up.

A pattern that can match one word in very many ways lets the writer of the word stop the hub. So the dialect is small:
characters, classes, groups, `|`, `* + ? {m,n}`; the whole value is matched always, so there are no anchors; there is no
look-around, back-reference, flag, lazy or possessive repetition. A repeated group holds neither a repetition nor an
alternative, and the ways that are left are counted: a bound on them bounds the steps of a backtracking matcher.
"""

from __future__ import annotations

import re
from typing import Final

MAX_WAYS: Final = 2**20
MAX_DEPTH: Final = 8

_ATOM = re.compile(
    r"""\\[dswDSW.\\/+*?()\[\]{}|^$:@%=~-]"""  # an escape
    r"""|\[\^?(?:\\[dswDSW.\\/+*?()\[\]{}|^$:@%=~-]|[^\\\[\]])+\]"""  # a class
    r"""|[A-Za-z0-9_ /:@%,=~<>"'#!&;`-]|\.""",
    re.ASCII,
)
_SET_OPERATOR = re.compile(r"--|&&|~~|\|\|")  # re keeps these in classes for later use, and warns
_TIMES = re.compile(r"\*|\+|\?|\{(\d{1,4})(?:(,)(\d{0,4}))?\}", re.ASCII)


class BadPattern(ValueError):
    """A pattern outside the dialect; `str()` says what is wrong with it."""


def check_pattern(pattern: str, maximum: int) -> None:
    """Raises BadPattern unless `pattern` is of the dialect and safe for values of up to `maximum` characters."""
    scan = _PatternChecker(pattern, maximum)
    _, ways = scan.alternatives()
    if scan.position != len(pattern):
        raise BadPattern(f"{pattern[scan.position]!r} at character {scan.position + 1} is not part of the dialect")
    if ways > MAX_WAYS:
        raise BadPattern(
            f"a value of {maximum} characters can match in too many ways: bound the repetitions with {{m,n}}"
        )
    try:
        re.compile(pattern, re.ASCII)
    except (re.error, OverflowError) as error:
        raise BadPattern(str(error)) from None


class _PatternChecker:
    """Recursive descent over a pattern.

    Each reader returns (plain, ways): whether what it read holds neither a repetition nor an alternative, and in how
    many ways a word may match it.
    """

    def __init__(self, pattern: str, maximum: int) -> None:
        self.pattern = pattern
        self.maximum = maximum
        self.position = 0
        self.depth = 0

    def alternatives(self) -> tuple[bool, int]:
        plain, ways = self.sequence()
        while self.pattern.startswith("|", self.position):
            self.position += 1
            plain, ways = False, ways + self.sequence()[1]
        return plain, ways

    def sequence(self) -> tuple[bool, int]:
        plain, ways = True, 1
        while self.position < len(self.pattern) and self.pattern[self.position] not in "|)":
            item_plain, item_ways = self.item()
            plain, ways = plain and item_plain, min(ways * item_ways, MAX_WAYS + 1)
        return plain, ways

    def item(self) -> tuple[bool, int]:
        start = self.position
        if self.pattern[start] == "(":
            plain, ways = self.group(start)
        else:
            plain, ways = True, 1
            atom = _ATOM.match(self.pattern, start)
            if not atom:
                raise BadPattern(f"{self.pattern[start]!r} at character {start + 1} is not part of the dialect")
            if _SET_OPERATOR.search(atom[0]):
                raise BadPattern(
                    f"the class at character {start + 1} doubles a character that may come to mean something"
                )
            self.position = atom.end()
        found = _TIMES.match(self.pattern, self.position)
        if not found:
            return plain, ways
        self.position = found.end()
        if self.pattern.startswith(("?", "*", "+", "{"), self.position):
            raise BadPattern(f"the repetition at character {self.position + 1} follows another one")
        least, most = self.bounds(found)
        if most > 1 and not plain:
            raise BadPattern(f"the repeated group at character {start + 1} holds a repetition or an alternative")
        return plain and least == most, ways * (max(most - least, 0) + 1)

    def group(self, start: int) -> tuple[bool, int]:
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise BadPattern(f"groups are nested more than {MAX_DEPTH} deep")
        self.position += 3 if self.pattern.startswith("(?:", start) else 1
        if self.pattern.startswith("?", self.position):
            raise BadPattern(f"the extension at character {start + 1} is not part of the dialect")
        read = self.alternatives()
        if not self.pattern.startswith(")", self.position):
            raise BadPattern(f"the group at character {start + 1} is not closed")
        self.position += 1
        self.depth -= 1
        return read

    def bounds(self, quantifier: re.Match[str]) -> tuple[int, int]:
        if quantifier[0] in "*+?":
            return int(quantifier[0] == "+"), 1 if quantifier[0] == "?" else self.maximum
        least = int(quantifier[1])
        if not quantifier[2]:
            return least, least
        return least, min(int(quantifier[3]), self.maximum) if quantifier[3] else self.maximum
