"""Spaces that a recogniser leaves out, put back where the picture has them. Pure.

Models trained on Chinese drop the spaces between Han and Latin text, and some between Latin words; in a command line
each one matters. What is given for each character is how far right its centre is and how wide the widest stretch
without ink is between it and the character before it, as measured in the picture.

How wide a gap is a space depends on the face: within Han text by what is usual between Han characters here, within
Latin text by the pitch, so that the wide gaps of a fixed-width face ("](", "1.") are not taken for spaces.
"""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

HAN_SPACE: Final = 0.17  # of an em: what a space adds at least
HAN_USUAL: Final = 0.12  # of an em, where a line has too few Han characters to tell
PUNCTUATION: Final = 0.6  # of an em: the blank half that full-width punctuation brings along
PITCHES: Final = 0.85  # a gap wider than the usual one by this much of the pitch is a space, between Latin letters


@dataclass(frozen=True, slots=True)
class Glyph:
    """One character that is not a space."""

    char: str
    at: float  # its centre
    spaced: bool = False  # whether the recogniser put a space before it
    gap: float = 0.0  # the widest blank stretch between the character before and it


def han(char: str) -> bool:
    """An ideograph."""
    return "\u3400" <= char <= "\u9fff" or "\uf900" <= char <= "\ufaff" or char in "々〇"


def full_width_sign(char: str) -> bool:
    """Punctuation with room of its own: 。，：（ and the like."""
    return char in "“”‘’" or (not han(char) and unicodedata.east_asian_width(char) in "WF")


def han_gap(lines: Sequence[Sequence[Glyph]]) -> float | None:
    """The usual gap between two Han characters; None where there are not enough of them."""
    gaps = [
        right.gap
        for line in lines
        for left, right in itertools.pairwise(line)
        if han(left.char) and han(right.char) and not right.spaced
    ]
    return median(gaps) if len(gaps) >= 3 else None


def respaced(line: Sequence[Glyph], em: float, usual: float | None = None) -> str:
    """The text with its spaces. `em` is the height of its letters; `usual` the gap between Han characters."""
    if not line:
        return ""
    usual = HAN_USUAL * em if usual is None else usual
    latin = _latin_space(line)
    text = [line[0].char]
    for left, right in itertools.pairwise(line):
        if right.spaced or right.gap > _space_between(left.char, right.char, em, usual, latin):
            text.append(" ")
        text.append(right.char)
    return _DATE_TIME.sub(r"\1 \2", "".join(text))


_DATE_TIME: Final = re.compile(r"(?<![0-9])([0-9]{4}-[0-9]{2}-[0-9]{2})([0-9]{2}:[0-9]{2}(?![0-9]))")


_CLOSING: Final = frozenset(".,:;!?)]}%")
_OPENING: Final = frozenset("([{")


def _space_between(left: str, right: str, em: float, usual: float, latin: float) -> float:
    """How wide a gap between these two is a space."""
    if (han(left) and right in _CLOSING) or (left in _OPENING and han(right)):
        return usual + PUNCTUATION * em  # thin signs, with the rest of their cell blank
    signs = full_width_sign(left) + full_width_sign(right)
    if signs:
        return usual + (HAN_SPACE + PUNCTUATION * signs) * em
    if han(left) or han(right):
        return usual + HAN_SPACE * em
    return latin


def _latin_space(line: Sequence[Glyph]) -> float:
    """How wide a gap between two Latin characters of this line is a space."""
    pairs = [
        (right.at - left.at, right.gap)
        for left, right in itertools.pairwise(line)
        if left.char.isascii() and right.char.isascii() and not right.spaced
    ]
    if len(pairs) < 3:
        return float("inf")
    return median(gap for _, gap in pairs) + PITCHES * median(step for step, _ in pairs)
