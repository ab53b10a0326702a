"""How much of a text was read right: one minus the character error rate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Score:
    """Sums, so that many pictures give one figure weighted by their characters."""

    errors: int = 0
    characters: int = 0
    errors_without_spaces: int = 0
    characters_without_spaces: int = 0

    def __add__(self, other: Score) -> Score:
        return Score(
            self.errors + other.errors,
            self.characters + other.characters,
            self.errors_without_spaces + other.errors_without_spaces,
            self.characters_without_spaces + other.characters_without_spaces,
        )

    @property
    def right(self) -> float:
        return 1 - self.errors / max(1, self.characters)

    @property
    def right_without_spaces(self) -> float:
        return 1 - self.errors_without_spaces / max(1, self.characters_without_spaces)


def score(wanted: Sequence[str], read: str) -> Score:
    """Runs of spaces and line ends count as one space: how wide columns are is no matter of reading."""
    want, got = " ".join(" ".join(wanted).split()), " ".join(read.split())
    bare_want, bare_got = want.replace(" ", ""), got.replace(" ", "")
    return Score(distance(want, got), len(want), distance(bare_want, bare_got), len(bare_want))


def distance(left: str, right: str) -> int:
    """Levenshtein's: insertions, deletions and replacements."""
    before = list(range(len(right) + 1))
    for row, one in enumerate(left, 1):
        now = [row]
        for column, other in enumerate(right, 1):
            now.append(min(before[column] + 1, now[-1] + 1, before[column - 1] + (one != other)))
        before = now
    return before[-1]
