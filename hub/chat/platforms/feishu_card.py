"""Replies as Feishu cards, schema 2.0 (open.feishu.cn: card JSON 2.0 structure, rich text component). Pure.

Every reply is a card, since only cards have code blocks and can be changed. Clients reject a card that has a property
they do not know, so only what is documented is written. A post, body and all, may have 30 KB.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, Final

from common.catalogue import translate
from common.lifecycle import JobState, RequestState
from hub.chat.buttons import Button, buttons_of
from hub.chat.markup import Block, Code, Span, fit_blocks, split_blocks
from hub.chat.platforms.base import ReplyContent
from hub.core.chat_text import FENCE, neutralize_mentions

MAX_CARD: Final = 29_000
"""Bytes of a card as it stands in the post, a JSON string: 30 KB but for the rest of the post."""
MAX_SUMMARY: Final = 120
_TYPES: Final = {"primary": "primary", "danger": "danger", "plain": "default"}
_COLOURS: Final = {
    RequestState.ASKING.value: "orange",
    RequestState.WORKING.value: "blue",
    RequestState.DONE.value: "green",
    RequestState.REFUSED.value: "red",
    RequestState.REJECTED.value: "red",
}
_GOOD: Final = frozenset({JobState.SUCCEEDED.value})
# Escaped as the rich text component asks for it, by HTML entities; a colon begins an emoji only before a name and
# another colon. The last two are marks of lists, at the beginning of a line.
_MARKUP: Final = re.compile(r"[\\`*_~\[\]<>#$!|&]|:(?=\w+:)")
_LIST: Final = re.compile(r"^(\s*)([-+=])")
_NUMBERED: Final = re.compile(r"^(\s*\d{1,9})([.)])")


def card_json(content: ReplyContent) -> str:
    """The reply as the JSON of a card, of at most MAX_CARD bytes as a string in a post."""
    blocks = split_blocks(neutralize_mentions(content.text))
    note = translate(content.language, "reply_cut")

    room = MAX_CARD - len(_dumps(_dumps(_card(content, ""))).encode())
    text, _ = fit_blocks(blocks, markdown, _size, room, note)
    return _dumps(_card(content, text))


def _size(text: str) -> int:
    """Bytes of `text` within the JSON of a card within the JSON of a post."""
    return len(_dumps(_dumps(text)[1:-1]).encode()) - 2


def markdown(blocks: Sequence[Block]) -> str:
    """Blocks in the rich text component's Markdown."""
    lines: list[str] = []
    quoted = False
    for block in blocks:
        if isinstance(block, Code):
            lines.append(f"{FENCE}\n{block.text.replace(FENCE, chr(39) * 3)}\n{FENCE}")
            quoted = False
            continue
        if quoted and not block.quote:
            lines.append("")  # or the line would go on with the quotation
        quoted = block.quote
        lines.append(("> " if quoted else "") + "".join(map(_span, block.spans)))
    return "\n".join(lines)


def escape(text: str) -> str:
    """`text`, without a line break, so that none of it is markup."""
    text = _MARKUP.sub(_entity, text)
    text = _LIST.sub(lambda match: match[1] + f"&#{ord(match[2])};", text)
    return _NUMBERED.sub(lambda match: match[1] + f"&#{ord(match[2])};", text)


def _entity(match: re.Match[str]) -> str:
    return f"&#{ord(match[0])};"


def _span(span: Span) -> str:
    return f"`{span.text}`" if span.code else escape(span.text)


def _card(content: ReplyContent, text: str) -> dict[str, Any]:
    elements: list[dict[str, Any]] = [{"tag": "markdown", "content": text}]
    if content.card and content.deadline is not None:
        elements.append({"tag": "markdown", "content": _deadline(content, content.deadline)})
    buttons = list(map(_button, buttons_of(content)))
    if buttons:
        columns = [{"tag": "column", "width": "auto", "elements": [button]} for button in buttons]
        elements.append({"tag": "column_set", "columns": columns})
    config = {"update_multi": True, "summary": {"content": _summary(neutralize_mentions(content.text))}}
    card: dict[str, Any] = {"schema": "2.0", "config": config}
    if content.card and content.request is not None:
        card["header"] = {"title": _plain(_title(content)), "template": _colour(content)}
    card["body"] = {"elements": elements}
    return card


def _title(content: ReplyContent) -> str:
    assert content.request is not None  # noqa: S101  asked before
    state = translate(content.language, f"request_is_{content.request.state}")
    return f"r{content.request.number} · {state}"


def _colour(content: ReplyContent) -> str:
    state = content.request.state if content.request is not None else ""
    if state == RequestState.DONE.value and not all(job.state in _GOOD for job in content.jobs):
        return "red"
    return _COLOURS.get(state, "grey")


def _deadline(content: ReplyContent, at: float) -> str:
    """Until when it may be decided, in each reader's own time zone."""
    millisecond = int(at * 1000)
    parts = (
        f"<local_datetime millisecond='{millisecond}' format_type='{form}'></local_datetime>"
        for form in ("date_short", "time")
    )
    return translate(content.language, "card_deadline", moment=" ".join(parts))


def _button(button: Button) -> dict[str, Any]:
    return {
        "tag": "button",
        "type": _TYPES[button.style],
        "text": _plain(button.label),
        "behaviors": [{"type": "callback", "value": {"say": button.value}}],
    }


def _plain(text: str) -> dict[str, str]:
    return {"tag": "plain_text", "content": text}


def _summary(text: str) -> str:
    """What lists of chats and notifications show of the card."""
    line = next((line for line in text.split("\n") if line.strip() and line != FENCE), "")
    return line if len(line) <= MAX_SUMMARY else line[: MAX_SUMMARY - 1] + "…"


def _dumps(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
