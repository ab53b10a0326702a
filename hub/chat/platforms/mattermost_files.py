"""Pictures of Mattermost's posts: an outgoing webhook names the post's files, and the API has them. Pure.

https://developers.mattermost.com/api-documentation/#/operations/GetFile
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from hub.chat.platforms.base import HttpCall, PictureRef
from hub.chat.platforms.fields import answer_object
from hub.chat.platforms.mattermost_fields import ID
from hub.chat.platforms.outbound import OutboundCall
from hub.chat.platforms.pictures import (
    MAX_PICTURE,
    PictureFailed,
    PictureFetch,
    declared_size,
    few_pictures,
    is_picture,
    picture_call,
    picture_of,
    status_failure,
)

MAX_FILES: Final = 50  # of a post, looked at


def read_file_ids(body: Mapping[str, Any], post: str) -> tuple[PictureRef, ...]:
    """The files of a post, by `file_ids`: a list, or ids with commas between. What they are is not said."""
    listed = body.get("file_ids")
    names = listed.split(",", MAX_FILES)[:MAX_FILES] if type(listed) is str else listed
    found = (name.strip() for name in (names[:MAX_FILES] if type(names) is list else ()) if type(name) is str)
    return few_pictures(PictureRef(f"{post}/{name}") for name in found if ID.fullmatch(name))


class MattermostPictures:
    """The `PictureSource` of one server."""

    token_hosts: tuple[str, ...] = ()
    plain_hosts: tuple[str, ...] = ()

    def __init__(self, root: str, call: Callable[[str, str], HttpCall]) -> None:
        """`call` makes a call of a method and a URL, with the bot's token."""
        self._files = f"{root}/api/v4/files"
        self._call = call

    def fetch(self, picture: PictureRef, now: float) -> PictureFetch:
        post, _, file = picture.name.partition("/")
        url = f"{self._files}/{file}"
        answer = yield OutboundCall(self._call("GET", f"{url}/info"))
        if answer.status != 200:
            raise status_failure(answer)
        info = answer_object(answer)
        if info.get("post_id", post) != post:  # whoever has the webhook's token may name any file that the bot can see
            raise PictureFailed("it is of another post", "gone")
        if not is_picture(info.get("mime_type"), info.get("name")):
            raise PictureFailed("it is declared to be something else", "not_picture")
        if (size := declared_size(info.get("size"))) > MAX_PICTURE:
            raise PictureFailed(f"it is declared to have {size} bytes", "too_big")
        return picture_of((yield picture_call(self._call("GET", url))))
