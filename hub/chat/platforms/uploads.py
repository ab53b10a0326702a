"""Files that a platform can post: the interface that such a platform has beside `Platform`. No I/O.

A reply with a file (`ReplyContent.file`) names only whose output it is; the delivery worker reads that when it posts,
and gives it to the platform. `upload` is written as a generator, as an outbound mode's rounds are: it yields the calls
to make, is sent their answers, and returns what came of it.

    def upload(self, reply: OutboundReply, file: UploadFile, now: float) -> UploadCalls:
        answer = yield HttpCall(f"{self._api}/files", file.data, {"Content-Type": file.content_type})
        if answer.status != 201:
            return as_upload(result_of_status(answer))
        answer = yield self._post(reply, file_of(answer))
        return as_upload(self.handle_response(reply, ...))

A call may go to the same hosts as replies. Where a file cannot be posted, and trying again would not help, the reply is
posted as words that say why, and what to do (`UploadRefused`): whoever asked hears of it in any case.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Final, Protocol, runtime_checkable

from hub.chat.platforms.base import (
    CardGone,
    Delivered,
    DeliveryFailed,
    DeliveryResult,
    HttpCall,
    HttpResponse,
    NextCall,
    OutboundReply,
    Platform,
)

MAX_UPLOAD: Final = 4 * 1024 * 1024
"""Bytes of a file; every platform that has uploads takes more (the least: Discord, 10 MiB)."""


@dataclass(frozen=True, slots=True)
class UploadFile:
    """A text file in UTF-8, of 1 to MAX_UPLOAD bytes."""

    name: str  # ASCII letters, digits, - and one point: "r42-output.txt"
    data: bytes
    content_type: str = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class UploadRefused:
    """The file cannot be posted there. `reason` is one line without secrets, with the cure where an admin has one."""

    reason: str


UploadResult = Delivered | DeliveryFailed | UploadRefused
UploadCalls = Generator[HttpCall, HttpResponse, UploadResult]


@runtime_checkable
class Uploads(Protocol):
    """A platform that can post a file."""

    def upload(self, reply: OutboundReply, file: UploadFile, now: float) -> UploadCalls:
        """The calls that post the file where `reply` goes, with its text where the platform has room for words beside
        a file. Whatever the answers say, nothing is raised.
        """
        ...


def reader(platform: Platform, reply: OutboundReply, now: float) -> Callable[[HttpCall, HttpResponse], DeliveryResult]:
    """Reads the answer to a call as the platform does that of a reply without a file."""
    return lambda call, response: platform.handle_response(reply, call, response, now)


def as_upload(result: DeliveryResult) -> UploadResult:
    """The result of the call that posted the file, as of any reply: what is refused for good is said in words."""
    match result:
        case DeliveryFailed(reason, "gone" | "refused"):
            return UploadRefused(reason)
        case CardGone() | NextCall():
            return DeliveryFailed("a file is no card")  # no platform answers so where no card is changed
    return result
