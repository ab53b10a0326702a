"""Pictures in Feishu's messages, and how they are fetched. Pure.

A message of the kind `image` is one, a rich text has some among its elements, and a `file` may be one by its name. The
API has them under the message's id and their key, for a bot that is in the chat, with the scope im:message or
im:resource. https://open.feishu.cn/document/server-docs/im-v1/message/get-2
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Mapping
from typing import Any, Final

from hub.chat.platforms.base import HttpCall, HttpResponse, PictureRef
from hub.chat.platforms.fields import answer_object
from hub.chat.platforms.outbound import OutboundCall
from hub.chat.platforms.pictures import (
    PictureFailed,
    PictureFetch,
    few_pictures,
    is_picture,
    picture_call,
    picture_of,
    status_failure,
)

Authorize = Callable[[float], Generator[OutboundCall, HttpResponse, dict[str, str]]]
"""The calls that lead to a token, and the headers that it makes."""
_NAME: Final = re.compile(r"(?P<message>[\w-]{1,128})/(?P<type>image|file)/(?P<key>[\w-]{1,200})", re.ASCII)
_GONE: Final = frozenset({230110, 234003, 234040})  # recalled, not of that message, not to be seen
_TOO_BIG: Final = frozenset({234006, 234037})
_CURES: Final[Mapping[int, str]] = {
    99991672: "give the app the scope im:message, and publish it",
    234002: "give the app the scope im:message, and publish it",
    234004: "the bot is not in the chat: add it",
}


def read_pictures(kind: object, content: Mapping[str, Any], message_id: str) -> tuple[PictureRef, ...]:
    """The pictures of a message's content; what is not of the documented form is passed over."""
    match kind:
        case "image":
            keys = [("image", content.get("image_key"))]
        case "file" if is_picture("", content.get("file_name")):
            keys = [("file", content.get("file_key"))]
        case "post":
            rows = content.get("content")
            elements = [each for row in rows for each in row] if type(rows) is list else []  # of a post that was read
            keys = [("image", each.get("image_key")) for each in elements if each.get("tag") == "img"]
        case _:
            return ()
    names = (f"{message_id}/{form}/{key}" for form, key in keys if type(key) is str)
    return few_pictures(PictureRef(name) for name in names if _NAME.fullmatch(name))


class FeishuPictures:
    """The `PictureSource` of one app."""

    token_hosts: tuple[str, ...] = ()
    plain_hosts: tuple[str, ...] = ()

    def __init__(
        self, api: str, authorize: Authorize, forget: Callable[[Mapping[str, str]], None], token_codes: frozenset[int]
    ) -> None:
        """`forget` hears of headers whose token was refused, which answers with one of `token_codes`."""
        self._api = api
        self._authorize = authorize
        self._forget = forget
        self._token_codes = token_codes

    def fetch(self, picture: PictureRef, now: float) -> PictureFetch:
        name = _NAME.fullmatch(picture.name)
        if name is None:
            raise PictureFailed("it is no name of Feishu's", "gone")
        url = f"{self._api}/open-apis/im/v1/messages/{name['message']}/resources/{name['key']}?type={name['type']}"
        code = 0
        for _ in range(2):
            headers = yield from self._authorize(now)
            answer = yield picture_call(HttpCall(url, b"", headers, "GET"))
            code = _code_of(answer)
            if code not in self._token_codes:
                break
            self._forget(headers)
        if code == 0:
            return picture_of(answer)
        if code in _GONE:
            raise PictureFailed(f"the API answered {code}", "gone")
        if code in _TOO_BIG:
            raise PictureFailed(f"the API answered {code}", "too_big")
        failed = status_failure(answer)
        cure = _CURES.get(code, "see docs/chat/feishu.md")
        raise PictureFailed(f"the API answered {code}: {cure}", "later" if failed.kind == "later" else "refused")


def _code_of(answer: HttpResponse) -> int:
    """The error of an answer; 0 where it has none that can be read, as a picture has not."""
    if not answer.body.lstrip().startswith(b"{"):
        return 0
    code = answer_object(answer).get("code")
    return code if type(code) is int else 0
