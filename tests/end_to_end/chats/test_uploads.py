"""Each platform's own file, posted over HTTP to its API as the tests have it: what arrives is what was sent."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from hub.chat.http_client import make_call, open_session
from hub.chat.platforms.base import Delivered, OutboundReply, ReplyContent, ReplyFile, ReplyRequest
from hub.chat.platforms.discord import DiscordPlatform
from hub.chat.platforms.telegram import TelegramPlatform
from hub.chat.platforms.uploads import UploadFile, UploadResult, Uploads
from hub.core.callback_url import check
from tests.end_to_end.chats import discord, feishu, mattermost, slack, telegram, wecom
from tests.end_to_end.chats.server import ChatServer
from tests.hub.chat.platforms import test_discord, test_feishu, test_mattermost, test_slack, test_wecom

NOW = 1_700_000_000.0
DATA = "==== web-1: cat (done) ====\n--answerback-\r\n--\r\n好 \ud7ff \U0001f600 tab\there\n".encode() * 4_000
FILE = UploadFile("r42-output.txt", DATA)


async def post(platform: Uploads, reply: OutboundReply, hosts: tuple[str, ...]) -> UploadResult:
    """As the delivery worker does it."""
    calls = platform.upload(reply, FILE, NOW)
    async with open_session(connections=1, per_host=1, seconds=20) as session:
        try:
            call = next(calls)
            while True:
                assert check(call.url, hosts) is None
                answer, whole = await make_call(session, call, 64 * 1024)
                assert whole
                call = calls.send(answer)
        except StopIteration as end:
            result: UploadResult = end.value
            return result


def of_slack(port: int) -> Any:
    return test_slack.platform(
        (slack.SECRET.encode(),), (slack.TOKEN.encode(),), api_url=f"http://127.0.0.1:{port}/api"
    )


def of_telegram(port: int) -> Any:
    return TelegramPlatform(telegram.TOKEN, [telegram.SECRET.encode()], f"http://127.0.0.1:{port}", telegram.NAME)


def of_discord(port: int) -> Any:
    return DiscordPlatform(discord.TOKEN, test_discord.PUBLIC, f"http://127.0.0.1:{port}/api/v10")


def of_mattermost(port: int) -> Any:
    return test_mattermost.platform(api_url=f"http://127.0.0.1:{port}")


def of_feishu(port: int) -> Any:
    return test_feishu.platform(api_url=f"http://127.0.0.1:{port}")


def of_wecom(port: int) -> Any:
    table = test_wecom.table(api_url=f"http://127.0.0.1:{port}", agent_id=wecom.AGENT)
    table = dataclasses.replace(table, other_secrets={"app_secret_file": (wecom.SECRET.encode(),)})
    return type(test_wecom.platform())(table)


@pytest.mark.parametrize(
    ("fake", "made", "conversation", "arrived"),
    [
        (slack.SlackServer, of_slack, "C0OPS", lambda server: list(server.files.values())),
        (telegram.FakeTelegram, of_telegram, str(telegram.GROUP), lambda server: [server.documents[0][1]]),
        (discord.FakeDiscord, of_discord, discord.CHANNEL, lambda server: [server.files[0][1]]),
        (
            mattermost.MattermostServer,
            of_mattermost,
            mattermost.CHANNEL,
            lambda server: [data for one in server.posts.values() for _, data in one.files],
        ),
        (feishu.FakeFeishu, of_feishu, "oc_ops", lambda server: [one for _, one in server.posted_files.values()]),
        (wecom.WecomServer, of_wecom, "carol", lambda server: [server.files[0][2]]),
    ],
    ids=["slack", "telegram", "discord", "mattermost", "feishu", "wecom"],
)
async def test_a_file_arrives_as_it_is(
    fake: type[ChatServer], made: Callable[[int], Any], conversation: str, arrived: Callable[[Any], list[bytes]]
) -> None:
    content = ReplyContent(
        "e1", conversation, "What r42 printed:", ReplyRequest("R", 43, "done"), file=ReplyFile("01J", 42)
    )
    async with fake().serving() as server:
        platform = made(server.port)
        reply = OutboundReply("01KSXP5T9BG0J2YQ4D1M6W8F3A.7", "", content.to_json())
        result = await post(platform, reply, platform.hosts)
        assert isinstance(result, Delivered), (result, server.seen())
        assert arrived(server) == [DATA]
