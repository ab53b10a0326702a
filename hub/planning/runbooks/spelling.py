"""Typing errors in known words. Pure.

A typing error is one edit (Damerau-Levenshtein: a letter inserted, deleted or substituted, or two neighbours swapped);
in words of eight letters or more, two edits. What counts depends on the length, because short words are one edit away
from too many others: `dsik` is disk, `dish` is not.

Candidates are the words that share a form with one letter deleted (as in SymSpell), so that the work does not grow with
the vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

MIN_LENGTH: Final = 4
TWO_TYPO_LENGTH: Final = 8  # from here two edits
MAX_LENGTH: Final = 32


class Speller:
    """Known words, and the corrections of words that are not among them."""

    def __init__(self, words: Iterable[str], never: Iterable[str] = ()) -> None:
        """`words` are lower case; those that are not plain letters are ignored. `never` are never corrected."""
        self._never = frozenset(never)
        self._known: set[str] = set()
        self._by_deletion: dict[str, list[str]] = {}
        for word in words:
            if word not in self._known and MIN_LENGTH <= len(word) <= MAX_LENGTH and word.isascii() and word.isalpha():
                self._known.add(word)
                for form in _deletions(word):
                    self._by_deletion.setdefault(form, []).append(word)

    def corrections(self, word: str) -> set[str]:
        """The nearest known words that `word` may be a misspelling of; none for a known word and for those of
        `never`.
        """
        if (
            word in self._known
            or word in self._never
            or not MIN_LENGTH <= len(word) <= MAX_LENGTH
            or not word.isalpha()
        ):
            return set()
        found = {
            known for form in _deletions(word) for known in self._by_deletion.get(form, ()) if is_typo(word, known)
        }
        return {known for known in found if edit_distance(word, known) == 1} or found


def is_typo(word: str, known: str) -> bool:
    """Whether `word` is a likely misspelling of `known`."""
    if min(len(word), len(known)) < MIN_LENGTH or word == known:
        return False
    edits = edit_distance(word, known, most=2)
    if edits == 1:
        return _is_single_edit(word, known)
    return edits == 2 and len(known) >= TWO_TYPO_LENGTH and len(word) >= TWO_TYPO_LENGTH - 1 and word[0] == known[0]


def _is_single_edit(word: str, known: str) -> bool:
    """Whether one edit leads from one to the other, and a likely one for the length."""
    if sorted(word) == sorted(known):
        return True  # two neighbours swapped
    if word[0] != known[0]:
        return False
    if len(word) == len(known):
        return len(known) >= 6 and word[-1] == known[-1]
    longer, shorter = (word, known) if len(word) > len(known) else (known, word)
    at = next((index for index, letter in enumerate(shorter) if letter != longer[index]), len(shorter))
    if at and longer[at] == longer[at - 1]:
        return len(known) >= 5  # a letter doubled, or a double one typed once
    return len(known) >= (7 if at == len(shorter) else 5)


def edit_distance(one: str, other: str, most: int = 2) -> int:
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


def _deletions(word: str) -> set[str]:
    """The word, and its forms with one letter deleted."""
    return {word, *(word[:index] + word[index + 1 :] for index in range(len(word)))}
