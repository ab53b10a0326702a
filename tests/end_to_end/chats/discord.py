"""Discord as the tests need it: its API, as strict as its documentation, and interactions that it signs.

Refused as the platform refuses them: content over 2,000 and embeds over 4,096 UTF-16 units, empty messages, components
that are not of the schema, messages and tokens that are not there, another bot; and, stricter than the platform,
unknown properties and mentions that are not switched off.
"""

from __future__ import annotations

import json
import secrets
import time
from dataclasses import dataclass, field
from typing import Any, Final

from aiohttp import ClientSession, web
from nacl.signing import SigningKey

from tests.end_to_end.chats.server import ChatServer, read_form

KEY: Final = SigningKey(bytes(range(32)))
PUBLIC: Final = KEY.verify_key.encode().hex()
TOKEN: Final = "MTk4NjIyNDgzNDcxOTI1MjQ4.Cl2FMQ.ZnCjm1XVW7vRze4b7Cq4se7kKWs"
APPLICATION: Final = "845027738276462632"
CHANNEL: Final = "645027906669510667"
PEOPLE: Final = {"bob": "53908232506183680", "carol": "53908232506183681"}
_FIELDS: Final = frozenset({"content", "embeds", "flags", "allowed_mentions", "components"})


class Refused(Exception):
    """An error of the API."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(code, message)
        self.status, self.code, self.message = status, code, message


@dataclass
class FakeDiscord(ChatServer):
    """Messages by id, each with all states that it had; the answer to an interaction is one of them."""

    messages: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    deleted: set[str] = field(default_factory=set)
    originals: dict[str, str] = field(default_factory=dict)  # token of an interaction -> the message that answers it
    ended: set[str] = field(default_factory=set)  # tokens whose fifteen minutes are over
    nonces: dict[str, str] = field(default_factory=dict)
    files: list[tuple[str, bytes]] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/api/v10"

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/api/v10/channels/{channel}/messages", self._handler(self._post)),
            web.patch("/api/v10/channels/{channel}/messages/{message}", self._handler(self._patch)),
            web.patch("/api/v10/webhooks/{app}/{token}/messages/@original", self._handler(self._original)),
            web.post("/api/v10/webhooks/{app}/{token}", self._handler(self._follow_up)),
        ]

    def seen(self) -> object:
        return {name: text_of(states[-1]) for name, states in self.messages.items()}, self.refused

    def _handler(self, handle: Any) -> Any:
        async def answer(request: web.Request) -> web.Response:
            try:
                body = await self._form(request)
                message = handle(request, json.loads(await request.read()) if body is None else body)
            except Refused as refused:
                self.refused.append(f"{refused.code} {refused.message}")
                return web.json_response({"code": refused.code, "message": refused.message}, status=refused.status)
            async with self.changed:
                self.changed.notify_all()
            return web.json_response({"id": message, "channel_id": CHANNEL, **self.messages[message][-1]})

        return answer

    async def _form(self, request: web.Request) -> Any:
        """The payload of a form with one file, whose attachments are those that the payload says; None of JSON."""
        if request.content_type != "multipart/form-data":
            return None
        form = await read_form(request)
        if list(form) != ["payload_json", "files[0]"]:
            raise Refused(400, 50035, f"fields {sorted(form)}")
        payload = json.loads(form["payload_json"][1])
        name, data = form["files[0]"]
        if payload.pop("attachments", None) != [{"id": 0, "filename": name}] or not data:
            raise Refused(400, 50035, "attachments")
        if len(data) > 10 * 1024 * 1024:
            raise Refused(413, 40005, "Request entity too large")
        self.files.append((str(name), data))
        return payload

    def _post(self, request: web.Request, body: Any) -> str:
        self._authorize(request)
        if set(body) != _FIELDS | {"nonce", "enforce_nonce"} or body["enforce_nonce"] is not True:
            raise Refused(400, 50035, f"properties {sorted(body)}")
        if not (type(body["nonce"]) is str and 1 <= len(body["nonce"]) <= 25):
            raise Refused(400, 50035, "nonce")
        known = self.nonces.get(body["nonce"])
        if known is None:
            state = self._checked({key: body[key] for key in _FIELDS})
            known = self.nonces[body["nonce"]] = self._new()
            self.messages[known] = [state]
        return known

    def _patch(self, request: web.Request, body: Any) -> str:
        self._authorize(request)
        return self._change(request.match_info["message"], body)

    def _follow_up(self, request: web.Request, body: Any) -> str:
        self._interaction_of(request)
        if dict(request.query) != {"wait": "true"} or set(body) != _FIELDS or body["flags"] not in (64, 68):
            raise Refused(400, 50035, f"properties {sorted(body)}")
        message = self._new()
        self.messages[message] = [self._checked(body | {"flags": body["flags"] & 4}) | {"flags": body["flags"]}]
        return message

    def _original(self, request: web.Request, body: Any) -> str:
        return self._change(self.originals[self._interaction_of(request)], body)

    def _interaction_of(self, request: web.Request) -> str:
        token = request.match_info["token"]
        if "Authorization" in request.headers or request.match_info["app"] != APPLICATION:
            raise Refused(404, 10015, "Unknown Webhook")
        if token not in self.originals:
            raise Refused(404, 10015, "Unknown Webhook")
        if token in self.ended:
            raise Refused(401, 50027, "Invalid Webhook Token")
        return token

    def _change(self, message: str, body: Any) -> str:
        if message in self.deleted or message not in self.messages:
            raise Refused(404, 10008, "Unknown Message")
        if set(body) != _FIELDS:
            raise Refused(400, 50035, f"properties {sorted(body)}")
        self.messages[message].append(self._checked(body))
        return message

    def _authorize(self, request: web.Request) -> None:
        if request.headers.get("Authorization") != f"Bot {TOKEN}":
            raise Refused(401, 0, "401: Unauthorized")
        if request.match_info["channel"] != CHANNEL:
            raise Refused(404, 10003, "Unknown Channel")

    def _checked(self, body: dict[str, Any]) -> dict[str, Any]:
        embeds, rows = body["embeds"], body["components"]
        lengths = [(body["content"], 2_000), *((embed["description"], 4_096) for embed in embeds)]
        if any(len(text.encode("utf-16-le")) // 2 > most for text, most in lengths):
            raise Refused(400, 50035, "Must be 2000 or fewer in length.")
        if not body["content"].strip() and not embeds:
            raise Refused(400, 50006, "Cannot send an empty message")
        if body["allowed_mentions"] != {"parse": []} or body["flags"] not in (0, 4):
            raise Refused(400, 50035, "allowed_mentions or flags")
        for row in rows:
            if set(row) != {"type", "components"} or row["type"] != 1 or not 1 <= len(row["components"]) <= 5:
                raise Refused(400, 50035, "an action row")
            for button in row["components"]:
                if set(button) != {"type", "style", "label", "custom_id"} or button["type"] != 2:
                    raise Refused(400, 50035, "a button")
                if not (1 <= len(button["custom_id"]) <= 100 and 1 <= len(button["label"]) <= 80):
                    raise Refused(400, 50035, "a button's length")
        return body

    def _new(self) -> str:
        return str((int((time.time() - 1_420_070_400) * 1000) << 22) | secrets.randbits(22))

    # ---- people

    async def run(self, session: ClientSession, url: str, who: str, text: str, times: int = 1) -> str:
        """A person uses /run, delivered so many times; the message that answers it."""
        options = [{"name": "text", "type": 3, "value": text}]
        data = {"id": "771825006014889984", "name": "run", "type": 1, "options": options}
        interaction = self._interaction(who, 2, data)
        for _ in range(times):
            assert await self.deliver(session, url, interaction) == {"type": 5}
        answer = self.originals[interaction["token"]] = self._new()
        self.messages[answer] = [{"content": "thinking", "embeds": [], "components": []}]
        return answer

    async def click(self, session: ClientSession, url: str, who: str, value: str, message: str) -> None:
        """A person presses a button of a message."""
        interaction = self._interaction(who, 3, {"component_type": 2, "custom_id": value})
        self.originals[interaction["token"]] = message
        assert await self.deliver(session, url, interaction | {"message": {"id": message}}) == {"type": 6}

    async def open(self, session: ClientSession, url: str, who: str, value: str, message: str) -> dict[str, Any]:
        """A person presses a button that opens a modal; the modal, which must be within Discord's limits."""
        interaction = self._interaction(who, 3, {"component_type": 2, "custom_id": value})
        answer = await self.deliver(session, url, interaction | {"message": {"id": message}})
        data: dict[str, Any] = answer["data"]
        assert (answer["type"], set(data)) == (9, {"custom_id", "title", "components"})
        assert len(data["custom_id"]) <= 100
        assert len(data["title"]) <= 45
        display, label = data["components"]
        assert (set(display), display["type"], label["type"]) == ({"type", "content"}, 10, 18)
        assert len(display["content"].encode("utf-16-le")) // 2 <= 4_000
        field = label["component"]
        assert set(field) <= {"type", "custom_id", "style", "min_length", "max_length", "required"}
        assert (field["type"], field["style"], set(label)) == (4, 1, {"type", "label", "component"})
        return data

    async def submit(self, session: ClientSession, url: str, who: str, modal: dict[str, Any], code: str) -> Any:
        """A person sends a modal; what that is answered."""
        field = {"type": 4, "id": 3, "custom_id": "code", "value": code}
        components = [{"type": 10, "id": 1}, {"type": 18, "id": 2, "component": field}]
        data = {"custom_id": modal["custom_id"], "components": components}
        return await self.deliver(session, url, self._interaction(who, 5, data))

    def _interaction(self, who: str, kind: int, data: dict[str, Any]) -> dict[str, Any]:
        return {
            "id": self._new(),
            "application_id": APPLICATION,
            "type": kind,
            "token": secrets.token_urlsafe(60),
            "channel_id": CHANNEL,
            "member": {"user": {"id": PEOPLE[who], "username": who}},
            "locale": "en-US",
            "data": data,
        }

    async def deliver(
        self, session: ClientSession, url: str, body: dict[str, Any], *, key: SigningKey = KEY, status: int = 200
    ) -> Any:
        """Posts an interaction, signed; what it was answered."""
        raw, stamp = json.dumps(body).encode(), str(int(time.time()))
        signature = key.sign(stamp.encode() + raw).signature.hex()
        headers = {"X-Signature-Ed25519": signature, "X-Signature-Timestamp": stamp}
        async with session.post(url, data=raw, headers=headers) as answer:
            assert answer.status == status, await answer.text()
            return await answer.json()

    async def wait_for(self, words: str, key: str = "") -> tuple[str, dict[str, Any]]:
        """The message whose newest state has these words."""
        return await self.until(
            words,
            lambda: next(
                (
                    (name, states[-1])
                    for name, states in self.messages.items()
                    if words in text_of(states[-1]) and key in ("", name)
                ),
                None,
            ),
        )


def text_of(message: dict[str, Any]) -> str:
    """What a message shows, without the backslashes that Discord drops."""
    text = message["content"] or message["embeds"][0]["description"]
    return str(text).replace("\\", "")


def values(message: dict[str, Any]) -> list[str]:
    return [button["custom_id"] for row in message["components"] for button in row["components"]]
