"""Text on Slack: a person's as they typed it, and ours as rich text that Slack reads no markup in. Pure.

What a person typed comes escaped (`&amp; &lt; &gt;`) and with links, mentions and dates between angle brackets (Slack,
"Formatting text for app surfaces"). Ours goes out as a `rich_text` block: its texts are shown letter by letter, so no
sign has to be escaped and nothing in it can mention anybody; `mrkdwn`, which has no escape for `*`, `_` and `:x:`, is
used for the notification's line and for the deadline alone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Sequence
from typing import Any, Final

from hub.chat.markup import Block, Code, Line

CALLED: Final = "hi"
"""What a mention of the bot alone means."""
MAX_NOTIFICATION: Final = 300
_MARK: Final = re.compile(
    r"<(?:@(?P<user>[A-Z0-9]{1,40})|#(?P<room>[A-Z0-9]{1,40})|!(?P<special>[^<>|]{1,200})"
    r"|(?P<link>[a-z][a-z0-9+.-]{0,20}:[^<>|]{1,8000}))(?:\|(?P<label>[^<>]{0,8000}))?>"
)
_ENTITY: Final = re.compile(r"&(amp|lt|gt);")
_ENTITIES: Final = {"amp": "&", "lt": "<", "gt": ">"}
_BOT: Final = "\ue000"
"""Stands for a mention of the bot until all of them are taken out; a private character, dropped from what comes in."""
_LEADING: Final = re.compile(rf"\A(?:\s*{_BOT}[\s,:，：]*)+")
_INNER: Final = re.compile(rf"[ \t]*{_BOT}")


def read_text(text: str, bots: Collection[str]) -> tuple[str, bool]:
    """What the person typed, and whether it mentions the bot (one of the user ids `bots`). The bot's mention is left
    out, others are words (`@U2`, `#general`), a link is its label: that is what the person sees.
    """
    parts: list[str] = []
    at = 0
    addressed = False
    text = text.replace(_BOT, "")
    for match in _MARK.finditer(text):
        parts.append(_unescape(text[at : match.start()]))
        if match["user"] in bots:
            parts.append(_BOT)
            addressed = True
        else:
            parts.append(_unescape(_word(match)))
        at = match.end()
    parts.append(_unescape(text[at:]))
    said = "".join(parts)
    if addressed:
        said = _INNER.sub("", _LEADING.sub("", said)).strip() or CALLED
    return said.strip(), addressed


def _word(match: re.Match[str]) -> str:
    label = match["label"] or ""
    if match["user"]:
        return f"@{label or match['user']}"
    if match["room"]:
        return f"#{label or match['room']}"
    if match["special"]:  # here, channel, everyone, subteam^S1, date^…
        return label or f"@{match['special'].partition('^')[0]}"
    return label or match["link"].removeprefix("mailto:")


def _unescape(text: str) -> str:
    return _ENTITY.sub(lambda match: _ENTITIES[match[1]], text)


def escape(text: str) -> str:
    """For `mrkdwn` and `text`: nothing in it is a mention or a link."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def rich_text(blocks: Sequence[Block]) -> str:
    """The elements of a `rich_text` block, as JSON. Lines that follow one another are one section."""
    elements: list[dict[str, Any]] = []
    for block in blocks:
        if isinstance(block, Code):
            elements.append({"type": "rich_text_preformatted", "elements": [_text(block.text or " ")]})
            continue
        kind = "rich_text_quote" if block.quote else "rich_text_section"
        if elements and elements[-1]["type"] == kind:
            elements[-1]["elements"].append(_text("\n"))
        else:
            elements.append({"type": kind, "elements": []})
        elements[-1]["elements"] += [_text(span.text, code=span.code) for span in block.spans if span.text]
    for element in elements:
        element["elements"] = element["elements"] or [_text("\n")]
    return json.dumps(elements, ensure_ascii=False, separators=(",", ":"))


def _text(text: str, *, code: bool = False) -> dict[str, Any]:
    return {"type": "text", "text": text, **({"style": {"code": True}} if code else {})}


def notification(blocks: Sequence[Block]) -> str:
    """The first words, for notifications and for readers without blocks; escaped, one line."""
    words = " ".join("".join(span.text for span in block.spans) for block in blocks if isinstance(block, Line))
    text = " ".join(words.split())
    return escape(text if len(text) <= MAX_NOTIFICATION else f"{text[: MAX_NOTIFICATION - 1]}…") or "…"


def plain_mrkdwn(blocks: Sequence[Block]) -> str:
    """All of it as `mrkdwn`, for the case that Slack does not take the blocks."""
    lines: list[str] = []
    for block in blocks:
        if isinstance(block, Code):
            lines += ["```", escape(block.text), "```"]
        else:
            marked = (f"`{escape(span.text)}`" if span.code else escape(span.text) for span in block.spans)
            lines.append(("> " if block.quote else "") + "".join(marked))
    return "\n".join(lines)
