"""Files on Mattermost: POST /api/v4/files, then the post that names them in `file_ids`. Pure.

Source: developers.mattermost.com/api-documentation, "Upload a file": one file as the body, its channel and name in the
query. A file that no post names is seen by nobody, so what is done twice is the upload alone: the post has its
`pending_post_id` and its mark, by which it is found again (`mattermost`). Servers take 100 MB unless set otherwise.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from hub.chat.platforms.base import DeliveryResult, HttpCall, HttpResponse, NextCall
from hub.chat.platforms.fields import answer_object, compact_json
from hub.chat.platforms.mattermost_fields import ID
from hub.chat.platforms.uploads import UploadCalls, UploadFile, UploadRefused, as_upload

_CURES: Final = {
    403: "let the bot upload files (permission upload_file), and the server take them (EnableFileAttachments)",
    413: "the server's largest file (MaxFileSize) is smaller",
    501: "let the server take files (EnableFileAttachments)",
}


def upload_calls(
    call: HttpCall, put: HttpCall, file: UploadFile, handle: Callable[[HttpCall, HttpResponse], DeliveryResult]
) -> UploadCalls:
    """`call` is the first call of the words alone, a post or what looks for it; `put` puts a file into the channel, and
    `handle` reads the answers to both as those of any post.
    """
    name = ""
    headers = {**put.headers, "Content-Type": file.content_type}
    upload = replace(put, url=f"{put.url}&filename={file.name}", body=file.data, headers=headers)
    while True:
        if call.method == "POST":
            if not name:
                response = yield upload
                if response.status in _CURES:
                    return UploadRefused(f"Mattermost answered {response.status}; {_CURES[response.status]}")
                if response.status >= 300:
                    return as_upload(handle(put, response))
                name = _file_id(answer_object(response))
                if not name:
                    return UploadRefused("Mattermost's answer names no file; check api_url")
            body: dict[str, Any] = json.loads(call.body)
            response = yield replace(call, body=compact_json({**body, "file_ids": [name]}))
        else:
            response = yield call
        result = handle(call, response)
        if not isinstance(result, NextCall):
            return as_upload(result)
        call = result.call


def _file_id(answer: Mapping[str, Any]) -> str:
    """The id of the one file; "" where it is not told."""
    infos = answer.get("file_infos")
    first = infos[0] if isinstance(infos, list) and len(infos) == 1 else None
    found = first.get("id") if isinstance(first, dict) else None
    return found if isinstance(found, str) and ID.fullmatch(found) else ""
