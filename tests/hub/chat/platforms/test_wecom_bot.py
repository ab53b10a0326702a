"""A WeCom AI bot as a platform: its keys, what it says, and a whole exchange over a local connection."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from common.errors import UserError
from hub.chat.delivery import DeliveryWorker
from hub.chat.inlets import Inlet
from hub.chat.platforms.base import (
    BadSignature,
    Delivered,
    DeliveryFailed,
    HttpResponse,
    NextCall,
    OutboundReply,
    ReplyContent,
    ReplyRequest,
    WebhookRequest,
)
from hub.chat.platforms.outbound import SocketCall, outbound_mode
from hub.chat.platforms.wecom import PLATFORM, WecomPlatform
from hub.chat.platforms.wecom_bot import POSTED, WecomBot
from hub.chat.platforms.wecom_config import WecomInlet
from hub.core.chat_text import code_block
from hub.core.records import Reply
from hub.metrics import Metrics
from hub.store.store import Store
from tests.hub.chat.test_outbound import NOW, Rig, running, store

__all__ = ["store"]

SECRET = "s3cretOfTheLongConnection"
QUESTION = ReplyContent(
    in_reply_to="m1",
    conversation="wrG1",
    text="\n".join(("r42: *carol* <@all> asks to run", code_block("echo `date` <@all>"), "Answer “approve r42 k7f2”.")),
    request=ReplyRequest("01JBZ5CR00000000000000000A", 42, "asking", "k7f2"),
    actions=("approve", "reject"),
    kind="question",
    card=True,
)
DONE = replace(QUESTION, kind="final", text="r42 is done.", actions=("more",), request=ReplyRequest("R", 42, "done"))


def table(**more: Any) -> WecomInlet:
    keys = {"platform": "wecom", "secret_file": Path("s"), "outbound": True, "bot_id": "aib1"}
    return WecomInlet(**(keys | {"secrets": (SECRET.encode(),)} | more))


def bot(**more: Any) -> WecomBot:
    made = PLATFORM.create(table(**more))
    assert isinstance(made, WecomBot)
    return made


def reply(content: ReplyContent = QUESTION, **more: Any) -> OutboundReply:
    return OutboundReply(**({"id": "R1.7", "url": "https://x", "body": content.to_json()} | more))


def sent(call: Any) -> dict[str, Any]:
    assert isinstance(call, SocketCall)
    assert (call.url, call.headers) == ("wss://openws.work.weixin.qq.com", {})
    frame: dict[str, Any] = json.loads(call.body)
    assert (frame["cmd"], frame["headers"]) == ("aibot_send_msg", {"req_id": call.key})
    body: dict[str, Any] = frame["body"]
    return body


def answered(code: Any = 0) -> HttpResponse:
    return HttpResponse(200, {}, json.dumps({"headers": {"req_id": "x"}, "errcode": code, "errmsg": "x"}).encode())


# ---- the inlet


def test_a_bot_needs_its_id_and_secret_alone() -> None:
    """Its hosts are its connection's; nothing comes by webhook. Without `outbound` it is an app as before."""
    made = bot()
    assert outbound_mode(made) is made.outbound
    assert made.hosts == ("https://openws.work.weixin.qq.com:443",)
    with pytest.raises(BadSignature, match="the hub asks WeCom"):
        made.receive(WebhookRequest(b"{}"), NOW)
    keys = {"app_secret_file": Path("a"), "corp_id": "ww1", "agent_id": 7, "outbound": False, "bot_id": ""}
    line = (b"QDG6eK jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C",)
    app = PLATFORM.create(table(secrets=line, other_secrets={"app_secret_file": (b"x",)}, **keys))
    assert isinstance(app, WecomPlatform)
    assert outbound_mode(app) is None


@pytest.mark.parametrize(
    ("keys", "problem"),
    [
        ({"bot_id": ""}, "there is no bot_id"),
        ({"bot_id": "a b"}, "bot_id is none"),
        ({"secrets": (b"QDG6eK jWmYm7qr5n",)}, "secret_file has no Secret of an AI bot"),
        ({"corp_id": "ww1"}, "corp_id is not of an AI bot"),
        ({"agent_id": 0}, "agent_id is not of an AI bot"),
        ({"app_secret_file": Path("x")}, "app_secret_file is not of an AI bot"),
        ({"socket_url": "https://x.example"}, "socket_url is no address of a WebSocket"),
        ({"socket_url": "wss://x.example/?a=b"}, "it has a query"),
        ({"outbound": False}, "there is no app_secret_file"),
        ({"outbound": False, "app_secret_file": Path("x")}, "there is no corp_id"),
        ({"outbound": False, "app_secret_file": Path("x"), "corp_id": "ww1"}, "there is no agent_id"),
        (
            {"outbound": False, "app_secret_file": Path("x"), "corp_id": "ww1", "agent_id": 7},
            "bot_id is not of a self-built app",
        ),
    ],
)
def test_wrong_keys_are_named(keys: dict[str, Any], problem: str) -> None:
    """And never a secret."""
    with pytest.raises(UserError, match=problem) as refused:
        bot(**keys)
    assert SECRET not in str(refused.value)


# ---- out


def test_a_question_is_its_whole_text_and_a_card() -> None:
    """Code as code, nobody called, no markup of others'; then the buttons. Each call has a key of its own."""
    made = bot()
    first = made.render(reply(), NOW)
    assert sent(first) == {
        "chatid": "wrG1",
        "msgtype": "markdown",
        "markdown": {
            "content": "r42: ＊carol＊ ＜@all> asks to run\n```\necho `date` ＜@all>\n```\nAnswer “approve r42 k7f2”."
        },
    }
    result = made.handle_response(reply(), first, answered(), NOW)
    assert isinstance(result, NextCall)
    body = sent(result.call)
    card = body["template_card"]
    assert (body["chatid"], body["msgtype"], card["card_type"]) == ("wrG1", "template_card", "button_interaction")
    assert card["task_id"] == "R1-7"
    assert [button["key"] for button in card["button_list"]] == ["approve r42 k7f2", "reject r42"]
    assert result.call.url == first.url
    assert sent(result.call) != sent(first)
    assert made.handle_response(reply(), result.call, answered(), NOW) == Delivered(POSTED)
    keys = {call.key for call in (made.render(reply(), NOW), made.render(reply(), NOW)) if isinstance(call, SocketCall)}
    assert len(keys) == 2


def test_what_comes_of_it_is_a_new_message() -> None:
    """A card is not changed any more, and a card that is refused is no loss."""
    made = bot()
    done = made.render(reply(DONE, ref=POSTED), NOW)
    assert sent(done)["markdown"]["content"] == "r42 is done."
    assert made.handle_response(reply(DONE, ref=POSTED), done, answered(), NOW) == Delivered(POSTED)
    first = made.render(reply(), NOW)
    card = made.handle_response(reply(), first, answered(), NOW)
    assert isinstance(card, NextCall)
    assert made.handle_response(reply(), card.call, answered(40058), NOW) == Delivered(POSTED)


@pytest.mark.parametrize(
    ("code", "kind", "wait"),
    [(45009, "later", "60"), (-1, "later", ""), (846609, "later", ""), (40008, "refused", ""), (None, "later", "")],
)
def test_failures_by_code(code: Any, kind: str, wait: str) -> None:
    """The same message is sent again, not the next one."""
    made = bot()
    first = made.render(reply(), NOW)
    failed = made.handle_response(reply(), first, answered(code), NOW)
    assert isinstance(failed, DeliveryFailed)
    assert (failed.kind, failed.retry_after) == (kind, wait)
    assert sent(made.render(reply(), NOW)) == sent(first)
    assert isinstance(made.handle_response(reply(), first, HttpResponse(200, {}, b"<html>"), NOW), DeliveryFailed)


# ---- a whole exchange


@dataclass
class Gateway:
    """WeCom's end of the long connection: one bot, its members, and what it was told to say."""

    port: int = 0
    said: list[dict[str, Any]] = field(default_factory=list)
    sockets: list[web.WebSocketResponse] = field(default_factory=list)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def wait_for(self, holds: Callable[[], object]) -> None:
        async with asyncio.timeout(20), self.changed:
            await self.changed.wait_for(holds)

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        socket = web.WebSocketResponse(timeout=0.1)
        await socket.prepare(request)
        async for message in socket:
            frame = json.loads(message.data)
            if frame["cmd"] == "aibot_subscribe":
                assert frame["body"] == {"bot_id": "aib1", "secret": SECRET}
            await socket.send_json({"headers": frame["headers"], "errcode": 0, "errmsg": "ok"})
            async with self.changed:
                if frame["cmd"] == "aibot_send_msg":
                    self.said.append(frame["body"])
                else:
                    self.sockets.append(socket)
                self.changed.notify_all()
        return socket

    async def push(self, name: str, text: str) -> None:
        body = {"msgid": name, "aibotid": "aib1", "chattype": "single", "from": {"userid": "carol"}}
        body |= {"msgtype": "text", "text": {"content": text}}
        frame = {"cmd": "aibot_msg_callback", "headers": {"req_id": name}, "body": body}
        await self.sockets[-1].send_json(frame)

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[Gateway]:
        app = web.Application()
        app.router.add_get("/", self._serve)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.05)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.port = runner.addresses[0][1]
        try:
            yield self
        finally:
            await runner.cleanup()


async def test_a_message_and_its_reply_go_over_one_connection(store: Store) -> None:
    """And over the next one after it broke."""
    async with Gateway().serving() as gateway:
        platform = bot(socket_url=f"ws://127.0.0.1:{gateway.port}")
        inlets = {"far": Inlet("far", platform, platform.hosts)}
        rig = Rig(store, inlets)
        courier = DeliveryWorker(store, inlets, time.time, Metrics(), sockets=rig.supervisor._sockets)

        async def say(content: ReplyContent) -> None:
            at = time.time()
            row = Reply(0, "", "far", content.kind, f"http://127.0.0.1:{gateway.port}", content.to_json(), at, at)
            await store.write(lambda txn: txn.add_reply(row))
            courier.wake()

        async with asyncio.TaskGroup() as group:
            group.create_task(courier.run())
            try:
                async with running(rig):
                    await gateway.wait_for(lambda: gateway.sockets)
                    await gateway.push("m1", "disk")
                    await rig.until(lambda: rig.texts == ["disk"])
                    await say(DONE)
                    await gateway.wait_for(lambda: len(gateway.said) == 1)
                    await gateway.sockets[-1].close()
                    await gateway.wait_for(lambda: len(gateway.sockets) == 2)
                    await gateway.push("m2", "load")
                    await rig.until(lambda: rig.texts == ["disk", "load"])
                    await say(replace(QUESTION, conversation="carol"))
                    await gateway.wait_for(lambda: len(gateway.said) == 3)
            finally:
                courier.stop()
        assert [body["msgtype"] for body in gateway.said] == ["markdown", "markdown", "template_card"]
        assert [body["chatid"] for body in gateway.said] == ["wrG1", "carol", "carol"]
        assert {message.reply_url for _, message in rig.taken} == {f"http://127.0.0.1:{gateway.port}"}
