"""Spaces that a recogniser leaves out, put back where the picture has them. Pure.

Models trained on Chinese drop the spaces between Han and Latin text, and some between Latin words; in a command line
each one matters. What is given for each character is how far right its centre is and how wide the widest stretch
without ink is between it and the character before it, as measured in the picture; both in ems.

How wide a gap is a space depends on the face: beside Han by what is usual between Han characters here, within Latin
text by the pitch, so that the wide gaps of a fixed-width face ("](", "1.") are not taken for spaces.
"""

from __future__ import annotations

import itertools
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import inf
from statistics import median
from typing import Final

HAN_SPACE: Final = 0.17  # what a space adds at least
HAN_USUAL: Final = 0.12  # where a picture has too few Han characters to tell
PUNCTUATION: Final = 0.7  # the blank half that punctuation beside Han brings along
PITCHES: Final = 0.65  # a gap wider than the usual one by this much of the pitch is a space, between Latin letters
_DATE_TIME: Final = re.compile(r"(?<![0-9])([0-9]{4}-[0-9]{2}-[0-9]{2})([0-9]{2}:[0-9]{2}(?![0-9]))")


@dataclass(frozen=True, slots=True)
class Glyph:
    """One character that is not a space."""

    char: str
    at: float = 0.0  # its centre
    spaced: bool = False  # whether the recogniser put a space before it
    gap: float = 0.0  # the widest blank stretch between the character before and it


def is_han(char: str) -> bool:
    """An ideograph."""
    return "\u3400" <= char <= "\u9fff" or "\uf900" <= char <= "\ufaff" or char in "々〇"


def is_wide(char: str) -> bool:
    """Ideographs, and punctuation with room of its own: 。，：（ and the like. Two columns of a terminal."""
    return char in "“”‘’" or unicodedata.east_asian_width(char) in "WF"


def usual_han_gap(lines: Iterable[Sequence[Glyph]]) -> float:
    """The usual gap between Han characters in a picture's lines."""
    pairs = itertools.chain.from_iterable(map(itertools.pairwise, lines))
    gaps = [right.gap for left, right in pairs if is_han(left.char) and is_han(right.char) and not right.spaced]
    return median(gaps) if len(gaps) >= 3 else HAN_USUAL


def restore_spaces(line: Sequence[Glyph], usual: float = HAN_USUAL) -> str:
    """The text with its spaces. `usual` is the gap between Han characters."""
    pairs = list(itertools.pairwise(line))
    latin = [(right.at - left.at, right.gap) for left, right in pairs if (left.char + right.char).isascii()]
    pitch, gap = (median(values) for values in zip(*latin, strict=True)) if len(latin) >= 3 else (inf, inf)
    text = [glyph.char for glyph in line[:1]]
    for left, right in pairs:
        wide = [char for char in (left.char, right.char) if is_wide(char)]
        signs = sum(not is_han(char) for char in wide)
        limit = usual + HAN_SPACE + PUNCTUATION * signs if wide else gap + PITCHES * pitch
        text.append(" " + right.char if right.spaced or right.gap > limit else right.char)
    return _DATE_TIME.sub(r"\1 \2", "".join(text))
