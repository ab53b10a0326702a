"""Slips of the fingers in words that are known. Pure.

A slip is one edit (Damerau: a letter more, less or other, or two neighbours exchanged); in words of eight letters or
more, a letter more and one less too. What counts depends on the length, because short words are one edit from too many
others: `dsik` is disk, `dish` is not.

Candidates come from the words that share a form with one letter taken out, so that the work does not grow with the
vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

SHORTEST: Final = 4
LONG: Final = 8  # from here two edits
LONGEST: Final = 32


class Speller:
    """Known words, and what a word that is none of them may be a slip of."""

    def __init__(self, words: Iterable[str], never: Iterable[str] = ()) -> None:
        """`words` are lower case; those that are not plain letters are left out. `never` are no slips of anything."""
        self._never = frozenset(never)
        self._known: set[str] = set()
        self._by_form: dict[str, list[str]] = {}
        for word in words:
            if word not in self._known and SHORTEST <= len(word) <= LONGEST and word.isascii() and word.isalpha():
                self._known.add(word)
                for form in _forms(word):
                    self._by_form.setdefault(form, []).append(word)

    def near(self, word: str) -> set[str]:
        """The known words that `word` may be a slip of, the nearest; none for a known word and for a real one."""
        if word in self._known or word in self._never or not SHORTEST <= len(word) <= LONGEST or not word.isalpha():
            return set()
        found = {known for form in _forms(word) for known in self._by_form.get(form, ()) if is_slip(word, known)}
        return {known for known in found if distance(word, known) == 1} or found


def is_slip(word: str, known: str) -> bool:
    """Whether `word` is what fingers make of `known`."""
    if min(len(word), len(known)) < SHORTEST or word == known:
        return False
    edits = distance(word, known, most=2)
    if edits == 1:
        return _single(word, known)
    return edits == 2 and len(known) >= LONG and len(word) >= LONG - 1 and word[0] == known[0]


def _single(word: str, known: str) -> bool:
    """One edit, and a likely one for the length."""
    if sorted(word) == sorted(known):
        return True  # two neighbours exchanged
    if word[0] != known[0]:
        return False
    if len(word) == len(known):
        return len(known) >= 6 and word[-1] == known[-1]
    longer, shorter = (word, known) if len(word) > len(known) else (known, word)
    at = next((index for index, letter in enumerate(shorter) if letter != longer[index]), len(shorter))
    if at and longer[at] == longer[at - 1]:
        return len(known) >= 5  # a letter doubled, or a double one typed once
    return len(known) >= (7 if at == len(shorter) else 5)


def distance(one: str, other: str, most: int = 2) -> int:
    """Edits between two words (optimal string alignment), `most + 1` where there are more."""
    if abs(len(one) - len(other)) > most:
        return most + 1
    before: list[int] = []
    row = list(range(len(other) + 1))
    for index, letter in enumerate(one, 1):
        before, last, row = row, before, [index]
        for column, against in enumerate(other, 1):
            cost = min(before[column] + 1, row[-1] + 1, before[column - 1] + (letter != against))
            if last and column > 1 and letter == other[column - 2] and one[index - 2] == against:
                cost = min(cost, last[column - 2] + 1)
            row.append(cost)
        if min(row) > most:
            return most + 1
    return min(row[-1], most + 1)


def _forms(word: str) -> set[str]:
    """The word, and it with each letter taken out."""
    return {word, *(word[:index] + word[index + 1 :] for index in range(len(word)))}
