"""A chat of one's own in one file: `platform = "own_platform.py"` in hub.toml, with the keys of `OwnInlet`.

It has what most chats have: signed JSON in, an API that posts a message and changes it, buttons, and pictures that its
messages only name. `test_own_platform` and `test_pictures` run requests through it; docs/chat/own-platform.md goes
through it part by part.
"""

from __future__ import annotations

import hmac
import json
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from common.config import setting
from hub.chat.buttons import buttons_of, clicked_text
from hub.chat.platforms.base import (
    POST_ONLY,
    BadBody,
    BadSignature,
    CardGone,
    Delivered,
    DeliveryResult,
    HttpCall,
    HttpResponse,
    Ignored,
    IncomingMessage,
    OutboundReply,
    PictureRef,
    PlatformKind,
    ReceiveResult,
    WebhookRequest,
    result_of_status,
)
from hub.chat.platforms.pictures import PictureFetch, few_pictures, picture_call, picture_of
from hub.core import strict_json
from hub.core.inlet_table import InletTable


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnInlet(InletTable):
    """An inlet of our own chat."""

    api_url: str = setting("https://chat.example", "Where its API is.")


class OwnPlatform:
    kind = "own"
    methods = POST_ONLY
    can_update = True
    can_buttons = True
    pace = 0.0
    token_hosts: tuple[str, ...] = ()
    plain_hosts: tuple[str, ...] = ()

    def __init__(self, table: InletTable) -> None:
        assert isinstance(table, OwnInlet)
        self._secret = table.secrets[0]
        self._api = table.api_url
        self.hosts = (table.api_url,)
        self.pictures = self

    def receive(self, request: WebhookRequest, now: float) -> ReceiveResult:
        expected = hmac.digest(self._secret, request.body, "sha256").hex()
        if not hmac.compare_digest(expected.encode(), request.headers.get("x-own", "").encode("latin-1", "replace")):
            raise BadSignature("X-Own does not fit the body")
        body = strict_json.parse(request.body)
        try:
            who, room, event = str(body["who"]), str(body["room"]), str(body["id"])
            said = clicked_text(body["click"]) if "click" in body else str(body["text"])
            pictures = few_pictures(PictureRef(str(name)) for name in body.get("pictures", ()))
        except (KeyError, TypeError):
            raise BadBody("who, room, id and text are needed") from None
        if said is None:
            return Ignored("a button that is not ours")
        return IncomingMessage(event, who, room, said, pictures=pictures, reply_url=self._api, button="click" in body)

    def fetch(self, picture: PictureRef, now: float) -> PictureFetch:
        headers = {"Authorization": f"Bearer {self._secret.hex()}"}
        url = f"{self._api}/pictures/{quote(picture.name, safe='')}"
        return picture_of((yield picture_call(HttpCall(url, b"", headers, "GET"))))

    def render(self, reply: OutboundReply, now: float) -> HttpCall:
        content = reply.content
        buttons = [{"label": button.label, "value": button.value} for button in buttons_of(content)]
        message = {"room": content.conversation, "text": content.text, "buttons": buttons}
        body = json.dumps(message, ensure_ascii=False).encode()
        headers = {"Content-Type": "application/json", "Idempotency-Key": reply.id}
        if reply.ref:
            return HttpCall(f"{self._api}/messages/{reply.ref}", body, headers, "PUT")
        return HttpCall(f"{self._api}/messages", body, headers)

    def handle_response(
        self, reply: OutboundReply, call: HttpCall, response: HttpResponse, now: float
    ) -> DeliveryResult:
        if reply.ref and response.status == 404:
            return CardGone("the message was deleted")
        result = result_of_status(response)
        if isinstance(result, Delivered) and not reply.ref:
            return Delivered(str(json.loads(response.body)["id"]))
        return result


PLATFORM: Final = PlatformKind("own", "A chat of our own", OwnInlet, OwnPlatform)
