"""The keys of an inlet of WeCom in hub.toml, and how it is set up. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from common.config import required, setting
from common.errors import UserError
from hub.chat.platforms.base import Setup
from hub.core.inlet_table import InletTable


@dataclass(frozen=True, slots=True, kw_only=True)
class WecomInlet(InletTable):
    """WeCom: a self-built app, to which members write one-to-one; or an AI bot, which the hub asks."""

    secret_file: Path = required(
        "The app's Token and EncodingAESKey, with a space between, mode 0600. Several lines all hold. With outbound = "
        "true: the AI bot's Secret of its long connection."
    )
    app_secret_file: Path | None = setting(None, "The app's Secret, mode 0600, with which messages are sent.")
    corp_id: str = setting("", "Of an app: the company's CorpID: My Company, at the bottom.")
    agent_id: int | None = setting(None, "Of an app: its AgentId, a number.", low=0, high=2**31)
    api_url: str = setting("https://qyapi.weixin.qq.com", "Where WeCom's API is; another one behind a proxy.")
    outbound: bool = setting(
        False, "Whether it is an AI bot (智能机器人), which the hub asks by a long connection: no port need be open."
    )
    bot_id: str = setting("", "Of an AI bot: its Bot ID.")
    socket_url: str = setting(
        "wss://openws.work.weixin.qq.com", "Where the long connection of AI bots is; another one behind a proxy."
    )


def check_keys(table: WecomInlet) -> None:
    """What one of both has and the other has not; raises UserError."""
    app = {
        "app_secret_file": table.app_secret_file is not None,
        "corp_id": bool(table.corp_id),
        "agent_id": table.agent_id is not None,
    }
    bot = {"bot_id": bool(table.bot_id)}
    needed, other = (bot, app) if table.outbound else (app, bot)
    whose = "an AI bot (outbound = true)" if table.outbound else "a self-built app"
    for key, there in needed.items():
        if not there:
            raise UserError(f"there is no {key}", f"write that of {whose}; docs/chat/wecom.md says where it stands")
    for key, there in other.items():
        if there:
            raise UserError(f"{key} is not of {whose}", "leave it out, or look at outbound")


SETUP: Final[Setup] = (
    (
        "A self-built app, which WeCom posts to, follows in steps 2 to 5. An AI bot, which the hub asks without an "
        "open port, is step 6 alone.",
        "自建应用（由企业微信推送）见第 2 至 5 步；智能机器人（由 hub 主动连接，不开放端口）只需第 6 步。",
    ),
    (
        "In the WeCom admin console open Apps > Self-built > Create an app; its page shows AgentId and Secret. "
        "CorpID stands in My Company, at the bottom.",
        "在企业微信管理后台打开 应用管理 > 自建 > 创建应用；应用页面上有 AgentId 和 Secret。"
        "企业ID 在 我的企业 页面底部。",
    ),
    (
        "On the app's page open Receive messages > Set up API, generate Token and EncodingAESKey, and write both "
        "with a space between into secret_file, the Secret into app_secret_file.",
        "在应用页面打开 接收消息 > 设置API接收，随机生成 Token 和 EncodingAESKey，以空格隔开写入 secret_file，"
        "Secret 写入 app_secret_file。",
    ),
    (
        "Start the hub or reload it, enter {url} as the URL there and save: WeCom tries it at once.",
        "启动或重新加载 hub，在该页面的 URL 处填写 {url} 并保存：企业微信会立即验证。",
    ),
    (
        "Add the hub's public address to the app's trusted IPs (企业可信IP), or what it sends is refused (60020).",
        "在应用页面的 企业可信IP 中添加 hub 的出口地址，否则发送消息会被拒绝（60020）。",
    ),
    (
        "Create an AI bot (智能机器人) in API mode with a long connection (长连接). Write outbound = true, its Bot ID "
        "as bot_id, its name as bot, and its Secret into secret_file; leave the keys of the app out. Start the hub.",
        "创建 智能机器人，选择 API 模式、使用长连接。"
        "在 hub.toml 写入 outbound = true、bot_id（Bot ID）和 bot（机器人名称），"
        "Secret 写入 secret_file；不写自建应用的各项，然后启动 hub。",
    ),
)
