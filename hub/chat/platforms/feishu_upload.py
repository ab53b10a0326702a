"""Files on Feishu and Lark: POST /open-apis/im/v1/files, then a message of type `file`. Pure.

Source: open.feishu.cn, im-v1/file/create and im-v1/message. Scope im:resource (or im:resource:upload), at most 30 MB,
never empty. The message has the reply's `uuid`, by which a post that is repeated within an hour is known; the upload
alone shows nothing to anybody. A message of type `file` has no room for words: the file's name says what it is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from hub.chat.platforms.base import DeliveryResult, HttpCall, HttpResponse, NextCall
from hub.chat.platforms.fields import answer_object, compact_json
from hub.chat.platforms.multipart import Part, multipart
from hub.chat.platforms.uploads import UploadCalls, UploadFile, UploadRefused, as_upload

_KEY: Final = re.compile(r"[A-Za-z0-9_-]{1,200}", re.ASCII)
_CURES: Final = {
    99991672: "give the app the scope im:resource, and publish it",
    234006: "the file is too large for it",
    234007: "switch on the app's Bot capability, and publish it",
    234010: "the file is empty",
}


def upload_calls(
    call: HttpCall, file: UploadFile, api: str, handle: Callable[[HttpCall, HttpResponse], DeliveryResult]
) -> UploadCalls:
    """`call` is the first call of the words alone, a post or one that fetches a token; `handle` reads an answer as that
    to the call of the words.
    """
    key = ""
    while True:
        is_post = call.url.startswith(f"{api}/open-apis/im/v1/messages")
        if is_post and not key:
            response = yield _file_call(call, file, f"{api}/open-apis/im/v1/files")
            answer = answer_object(response)
            code = answer.get("code")
            if code == 0:
                data = answer.get("data")
                found = data.get("file_key") if type(data) is dict else None
                if type(found) is not str or _KEY.fullmatch(found) is None:
                    return UploadRefused("its answer names no file")
                key = found
                continue
            if type(code) is int and code in _CURES:
                return UploadRefused(f"the API answered {code}: {_CURES[code]}")
        else:
            response = yield _file_message(call, key) if is_post else call
        result = handle(call, response)
        if not isinstance(result, NextCall):
            return as_upload(result)
        call = result.call


def _file_call(call: HttpCall, file: UploadFile, files: str) -> HttpCall:
    parts = [
        Part("file_type", b"stream"),
        Part("file_name", file.name.encode("ascii")),
        Part("file", file.data, file.name, file.content_type),
    ]
    body, kind = multipart(parts)
    return HttpCall(files, body, {"Authorization": call.headers["Authorization"], "Content-Type": kind})


def _file_message(call: HttpCall, key: str) -> HttpCall:
    message: dict[str, Any] = json.loads(call.body)
    message |= {"msg_type": "file", "content": compact_json({"file_key": key}).decode()}
    return replace(call, body=compact_json(message))
