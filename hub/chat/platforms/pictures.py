"""Pictures that a platform only names: how they are fetched once their message is committed. No I/O:
`hub.chat.picture_fetch` does it.

A platform that fetches pictures has one attribute more, `pictures`: a `PictureSource`. Its `fetch` is a generator, as a
round of an outbound mode is (`hub.chat.platforms.outbound`): it yields the calls to make, is sent their answers, and
returns the bytes.

    def fetch(self, picture: PictureRef, now: float) -> PictureFetch:
        answer = yield picture_call(HttpCall(f"{self._api}/files/{picture.name}", b"", self._headers(), "GET"))
        return picture_of(answer)

What may be called is the platform's `hosts`, and these two kinds of hosts of its files. A redirect is never followed:
it is an answer that is no picture. What is returned is a picture by its first bytes and at most MAX_PICTURE bytes, or
it is not taken.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from typing import Any, Final, Literal, Protocol, runtime_checkable

from hub.chat.platforms.base import (
    MAX_PICTURE_REFS,
    DeliveryFailed,
    HttpCall,
    HttpResponse,
    PictureRef,
    Platform,
    result_of_status,
)
from hub.chat.platforms.outbound import OutboundCall

MAX_PICTURE: Final = 2 * 1024 * 1024  # bytes
PICTURE_SECONDS: Final = 20.0
_NAMES: Final = (".png", ".jpg", ".jpeg", ".webp", ".gif", ".bmp")

PictureFailure = Literal["gone", "refused", "too_big", "not_picture", "too_many", "later"]
PictureFetch = Generator[OutboundCall, HttpResponse, bytes]


class PictureFailed(Exception):
    """A picture that cannot be had. `str()` says why, in one line and without secrets, for the log.

    gone: it is not there any more. refused: the platform does not hand it out to us, which an admin may cure.
    too_big, not_picture: by what it declares or is. too_many: beyond MAX_PICTURES. later: worth another try.
    """

    def __init__(self, reason: str, kind: PictureFailure = "later", retry_after: float = 0.0) -> None:
        """`retry_after`: seconds that the platform asks for."""
        super().__init__(reason)
        self.reason = reason
        self.kind: PictureFailure = kind
        self.retry_after = retry_after


class PictureSource(Protocol):
    """How the pictures of one inlet are fetched. Many may be under way at once."""

    token_hosts: tuple[str, ...]
    """Where its files are, beside `hosts`, and its documentation has the token sent too. In the form of `hosts`."""
    plain_hosts: tuple[str, ...]
    """Where its files are, and nothing of ours goes: calls to these have no headers and no body."""

    def fetch(self, picture: PictureRef, now: float) -> PictureFetch:
        """The calls that fetch one picture, and its bytes. Raises PictureFailed, OutboundFailed or BadBody, and nothing
        else whatever the answers say.
        """
        ...


@runtime_checkable
class HasPictures(Protocol):
    pictures: PictureSource | None


def picture_source(platform: Platform) -> PictureSource | None:
    """How this platform's pictures are fetched; None where its messages name none."""
    return platform.pictures if isinstance(platform, HasPictures) else None


def picture_call(call: HttpCall) -> OutboundCall:
    """A call whose answer is a picture."""
    return OutboundCall(call, PICTURE_SECONDS, MAX_PICTURE)


def plain_call(url: str) -> OutboundCall:
    """A call of a picture's URL with nothing of ours in it."""
    return picture_call(HttpCall(url, b"", method="GET"))


def picture_of(answer: HttpResponse) -> bytes:
    """The body of an answer that is a picture; raises PictureFailed by its status where it is none."""
    if answer.status == 200:
        return answer.body
    raise status_failure(answer)


def status_failure(answer: HttpResponse) -> PictureFailed:
    """What an answer without a picture means, by its status (RFC 9110)."""
    said = f"it answered {answer.status}"
    if answer.status in (404, 410):
        return PictureFailed(said, "gone")
    after = answer.headers.get("retry-after", "")
    wait = float(after) if after.isascii() and after.isdigit() and len(after) < 6 else 0.0
    result = result_of_status(answer)
    return PictureFailed(said, "later" if getattr(result, "kind", "") == "later" else "refused", wait)


def is_picture(media_type: object, file_name: object = "") -> bool:
    """Whether a file is declared to be a picture: by its type, or by its name where it has no telling type."""
    if type(media_type) is str and media_type and media_type.lower() != "application/octet-stream":
        return media_type.lower().startswith("image/")
    return type(file_name) is str and file_name.lower().endswith(_NAMES)


def declared_size(value: Any) -> int:
    """Bytes that a platform declares; 0 for what is no number of bytes."""
    return value if type(value) is int and 0 < value < 2**53 else 0


def few_pictures(found: Iterable[PictureRef]) -> tuple[PictureRef, ...]:
    """Different ones, in their order, as many as a message may name."""
    return tuple(dict.fromkeys(found))[:MAX_PICTURE_REFS]


def delivery_failure(failed: DeliveryFailed) -> PictureFailed:
    """Of a call that is also made for replies, such as one for an access token."""
    after = failed.retry_after
    wait = float(after) if after.isascii() and after.isdigit() and len(after) < 6 else 0.0
    return PictureFailed(failed.reason, "later" if failed.kind == "later" else "refused", wait)
