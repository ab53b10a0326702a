"""Files on Discord: payload_json and files[0], by the interaction's answer or by the bot, and what errors mean."""

from __future__ import annotations

import json
from typing import Any

from hub.chat.platforms.base import Delivered, HttpCall, ReplyContent, ReplyRequest
from hub.chat.platforms.uploads import UploadCalls
from tests.each import each_of
from tests.hub.chat.platforms.test_discord import API, BOT, EVENT, NOW, POSTED, REF, TOKEN, error
from tests.hub.chat.platforms.uploading import (
    FILE,
    answer,
    call_form,
    drive,
    file_of,
    file_reply,
    never_raises,
    refused,
    result_of,
    waits,
)

CONTENT = ReplyContent(
    EVENT,
    "645027906669510667",
    "What r42 printed: @everyone",
    ReplyRequest("R", 43, "done"),
    thread="111/aW50ZXJhY3Rpb24",
    file=file_of(),
)
DONE = answer(POSTED)
LATER = NOW + 3_600


def upload(now: float = NOW + 2, **more: Any) -> UploadCalls:
    return BOT.upload(file_reply(CONTENT, API, **more), FILE, now)


def payload(call: HttpCall) -> dict[str, Any]:
    form = call_form(call)
    assert list(form) == ["payload_json", "files[0]"]
    assert form["payload_json"].kind == "application/json"
    file = form["files[0]"]
    assert (file.filename, file.kind, file.data) == (FILE.name, "text/plain; charset=utf-8", FILE.data)
    found: dict[str, Any] = json.loads(form["payload_json"].data)
    return found


def test_the_answer_to_the_command_becomes_the_file() -> None:
    """It is changed as words would change it, so that nothing goes on thinking; nobody is mentioned."""
    (call,), result = drive(upload(), DONE)
    assert result == Delivered(REF)
    assert (call.method, call.url) == ("PATCH", f"{API}/webhooks/111/aW50ZXJhY3Rpb24/messages/@original")
    assert "Authorization" not in call.headers
    said = payload(call)
    assert said["attachments"] == [{"id": 0, "filename": "r42-output.txt"}]
    assert said["allowed_mentions"] == {"parse": []}
    assert said["content"] == "What r42 printed: @everyone"


def test_later_the_bot_posts_it_once() -> None:
    """With a nonce that is the same on every try; also where the interaction's token is found to be over."""
    (call,), result = drive(upload(LATER), DONE)
    assert result == Delivered(REF)
    assert (call.method, call.url) == ("POST", f"{API}/channels/645027906669510667/messages")
    assert call.headers["Authorization"] == f"Bot {TOKEN}"
    said = payload(call)
    assert (said["enforce_nonce"], len(said["nonce"])) == (True, 24)
    assert drive(upload(LATER + 9, repeated=True), DONE)[0] == [call]
    calls, result = drive(upload(NOW + 60), answer(error(50027, "Invalid Webhook Token"), 401), DONE)
    assert result == Delivered(REF)
    assert payload(calls[1])["nonce"] == said["nonce"]


@each_of(
    ("code", "status", "says"),
    [
        (50013, 403, "Attach Files"),
        (40005, 413, "too large"),
        (10003, 404, "deleted"),
        (0, 413, "413"),
        (50035, 400, "50035"),
    ],
)
def test_what_is_refused_is_said_with_its_cure(code: int, status: int, says: str) -> None:
    assert says in refused(result_of(upload(LATER), answer(error(code), status)))


def test_what_may_pass_is_tried_again() -> None:
    limited = answer({"message": "You are being rate limited.", "retry_after": 1.2, "global": False}, 429)
    assert "wait" in waits(result_of(upload(LATER), limited))
    assert "token" in waits(result_of(upload(LATER), answer(error(0, "401: Unauthorized"), 401)))
    assert "502" in waits(result_of(upload(LATER), answer(b"<html>", 502)))


def test_no_answer_is_unexpected() -> None:
    never_raises(lambda: upload(NOW + 60), (answer(error(50027), 401), DONE))
