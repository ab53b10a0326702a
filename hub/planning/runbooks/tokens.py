"""A message as words, for English and Chinese. Pure.

`fold_width` turns the full-width characters of Chinese keyboards into ASCII and keeps positions, so that a match in the
folded text can be cut out of the original. `tokenize` makes words: runs of the characters of names, paths and numbers,
single Han characters, and significant punctuation.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

MAX_TEXT: Final = 400
"""Characters. Longer messages are not matched to templates."""

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
_HAN_WORD: Final = re.compile(f"[{_HAN}]")
_NO_BLANK_BEFORE: Final = frozenset({",", ";", "'s"})
_ENDS: Final = ".:?!"
_PATTERN_END: Final = re.compile(r"[A-Za-z0-9][-._]\?+$")


def fold_width(text: str) -> str:
    """Full-width characters as their ASCII twins; the length stays."""
    return text.translate(_WIDTH)


def word_set(text: str) -> frozenset[str]:
    """The blank-separated words of `text`."""
    return frozenset(text.split())


@dataclass(frozen=True, slots=True)
class MessageWord:
    key: str  # case-folded: what literals are compared with
    raw: str  # as written: what values are taken from


@dataclass(frozen=True, slots=True)
class TokenizedMessage:
    words: tuple[MessageWord, ...]
    question: bool  # ends with a question mark


def tokenize(text: str) -> TokenizedMessage | None:
    """The words of a one-line message; None where it is too long or contains quotations, which are others' words."""
    folded = fold_width(text).strip()
    if not folded or len(folded) > MAX_TEXT or not folded.isprintable() or _QUOTES.search(folded):
        return None
    body, question = _strip_end(folded)
    body = _SHORT.sub(r"\1 is", body)
    words: list[MessageWord] = []
    for piece in _PIECES.findall(body):
        end = _sentence_end(piece)
        body_part = piece[: len(piece) - len(end)]
        words += [MessageWord(part.casefold(), part) for part in (body_part, *end) if part]
    return TokenizedMessage(tuple(words), question)


def _strip_end(text: str) -> tuple[str, bool]:
    """`text` without final punctuation, and whether that had a question mark; the `?` of a pattern (`web-?`) stays."""
    question = False
    while text and (text[-1] in ".!~" or (text[-1] == "?" and not _PATTERN_END.search(text))):
        question |= text[-1] == "?"
        text = text[:-1].rstrip()
    return text, question


def _sentence_end(piece: str) -> str:
    """The punctuation at the end of a word within a message; it becomes words of its own, which no example has."""
    end = ""
    if len(piece) > 1:
        while piece and piece[-1] in _ENDS and not _PATTERN_END.search(piece):
            end, piece = piece[-1] + end, piece[:-1]
    return end if piece else ""


def join_words(words: Sequence[str]) -> str:
    """Words as a person writes them: no blank between two Han characters, nor before a comma."""
    text = ""
    for word in words:
        blank = text and word not in _NO_BLANK_BEFORE and not (_HAN_WORD.match(text[-1]) and _HAN_WORD.match(word))
        text += f" {word}" if blank else word
    return text
