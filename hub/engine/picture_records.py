"""Pictures that a message only names, as they are kept with their request until they are read, and why one was not had.

A name is kept in a record of the kind `picture`, like a picture itself, so that it is counted, found after a restart
and dropped as one. It is sealed for a context of its own: no picture, whatever is in it, opens as a name.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Final

from common.catalogue import Sentence
from common.identity.sealing import Sealer, UnsealError, context
from hub.chat.platforms.base import MAX_PICTURES, PictureRef
from hub.chat.platforms.pictures import MAX_PICTURE, PictureFailed, PictureFailure
from hub.core.chat_text import size_text

FetchPictures = Callable[[str, Sequence[PictureRef]], Awaitable[list[bytes | PictureFailed]]]
"""An inlet and what its message names -> what came of each, in their order."""
_SENTENCES: Final[dict[PictureFailure, str]] = {
    "gone": "picture_gone",
    "refused": "picture_withheld",
    "not_picture": "ocr_not_an_image",
    "later": "picture_not_in_time",
}


@dataclass(frozen=True, slots=True)
class Fetched:
    """What was had of a message's pictures, and why the others were not."""

    pictures: tuple[bytes, ...] = ()
    problems: tuple[Sentence, ...] = ()


def seal_picture_ref(sealer: Sealer, request_id: str, picture: PictureRef) -> bytes:
    kept = {"name": picture.name, "media_type": picture.media_type, "size": picture.size}
    return sealer.seal(json.dumps(kept).encode(), _ref_context(request_id))


def open_picture_ref(sealer: Sealer, request_id: str, data: bytes) -> PictureRef | None:
    """None where the record is no name of a picture."""
    try:
        return PictureRef(**json.loads(sealer.open(data, _ref_context(request_id))))
    except UnsealError:
        return None


async def fetch_all(fetch: FetchPictures | None, inlet: str, named: Sequence[PictureRef]) -> Fetched:
    """All pictures that a message names; without `fetch` none of them."""
    if fetch is None:
        return Fetched(problems=(_problem(PictureFailed("no picture is fetched here", "refused")),))
    found = await fetch(inlet, named)
    pictures = tuple(one for one in found if isinstance(one, bytes))
    problems = []
    for number, one in enumerate(found, 1):
        if isinstance(one, PictureFailed):
            said = _problem(one)
            numbered = len(found) > 1 and one.kind != "too_many"
            problems.append(Sentence("ocr_of_picture", {"number": number, "problem": said}) if numbered else said)
    return Fetched(pictures, tuple({str(one): one for one in problems}.values()))


def _problem(failed: PictureFailed) -> Sentence:
    match failed.kind:
        case "too_big":
            return Sentence("picture_too_big", {"size": size_text(MAX_PICTURE)})
        case "too_many":
            return Sentence("picture_too_many", {"count": MAX_PICTURES})
    return Sentence(_SENTENCES[failed.kind])


def _ref_context(request_id: str) -> str:
    return context("sealed", "picture name", request_id)
