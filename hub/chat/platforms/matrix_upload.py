"""Files in Matrix rooms: the content repository, then an event of type m.file. Pure.

Source: https://spec.matrix.org/v1.13/client-server-api/#post_matrixmediav3upload and #mfile. The event has the same
transaction id on every try, so it is there once; what an earlier try put into the repository is named by no event and
seen by nobody. Homeservers say their own bound (`m.upload.size`); Synapse's is 50 MiB unless set otherwise.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from hub.chat.platforms.base import DeliveryResult, HttpCall, HttpResponse
from hub.chat.platforms.fields import compact_json
from hub.chat.platforms.uploads import UploadCalls, UploadFile, UploadRefused, as_upload

_URI: Final = re.compile(r"mxc://[A-Za-z0-9.\-:\[\]]{1,255}/[A-Za-z0-9_-]{1,255}", re.ASCII)
_CURES: Final = {
    "M_TOO_LARGE": "the homeserver takes no file of that size",
    "M_FORBIDDEN": "the homeserver lets the bot put no files",
}


def upload_calls(
    call: HttpCall,
    put: HttpCall,
    file: UploadFile,
    handle: Callable[[HttpCall, HttpResponse], DeliveryResult],
    read: Callable[[bytes], Mapping[str, Any] | None],
) -> UploadCalls:
    """`call` sends the words alone, which are the file's caption; `put` puts a file into the content repository, and
    `handle` reads an answer as that of any post.
    """
    response = yield replace(put, body=file.data, headers={**put.headers, "Content-Type": file.content_type})
    answer = read(response.body) or {}
    if response.status != 200:
        cure = _CURES.get(str(answer.get("errcode")))
        return UploadRefused(cure) if cure else as_upload(handle(put, response))
    uri = answer.get("content_uri")
    if not (isinstance(uri, str) and _URI.fullmatch(uri)):
        return UploadRefused("the homeserver did not say where it put the file")
    event: dict[str, Any] = json.loads(call.body)
    info = {"mimetype": "text/plain", "size": len(file.data)}
    event |= {"msgtype": "m.file", "filename": file.name, "url": uri, "info": info}
    response = yield replace(call, body=compact_json(event))
    return as_upload(handle(call, response))
