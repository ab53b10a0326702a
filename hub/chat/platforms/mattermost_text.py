"""Our text as Mattermost's markdown, in which nothing outside code is markup or calls anybody. Pure.

Mattermost reads CommonMark with mentions, hashtags, emoji and channel links. A backslash takes the markup of a sign
away, but not its meaning as a mention: the server looks for `@name` by itself, in all text that is not code. So `@`
outside code becomes its full-width form, which our own reading takes for the plain one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from hub.chat.markup import Block, Code, Span

_SIGNS: Final = str.maketrans({sign: f"\\{sign}" for sign in "\\`*_~#<>[]|!:"} | {"@": "＠"})
_LIST: Final = re.compile(r"(?:\d{1,9}(?=[.)])|(?=[-+=]))")
"""What makes a list, a rule or a heading of a line, up to its sign."""


def escape(text: str) -> str:
    """A line of text, or its beginning, shown letter by letter."""
    text = _escape_signs(text)
    body = text.lstrip(" \t")
    indent = "\u00a0" * (len(text) - len(body))  # four plain blanks would make code of it
    if found := _LIST.match(body):
        return f"{indent}{found[0]}\\{body[found.end() :]}"
    return indent + body


def _escape_signs(text: str) -> str:
    return text.translate(_SIGNS)


def markdown(blocks: Sequence[Block]) -> str:
    """Lines stay lines: Mattermost breaks a paragraph where a line ends."""
    lines: list[str] = []
    for block in blocks:
        if isinstance(block, Code):
            fence = "`" * max(3, _longest_run(block.text) + 1)
            lines += [fence, block.text, fence]
        else:
            texts = [_span(span, first=index == 0) for index, span in enumerate(block.spans)]
            lines.append(("> " if block.quote else "") + "".join(texts))
    return "\n".join(lines)


def _span(span: Span, *, first: bool) -> str:
    if span.code:
        return f"`{span.text}`" if span.text.strip() else span.text
    return escape(span.text) if first else _escape_signs(span.text)


def _longest_run(text: str) -> int:
    return max(map(len, re.findall(r"`+", text)), default=0)
