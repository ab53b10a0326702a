"""The hub is killed at every call that changes something in a chat: after the chat did it, before the hub hears of it.

That is the worst moment of each step, since what was posted is not noted. After its restart the hub makes the call once
more, and that one is let through: so the whole way, from the question to the outcome, takes as many kills as calls.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sqlite3
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.end_to_end.chats import discord, feishu, mattermost, slack
from tests.end_to_end.chats.server import ChatServer
from tests.end_to_end.system import SystemHarness

MANY_KILLS = pytest.mark.timeout(600)


@dataclass
class KilledAtCalls:
    """Kills the hub at every call that was not made before, and starts it again."""

    rig: SystemHarness
    calls: dict[tuple[str, bytes], None] = field(default_factory=dict)  # path and body of those at which it was killed
    answered: asyncio.Event = field(default_factory=asyncio.Event)  # no delivery of the chat is under way
    _restarting: bool = False

    async def over(self) -> bool:
        """Whether the hub serves and has said all that it has to say."""
        if self._restarting or not await self.rig.online("web-1"):
            return False
        with contextlib.closing(sqlite3.connect(self.rig.hub_dir / "data" / "answerback.sqlite")) as db:
            return not db.execute("SELECT 1 FROM outbox WHERE state = 'pending'").fetchall()

    async def __call__(self, path: str, body: bytes) -> None:
        if self._restarting or (path, body) in self.calls:
            return
        self.calls[path, body] = None
        self._restarting = True
        await self.answered.wait()
        try:
            await self.rig.programs["hub"].stop(signal.SIGKILL)
            await self.rig.start_hub()
        finally:
            self._restarting = False


@dataclass(frozen=True)
class Chat:
    """What the test needs of a chat."""

    server: ChatServer
    secrets: dict[str, str]  # files in the hub's `secrets`
    table: str  # of [inlets.chat]; {port} and {url} are the server's and the webhook's
    users: dict[str, str]  # the chat's ids of our people
    say: Callable[[aiohttp.ClientSession, str], Awaitable[object]]  # carol asks, at the webhook's URL
    approve: Callable[[aiohttp.ClientSession, str, str], Awaitable[object]]  # bob clicks, on the card with this key
    find: Callable[[str], Awaitable[str]]  # the key of the message that says this
    messages: Callable[[], list[str]]  # keys of all that was posted


def slack_chat() -> Chat:
    server = slack.SlackServer()
    bob, carol = "U0BOB", "U0CAROL"

    async def approve(session: aiohttp.ClientSession, url: str, key: str) -> None:
        await server.click(session, url, bob, key, server.posted[key].values[0])

    return Chat(
        server,
        {"chat": slack.SECRET, "token": slack.TOKEN},
        'platform = "slack"\nsecret_file = "secrets/chat"\ntoken_file = "secrets/token"\n'
        'api_url = "http://127.0.0.1:{port}/api"\n',
        {"bob": bob, "carol": carol},
        lambda session, url: server.say(session, url, carol, "@web-1 careful one"),
        approve,
        server.wait_said,
        lambda: list(server.posted),
    )


def feishu_chat() -> Chat:
    server = feishu.FakeFeishu()
    secrets = {"chat": feishu.TOKEN, "key": feishu.ENCRYPT_KEY.decode(), "app": feishu.APP_SECRET}

    async def deliver(session: aiohttp.ClientSession, url: str, body: dict[str, Any]) -> None:
        raw, signed = feishu.seal(body, time.time())
        async with session.post(url, data=raw, headers=signed) as answer:
            assert answer.status == 200, await answer.text()

    async def say(session: aiohttp.ClientSession, url: str) -> None:
        server.said.add("om_1")
        await deliver(session, url, feishu.message_event("@web-1 careful one", "ou_carol", message_id="om_1"))

    async def approve(session: aiohttp.ClientSession, url: str, key: str) -> None:
        value = feishu.values_of(server.messages[key][-1])[0]
        await deliver(session, url, feishu.click_event(value, "ou_bob", key))

    async def find(words: str) -> str:
        return (await server.wait_for(words))[0]

    return Chat(
        server,
        secrets,
        'platform = "feishu"\nsecret_file = "secrets/chat"\nencrypt_key_file = "secrets/key"\n'
        f'app_secret_file = "secrets/app"\napp_id = "{feishu.APP_ID}"\nbot_open_id = "{feishu.BOT}"\n'
        'api_url = "http://127.0.0.1:{port}"\n',
        {"bob": "ou_bob", "carol": "ou_carol"},
        say,
        approve,
        find,
        lambda: list(server.messages),
    )


def mattermost_chat() -> Chat:
    server = mattermost.MattermostServer()
    bob, carol = mattermost.new_id(), mattermost.new_id()

    async def approve(session: aiohttp.ClientSession, url: str, key: str) -> None:
        await server.click(session, bob, key, server.posts[key].actions[0])

    return Chat(
        server,
        {"chat": f"{mattermost.HOOK}\n{mattermost.COMMAND}\n", "token": mattermost.TOKEN},
        'platform = "mattermost"\nsecret_file = "secrets/chat"\ntoken_file = "secrets/token"\n'
        'api_url = "http://127.0.0.1:{port}"\ncallback_url = "{url}"\n',
        {"bob": bob, "carol": carol},
        lambda session, url: server.say(session, url, carol, "@web-1 careful one"),
        approve,
        server.wait_said,
        lambda: list(server.of_bot()),
    )


def discord_chat() -> Chat:
    server = discord.FakeDiscord()

    async def approve(session: aiohttp.ClientSession, url: str, key: str) -> None:
        await server.click(session, url, "bob", discord.values(server.messages[key][-1])[0], key)

    async def find(words: str) -> str:
        return (await server.wait_for(words))[0]

    return Chat(
        server,
        {"chat": discord.TOKEN},
        f'platform = "discord"\nsecret_file = "secrets/chat"\npublic_key = "{discord.PUBLIC}"\n'
        'api_url = "http://127.0.0.1:{port}/api/v10"\n',
        discord.PEOPLE,
        lambda session, url: server.run(session, url, "carol", "@web-1 careful one"),
        approve,
        find,
        lambda: list(server.messages),
    )


CHATS = {"slack": slack_chat, "feishu": feishu_chat, "mattermost": mattermost_chat, "discord": discord_chat}


@MANY_KILLS
@pytest.mark.parametrize(
    "name", [one if one == "slack" else pytest.param(one, marks=pytest.mark.slow) for one in CHATS]
)
async def test_one_card_and_one_run_whatever_call_it_is_killed_at(name: str, tmp_path: Path) -> None:
    """Question, approval by another person, outcome: nothing is lost, nothing is done or posted twice."""
    chat = CHATS[name]()
    async with chat.server.serving() as server, SystemHarness(tmp_path) as rig:
        await rig.init()
        url = f"http://127.0.0.1:{rig.http}/webhook/chat"
        for file, secret in chat.secrets.items():
            (rig.hub_dir / "secrets" / file).write_text(secret)
            (rig.hub_dir / "secrets" / file).chmod(0o600)
        table = chat.table.replace("{port}", str(server.port)).replace("{url}", url)
        rig.config.write_text(f"{rig.config.read_text()}\n[inlets.chat]\n{table}")
        for person, user in chat.users.items():
            rig.edit_config(rf'^chat = \["ops:{person}"\]', f'chat = ["ops:{person}", "chat:{user}"]')
        rig.add_program("careful", f"echo $1 >> {tmp_path}/ran; echo done-$1\n", verdict="ask")
        await rig.start_hub()
        await rig.add_agent("web-1")
        assert rig.session is not None
        kills = server.after_call = KilledAtCalls(rig)
        await chat.say(rig.session, url)
        kills.answered.set()
        key = await chat.find("careful one")
        await rig.wait_until(kills.over)
        kills.answered.clear()
        await chat.approve(rig.session, url, key)
        kills.answered.set()
        assert await chat.find("done-one") == key
        await rig.wait_until(kills.over)
        assert chat.messages() == [key]
        assert (tmp_path / "ran").read_text() == "one\n"
        assert len(kills.calls) >= 2, kills.calls
        rig.check_at_most_once()
