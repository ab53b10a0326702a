"""The last gate before the terminal: whatever a widget has let through, no control or bidirectional character passes
here.

Textual sends the text of segments as it is, and its own escape sequences are added after this filter.
"""

from __future__ import annotations

import re
from typing import Final

from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

_BAD: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f"
    "\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\ud800-\udfff\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
REPLACEMENT: Final = "?"
"""One cell, in every encoding."""


class Gate(LineFilter):
    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        return [
            Segment(_BAD.sub(REPLACEMENT, text), style, control) if _BAD.search(text) else Segment(text, style, control)
            for text, style, control in segments
        ]


def made_safe(text: str) -> str:
    """What the gate lets through of a text."""
    return _BAD.sub(REPLACEMENT, text)


def is_safe(text: str) -> bool:
    """Whether `text` would pass the gate unchanged."""
    return _BAD.search(text) is None
