"""Pictures in Telegram's messages: photos, and files that are pictures; and how they are fetched. Pure.

getFile tells the path of a file, for an hour at least; it is at {api}/file/bot{token}/{path}. The token is in that URL,
as in that of every call. https://core.telegram.org/bots/api#getfile
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from hub.chat.platforms.base import HttpCall, HttpResponse, PictureRef
from hub.chat.platforms.fields import answer_object
from hub.chat.platforms.outbound import OutboundCall
from hub.chat.platforms.pictures import (
    MAX_PICTURE,
    PictureFailed,
    PictureFetch,
    declared_size,
    is_picture,
    picture_call,
    picture_of,
    status_failure,
)
from hub.core.chat_text import inline_text

MAX_SIZES: Final = 20
_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,300}", re.ASCII)
_PATH: Final = re.compile(r"(?:[A-Za-z0-9_-][A-Za-z0-9_.-]{0,100}/){0,6}[A-Za-z0-9_-][A-Za-z0-9_.-]{0,200}", re.ASCII)


def read_pictures(message: Mapping[str, Any]) -> tuple[PictureRef, ...]:
    """A message has one photo, in several sizes, or one file; albums come as several messages."""
    sizes, document = message.get("photo"), message.get("document")
    if type(sizes) is list:
        refs = [ref for size in sizes[:MAX_SIZES] if (ref := _read(size, "")) is not None]
        fitting = [ref for ref in refs if ref.size <= MAX_PICTURE] or refs
        return (max(fitting, key=lambda ref: ref.size),) if fitting else ()
    if type(document) is dict and is_picture(media_type := document.get("mime_type"), document.get("file_name")):
        declared = media_type if type(media_type) is str and is_picture(media_type) else ""
        ref = _read(document, declared[:100])
        return (ref,) if ref is not None else ()
    return ()


def _read(file: object, media_type: str) -> PictureRef | None:
    if type(file) is not dict or type(name := file.get("file_id")) is not str or not _ID.fullmatch(name):
        return None
    return PictureRef(name, media_type, declared_size(file.get("file_size")))


class TelegramPictures:
    """The `PictureSource` of one bot."""

    token_hosts: tuple[str, ...] = ()
    plain_hosts: tuple[str, ...] = ()

    def __init__(self, root: str, token: str, call: Callable[[str, Mapping[str, Any]], HttpCall]) -> None:
        """`root` is the API's; `call` makes a call of the Bot API."""
        self._files = f"{root}/file/bot{token}"
        self._call = call

    def fetch(self, picture: PictureRef, now: float) -> PictureFetch:
        path = _path_of((yield OutboundCall(self._call("getFile", {"file_id": picture.name}))))
        return picture_of((yield picture_call(HttpCall(f"{self._files}/{path}", b"", method="GET"))))


def _path_of(answer: HttpResponse) -> str:
    """Where getFile says that the file is; raises PictureFailed."""
    body = answer_object(answer)
    if type(body.get("ok")) is not bool:
        raise status_failure(answer) if answer.status != 200 else PictureFailed("the answer is none of the Bot API")
    if body["ok"]:
        result = body.get("result")
        path = result.get("file_path") if type(result) is dict else None
        if type(path) is str and _PATH.fullmatch(path):
            return path
        raise PictureFailed("the Bot API names no path that can be fetched", "refused")
    description = body.get("description")
    said = inline_text(description, 150) if type(description) is str else "no reason"
    if "too big" in said.lower():
        raise PictureFailed(f"Telegram: {said}", "too_big")
    if answer.status == 400:
        raise PictureFailed(f"Telegram: {said}", "gone")
    parameters = body.get("parameters")
    wait = parameters.get("retry_after") if type(parameters) is dict else None
    if answer.status == 429 and type(wait) is int and 0 <= wait < 100_000:
        raise PictureFailed(f"Telegram asks to wait: {said}", "later", float(wait))
    failed = status_failure(answer)
    raise PictureFailed(f"Telegram answered {answer.status}: {said}", "later" if failed.kind == "later" else "refused")
