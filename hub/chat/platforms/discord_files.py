"""Pictures that come as options of a slash command, and how they are fetched. Pure.

The option's value is the attachment's id; `resolved` has its URL on Discord's CDN, which is signed, holds for a while
and wants no token: none is sent. https://docs.discord.com/developers/resources/message#attachment-object
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from hub.chat.platforms.base import MAX_PICTURE_REF, PictureRef
from hub.chat.platforms.pictures import (
    PictureFailed,
    PictureFetch,
    declared_size,
    few_pictures,
    is_picture,
    picture_of,
    plain_call,
)

MAX_ATTACHMENTS: Final = 25
CDN: Final = ("https://cdn.discordapp.com", "https://media.discordapp.net")


def read_attachments(data: Mapping[str, Any]) -> tuple[PictureRef, ...]:
    """The pictures among the attachments of a command's `data`, in the order of its options."""
    resolved = data.get("resolved")
    attachments = resolved.get("attachments") if type(resolved) is dict else None
    if type(attachments) is not dict:
        return ()
    return read_files(list(attachments.values()))


def read_files(files: object) -> tuple[PictureRef, ...]:
    """The pictures in a list of attachment objects; what is not of that form is passed over."""
    found = (_read(file) for file in (files[:MAX_ATTACHMENTS] if type(files) is list else ()))
    return few_pictures(ref for ref in found if ref is not None)


def _read(file: object) -> PictureRef | None:
    if type(file) is not dict:
        return None
    media_type, url = file.get("content_type"), file.get("url")
    if type(url) is not str or not 1 <= len(url) <= MAX_PICTURE_REF or not is_picture(media_type, file.get("filename")):
        return None
    declared = media_type if type(media_type) is str and is_picture(media_type) else ""
    return PictureRef(url, declared[:100], declared_size(file.get("size")))


class DiscordPictures:
    """The `PictureSource` of one application."""

    token_hosts: tuple[str, ...] = ()
    plain_hosts: tuple[str, ...] = CDN

    def fetch(self, picture: PictureRef, now: float) -> PictureFetch:
        answer = yield plain_call(picture.name)
        if answer.status in (401, 403):
            raise PictureFailed(f"its address does not hold any more (it answered {answer.status})", "gone")
        return picture_of(answer)
