"""A message as words, in English and Chinese alike.

`fold_width` undoes what a Chinese keyboard does to digits, letters and signs; it keeps every character at its place, so
that what was found in the folded text can be cut out of the original. `split` makes words: runs of what names, paths
and numbers are made of, one Han character each, and the signs that matter.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

MAX_TEXT: Final = 400
"""Longer messages are stories, not requests that a template could know."""

_WIDTH: Final = {
    **{0xFF01 + offset: 0x21 + offset for offset in range(94)},  # full-width ASCII, U+FF01 to U+FF5E
    0x3000: 0x20,  # ideographic space
    0x00A0: 0x20,
    0x3002: 0x2E,  # 。
    0xFF61: 0x2E,
    0x3001: 0x2C,  # 、 lists like a comma does
    0xFE6B: 0x40,  # small @
    0x2018: 0x27,
    0x2019: 0x27,
}
_QUOTES: Final = re.compile(r"[\"`“”„«»「」『』《》]|(?:^|\s)'|'(?:\s|$)|^\s*>")
_HAN: Final = r"\u3400-\u9fff\uf900-\ufaff"
_PIECES: Final = re.compile(rf"'s\b|[{_HAN}]|[,;!&]|(?:(?!'s\b)[^\s{_HAN},;!&])+")
_SHORT: Final = re.compile(r"\b(what|who|how|where|which|it|that)'s\b", re.IGNORECASE)
_ENDS: Final = ".:?!"
_PATTERN_END: Final = re.compile(r"[A-Za-z0-9][-._]\?+$")


def fold_width(text: str) -> str:
    """Full-width characters as their ASCII twins; the length stays."""
    return text.translate(_WIDTH)


def word_set(text: str) -> frozenset[str]:
    """The blank-separated words of `text`."""
    return frozenset(text.split())


@dataclass(frozen=True, slots=True)
class Word:
    key: str  # case-folded: what literals are compared with
    raw: str  # as written: what values are taken from


@dataclass(frozen=True, slots=True)
class Words:
    words: tuple[Word, ...]
    question: bool  # ends with a question mark


def split(text: str) -> Words | None:
    """The words of a one-line message without quotations, or None: what is quoted was said by somebody else."""
    folded = fold_width(text).strip()
    if not folded or len(folded) > MAX_TEXT or not folded.isprintable() or _QUOTES.search(folded):
        return None
    body, question = _strip_end(folded)
    body = _SHORT.sub(r"\1 is", body)
    words: list[Word] = []
    for piece in _PIECES.findall(body):
        end = _sentence_end(piece)
        kept = piece[: len(piece) - len(end)]
        words += [Word(part.casefold(), part) for part in (kept, *end) if part]
    return Words(tuple(words), question)


def _strip_end(text: str) -> tuple[str, bool]:
    """Without the signs that end the message; a `?` that ends a pattern such as `web-?` stays."""
    question = False
    while text and (text[-1] in ".!~" or (text[-1] == "?" and not _PATTERN_END.search(text))):
        question |= text[-1] == "?"
        text = text[:-1].rstrip()
    return text, question


def _sentence_end(piece: str) -> str:
    """The signs at the end of a word within a message: they are words of their own, which no example has."""
    end = ""
    if len(piece) > 1:
        while piece and piece[-1] in _ENDS and not _PATTERN_END.search(piece):
            end, piece = piece[-1] + end, piece[:-1]
    return end if piece else ""
