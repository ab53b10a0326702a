"""The texts and cards of WeCom: plain text of at most 2,048 bytes, an AI bot's markdown, and the card with a question's
buttons. Pure.

The markdown of AI bots has code blocks (document/path/101138) but no escape that is documented. So what would be markup
becomes its full-width form, and `<@`, which calls somebody, does so in code as well.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from common.catalogue import translate
from hub.chat import markup
from hub.chat.buttons import buttons_of
from hub.chat.markup import Block, Code, Span, fit_blocks, split_blocks
from hub.chat.platforms.base import ReplyContent
from hub.core.chat_text import FENCE

MAX_TEXT: Final = 2_048  # bytes of a text message
MAX_MARKDOWN: Final = 4_096  # bytes; what group robots take, and AI bots take no less
MAX_PARTS: Final = 3  # messages that one question may take: with token and card, the five calls of a reply
_LINK: Final = re.compile(r"<(?=\s*/?\s*a\b)", re.IGNORECASE)  # the one tag that a text message knows
_STYLES: Final = {"primary": 1, "plain": 2, "danger": 3}


_SIGNS: Final = str.maketrans("*_[]<`~|", "＊＿［］＜｀～｜")
_START: Final = re.compile(r"\A(\s*)([#>])", re.ASCII)  # of a heading, of a quote


def plain_text(blocks: Sequence[Block]) -> str:
    """Blocks as plain text, without the one tag that it knows."""
    return _LINK.sub("＜", markup.plain_text(blocks))


def markdown(blocks: Sequence[Block]) -> str:
    """Blocks as an AI bot's markdown."""
    lines: list[str] = []
    for block in blocks:
        if isinstance(block, Code):
            lines += [FENCE, block.text.replace(FENCE, "｀｀｀").replace("<@", "＜@"), FENCE]
            continue
        line = "".join(map(_span, block.spans))
        lines.append(("> " if block.quote else "") + _START.sub(_widened, line, count=1))
    return "\n".join(lines)


def _span(span: Span) -> str:
    if span.code and span.text.strip():
        return f"`{span.text.replace('<@', '＜@')}`"
    return span.text.translate(_SIGNS)


def _widened(found: re.Match[str]) -> str:
    return found[1] + ("＃" if found[2] == "#" else "＞")


@dataclass(frozen=True, slots=True)
class Form:
    """How a text is written, and how long a message of it is."""

    render: Callable[[Sequence[Block]], str]
    limit: int  # bytes


TEXT: Final = Form(plain_text, MAX_TEXT)
MARKDOWN: Final = Form(markdown, MAX_MARKDOWN)


def card_of(content: ReplyContent, task: str, form: Form = TEXT) -> dict[str, Any] | None:
    """The `button_interaction` card that follows a question; None where there is nothing to click, or too much to
    show before it.
    """
    buttons = [
        {"text": button.label, "style": _STYLES[button.style], "key": button.value} for button in buttons_of(content)
    ]
    if not buttons or content.request is None or _question(content, form) is None:
        return None
    number, code = content.request.number, content.request.code
    return {
        "card_type": "button_interaction",
        "main_title": {"title": f"r{number} {code}".rstrip()},
        "sub_title_text": translate(content.language, "card_plan_above", number=number),
        "task_id": task,
        "button_list": buttons,
    }


def task_id(reply: str) -> str:
    """The card's id, the same on every attempt: letters, digits, - and _, at most 128."""
    return re.sub(r"[^0-9A-Za-z_-]", "-", reply)[:128]


def text_parts(content: ReplyContent, form: Form = TEXT) -> list[str]:
    """The text as one message, cut where it is too long; what is to be approved is cut nowhere, but said in several.

    A question that would need too many says only where to decide it: it has no code, and gets no buttons.
    """
    number = content.request.number if content.request is not None else 0
    if content.kind == "question":
        if (parts := _question(content, form)) is not None:
            return parts
        head = form.render(split_blocks(content.text.partition("\n")[0][:200]))
        return [f"{head}\n{translate(content.language, 'ask_how_console', number=number)}"]
    note = translate(
        content.language, "output_cut" if number else "reply_cut", **({"number": number} if number else {})
    )
    return [fit_blocks(split_blocks(content.text), form.render, _size, form.limit, note)[0]]


def _question(content: ReplyContent, form: Form) -> list[str] | None:
    """The whole of a question in as many messages as it needs; None where those are too many."""
    whole = form.render(split_blocks(content.text))
    parts = [whole] if _size(whole) <= form.limit else _split(whole.split("\n"), form.limit)
    return parts if len(parts) <= MAX_PARTS else None


def _split(lines: list[str], limit: int) -> list[str]:
    """Lines as messages of at most `limit` bytes; a code block that is cut apart is closed and opened again."""
    room = limit - 2 * (len(FENCE) + 1)
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
