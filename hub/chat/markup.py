"""Our replies as blocks, for platforms that have markup of their own. Pure.

Texts of replies have three marks and no others (`hub.core.chat_text`): a code block between two lines of three
backticks, `inline code`, and lines that begin with "> ". Whatever else looks like markup is text, and a platform
escapes it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from hub.core.chat_text import FENCE

_INLINE: Final = re.compile(r"`([^`\n]+)`")


@dataclass(frozen=True, slots=True)
class Code:
    """A block of code or output."""

    text: str


@dataclass(frozen=True, slots=True)
class Span:
    text: str
    code: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """One line of text."""

    spans: tuple[Span, ...]
    quote: bool = False  # somebody else's words: a model's


Block = Code | Line


def split_blocks(text: str) -> tuple[Block, ...]:
    """The text of a reply, block by block. A code block that is not closed ends with the text."""
    blocks: list[Block] = []
    code: list[str] | None = None
    for line in text.split("\n"):
        if line == FENCE:
            if code is not None:
                blocks.append(Code("\n".join(code)))
            code = [] if code is None else None
        elif code is not None:
            code.append(line)
        else:
            quote = line.startswith("> ")
            blocks.append(Line(_spans(line[2:] if quote else line), quote))
    if code is not None:
        blocks.append(Code("\n".join(code)))
    return tuple(blocks)


def _spans(line: str) -> tuple[Span, ...]:
    spans: list[Span] = []
    at = 0
    for match in _INLINE.finditer(line):
        if match.start() > at:
            spans.append(Span(line[at : match.start()]))
        spans.append(Span(match[1], code=True))
        at = match.end()
    if at < len(line) or not spans:
        spans.append(Span(line[at:]))
    return tuple(spans)


def fit_blocks(
    blocks: Sequence[Block], render: Callable[[Sequence[Block]], str], size: Callable[[str], int], limit: int, note: str
) -> tuple[str, bool]:
    """The blocks as one rendered text of at most `limit` (as `size` counts: characters, bytes, UTF-16 units), and
    whether it was cut. Code loses lines from its end, the longest block first, before text is lost; where something is
    lost, `note` stands at the end as a line of its own.
    """
    whole = render(blocks)
    if size(whole) <= limit:
        return whole, False
    kept: list[Block] = [*blocks, Line((Span(note),))]
    while (text := render(kept)) and size(text) > limit:
        over = size(text) - limit
        longest = max(range(len(kept) - 1), key=lambda index: _weight(kept[index]), default=None)
        if longest is None:
            return text[: max(0, len(text) - over)], True
        block = kept[longest]
        # A line may cost more than its words, where it is escaped or an element of its own.
        words = sum(size(each.text) for each in kept if isinstance(each, Code)) * over // size(text) + 1
        shorter = _shorter(block, min(over, words), size) if isinstance(block, Code) else None
        if shorter is None:
            last = len(kept) - 2 if not isinstance(block, Code) else longest
            del kept[last]
        else:
            kept[longest] = shorter
    return text, True


def _weight(block: Block) -> int:
    return len(block.text) if isinstance(block, Code) else 0


def _shorter(code: Code, over: int, size: Callable[[str], int]) -> Code | None:
    """Without its last lines, or half of its one line; None where nothing would be left."""
    lines = code.text.split("\n")
    if len(lines) == 1:
        half = code.text[: min(len(code.text) // 2, max(0, len(code.text) - over))]
        return Code(half) if half else None
    dropped = 0
    while len(lines) > 1 and dropped < over:
        dropped += size(lines.pop()) + 1
    return Code("\n".join(lines))


def utf16_units(text: str) -> int:
    """The length of `text` as many chats count it: a character beyond U+FFFF counts twice."""
    return len(text) + sum(char > "\uffff" for char in text)


def plain_text(blocks: Sequence[Block]) -> str:
    """Blocks as plain text. Code keeps its fences: they are the border that output cannot fake."""
    lines: list[str] = []
    for block in blocks:
        if isinstance(block, Code):
            lines += [FENCE, block.text, FENCE]
        else:
            spans = "".join(f"`{span.text}`" if span.code else span.text for span in block.spans)
            lines.append(f"> {spans}" if block.quote else spans)
    return "\n".join(lines)
