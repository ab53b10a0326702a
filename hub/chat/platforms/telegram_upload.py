"""Files on Telegram: sendDocument (core.telegram.org/bots/api#senddocument), a form with the file and a caption. Pure.

Telegram takes up to 50 MB from a bot, and has no key by which it knows a post again: where the hub dies between a post
and its commit, the file is posted once more.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from hub.chat.platforms.base import DeliveryFailed, DeliveryResult, HttpCall, HttpResponse, NextCall
from hub.chat.platforms.fields import compact_json
from hub.chat.platforms.multipart import Part, multipart
from hub.chat.platforms.uploads import UploadCalls, UploadFile, UploadRefused, as_upload

MAX_CAPTION = 1_024
"""UTF-16 units, entities parsed; ours are a sentence."""
_REFUSED = frozenset({400, 403, 413})


def document_fields(place: Mapping[str, Any], caption: str) -> dict[str, Any]:
    """The fields of sendDocument but for the file; a caption without markup."""
    return {**place, "caption": caption[: MAX_CAPTION // 2], "disable_content_type_detection": True}


def upload_calls(
    call: HttpCall, file: UploadFile, handle: Callable[[HttpCall, HttpResponse], DeliveryResult]
) -> UploadCalls:
    """`call` has the fields as JSON; `handle` reads the answer as that of any post."""
    while True:
        response = yield _with_file(call, file)
        result = handle(call, response)
        if isinstance(result, NextCall):  # the group has become a supergroup
            call = result.call
            continue
        if isinstance(result, DeliveryFailed) and response.status in _REFUSED:
            rights = "not enough rights" in result.reason
            return UploadRefused(f"{result.reason}; it must be allowed to send files" if rights else result.reason)
        return as_upload(result)


def _with_file(call: HttpCall, file: UploadFile) -> HttpCall:
    """The same call as a form: what is no string there is JSON, as the Bot API wants it."""
    fields: dict[str, Any] = json.loads(call.body)
    parts = [
        Part(name, value.encode() if isinstance(value, str) else compact_json(value)) for name, value in fields.items()
    ]
    parts.append(Part("document", file.data, file.name, file.content_type))
    body, kind = multipart(parts)
    return replace(call, body=body, headers={**call.headers, "Content-Type": kind})
