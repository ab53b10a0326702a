"""Files on Telegram: sendDocument as the Bot API documents it, and what its errors mean."""

from __future__ import annotations

import json
from typing import Any

from telegram import Update

from hub.chat.platforms.base import Delivered, ReplyContent, ReplyRequest
from hub.chat.platforms.uploads import UploadCalls
from tests.each import each_of
from tests.hub.chat.platforms.test_telegram import BOT, NOW, ROOT, TOKEN, refusal
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
    "tg/-1001234567890/1365",
    "-1001234567890",
    "What r42 printed:",
    ReplyRequest("R", 43, "done"),
    thread="7",
    file=file_of(),
)
MESSAGE = {
    "message_id": 1400,
    "date": 1_700_000_000,
    "chat": {"id": -1001234567890, "type": "supergroup", "title": "ops"},
    "document": {"file_id": "BQAC", "file_unique_id": "AgAD", "file_name": "r42-output.txt", "file_size": 51},
    "caption": "What r42 printed:",
}
POSTED = answer({"ok": True, "result": MESSAGE})


def upload(content: ReplyContent = CONTENT) -> UploadCalls:
    return BOT.upload(file_reply(content, ROOT), FILE, NOW)


def no(description: str, code: int = 400, **parameters: Any) -> Any:
    return answer(refusal(description, code, **parameters), code)


def test_a_document_goes_where_the_message_was() -> None:
    """To the topic, as an answer to the message, with the words as a caption; what is no text is JSON."""
    (call,), result = drive(upload(), POSTED)
    assert result == Delivered("-1001234567890/1400")
    assert call.url == f"{ROOT}/bot{TOKEN}/sendDocument"
    form = call_form(call)
    file = form.pop("document")
    assert (file.filename, file.kind, file.data) == (FILE.name, "text/plain; charset=utf-8", FILE.data)
    fields = {name: one.data.decode() for name, one in form.items()}
    assert json.loads(fields.pop("reply_parameters")) == {"message_id": 1365, "allow_sending_without_reply": True}
    assert fields == {
        "chat_id": "-1001234567890",
        "message_thread_id": "7",
        "caption": "What r42 printed:",
        "disable_content_type_detection": "true",
    }
    assert Update.de_json({"update_id": 1, "message": MESSAGE}, None).effective_message.document.file_size == 51


def test_a_group_that_has_moved_gets_it_where_it_is() -> None:
    """The same file once more; what it answered stayed behind."""
    calls, result = drive(upload(), no("Bad Request: group chat was upgraded", migrate_to_chat_id=-1009), POSTED)
    assert result == Delivered("-1001234567890/1400")
    form = call_form(calls[1])
    assert form["chat_id"].data == b"-1009"
    assert form["document"].data == FILE.data
    assert "reply_parameters" not in form


@each_of(
    ("description", "code", "says"),
    [
        ("Bad Request: not enough rights to send documents to the chat", 400, "allowed to send files"),
        ("Bad Request: file must be non-empty", 400, "non-empty"),
        ("Request Entity Too Large", 413, "Too Large"),
        ("Bad Request: TOPIC_CLOSED", 400, "open the topic"),
        ("Bad Request: chat not found", 400, "add the bot"),
        ("Forbidden: bot was kicked from the group chat", 403, "add the bot"),
    ],
)
def test_what_is_refused_is_said_with_its_cure(description: str, code: int, says: str) -> None:
    reason = refused(result_of(upload(), no(description, code)))
    assert says in reason
    assert TOKEN not in reason


def test_what_may_pass_is_tried_again() -> None:
    """A rate limit, a token that an admin replaces, Telegram itself."""
    assert "wait" in waits(result_of(upload(), no("Too Many Requests: retry after 5", 429, retry_after=5)))
    assert "secret_file" in waits(result_of(upload(), no("Unauthorized", 401)))
    assert "502" in waits(result_of(upload(), answer(b"<html>", 502)))


def test_no_answer_is_unexpected() -> None:
    never_raises(upload, (no("moved", migrate_to_chat_id=-1009), POSTED))
