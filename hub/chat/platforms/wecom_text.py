"""The texts and cards of WeCom: plain text of at most 2,048 bytes, and the card with a question's buttons. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from common.catalogue import translate
from hub.chat import markup
from hub.chat.buttons import buttons_of
from hub.chat.markup import Block, fit_blocks, split_blocks
from hub.chat.platforms.base import ReplyContent
from hub.core.chat_text import FENCE

MAX_TEXT: Final = 2_048  # bytes of a text message
MAX_PARTS: Final = 3  # messages that one question may take: with token and card, the five calls of a reply
_LINK: Final = re.compile(r"<(?=\s*/?\s*a\b)", re.IGNORECASE)  # the one tag that a text message knows
_STYLES: Final = {"primary": 1, "plain": 2, "danger": 3}


def card_of(content: ReplyContent, task: str) -> dict[str, Any] | None:
    """The `button_interaction` card that follows a question; None where there is nothing to click, or too much to
    show before it.
    """
    buttons = [
        {"text": button.label, "style": _STYLES[button.style], "key": button.value} for button in buttons_of(content)
    ]
    if not buttons or content.request is None or _question(content) is None:
        return None
    number, code = content.request.number, content.request.code
    return {
        "card_type": "button_interaction",
        "main_title": {"title": f"r{number} {code}".rstrip()},
        "sub_title_text": translate(content.language, "card_plan_above", number=number),
        "task_id": task,
        "button_list": buttons,
    }


def plain_text(blocks: Sequence[Block]) -> str:
    """Blocks as plain text, without the one tag that it knows."""
    return _LINK.sub("＜", markup.plain_text(blocks))


def text_parts(content: ReplyContent) -> list[str]:
    """The text as one message, cut where it is too long; what is to be approved is cut nowhere, but said in several.

    A question that would need too many says only where to decide it: it has no code, and gets no buttons.
    """
    number = content.request.number if content.request is not None else 0
    if content.kind == "question":
        if (parts := _question(content)) is not None:
            return parts
        head = plain_text(split_blocks(content.text.partition("\n")[0][:200]))
        return [f"{head}\n{translate(content.language, 'ask_how_console', number=number)}"]
    note = translate(
        content.language, "output_cut" if number else "reply_cut", **({"number": number} if number else {})
    )
    return [fit_blocks(split_blocks(content.text), plain_text, _size, MAX_TEXT, note)[0]]


def _question(content: ReplyContent) -> list[str] | None:
    """The whole of a question in as many messages as it needs; None where those are too many."""
    whole = plain_text(split_blocks(content.text))
    parts = [whole] if _size(whole) <= MAX_TEXT else _split(whole.split("\n"))
    return parts if len(parts) <= MAX_PARTS else None


def _split(lines: list[str]) -> list[str]:
    """Lines as messages of at most MAX_TEXT bytes; a code block that is cut apart is closed and opened again."""
    room = MAX_TEXT - 2 * (len(FENCE) + 1)
    parts: list[str] = []
    now: list[str] = []
    code = False
    for line in (piece for whole in lines for piece in _pieces(whole, room)):
        if now and _size("\n".join([*now, line])) > room:
            parts.append("\n".join([*now, FENCE] if code else now))
            now = [FENCE] if code else []
        code ^= line == FENCE
        now.append(line)
    return [*parts, "\n".join(now)]


def _pieces(line: str, room: int) -> list[str]:
    """A line in pieces of at most `room` bytes, cut between characters."""
    pieces = []
    while _size(line) > room:
        piece = line.encode()[:room].decode("utf-8", "ignore")
        pieces.append(piece)
        line = line[len(piece) :]
    return [*pieces, line]


def _size(text: str) -> int:
    return len(text.encode())
