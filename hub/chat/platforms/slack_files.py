"""Pictures in Slack's messages: what an event says of its files, and how they are fetched. Pure.

A file is at `url_private` on files.slack.com, which wants the bot's token and the scope `files:read`; without it the
answer is a sign-in page, or leads to one. Of a file that came from another organisation (Slack Connect) the event has
only the id, and files.info tells the rest. https://docs.slack.dev/reference/objects/file-object
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final
from urllib.parse import urlencode

from hub.chat.platforms.base import MAX_PICTURE_REF, HttpCall, HttpResponse, PictureRef
from hub.chat.platforms.fields import answer_object
from hub.chat.platforms.outbound import OutboundCall
from hub.chat.platforms.pictures import (
    PictureFailed,
    PictureFetch,
    declared_size,
    few_pictures,
    is_picture,
    picture_call,
    picture_of,
    status_failure,
)

MAX_FILES: Final = 50  # of a message, looked at
_HOSTS: Final[Mapping[str, str]] = {
    "https://slack.com:443": "https://files.slack.com",
    "https://slack-gov.com:443": "https://files.slack-gov.com",
}
"""Where the files of an API are; those of another one, such as a test's, are at the API itself."""
_ID: Final = re.compile(r"[A-Za-z0-9]{1,40}", re.ASCII)
_ERROR: Final = re.compile(r"[a-z_]{1,60}")
_GONE: Final = frozenset({"file_not_found", "file_deleted"})
_LATER: Final = frozenset({"ratelimited", "rate_limited", "fatal_error", "internal_error", "service_unavailable"})
_NO_SCOPE: Final = "Slack hands out no file: give the app the scope files:read, and install it again"


def read_files(message: Mapping[str, Any]) -> tuple[PictureRef, ...]:
    """The pictures among a message's files; what is said of one in an unknown form is passed over."""
    files = message.get("files")
    found = (_read_file(file) for file in (files[:MAX_FILES] if isinstance(files, list) else ()))
    return few_pictures(ref for ref in found if ref is not None)


def _read_file(file: object) -> PictureRef | None:
    if not isinstance(file, dict):
        return None
    if file.get("file_access") == "check_file_info":
        identity = file.get("id")
        return PictureRef(identity) if isinstance(identity, str) and _ID.fullmatch(identity) else None
    media_type, url = file.get("mimetype"), file.get("url_private")
    if not is_picture(media_type, file.get("name")) or not isinstance(url, str):
        return None
    if not url.startswith(("https://", "http://")) or len(url) > MAX_PICTURE_REF:
        return None
    declared = media_type if isinstance(media_type, str) and is_picture(media_type) else ""
    return PictureRef(url, declared[:100], declared_size(file.get("size")))


class SlackPictures:
    """The `PictureSource` of one app."""

    plain_hosts: tuple[str, ...] = ()

    def __init__(self, api: str, host: str, headers: Callable[[], dict[str, str]]) -> None:
        """`host` is that of the API, as in `hosts`; `headers` has the bot's token."""
        self._api = api
        self._headers = headers
        self.token_hosts: tuple[str, ...] = (_HOSTS[host],) if host in _HOSTS else ()

    def fetch(self, picture: PictureRef, now: float) -> PictureFetch:
        url = picture.name
        if _ID.fullmatch(url):
            info = f"{self._api}/files.info?{urlencode({'file': url})}"
            url = _url_of((yield OutboundCall(HttpCall(info, b"", self._headers(), "GET"))))
        answer = yield picture_call(HttpCall(url, b"", self._headers(), "GET"))
        page = answer.headers.get("content-type", "").lower().startswith("text/html")
        if answer.status in (301, 302, 303, 307, 308) or (answer.status == 200 and page):
            raise PictureFailed(_NO_SCOPE, "refused")
        return picture_of(answer)


def _url_of(answer: HttpResponse) -> str:
    """Where files.info says that a file is; raises PictureFailed."""
    if answer.status != 200:
        raise status_failure(answer)
    body = answer_object(answer)
    file, error = body.get("file"), body.get("error")
    if body.get("ok") is True and isinstance(file, dict):
        if not is_picture(file.get("mimetype"), file.get("name")):
            raise PictureFailed("it is declared to be something else", "not_picture")
        url = file.get("url_private")
        if isinstance(url, str):
            return url
    said = error if isinstance(error, str) and _ERROR.fullmatch(error) else "nothing that can be read"
    if said in _GONE:
        raise PictureFailed(f"Slack says {said}", "gone")
    if said in _LATER:
        raise PictureFailed(f"Slack says {said}", "later")
    raise PictureFailed(_NO_SCOPE if said == "missing_scope" else f"Slack says {said}", "refused")
