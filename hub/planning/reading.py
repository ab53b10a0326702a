"""A message as its sender means it: without a mention of the bot in front, and without the marks around it. Pure.

    @answerback disk on web-1        <@U1> approve r42        answerback: help     /help
    `@web-1 df -h`                   “approve r42”            ```  @web-1 uptime  ```
    hey bot, disk on web-1           $ df -h on web-1         # df -h on web-1
    @web-1 `df -h`                   > what somebody said     (the quoted lines are left out)
    @web-1 ping <http://x.org|x.org>  (a link that the chat made of what was typed)

What our own replies show between marks can be copied with the marks. Nothing within is changed, with one exception: a
message all in ASCII and full-width forms, without quotes, is read as ASCII, for it was typed on a keyboard that was
switched to full width.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from common.command.lookalikes import without_emoji_joiners
from hub.core.inventory import Inventory
from hub.core.outcome import BOT
from hub.planning.runbooks.tokens import fold_width

MAX_READ: Final = 8_192
"""Characters. A longer message is read as it stands."""
MAX_LAYERS: Final = 5  # of marks around one another
MAX_MENTION: Final = 400

_CALLED: Final = "hi"
"""What a mention of the bot alone means."""
_MENTION: Final = re.compile(
    r"(?:<@[!&]?[\w.-]{1,64}(?:\|[^<>|]{0,64})?>|<at\b[^<>]{0,200}>[^<>]{0,64}</at>|<users/[\w.-]{1,64}>"
    r"|@_user_[0-9]{1,3}\b)[\s,:，：]*",
    re.ASCII,
)
_TRAILING: Final = re.compile(
    r"[\s,，]*(?:<@[!&]?[\w.-]{1,64}(?:\|[^<>|]{0,64})?>|<at\b[^<>]{0,200}>[^<>]{0,64}</at>)\s*\Z"
)
_PAIRS: Final = (("`", "`"), ("“", "”"), ("”", "”"), ('"', '"'), ("'", "'"), ("‘", "’"), ("„", "“"), ("«", "»"),
                 ("「", "」"), ("『", "』"), ("**", "**"), ("《", "》"))  # fmt: skip
QUOTATION_MARKS: Final = frozenset("\"'“”„‘«「『《")
_FENCE: Final = re.compile(r"```(?:[A-Za-z0-9_+-]{0,20}[ \t]*\r?\n)?(?P<body>.*?)\s*```", re.DOTALL)
_AFTER_TARGET: Final = re.compile(
    r"(?P<target>[@＠]\S+)\s*(?:```(?:[A-Za-z0-9_+-]{0,20}[ \t]*\r?\n)?(?P<fenced>[^`]*)```|`(?P<code>[^`\n]*)`)\s*"
)
_QUOTED_LINES: Final = re.compile(r"(?:[ \t]*(?:>|&gt;)[^\n]*\n)+\s*(?=\S)")
_SLASH: Final = re.compile(r"\A/([a-z]{2,20})(?:@\w{1,64})?(?=\s|\Z)", re.IGNORECASE)
"""A chat's own commands: /help, /status@answerback_bot r42."""
_PROMPT: Final = re.compile(r"[$#]\s{1,4}(?=[A-Za-z@\u3400-\u9fff])")
"""A shell's prompt, copied with the command behind it."""
_BULLET: Final = re.compile(r"[•·▪]\s+")
_WIDE_ONLY: Final = re.compile(r"[ -~\uff01-\uff5e\u3000]*")
_QUOTES: Final = frozenset("'\"\uff02\uff07")


@lru_cache(maxsize=64)
def _name_of(bot: str) -> re.Pattern[str]:
    name = re.escape(bot)
    greeting = r"(?:(?:hey|hi|hello|ok|okay|dear|yo)[\s,]{1,3}|(?:你好|您好|嗨)[\s,，]{0,3})"
    return re.compile(rf"(?:{greeting}(?:@?{name}|bot|机器人)|[@＠/]?{name})(?:[\s,:，：!！]+|\Z)", re.IGNORECASE)


_AUTO_LINK: Final = re.compile(
    r"<(?P<url>(?:https?://|mailto:)[^\s<>|]{1,1000})(?:\|(?P<label>[^<>|]{1,1000}))?>", re.IGNORECASE
)


def without_auto_links(text: str) -> str:
    """`text` with what was typed in place of links that a chat made of it: `<http://x.org|x.org>` was `x.org`. A link
    whose label says something else stays, for nobody knows which of the two was meant.
    """
    return _AUTO_LINK.sub(_typed, text) if "<" in text else text


def _typed(link: re.Match[str]) -> str:
    url, label = link["url"], link["label"]
    bare = url.split(":", 1)[1].removeprefix("//")
    if label is None:
        return bare if url.lower().startswith("mailto:") else url
    return label if label.rstrip("/") in (url.rstrip("/"), bare.rstrip("/")) else link[0]


def read_message(text: str, inventory: Inventory, bot: str = BOT) -> str:
    """The text that the planners read; the same text where there is nothing around it. `bot` is what it is called."""
    if len(text) > MAX_READ:
        return text
    text = without_auto_links(text.strip(" \t\r\n\u3000"))
    if (
        text.isascii()
        and text[:1] == "@"
        and text[1:2] != "_"
        and text[-1:] not in "`>"
        and not _name_of(bot).match(text)
    ):
        return text  # the usual command, in haste
    text = _SLASH.sub(r"\1", text, count=1) if text.startswith("/") else text
    for _ in range(MAX_LAYERS):
        before = text
        if quoted := _QUOTED_LINES.match(text):
            text = text[quoted.end() :]
        text = _without_marks(_without_mention(text, inventory, bot))
        if text == before:
            break
    if spanned := _AFTER_TARGET.fullmatch(text):
        inner = spanned["code"] if spanned["fenced"] is None else spanned["fenced"]
        text = f"{spanned['target']} {inner.strip()}"
    if not text.isascii():
        if _WIDE_ONLY.fullmatch(text) and not _QUOTES & set(text):
            return fold_width(text)
        if not text.startswith(("@", "＠")):
            return without_emoji_joiners(text)
    return text


def is_quotation(text: str) -> bool:
    """Whether the message stands in quotation marks as a whole: maybe copied from us, maybe somebody else's words."""
    return text.strip()[:1] in QUOTATION_MARKS


def _without_mention(text: str, inventory: Inventory, bot: str) -> str:
    """`text` without mentions of the bot at its beginning and end. A machine may be called as the bot is."""
    if found := _MENTION.match(text):
        return text[found.end() :].strip() or _CALLED
    if text.endswith(">") and (found := _TRAILING.search(text, max(0, len(text) - MAX_MENTION))):
        return text[: found.start()].strip()
    found = _name_of(bot).match(text)
    if found is None or bot.casefold() in inventory.by_casefold:
        return text
    return text[found.end() :].strip() or _CALLED


def _without_marks(text: str) -> str:
    """`text` without one pair of marks that stands around all of it."""
    if (fence := _FENCE.fullmatch(text)) and "```" not in fence["body"]:
        return fence["body"].strip("\r\n \t")
    for left, right in _PAIRS:
        if len(text) > len(left) + len(right) and text.startswith(left) and text.endswith(right):
            inner = text[len(left) : -len(right)]
            if left not in inner and right not in inner:
                return inner.strip()
    return _PROMPT.sub("", text, count=1) if _PROMPT.match(text) else _BULLET.sub("", text, count=1)
