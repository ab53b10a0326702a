"""Files on WeCom: media/upload, then a message of type `file`. Pure.

Source: developer.work.weixin.qq.com, paths 90253 (6 bytes to 20 MB; the media_id holds for three days, and the part of
the form has a `filelength` beside its file name) and 90236. A file message has no room for words: the file's name says
what it is. WeCom tells a repeat by the message's content, and every upload has another media_id: where the hub dies
between a post and its commit, the file is posted once more.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from typing import Any, Final

from hub.chat.platforms.base import Delivered, DeliveryFailed, HttpCall, HttpResponse
from hub.chat.platforms.fields import compact_json
from hub.chat.platforms.multipart import Part, multipart
from hub.chat.platforms.uploads import UploadCalls, UploadFile, UploadRefused, as_upload

MAX_MEDIA_ID: Final = 512
_UPLOAD: Final = "/cgi-bin/media/upload?type=file&"

Ask = Callable[[str, bytes, str], Generator[HttpCall, HttpResponse, Mapping[str, Any] | DeliveryFailed]]
"""Calls a path, which ends with ? or &, with a body of a type and an access token; returns the answer where it is a
success, or the failure."""


def upload_calls(file: UploadFile, message: Mapping[str, Any], send: str, ask: Ask) -> UploadCalls:
    """`message` says to whom, `send` is the path to which it goes."""
    length = (("filelength", len(file.data)),)
    part = Part("media", file.data, file.name, "application/octet-stream", length)
    answer = yield from ask(_UPLOAD, *multipart([part]))
    if isinstance(answer, DeliveryFailed):
        return as_upload(answer)
    name = answer.get("media_id")
    if type(name) is not str or not 0 < len(name) <= MAX_MEDIA_ID:
        return UploadRefused("WeCom's answer names no file")
    body = compact_json({**message, "msgtype": "file", "file": {"media_id": name}})
    answer = yield from ask(send, body, "application/json")
    if isinstance(answer, DeliveryFailed):
        return as_upload(answer)
    if type(answer.get("invaliduser")) is str and answer["invaliduser"]:
        return UploadRefused("the member cannot use the app: look at its visible range")
    return Delivered()
