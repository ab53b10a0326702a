"""Mattermost as the tests need it: its API v4, as strict as the server, its outgoing webhook, and its clicks.

As in the server: a post's thread must be a first post of the same channel; a repeated `pending_post_id` is the same
post; what comes out of the API has no `integration`, which a click alone brings back; only the author changes a post.
"""

from __future__ import annotations

import json
import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlencode

from aiohttp import ClientSession, web

from tests.end_to_end.chats.server import ChatServer

HOOK: Final = "xr3j5x3p4pfk7kk6ck7b4e6ghh"
COMMAND: Final = "gr3zu8ti3pfoxk7kk6ck7b4e6h"
TOKEN: Final = "9xuqwrwgstrb3mzrxb83nb357a"
CHANNEL: Final = "c" * 26
MAX_MESSAGE: Final = 16_383


def new_id() -> str:
    return secrets.token_hex(13)


@dataclass
class Post:
    id: str
    root: str
    own: bool  # the bot's
    states: list[dict[str, Any]]  # each with message and props
    files: list[tuple[str, bytes]] = field(default_factory=list)  # name, content

    @property
    def text(self) -> str:
        return str(self.states[-1]["message"])

    @property
    def actions(self) -> list[dict[str, Any]]:
        attachments = self.states[-1]["props"].get("attachments", [])
        return [action for attachment in attachments for action in attachment["actions"]]

    @property
    def values(self) -> list[str]:
        return [action["integration"]["context"]["value"] for action in self.actions]


@dataclass
class MattermostServer(ChatServer):
    """Posts by id, in one channel."""

    posts: dict[str, Post] = field(default_factory=dict)
    files: dict[str, tuple[str, bytes]] = field(default_factory=dict)
    pending: dict[str, str] = field(default_factory=dict)
    refused: list[str] = field(default_factory=list)
    unanswered: bool = False  # the next post is made and never answered

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/api/v4/users/me", self._me),
            web.post("/api/v4/files", self._put),
            web.post("/api/v4/posts", self._create),
            web.put("/api/v4/posts/{id}/patch", self._patch),
            web.get("/api/v4/posts/{id}", self._get),
            web.get("/api/v4/posts/{id}/thread", self._thread),
        ]

    def seen(self) -> object:
        return self.refused

    # ---- the API

    def _error(self, status: int, error: str) -> web.Response:
        self.refused.append(error)
        return web.json_response({"id": error, "message": "refused", "status_code": status}, status=status)

    def _denied(self, request: web.Request) -> web.Response | None:
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return self._error(401, "api.context.session_expired.app_error")
        return None

    async def _me(self, request: web.Request) -> web.Response:
        return self._denied(request) or web.json_response({"id": "b" * 26, "username": "answerback"})

    async def _put(self, request: web.Request) -> web.Response:
        """One file as the body; the channel and its name in the query."""
        if (denied := self._denied(request)) is not None:
            return denied
        if set(request.query) != {"channel_id", "filename"} or request.query["channel_id"] != CHANNEL:
            return self._error(403, "api.context.permissions.app_error")
        data = await request.read()
        if not data or request.content_length != len(data):
            return self._error(400, "api.file.upload_file.read_request.app_error")
        name = new_id()
        self.files[name] = request.query["filename"], data
        return web.json_response({"file_infos": [{"id": name, "size": len(data)}], "client_ids": []}, status=201)

    async def _create(self, request: web.Request) -> web.Response:
        if (denied := self._denied(request)) is not None:
            return denied
        body = await request.json()
        if set(body) - {"channel_id", "root_id", "message", "props", "pending_post_id", "file_ids"}:
            return self._error(400, "api.context.invalid_body_param.app_error")
        if set(body.get("file_ids", [])) - set(self.files):
            return self._error(400, "api.post.create_post.file_ids.app_error")
        if body["channel_id"] != CHANNEL:
            return self._error(403, "api.context.permissions.app_error")
        if (wrong := _wrong(body)) is not None:
            return self._error(400, wrong)
        root = body.get("root_id", "")
        if root and (root not in self.posts or self.posts[root].root):
            return self._error(400, "api.post.create_post.root_id.app_error")
        if body["pending_post_id"] in self.pending:
            return web.json_response(self._shown(self.posts[self.pending[body["pending_post_id"]]]), status=201)
        post = Post(new_id(), root, True, [{"message": body["message"], "props": body["props"]}])
        post.files = [self.files[name] for name in body.get("file_ids", [])]
        self.pending[body["pending_post_id"]] = post.id
        async with self.changed:
            self.posts[post.id] = post
            self.changed.notify_all()
        if self.unanswered:
            self.unanswered = False
            self.pending.clear()  # it is remembered for half a minute only
            await self.closing.wait()
        return web.json_response(self._shown(post), status=201)

    async def _patch(self, request: web.Request) -> web.Response:
        if (denied := self._denied(request)) is not None:
            return denied
        body = await request.json()
        post = self.posts.get(request.match_info["id"])
        if post is None:
            return self._error(404, "app.post.get.app_error")
        if not post.own or set(body) - {"message", "props"}:
            return self._error(403, "api.context.permissions.app_error")
        if (wrong := _wrong(body)) is not None:
            return self._error(400, wrong)
        async with self.changed:
            post.states.append(body)
            self.changed.notify_all()
        return web.json_response(self._shown(post))

    async def _get(self, request: web.Request) -> web.Response:
        post = self.posts.get(request.match_info["id"])
        return self._denied(request) or (
            web.json_response(self._shown(post)) if post else self._error(404, "app.post.get.app_error")
        )

    async def _thread(self, request: web.Request) -> web.Response:
        if (denied := self._denied(request)) is not None:
            return denied
        post = self.posts.get(request.match_info["id"])
        if post is None:
            return self._error(404, "app.post.get.app_error")
        root = post.root or post.id
        found = {key: self._shown(one) for key, one in self.posts.items() if root in (one.id, one.root)}
        return web.json_response({"order": list(found), "posts": found})

    def _shown(self, post: Post) -> dict[str, Any]:
        """A post as the API shows it: what a click sends stays on the server."""
        props = json.loads(json.dumps(post.states[-1]["props"]))
        for attachment in props.get("attachments", []):
            for action in attachment["actions"]:
                del action["integration"]
        return {
            "id": post.id,
            "root_id": post.root,
            "channel_id": CHANNEL,
            "delete_at": 0,
            "message": post.text,
            "props": props,
        }

    # ---- its deliveries

    async def _deliver(self, session: ClientSession, url: str, data: bytes, kind: str) -> None:
        async with session.post(url, data=data, headers={"Content-Type": kind}) as answer:
            assert (answer.status, await answer.read()) == (200, b"{}")

    async def say(self, session: ClientSession, url: str, user: str, text: str, root: str = "", post: str = "") -> str:
        """A person's post, told by the outgoing webhook; with `post` it is the same one told again."""
        post = post or new_id()
        self.posts.setdefault(post, Post(post, root, False, [{"message": f"@answerback {text}", "props": {}}]))
        body = {
            "token": HOOK,
            "team_id": "t" * 26,
            "channel_id": CHANNEL,
            "timestamp": int(time.time() * 1000),
            "user_id": user,
            "user_name": user[:4],
            "post_id": post,
            "text": f"@answerback {text}",
            "trigger_word": "@answerback",
        }
        await self._deliver(session, url, json.dumps(body).encode(), "application/json")
        return post

    async def command(self, session: ClientSession, url: str, user: str, text: str) -> None:
        body = {"token": COMMAND, "channel_id": CHANNEL, "user_id": user, "user_name": user[:4]}
        body |= {"command": "/answerback", "text": text, "trigger_id": secrets.token_urlsafe(60), "root_id": ""}
        await self._deliver(session, url, urlencode(body).encode(), "application/x-www-form-urlencoded")

    async def click(self, session: ClientSession, user: str, post: str, action: dict[str, Any]) -> None:
        """A click, sent where the button says, with what the button has."""
        body = {"user_id": user, "user_name": user[:4], "channel_id": CHANNEL, "team_id": "t" * 26, "post_id": post}
        body |= {"trigger_id": secrets.token_urlsafe(60), "type": "button", "context": action["integration"]["context"]}
        await self._deliver(session, action["integration"]["url"], json.dumps(body).encode(), "application/json")

    async def wait(self, found: Callable[[], Any]) -> Any:
        """What `found` finds, once it finds something."""
        return await self.until("it", lambda: found() or None)

    def of_bot(self) -> dict[str, Post]:
        return {key: post for key, post in self.posts.items() if post.own}

    async def wait_said(self, text: str, post: str = "") -> str:
        """The id of the bot's post whose newest state has these words."""
        found: str = await self.wait(
            lambda: next((key for key, one in self.of_bot().items() if post in ("", key) and text in one.text), "")
        )
        return found


def _wrong(body: dict[str, Any]) -> str | None:
    """Why the server would not take the post; and what none of ours may hold."""
    if len(body["message"]) > MAX_MESSAGE:
        return "model.post.is_valid.message_length.app_error"
    if re.search(r"@\w", re.sub(r"```.*?```|`[^`\n]*`", "", body["message"], flags=re.DOTALL)):
        return "a mention"
    for attachment in body["props"].get("attachments", []):
        for action in attachment["actions"]:
            if set(action) != {"id", "type", "name", "style", "integration"} or not action["id"].isalnum():
                return "an action"
    return None
