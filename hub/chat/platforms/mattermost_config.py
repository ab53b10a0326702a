"""The keys of an inlet of Mattermost in hub.toml, and how it is set up. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from common.config import required, setting
from common.errors import UserError
from hub.chat.platforms.base import Setup
from hub.core.callback_url import BadURL, parse
from hub.core.inlet_table import InletTable

MIN_TOKEN: Final = 16  # bytes
_BEARER: Final = re.compile(rb"[!-~]{16,200}")


@dataclass(frozen=True, slots=True, kw_only=True)
class MattermostInlet(InletTable):
    """An inlet of Mattermost."""

    secret_file: Path = required(
        "The tokens of the outgoing webhook and of the slash command, one a line, mode 0600. All hold. With outbound = "
        "true: the bot account's access token."
    )
    token_file: Path | None = setting(None, "The bot account's access token, mode 0600; not where outbound = true.")
    api_url: str = required("Where Mattermost is: https://chat.example.org")
    outbound: bool = setting(
        False, "Whether the hub hears messages by Mattermost's WebSocket, so that no port need be open."
    )
    callback_url: str = setting(
        "",
        "This inlet's address as Mattermost reaches it, https://HUB/webhook/NAME: where clicks go. Left out, cards "
        "have no buttons. A private address needs ServiceSettings.AllowedUntrustedInternalConnections there.",
    )


@dataclass(frozen=True, slots=True)
class Keys:
    """The secrets of an inlet and what they are for."""

    tokens: tuple[bytes, ...]  # of the webhook and the command; none where the hub asks
    bearer: str  # the bot's access token
    bearer_file: str  # the key of hub.toml that names its file
    signing: tuple[bytes, ...]  # what the MACs of buttons and posts are made with
    callback: str  # where clicks go; ""


def read_keys(table: MattermostInlet) -> Keys:
    """Raises UserError."""
    file = "secret_file" if table.outbound else "token_file"
    bearer = table.secrets[:1] if table.outbound else table.other_secrets.get("token_file", ())[:1]
    if table.outbound and table.token_file is not None:
        raise UserError("token_file is not read where outbound = true", "write the bot's token into secret_file alone")
    if not bearer or _BEARER.fullmatch(bearer[0]) is None:
        raise UserError(f"{file} holds no access token", "write the bot account's token into it, on one line")
    if any(len(token) < MIN_TOKEN for token in table.secrets):
        raise UserError(
            f"secret_file has a token of less than {MIN_TOKEN} bytes",
            "copy the tokens that Mattermost shows for the outgoing webhook and the slash command, one a line",
        )
    try:
        callback = parse(table.callback_url).url if table.callback_url else ""
    except BadURL as error:
        raise UserError(f"callback_url: {error}", "write https://HUB/webhook/NAME") from None
    tokens = () if table.outbound else table.secrets
    return Keys(tokens, bearer[0].decode("ascii"), file, table.secrets, callback)


SETUP: Final[Setup] = (
    (
        "System Console, Integrations: enable bot accounts; outgoing webhooks and slash commands too, if Mattermost is "
        "to post to the hub.",
        "系统控制台，集成：启用机器人账户；若由 Mattermost 推送到 hub，再启用传出 webhook 和斜杠命令。",
    ),
    (
        "Integrations, Bot Accounts, Add: username answerback; copy the token into token_file. Add the bot to the "
        "team and to the channels.",
        "集成，机器人账户，添加：用户名 answerback；把令牌写入 token_file。把机器人加入团队和频道。",
    ),
    (
        "If the hub is to open no port, write outbound = true and api_url (https://chat.example.org) into hub.toml, "
        "put that token into secret_file and leave token_file out. Start the hub; that is all.",
        "若 hub 不开放端口：在 hub.toml 写入 outbound = true 和 api_url（https://chat.example.org），"
        "把该令牌写入 secret_file，不写 token_file，然后启动 hub，无需其他步骤。",
    ),
    (
        "Integrations, Outgoing Webhooks, Add: content type application/json, trigger words @answerback, callback "
        "URL {url}; copy its token into secret_file.",
        "集成，传出 webhook，添加：内容类型 application/json，触发词 @answerback，回调地址 {url}；"
        "把令牌写入 secret_file。",
    ),
    (
        "Integrations, Slash Commands, Add: /answerback, POST to {url}; copy its token into secret_file, on a line "
        "of its own.",
        "集成，斜杠命令，添加：/answerback，POST 到 {url}；把令牌另起一行写入 secret_file。",
    ),
    (
        "Write api_url (https://chat.example.org) and, for buttons, callback_url = {url} into hub.toml. Start the hub.",
        "在 hub.toml 写入 api_url（https://chat.example.org）；要有按钮再写 callback_url = {url}，然后启动 hub。",
    ),
)
