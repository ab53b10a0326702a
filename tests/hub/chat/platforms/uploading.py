"""Drives the calls that post a file, and reads the forms that they make with the standard library."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from email import message_from_bytes
from email.policy import HTTP
from typing import Any, Final

from hub.chat.platforms.base import DeliveryFailed, HttpCall, HttpResponse, OutboundReply, ReplyContent, ReplyFile
from hub.chat.platforms.uploads import UploadCalls, UploadFile, UploadRefused, UploadResult

FILE: Final = UploadFile("r42-output.txt", "==== web-1: uptime (done) ====\nup 1 day, 好\n".encode())
REQUEST: Final = "01KSXP5T9BG0J2YQ4D1M6W8F3A"


def file_reply(content: ReplyContent, url: str, **more: Any) -> OutboundReply:
    """The reply to `file r42`."""
    return OutboundReply(f"{REQUEST}.7", url, content.to_json(), **more)


def file_of(number: int = 42) -> ReplyFile:
    return ReplyFile(REQUEST, number)


def answer(body: Any, status: int = 200, **headers: str) -> HttpResponse:
    return HttpResponse(status, headers, body if isinstance(body, bytes) else json.dumps(body).encode())


def drive(calls: UploadCalls, *answers: HttpResponse) -> tuple[list[HttpCall], UploadResult | None]:
    """All calls that were made, and the result; None where one more was made than there are answers."""
    made = [next(calls)]
    try:
        for response in answers:
            made.append(calls.send(response))  # noqa: PERF401  its end would pass for that of the list
    except StopIteration as end:
        assert len(made) == len(answers), "it ended before its answers did"
        result: UploadResult = end.value
        return made, result
    calls.close()
    return made, None


def result_of(calls: UploadCalls, *answers: HttpResponse) -> UploadResult | None:
    return drive(calls, *answers)[1]


def refused(result: object) -> str:
    """Why the file cannot be posted."""
    assert isinstance(result, UploadRefused), result
    return result.reason


def waits(result: object) -> str:
    """Why it is tried again."""
    assert isinstance(result, DeliveryFailed), result
    assert result.kind == "later", result
    return result.reason


def never_raises(start: Callable[[], UploadCalls], good: tuple[HttpResponse, ...]) -> None:
    """Whatever one of the answers is, in place of a good one, there is a result or another call."""
    bodies = (b"", b"{", b"[]", b"null", b'{"ok":1}', b"<html>", b"\xff", b'{"data":[],"file_infos":{},"code":"0"}')
    odd = [HttpResponse(status, {}, body) for status in (200, 201, 302, 400, 404, 500) for body in bodies]
    for at in range(len(good)):
        for one in odd:
            calls = start()
            next(calls)
            try:
                for response in (*good[:at], one):
                    calls.send(response)
            except StopIteration:
                pass
            calls.close()


@dataclass(frozen=True)
class Field:
    filename: str | None
    kind: str | None
    data: bytes


def form_of(kind: str, body: bytes) -> dict[str, Field]:
    """The fields of a multipart form, by name."""
    message = message_from_bytes(f"Content-Type: {kind}\r\n\r\n".encode() + body, policy=HTTP)
    assert message.get_content_type() == "multipart/form-data"
    found = {}
    for part in message.iter_parts():  # type: ignore[attr-defined]
        raw = part.get_payload(decode=True)
        name = part.get_param("name", header="content-disposition")
        found[name] = Field(
            part.get_filename(), part["content-type"] and str(part["content-type"]).replace(chr(34), ""), raw
        )
    return found


def call_form(call: HttpCall) -> dict[str, Field]:
    return form_of(call.headers["Content-Type"], call.body)
