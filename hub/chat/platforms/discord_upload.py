"""Files on Discord: the same call as of a reply's words, as a form with `payload_json` and `files[0]`. Pure.

Source: docs.discord.com/developers/reference#uploading-files. The attachments that a message is to have are listed in
the payload, so a repeated change of an interaction's answer leaves one file; a post has its nonce. Any server takes 10
MiB.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from hub.chat.platforms.base import DeliveryFailed, DeliveryResult, HttpCall, HttpResponse, NextCall
from hub.chat.platforms.fields import answer_object, compact_json
from hub.chat.platforms.multipart import Part, multipart
from hub.chat.platforms.uploads import UploadCalls, UploadFile, UploadRefused, as_upload

_CURES: Final = {
    50013: "give the bot the permission Attach Files there",
    40005: "the file is too large for this server",
    20009: "the server takes no such files",  # explicit content
}


def upload_calls(
    call: HttpCall, file: UploadFile, handle: Callable[[HttpCall, HttpResponse], DeliveryResult]
) -> UploadCalls:
    """`call` posts the words alone; `handle` reads the answer as that of any post."""
    while True:
        response = yield _with_file(call, file)
        code = answer_object(response).get("code")
        cure = _CURES.get(code) if type(code) is int else None
        if response.status >= 400 and cure is not None:
            return UploadRefused(f"Discord answered {response.status} ({code}); {cure}")
        result = handle(call, response)
        if isinstance(result, NextCall):  # the interaction's time is over: through the bot
            call = result.call
            continue
        if isinstance(result, DeliveryFailed) and response.status == 413:
            return UploadRefused(result.reason)
        return as_upload(result)


def _with_file(call: HttpCall, file: UploadFile) -> HttpCall:
    payload: dict[str, Any] = json.loads(call.body)
    payload["attachments"] = [{"id": 0, "filename": file.name}]
    body, kind = multipart(
        [
            Part("payload_json", compact_json(payload), content_type="application/json"),
            Part("files[0]", file.data, file.name, file.content_type),
        ]
    )
    return replace(call, body=body, headers={**call.headers, "Content-Type": kind})
