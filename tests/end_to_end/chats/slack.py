"""Slack as the tests need it: its Web API, as strict as its documentation, and deliveries signed by its own package.

Refused as Slack refuses them: a wrong token, unknown arguments, blocks that its own models do not take or that are too
long, a channel that the bot is not in, a message that is not there; more than a message a second into one channel is
answered 429 with Retry-After.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlencode

from aiohttp import ClientSession, web
from slack_sdk.models.blocks import Block
from slack_sdk.models.views import View
from slack_sdk.signature import SignatureVerifier

from tests.end_to_end.chats.server import ChatServer

SECRET: Final = "8f742231b10e8888abcd99yyyzzz85a5"
TOKEN: Final = "xoxb-1234-not-a-real-one"
BOT: Final = "U0BOT"
_MESSAGE: Final = {"channel", "text", "blocks"}
_ARGUMENTS: Final = {
    "chat.postMessage": _MESSAGE | {"thread_ts", "metadata", "unfurl_links", "unfurl_media"},
    "chat.update": _MESSAGE | {"ts", "parse"},
    "chat.postEphemeral": _MESSAGE | {"user", "thread_ts"},
}
_MAX_BLOCKS: Final = 13_000  # characters, as observed


@dataclass
class Posted:
    channel: str
    thread: str
    states: list[dict[str, Any]]  # of chat.postMessage and chat.update
    metadata: Any

    @property
    def text(self) -> str:
        """What is read there now."""
        return words(self.states[-1])

    @property
    def values(self) -> list[str]:
        """What its buttons say."""
        blocks = (block for block in self.states[-1]["blocks"] if block["type"] == "actions")
        return [button["value"] for block in blocks for button in block["elements"]]


def words(message: dict[str, Any]) -> str:
    """The rich text of a message, letter by letter."""
    elements = [element for block in message["blocks"] for element in block.get("elements", ())]
    parts = [part for element in elements for part in element.get("elements", ()) if part["type"] == "text"]
    return "".join(part["text"] for part in parts)


@dataclass
class SlackServer(ChatServer):
    """Messages by ts; `channels` are those that the bot is in."""

    channels: set[str] = field(default_factory=lambda: {"C0OPS"})
    posted: dict[str, Posted] = field(default_factory=dict)
    ephemeral: list[tuple[str, str]] = field(default_factory=list)  # (user, text)
    refused: list[str] = field(default_factory=list)
    places: dict[str, tuple[str, int]] = field(default_factory=dict)  # file id -> name and length
    files: dict[str, bytes] = field(default_factory=dict)  # what was put there
    shared: list[dict[str, Any]] = field(default_factory=list)  # the arguments that shared them
    unanswered: bool = False  # the next post is made and never answered
    last: dict[str, float] = field(default_factory=dict)
    triggers: dict[str, str] = field(default_factory=dict)  # unused ones, each with its user
    views: dict[str, dict[str, Any]] = field(default_factory=dict)  # the modal that a user sees

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/api/files.{method}", self._file),
            web.post("/upload/v1/{name}", self._put),
            web.post("/api/{method}", self._post),
            web.get("/api/{method}", self._get),
        ]

    def seen(self) -> object:
        return self.refused

    # ---- the Web API

    def _error(self, error: str) -> web.Response:
        self.refused.append(error)
        return web.json_response({"ok": False, "error": error})

    async def _post(self, request: web.Request) -> web.Response:
        method = request.match_info["method"]
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self._error("invalid_auth")
        body = await request.json()
        if method == "auth.test":
            return web.json_response({"ok": True, "user": "answerback", "team": "Acme", "user_id": BOT})
        if method == "views.open":
            return await self._open(body)
        if set(body) - _ARGUMENTS[method]:
            return self._error("invalid_arguments")
        if (wrong := _wrong(body)) is not None:
            return self._error(wrong)
        channel = body["channel"]
        if channel[0] == "C" and channel not in self.channels:
            return self._error("not_in_channel")
        if channel[0] == "U":
            channel = f"D{channel[1:]}"
        if method != "chat.update":
            if time.monotonic() - self.last.get(channel, 0.0) < 0.8:
                self.refused.append("429")
                return web.Response(status=429, headers={"Retry-After": "1"})
            self.last[channel] = time.monotonic()
        ts = await self._keep(method, channel, body)
        if ts is None:
            return self._error("message_not_found")
        if self.unanswered:
            self.unanswered = False
            await self.closing.wait()
        key = "message_ts" if method == "chat.postEphemeral" else "ts"
        return web.json_response({"ok": True, "channel": channel, key: ts, "message": {**body, "bot_id": "B1"}})

    async def _open(self, body: dict[str, Any]) -> web.Response:
        """A modal, for whoever the trigger is of; each trigger opens one."""
        user = self.triggers.pop(body.get("trigger_id", ""), None)
        if set(body) != {"trigger_id", "view"} or user is None:
            return self._error("invalid_arguments" if user else "exchanged_trigger_id")
        try:
            parsed = View(**body["view"])
            parsed.validate_json()
            assert parsed.to_dict().keys() == body["view"].keys()
            assert all(Block.parse(block) is not None for block in body["view"]["blocks"])
        except Exception:
            return self._error("invalid_arguments")
        async with self.changed:
            self.views[user] = {**body["view"], "id": f"V{time.time_ns()}"}
            self.changed.notify_all()
        return web.json_response({"ok": True, "view": self.views[user]})

    async def _keep(self, method: str, channel: str, body: dict[str, Any]) -> str | None:
        ts = body.get("ts") or _ts()
        async with self.changed:
            if method == "chat.postEphemeral":
                self.ephemeral.append((body["user"], words(body)))
            elif method == "chat.postMessage":
                self.posted[ts] = Posted(channel, body.get("thread_ts", ""), [body], body.get("metadata"))
            elif ts in self.posted and self.posted[ts].channel == channel:
                self.posted[ts].states.append(body)
            else:
                return None
            self.changed.notify_all()
        return ts

    async def _get(self, request: web.Request) -> web.Response:
        method, query = request.match_info["method"], request.query
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self._error("invalid_auth")
        known = {"channel", "oldest", "limit", "include_all_metadata"} | (
            {"ts"} if method.endswith("replies") else set()
        )
        if set(query) != known or query["channel"] not in self.channels:
            return self._error("invalid_arguments")
        found = [
            {"ts": ts, "text": "", "bot_id": "B1", "metadata": one.metadata}
            for ts, one in self.posted.items()
            if one.channel == query["channel"]
            and one.thread == query.get("ts", "")
            and float(ts) > float(query["oldest"])
        ]
        return web.json_response({"ok": True, "messages": [{"ts": query.get("ts", "1.2"), "text": "first"}, *found]})

    # ---- files

    async def _file(self, request: web.Request) -> web.Response:
        """files.getUploadURLExternal and files.completeUploadExternal, whose arguments are a form."""
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self._error("invalid_auth")
        if request.content_type != "application/x-www-form-urlencoded":
            return self._error("invalid_form_data")
        form = {key: str(value) for key, value in (await request.post()).items()}
        if request.match_info["method"] == "getUploadURLExternal":
            if set(form) != {"filename", "length"} or not form["length"].isdigit() or form["length"] == "0":
                return self._error("invalid_arguments")
            name = f"F{len(self.places) + 1:09}"
            self.places[name] = form["filename"], int(form["length"])
            url = f"http://127.0.0.1:{self.port}/upload/v1/{name}"
            return web.json_response({"ok": True, "upload_url": url, "file_id": name})
        (file,) = json.loads(form["files"])
        if set(form) - {"files", "channel_id", "thread_ts", "initial_comment"} or set(file) != {"id", "title"}:
            return self._error("invalid_arguments")
        if file["id"] not in self.files or re.search(r"<|&(?!amp;|lt;|gt;)", form["initial_comment"]):
            return self._error("file_not_found")
        if form["channel_id"] not in self.channels:
            return self._error("channel_not_found")
        async with self.changed:
            self.shared.append(form)
            self.changed.notify_all()
        return web.json_response({"ok": True, "files": [file]})

    async def _put(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]
        data = await request.read()
        if "Authorization" in request.headers or len(data) != self.places[name][1]:
            return web.Response(status=400)
        self.files[name] = data
        return web.Response(text=f"OK - {len(data)}")

    # ---- its deliveries

    async def deliver(self, session: ClientSession, url: str, body: bytes, kind: str, **headers: str) -> bytes:
        stamp = str(int(time.time()))
        signature = SignatureVerifier(SECRET).generate_signature(timestamp=stamp, body=body)
        assert signature is not None
        headers |= {"X-Slack-Request-Timestamp": stamp, "X-Slack-Signature": signature, "Content-Type": kind}
        async with session.post(url, data=body, headers=headers) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.read()

    async def say(self, session: ClientSession, url: str, user: str, text: str, ts: str = "", **more: Any) -> str:
        """A message to the bot as Slack tells it: as a message and as a mention, and the first of them twice."""
        ts = ts or _ts()
        event = {
            "user": user,
            "text": f"<@{BOT}> {text}",
            "ts": ts,
            "channel": "C0OPS",
            "channel_type": "channel",
        } | more
        for kind, retried in (("message", {}), ("app_mention", {}), ("message", {"X-Slack-Retry-Num": "1"})):
            body = {
                "type": "event_callback",
                "team_id": "T1",
                "event_id": f"Ev{time.time_ns()}",
                "event": event | {"type": kind},
                "authorizations": [{"team_id": "T1", "user_id": BOT, "is_bot": True}],
            }
            assert not await self.deliver(session, url, json.dumps(body).encode(), "application/json", **retried)
        return ts

    async def command(self, session: ClientSession, url: str, user: str, channel: str, text: str) -> None:
        trigger = f"{time.time_ns()}.1.a"
        form = {"command": "/answerback", "text": text, "user_id": user, "channel_id": channel, "trigger_id": trigger}
        assert not await self.deliver(session, url, urlencode(form).encode(), "application/x-www-form-urlencoded")

    async def click(self, session: ClientSession, url: str, user: str, ts: str, value: str) -> None:
        """A click on a button of the message, or of an old state of it that somebody still sees."""
        message, trigger = self.posted[ts], f"{time.time_ns()}.2.b"
        self.triggers[trigger] = user
        action = {"type": "button", "action_id": value.split()[0], "value": value, "action_ts": _ts()}
        payload = {
            "type": "block_actions",
            "trigger_id": trigger,
            "user": {"id": user},
            "channel": {"id": message.channel},
            "message": {"ts": ts, "thread_ts": message.thread, "blocks": message.states[-1]["blocks"]},
            "actions": [action],
        }
        body = urlencode({"payload": json.dumps(payload)}).encode()
        assert not await self.deliver(session, url, body, "application/x-www-form-urlencoded")

    async def submit(self, session: ClientSession, url: str, user: str, view: dict[str, Any], code: str) -> str:
        """Sends a modal; what Slack would show below its field, "" where it closes."""
        values = {"code": {"code": {"type": "plain_text_input", "value": code}}}
        payload = {"type": "view_submission", "user": {"id": user}, "view": {**view, "state": {"values": values}}}
        body = urlencode({"payload": json.dumps(payload)}).encode()
        answer = await self.deliver(session, url, body, "application/x-www-form-urlencoded")
        if not answer:
            return ""
        said = json.loads(answer)
        assert said.keys() == {"response_action", "errors"}
        assert said["errors"].keys() == {"code"}
        return str(said["errors"]["code"])

    async def wait(self, found: Callable[[], Any]) -> Any:
        """What `found` finds, once it finds something."""
        return await self.until("it", lambda: found() or None)

    async def wait_said(self, text: str, ts: str = "") -> str:
        """The ts of the message whose newest state has these words."""
        found: str = await self.wait(
            lambda: next((key for key, one in self.posted.items() if ts in ("", key) and text in one.text), "")
        )
        return found


def _ts() -> str:
    return f"{time.time():.6f}"


def _wrong(body: dict[str, Any]) -> str | None:
    """Why Slack would not take the message."""
    if not isinstance(body["text"], str) or len(body["text"]) > 40_000:
        return "msg_too_long"
    if re.search(r"<[@!]", body["text"]):
        return "a mention"
    blocks = body["blocks"]
    if len(blocks) > 50 or len(json.dumps(blocks, ensure_ascii=False)) > _MAX_BLOCKS:
        return "msg_blocks_too_long"
    for block in blocks:
        try:
            parsed = Block.parse(block)
            assert parsed is not None
            parsed.validate_json()
            assert parsed.to_dict().keys() == block.keys()
        except Exception:
            return "invalid_blocks"
    return None
