"""make bench-chats: message to reply through the modules of Slack and Feishu beside `generic`, in one run.

Three inlets of one hub with one machine; messages go in turn to each, one at a time and then eight at a time, each in a
conversation of its own, so that no platform's pace counts. The time is from the start of the POST to the arrival of the
reply at the chat's API, with its signature, decryption, parsing, rendering, and (Feishu) the access token.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import re
import secrets
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

from aiohttp import web

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from tests.bench.throughput import line, percentiles  # after the path is set: the bench is run as a file
from tests.end_to_end.chats import feishu
from tests.end_to_end.system import SystemHarness

SLACK_SECRET: Final = "8f742231b10e8888abcd99yyyzzz85a5"
SLACK_TOKEN: Final = "xoxb-0123456789-of-the-bench"
_WORD: Final = re.compile(r"bench[0-9a-f]{12}x[0-9]+end")
CHATS: Final = ("generic", "slack", "feishu")
INLETS: Final = """
[inlets.slack]
platform = "slack"
secret_file = "secrets/slack"
token_file = "secrets/slack-token"
api_url = "{slack}"

[inlets.feishu]
platform = "feishu"
secret_file = "secrets/feishu"
app_id = "cli_a1b2c3"
app_secret_file = "secrets/feishu-app"
encrypt_key_file = "secrets/feishu-key"
api_url = "{feishu}"
bot_open_id = "ou_bot"
"""


class Arrivals:
    """When each reply came, by a word of its text that is the message's own."""

    def __init__(self) -> None:
        self.at: dict[str, float] = {}
        self.changed = asyncio.Condition()

    async def take(self, text: str) -> None:
        now = time.perf_counter()
        async with self.changed:
            for word in _WORD.findall(text):
                self.at.setdefault(word, now)
            self.changed.notify_all()

    async def of(self, word: str) -> float:
        async with asyncio.timeout(60), self.changed:
            await self.changed.wait_for(lambda: word in self.at)
        return self.at[word]


@asynccontextmanager
async def chat_api(arrivals: Arrivals) -> AsyncIterator[str]:
    """Both APIs at one address: every post succeeds."""

    async def answer(request: web.Request) -> web.Response:
        text = (await request.read()).decode()
        if "tenant_access_token" in request.path:
            return web.json_response({"code": 0, "tenant_access_token": "t-1", "expire": 7200})
        await arrivals.take(text)
        posted = {"channel": "C1", "ts": f"{time.time():.6f}", "message_id": f"om_{secrets.token_hex(8)}"}
        return web.json_response({"ok": True, "code": 0, **posted, "data": posted})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def words(count: int) -> Iterator[str]:
    """A word that only one message has, and that its output says back."""
    for index in range(count):
        yield f"bench{secrets.token_hex(6)}x{index}end"


async def say(rig: SystemHarness, chat: str, word: str) -> float:
    """One delivery; when it began."""
    text, room = f"@box echo {word}", f"C{secrets.token_hex(5).upper()}"
    headers = {"Content-Type": "application/json"}
    began = time.perf_counter()
    if chat == "generic":
        _, status, _ = await rig.post("carol", text, conversation=room)
        assert status == 200, status
        return began
    if chat == "slack":
        stamp = f"{time.time():.6f}"
        event = {"type": "app_mention", "user": "UCAROL", "text": f"<@UBOT> {text}", "ts": stamp, "channel": room}
        what = {
            "type": "event_callback",
            "team_id": "T1",
            "event_id": f"Ev{word}",
            "event": event | {"event_ts": stamp},
        }
        what["authorizations"] = [{"team_id": "T1", "user_id": "UBOT", "is_bot": True}]
        body, now = json.dumps(what).encode(), str(int(time.time()))
        digest = hmac.new(SLACK_SECRET.encode(), b"v0:" + now.encode() + b":" + body, hashlib.sha256).hexdigest()
        headers |= {"X-Slack-Signature": f"v0={digest}", "X-Slack-Request-Timestamp": now}
    else:
        body, more = feishu.seal(feishu.message_event(text, "ou_carol", chat=f"oc_{room.lower()}"), time.time())
        headers |= more
    assert rig.session is not None
    url = f"http://127.0.0.1:{rig.http}/webhook/{chat}"
    async with rig.session.post(url, data=body, headers=headers) as answer:
        assert answer.status == 200, await answer.text()
    return began


async def prepare(rig: SystemHarness, api: str) -> None:
    await rig.init()
    files = {
        "slack": SLACK_SECRET,
        "slack-token": SLACK_TOKEN,
        "feishu": feishu.TOKEN,
        "feishu-app": feishu.APP_SECRET,
        "feishu-key": feishu.ENCRYPT_KEY.decode(),
    }
    for name, secret in files.items():
        file = rig.hub_dir / "secrets" / name
        file.write_text(secret)
        file.chmod(0o600)
    rig.config.write_text(rig.config.read_text() + INLETS.format(slack=api, feishu=api))
    rig.edit_config(r'^chat = \["ops:carol"\]', 'chat = ["ops:carol", "slack:UCAROL", "feishu:ou_carol"]')
    await rig.start_hub()
    await rig.add_agent("box")


async def measure(rig: SystemHarness, arrivals: Arrivals, rounds: int, at_once: int) -> dict[str, list[float]]:
    """Seconds from POST to reply, by chat."""
    found: dict[str, list[float]] = {chat: [] for chat in CHATS}

    async def one(chat: str, word: str) -> None:
        began = await say(rig, chat, word)
        found[chat].append(await arrivals.of(word) - began)

    for _ in range(rounds):
        for chat in CHATS:
            async with asyncio.TaskGroup() as group:
                for word in words(at_once):
                    group.create_task(one(chat, word))
    return found


async def bench(rounds: int = 100) -> dict[str, Any]:
    arrivals = Arrivals()
    with tempfile.TemporaryDirectory(prefix="answerback-bench-") as name:
        async with chat_api(arrivals) as api, SystemHarness(Path(name), forks=False) as rig:
            rig.receiver.on_reply = lambda reply: pending.append(json.dumps(reply))
            pending: list[str] = []
            await prepare(rig, api)
            async with asyncio.TaskGroup() as group:
                listening = group.create_task(_hear(rig, pending, arrivals))
                await measure(rig, arrivals, 5, 1)  # tokens, caches, connections
                alone = await measure(rig, arrivals, rounds, 1)
                together = await measure(rig, arrivals, rounds // 4, 8)
                listening.cancel()
    result: dict[str, Any] = {}
    for title, figures in (("one at a time", alone), ("eight at a time", together)):
        base = percentiles(figures["generic"])["p50"]
        for chat in CHATS:
            seconds = figures[chat]
            print(line(f"{chat}, {title}", len(seconds) / sum(seconds), seconds))
            result[f"{chat}, {title}"] = percentiles(seconds)["p50"] / base
    print("p50 beside generic: " + ", ".join(f"{name} {times:.2f}" for name, times in result.items()))
    return result


async def _hear(rig: SystemHarness, pending: list[str], arrivals: Arrivals) -> None:
    """The replies of `generic` come to the rig's own receiver."""
    while True:
        await rig.receiver.wait_for(lambda: pending, within=600.0)
        while pending:
            await arrivals.take(pending.pop(0))


if __name__ == "__main__":
    print(json.dumps(asyncio.run(bench(*map(int, sys.argv[1:])))))
