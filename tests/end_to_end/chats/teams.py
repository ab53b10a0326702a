"""Teams as the tests need it: a workflow that takes cards, as strict as schema 1.4 and Teams' size, and a channel.

Refused as Teams refuses them: unknown properties of elements, a message over 28 KB, another credential in the URL.
"""

from __future__ import annotations

import base64
import hmac
import json
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from aiohttp import ClientSession, web

from tests.end_to_end.chats.server import ChatServer

TOKEN: Final = "vqF0En+Z0ucuRTM/01o2GuhMH3hKKk/N2bOmlM31zaA="
SIG: Final = "the-credential-of-the-workflow"
CHANNEL: Final = "19:ops@thread.tacv2"
_ELEMENTS: Final[dict[str, set[str]]] = {
    "AdaptiveCard": {"type", "$schema", "version", "body", "msteams"},
    "Container": {"type", "style", "items"},
    "RichTextBlock": {"type", "spacing", "inlines"},
    "TextRun": {"type", "text", "fontType"},
}


def lines_of(element: dict[str, Any]) -> list[str]:
    """What an element shows, line by line; raises ValueError where the schema does not have it."""
    kind = element.get("type", "")
    if unknown := set(element) - _ELEMENTS.get(kind, set()):
        raise ValueError(f"{kind}: {sorted(unknown)}")
    if kind == "RichTextBlock":
        if element["spacing"] not in ("Default", "None") or not element["inlines"]:
            raise ValueError(kind)
        for run in element["inlines"]:
            if run["type"] != "TextRun" or set(run) - _ELEMENTS["TextRun"] or not run["text"]:
                raise ValueError("TextRun")
        return ["".join(run["text"] for run in element["inlines"])]
    return [line for item in element.get("body", element.get("items", [])) for line in lines_of(item)]


@dataclass
class TeamsServer(ChatServer):
    """The channel: what was posted there, and what each delivery was answered."""

    posts: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)

    @property
    def flow(self) -> str:
        return f"http://127.0.0.1:{self.port}/workflows/w1/triggers/manual/paths/invoke?api-version=1&sig={SIG}"

    def routes(self) -> list[web.RouteDef]:
        return [
            web.post("/workflows/w1/triggers/manual/paths/invoke", self._post),
        ]

    def seen(self) -> object:
        return self.posts, self.refused

    async def _post(self, request: web.Request) -> web.Response:
        if request.query.get("sig") != SIG:
            return web.Response(status=401)
        raw = await request.read()
        try:
            if len(raw) > 28 * 1024:
                raise ValueError("size")
            message = json.loads(raw)
            (attachment,) = message["attachments"]
            card = attachment["content"]
            if set(message) != {"type", "attachments"} or card["version"] != "1.4":
                raise ValueError("message")
            self.posts.append("\n".join(lines_of(card)).replace("\u00a0", " "))
        except (ValueError, KeyError) as error:
            self.refused.append(repr(error))
            return web.Response(status=400)
        async with self.changed:
            self.changed.notify_all()
        return web.Response(status=202)

    async def wait_for(self, words: str) -> str:
        return await self.until(words, lambda: next((post for post in self.posts if words in post), None))

    async def say(self, session: ClientSession, url: str, user: str, text: str, message_id: str = "") -> str:
        """Somebody mentions the webhook in the channel; returns what it answered at once."""
        activity = {
            "type": "message",
            "id": message_id or str(secrets.randbits(40)),
            "timestamp": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
            "serviceUrl": "https://smba.trafficmanager.net/emea/",
            "channelId": "msteams",
            "from": {"id": f"29:{user}", "name": user, "aadObjectId": user},
            "conversation": {"id": f"{CHANNEL};messageid=1"},
            "textFormat": "plain",
            "text": f"<at>Answerback</at>&nbsp;{text}\n",
        }
        body = json.dumps(activity).encode()
        digest = base64.b64encode(hmac.digest(base64.b64decode(TOKEN), body, "sha256")).decode()
        async with session.post(url, data=body, headers={"Authorization": f"HMAC {digest}"}) as answer:
            assert answer.status == 200, await answer.text()
            said = await answer.json()
        assert set(said) == {"type", "text"}
        assert said["type"] == "message"
        return str(said["text"])
