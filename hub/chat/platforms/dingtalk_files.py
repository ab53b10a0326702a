"""Pictures in messages to DingTalk's robot, and how they are fetched. Pure.

A message has a `downloadCode`; with an access token the API makes of it an address on DingTalk's file store that holds
for a while and wants no token: none is sent. The API names it with http, and the store has https too, which is used.
https://open.dingtalk.com/document/development/download-the-file-content-of-the-robot-receiving-message
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from typing import Any, Final

from hub.chat.platforms.base import HttpCall, HttpResponse, PictureRef
from hub.chat.platforms.fields import answer_object, compact_json
from hub.chat.platforms.outbound import OutboundCall
from hub.chat.platforms.pictures import (
    PictureFailed,
    PictureFetch,
    few_pictures,
    is_picture,
    picture_of,
    plain_call,
    status_failure,
)
from hub.core.callback_url import BadURL, is_loopback, parse
from hub.core.chat_text import inline_text

Authorize = Callable[[float], Generator[OutboundCall, HttpResponse, str]]
"""The calls that lead to an access token, and the token."""
FILE_HOSTS: Final = ("wukong-file-im-zjk.oss-cn-zhangjiakou.aliyuncs.com", "down.dingtalk.com", "down-cdn.dingtalk.com")
"""Where the API has been seen to keep files; it documents no list."""
MAX_CODE: Final = 1_500  # characters
TOKEN_HEADER: Final = "x-acs-dingtalk-access-token"  # noqa: S105  its name


def read_pictures(body: Mapping[str, Any], robot: str) -> tuple[PictureRef, ...]:
    """The pictures of a message; `robot` is its robotCode. What is not of the documented form is passed over."""
    content = body.get("content")
    if type(content) is not dict:
        return ()
    match body.get("msgtype"):
        case "picture":
            parts = [content]
        case "file" if is_picture("", content.get("fileName")):
            parts = [content]
        case "richText":
            listed = content.get("richText")
            every = listed if type(listed) is list else []
            parts = [part for part in every if type(part) is dict and part.get("type") == "picture"]
        case _:
            return ()
    codes = (part.get("downloadCode") or part.get("pictureDownloadCode") for part in parts)
    return few_pictures(
        PictureRef(f"{robot or '-'} {code}") for code in codes if type(code) is str and 1 <= len(code) <= MAX_CODE
    )


class DingTalkPictures:
    """The `PictureSource` of one robot."""

    token_hosts: tuple[str, ...] = ()

    def __init__(
        self, api: str, app_key: str, authorize: Authorize, forget: Callable[[str], None], hosts: tuple[str, ...]
    ) -> None:
        """`forget` hears of a token that was refused; `hosts` is where files may be."""
        self._api = api
        self._app_key = app_key
        self._authorize = authorize
        self._forget = forget
        self.plain_hosts = hosts

    def fetch(self, picture: PictureRef, now: float) -> PictureFetch:
        if not self._app_key:
            raise PictureFailed("without app_key no picture can be fetched: set it in the inlet", "refused")
        robot, _, code = picture.name.partition(" ")
        asked = compact_json({"downloadCode": code, "robotCode": self._app_key if robot == "-" else robot})
        for _ in range(2):
            token = yield from self._authorize(now)
            headers = {"Content-Type": "application/json", TOKEN_HEADER: token}
            answer = yield OutboundCall(HttpCall(f"{self._api}/v1.0/robot/messageFiles/download", asked, headers))
            if answer.status != 401:
                break
            self._forget(token)
        return picture_of((yield plain_call(_address(answer))))


def _address(answer: HttpResponse) -> str:
    """Where the API says that the file is, with https; raises PictureFailed."""
    body = answer_object(answer)
    url = body.get("downloadUrl")
    if answer.status == 200 and type(url) is str:
        try:
            target = parse(url)
        except BadURL as error:
            raise PictureFailed(f"the API names an address that is none: {error}", "refused") from None
        if target.scheme == "http" and target.port == 80 and not is_loopback(target.host):
            return "https" + url[4:] if url[:7].lower() == "http://" else url
        return url
    code = body.get("code")
    said = inline_text(code, 80) if type(code) is str else "nothing that can be read"
    failed = status_failure(answer)
    if "Throttling" in said or "QpsLimit" in said or failed.kind == "later":
        raise PictureFailed(f"the API answered {answer.status}: {said}", "later", failed.retry_after)
    gone = answer.status in (400, 404) and "Permission" not in said
    raise PictureFailed(f"the API answered {answer.status}: {said}", "gone" if gone else "refused")
