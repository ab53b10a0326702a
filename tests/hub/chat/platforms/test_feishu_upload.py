"""Files on Feishu: im/v1/files, then a message of type file, with a token that may end in between."""

from __future__ import annotations

import json
from typing import Any

from hub.chat.platforms.base import Delivered, HttpCall, ReplyContent, ReplyRequest
from hub.chat.platforms.feishu import FeishuPlatform
from hub.chat.platforms.uploads import UploadCalls
from tests.each import each_of
from tests.hub.chat.platforms.test_feishu import API, NOW, platform, token_answer, with_token
from tests.hub.chat.platforms.uploading import (
    FILE,
    REQUEST,
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
    "om_1", "oc_ops", "What r42 printed:", ReplyRequest("R", 43, "done"), thread="om_1 thread", file=file_of()
)
PUT = answer({"code": 0, "msg": "success", "data": {"file_key": "file_v2_456a92d6-c6ea-4de4-ac3f-7afcf44ac78g"}})
DONE = answer({"code": 0, "data": {"message_id": "om_2"}})


def upload(made: FeishuPlatform | None = None) -> UploadCalls:
    return (made or with_token()).upload(file_reply(CONTENT, API), FILE, NOW)


def check_put(call: HttpCall, bearer: str = "t-1") -> None:
    assert (call.method, call.url) == ("POST", f"{API}/open-apis/im/v1/files")
    assert call.headers["Authorization"] == f"Bearer {bearer}"
    form = call_form(call)
    assert list(form) == ["file_type", "file_name", "file"]
    assert (form["file_type"].data, form["file_name"].data) == (b"stream", b"r42-output.txt")
    assert (form["file"].filename, form["file"].data) == (FILE.name, FILE.data)


def check_message(call: HttpCall) -> None:
    assert call.url == f"{API}/open-apis/im/v1/messages/om_1/reply"
    message = json.loads(call.body)
    assert json.loads(message.pop("content")) == {"file_key": "file_v2_456a92d6-c6ea-4de4-ac3f-7afcf44ac78g"}
    assert message == {"msg_type": "file", "uuid": f"{REQUEST}.7", "reply_in_thread": True}


def test_a_file_is_put_there_and_posted_as_a_reply() -> None:
    """With the reply's own uuid, by which a repeat is known."""
    (put, post), result = drive(upload(), PUT, DONE)
    assert result == Delivered("om_2")
    check_put(put)
    check_message(post)


def test_a_token_is_fetched_first_and_anew_where_it_ends() -> None:
    """Before the upload, and between upload and post, which then goes on with the same file."""
    (_, put, post), result = drive(upload(platform()), token_answer(), PUT, DONE)
    assert result == Delivered("om_2")
    check_put(put)
    ended = answer({"code": 99991663, "msg": "token expired"}, 400)
    made = with_token(NOW - 3_600)
    calls, result = drive(upload(made), ended, token_answer("t-2"), PUT, DONE)
    assert result == Delivered("om_2")
    check_put(calls[2], "t-2")
    made = with_token(NOW - 3_600)
    calls, result = drive(upload(made), PUT, ended, token_answer("t-2"), DONE)
    assert result == Delivered("om_2")
    check_message(calls[3])
    check_message(post)


def test_a_message_that_was_recalled_gets_the_file_in_the_chat() -> None:
    calls, result = drive(upload(), PUT, answer({"code": 230011, "msg": "recalled"}, 400), DONE)
    assert result == Delivered("om_2")
    assert calls[2].url == f"{API}/open-apis/im/v1/messages?receive_id_type=chat_id"
    message = json.loads(calls[2].body)
    assert (message["receive_id"], message["msg_type"]) == ("oc_ops", "file")


@each_of(
    ("code", "says"),
    [
        (99991672, "im:resource"),
        (234006, "too large"),
        (234007, "Bot capability"),
        (234010, "empty"),
        (234001, "Invalid request param"),
    ],
)
def test_what_is_refused_is_said_with_its_cure(code: int, says: str) -> None:
    no = answer({"code": code, "msg": "Invalid request param."}, 400)
    assert says in refused(result_of(upload(), no))


@each_of("data", [None, [], {}, {"file_key": 7}, {"file_key": ""}, {"file_key": 'x"}'}, {"file_key": "x" * 300}])
def test_an_answer_without_a_file_is_refused(data: Any) -> None:
    assert "names no file" in refused(result_of(upload(), answer({"code": 0, "data": data})))


def test_what_may_pass_is_tried_again() -> None:
    assert "too many" in waits(result_of(upload(), answer({"code": 99991400}, 429)))
    assert "502" in waits(result_of(upload(), answer(b"<html>", 502)))
    assert "not in the group" in refused(result_of(upload(), PUT, answer({"code": 230002}, 400)))


def test_no_answer_is_unexpected() -> None:
    never_raises(lambda: upload(platform()), (token_answer(), PUT, DONE))
