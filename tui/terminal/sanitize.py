"""The last gate before the terminal: whatever a widget has let through, no control or bidirectional character passes
here.

Textual sends the text of segments as it is, and its own escape sequences are added after this filter.
"""

from __future__ import annotations

import re
from typing import Final

from rich.cells import cell_len
from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

from common.process.encoding import SIGNS, UTF_8, can_encode

_BAD: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    "\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\ud800-\udfff\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
REPLACEMENT: Final = "?"
"""One cell, in every encoding."""


class SanitizeFilter(LineFilter):
    """`encoding` is the terminal's: what it cannot show is replaced cell by cell."""

    def __init__(self, encoding: str = UTF_8) -> None:
        super().__init__()
        self._encoding = encoding

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        return [Segment(self._showable(text), style, control) for text, style, control in segments]

    def _showable(self, text: str) -> str:
        if _BAD.search(text):
            text = _BAD.sub(REPLACEMENT, text)
        return text if self._encoding == UTF_8 or text.isascii() else fit_encoding(text, self._encoding)


def fit_encoding(text: str, encoding: str) -> str:
    """The text with signs of the encoding alone, in as many cells."""
    return "".join(
        char if can_encode(char, encoding) else (SIGNS.get(char, REPLACEMENT)[:1] + REPLACEMENT)[: cell_len(char)]
        for char in text
    )


def sanitize(text: str) -> str:
    """What the gate lets through of a text."""
    return _BAD.sub(REPLACEMENT, text)


def is_safe(text: str) -> bool:
    """Whether `text` would pass the gate unchanged."""
    return _BAD.search(text) is None
