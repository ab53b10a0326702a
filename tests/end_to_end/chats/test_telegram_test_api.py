"""The telegram platform against telegram-test-api (npm), a Telegram server that others wrote. Needs node, npm and the
registry: slow. Prints its transcript.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.end_to_end.chats.telegram import TOKEN, values
from tests.end_to_end.system import SystemHarness, free_port

SCRIPT = Path(__file__).with_name("telegram_test_api.js")
PACKAGE = "telegram-test-api@4.2.1"
ROOM = -77
PEOPLE = {"bob": 1001, "carol": 1002}


@dataclass
class TestApi:
    """What people do there, and what they see."""

    __test__ = False
    session: aiohttp.ClientSession
    url: str

    async def call(self, method: str, fields: dict[str, Any]) -> Any:
        async with self.session.post(f"{self.url}/{method}", json=fields) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.json()

    def _common(self, who: str) -> dict[str, Any]:
        person = {"id": PEOPLE[who], "first_name": who, "username": who, "is_bot": False}
        chat = {"id": ROOM, "type": "group", "title": "ops"}
        return {"botToken": TOKEN, "from": person, "chat": chat, "date": int(time.time())}

    async def say(self, who: str, text: str) -> None:
        print(f"{who:6}  {text}")
        command = {"type": "bot_command", "offset": 0, "length": len(text.split()[0])}
        await self.call("sendCommand", {**self._common(who), "text": text, "entities": [command]})

    async def click(self, who: str, value: str) -> None:
        print(f"{who:6}  [{value}]")
        common = self._common(who)
        message = {"from": common["from"], "chat": common["chat"]}
        await self.call("sendCallback", {**common, "message": message, "data": value})

    async def posted(self) -> list[dict[str, Any]]:
        """What the bot has posted, as it stands now."""
        history = (await self.call("getUpdatesHistory", {"token": TOKEN}))["result"]
        return [one["message"] for one in history if "chat_id" in one.get("message", {})]

    async def wait_for(self, rig: SystemHarness, words: str) -> dict[str, Any]:
        found: list[dict[str, Any]] = []

        async def there() -> bool:
            found[:] = [message for message in await self.posted() if words in message["text"]]
            return bool(found)

        await rig.wait_until(there)
        shown = found[-1]["text"].replace("\n", "\n        ")
        print(f"bot     {shown}\n        {values(found[-1])}")
        return found[-1]


@asynccontextmanager
async def serving(folder: Path, session: aiohttp.ClientSession) -> AsyncIterator[TestApi]:
    """The server, installed into `folder`."""
    install = await asyncio.create_subprocess_exec(
        "npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", str(folder), PACKAGE,
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    _, said = await install.communicate()
    if install.returncode:
        pytest.skip(f"npm install failed: {said.decode()[-200:]}")
    port = free_port()
    env = {**os.environ, "NODE_PATH": str(folder / "node_modules")}
    node = await asyncio.create_subprocess_exec("node", str(SCRIPT), str(port), stdout=asyncio.subprocess.PIPE, env=env)
    try:
        assert node.stdout is not None
        async with asyncio.timeout(30):
            assert await node.stdout.readline() == b"ready\n"
        yield TestApi(session, f"http://127.0.0.1:{port}")
    finally:
        node.terminate()
        await node.wait()


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.skipif(not (shutil.which("node") and shutil.which("npm")), reason="needs node and npm")
async def test_one_card_from_the_question_to_the_outcome(tmp_path: Path) -> None:
    """A command, approval by another person's click, the same message changed to the outcome. By getUpdates: this
    server does not send a webhook's secret.
    """
    async with SystemHarness(tmp_path) as rig:
        assert rig.session is not None
        async with serving(tmp_path / "npm", rig.session) as telegram:
            await rig.init()
            (rig.hub_dir / "secrets" / "tg").write_text(TOKEN)
            (rig.hub_dir / "secrets" / "tg").chmod(0o600)
            rig.config.write_text(
                rig.config.read_text()
                + '\n[inlets.tg]\nplatform = "telegram"\nsecret_file = "secrets/tg"\noutbound = true\n'
                + f'api_url = "{telegram.url}"\n'
            )
            for person, number in PEOPLE.items():
                rig.edit_config(rf'^chat = \["ops:{person}"\]', f'chat = ["ops:{person}", "tg:{number}"]')
            wait = f"until [ -e {tmp_path}/go ]; do sleep 0.05; done; echo done-$1\n"
            rig.add_program("careful", wait, verdict="ask")
            await rig.start_hub()
            await rig.add_agent("web-1")
            await rig.wait_until(lambda: connected(rig))
            await telegram.say("carol", "/run @web-1 careful one")
            question = await telegram.wait_for(rig, "waits for approval")
            approve = values(question)[0]
            assert approve.startswith("approve r1 ")
            await telegram.click("carol", approve)
            await telegram.wait_for(rig, "may not approve")
            await telegram.click("bob", approve)
            await telegram.wait_for(rig, "is approved and runs")
            (tmp_path / "go").touch()
            outcome = await telegram.wait_for(rig, "done-one")
            assert values(outcome) == ["more r1", "retry r1"]
            assert len(await telegram.posted()) == 2
            rig.check_at_most_once()


async def connected(rig: SystemHarness) -> bool:
    return "inlet.connected" in rig.programs["hub"].log.read_text()
