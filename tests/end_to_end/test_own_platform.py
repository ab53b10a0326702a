"""A platform that is one file outside the packages: messages, a living card, buttons, restarts of the hub."""

from __future__ import annotations

import hmac
import json
import secrets
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web

from tests.end_to_end.chats.server import ChatServer
from tests.end_to_end.system import SystemHarness

FILE = Path(__file__).with_name("own_platform.py")
SECRET = b"a secret of our own chat"


@dataclass
class OwnChat(ChatServer):
    """The chat's server: messages by id, each with all states that it had."""

    messages: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    deleted: set[str] = field(default_factory=set)
    by_key: dict[str, str] = field(default_factory=dict)
    pictures: dict[str, bytes] = field(default_factory=dict)

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/messages", self._post),
            web.put("/messages/{id}", self._put),
            web.get("/pictures/{name}", self._picture),
        ]

    def seen(self) -> object:
        return self.messages

    async def _post(self, request: web.Request) -> web.Response:
        key = self.by_key.setdefault(request.headers["Idempotency-Key"], f"m{len(self.messages) + 1}")
        await self._take(key, request)
        return web.json_response({"id": key})

    async def _put(self, request: web.Request) -> web.Response:
        key = request.match_info["id"]
        if key in self.deleted:
            return web.Response(status=404)
        await self._take(key, request)
        return web.json_response({})

    async def _picture(self, request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != f"Bearer {SECRET.hex()}":
            return web.Response(status=401)
        found = self.pictures.get(request.match_info["name"])
        return web.Response(status=404) if found is None else web.Response(body=found)

    async def _take(self, key: str, request: web.Request) -> None:
        self.messages.setdefault(key, []).append(await request.json())
        async with self.changed:
            self.changed.notify_all()

    async def wait_for(self, words: str, key: str = "") -> tuple[str, dict[str, Any]]:
        """The message whose newest state has these words."""
        return await self.until(
            words,
            lambda: next(
                (
                    (name, states[-1])
                    for name, states in self.messages.items()
                    if words in states[-1]["text"] and key in ("", name)
                ),
                None,
            ),
        )


async def say(rig: SystemHarness, who: str, **what: object) -> dict[str, Any]:
    """One delivery as the chat makes it."""
    body = json.dumps({"id": secrets.token_hex(8), "who": who, "room": "ops", **what}).encode()
    headers = {"X-Own": hmac.digest(SECRET, body, "sha256").hex()}
    assert rig.session is not None
    async with rig.session.post(f"http://127.0.0.1:{rig.http}/webhook/own", data=body, headers=headers) as answer:
        assert answer.status == 200, await answer.text()
        found: dict[str, Any] = await answer.json()
        return found


def add_own_inlet(rig: SystemHarness, chat: OwnChat) -> None:
    """The inlet `own`, to a hub that does not run yet."""
    (rig.hub_dir / "own_platform.py").write_text(FILE.read_text())
    (rig.hub_dir / "secrets" / "own").write_bytes(SECRET)
    (rig.hub_dir / "secrets" / "own").chmod(0o600)
    table = '\n[inlets.own]\nplatform = "own_platform.py"\nsecret_file = "secrets/own"\n'
    rig.config.write_text(rig.config.read_text() + table + f'api_url = "http://127.0.0.1:{chat.port}"\n')
    for person in ("bob", "carol"):
        rig.edit_config(rf'^chat = \["ops:{person}"\]', f'chat = ["ops:{person}", "own:{person}"]')


@asynccontextmanager
async def own_chat(folder: Path) -> AsyncIterator[tuple[SystemHarness, OwnChat]]:
    async with OwnChat().serving() as chat, SystemHarness(folder) as rig:
        await rig.init()
        add_own_inlet(rig, chat)
        wait = f"until [ -e {folder}/go-$1 ]; do sleep 0.05; done; echo done-$1\n"
        rig.add_program("careful", wait, verdict="ask")
        await rig.start_hub()
        await rig.add_agent("web-1")
        yield rig, chat
        rig.check_at_most_once()


def values(message: dict[str, Any]) -> list[str]:
    return [button["value"] for button in message["buttons"]]


async def test_one_card_from_the_question_to_the_outcome(tmp_path: Path) -> None:
    """Approved by a click of another person; one message is question, work and outcome; other clicks say why not."""
    async with own_chat(tmp_path) as (rig, chat):
        await say(rig, "carol", text="@web-1 careful one")
        key, question = await chat.wait_for("careful one")
        approve, reject = values(question)
        assert approve.startswith("approve r1 ")
        assert reject == "reject r1"
        await say(rig, "carol", click=approve)
        refused, _ = await chat.wait_for("may not approve")
        assert refused != key
        await say(rig, "bob", click="approve everything")
        await say(rig, "bob", click=approve)
        _, started = await chat.wait_for("Approved by bob", key)
        assert values(started) == ["cancel r1"]
        (tmp_path / "go-one").touch()
        _, outcome = await chat.wait_for("done-one", key)
        assert values(outcome) == ["more r1", "retry r1"]
        assert set(chat.messages) == {key, refused}
        await say(rig, "bob", click=approve)
        stale, _ = await chat.wait_for("r1", "m3")
        assert chat.messages[key][-1] == outcome
        assert stale == "m3"


async def test_a_hub_that_is_killed_finds_its_card_again(tmp_path: Path) -> None:
    """Killed while it asks, while the command runs, and after: one card, run once; a deleted card is posted anew."""
    async with own_chat(tmp_path) as (rig, chat):
        await say(rig, "carol", text="@web-1 careful two")
        key, question = await chat.wait_for("careful two")
        await rig.programs["hub"].stop(signal.SIGKILL)
        await rig.start_hub()
        await rig.wait_until(lambda: rig.online("web-1"))
        await say(rig, "bob", click=values(question)[0])
        await chat.wait_for("Approved by bob", key)
        await rig.programs["hub"].stop(signal.SIGKILL)
        (tmp_path / "go-two").touch()
        await rig.start_hub()
        await chat.wait_for("done-two", key)
        assert set(chat.messages) == {key}
        chat.deleted.add(key)
        await say(rig, "carol", text="@web-1 careful three")
        other, question = await chat.wait_for("careful three")
        chat.deleted.add(other)
        await say(rig, "bob", click=values(question)[0])
        anew, _ = await chat.wait_for("Approved by bob", "m3")
        (tmp_path / "go-three").touch()
        await chat.wait_for("done-three", anew)
