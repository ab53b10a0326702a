"""Files on WeCom: media/upload with the form of its documentation, then a file message."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs, urlsplit

from hub.chat.platforms.base import Delivered, HttpCall, ReplyContent, ReplyRequest
from hub.chat.platforms.uploads import UploadCalls
from hub.chat.platforms.wecom import WecomPlatform
from tests.each import each_of
from tests.hub.chat.platforms.test_wecom import API, NOW, platform
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

CONTENT = ReplyContent("m1", "carol", "What r42 printed:", ReplyRequest("R", 43, "done"), file=file_of())
TOKEN = answer({"errcode": 0, "errmsg": "ok", "access_token": "token-1", "expires_in": 7200})
PUT = answer({"errcode": 0, "errmsg": "", "type": "file", "media_id": "1G6nrLmr5EC3MMb_-zK1", "created_at": "138"})
DONE = answer({"errcode": 0, "errmsg": "ok", "invaliduser": "", "msgid": "xxxx"})


def upload(made: WecomPlatform | None = None) -> UploadCalls:
    return (made or platform()).upload(file_reply(CONTENT, f"{API}/"), FILE, NOW)


def query(call: HttpCall, path: str) -> dict[str, list[str]]:
    where = urlsplit(call.url)
    assert (call.method, f"{where.scheme}://{where.netloc}{where.path}") == ("POST", f"{API}/cgi-bin/{path}")
    return parse_qs(where.query)


def test_a_file_is_put_there_and_sent_to_the_member() -> None:
    """The form says how long the file is; the token is fetched once and kept."""
    made = platform()
    (_, put, send), result = drive(upload(made), TOKEN, PUT, DONE)
    assert result == Delivered()
    assert query(put, "media/upload") == {"access_token": ["token-1"], "type": ["file"]}
    file = call_form(put)["media"]
    assert (file.filename, file.kind, file.data) == (FILE.name, "application/octet-stream", FILE.data)
    assert f'name="media"; filename="{FILE.name}"; filelength={len(FILE.data)}\r\n'.encode() in put.body
    assert query(send, "message/send") == {"access_token": ["token-1"]}
    message = json.loads(send.body)
    assert message == {
        "touser": "carol",
        "agentid": message["agentid"],
        "msgtype": "file",
        "file": {"media_id": "1G6nrLmr5EC3MMb_-zK1"},
    }
    assert drive(upload(made), PUT, DONE)[1] == Delivered()


def test_a_token_that_has_ended_is_fetched_once_more() -> None:
    """Before the upload, and between upload and message; a second refusal is no cure."""
    ended = answer({"errcode": 42001, "errmsg": "expired"})
    assert drive(upload(), TOKEN, ended, TOKEN, PUT, DONE)[1] == Delivered()
    assert drive(upload(), TOKEN, PUT, ended, TOKEN, DONE)[1] == Delivered()
    assert "just given" in waits(result_of(upload(), TOKEN, ended, TOKEN, ended))


@each_of(("code", "says"), [(40006, "40006"), (44001, "44001"), (81013, "visible range")])
def test_what_is_refused_is_said(code: int, says: str) -> None:
    no = answer({"errcode": code, "errmsg": "hint: [secret]"})
    assert says in refused(result_of(upload(), TOKEN, no))
    assert says in refused(result_of(upload(), TOKEN, PUT, no))
    gone = answer({"errcode": 0, "invaliduser": "carol"})
    assert "visible range" in refused(result_of(upload(), TOKEN, PUT, gone))


@each_of("name", [None, "", 7, "x" * 600])
def test_an_answer_without_a_file_is_refused(name: Any) -> None:
    assert "names no file" in refused(result_of(upload(), TOKEN, answer({"errcode": 0, "media_id": name})))


def test_what_may_pass_is_tried_again() -> None:
    assert "45009" in waits(result_of(upload(), TOKEN, answer({"errcode": 45009})))
    assert "trusted IPs" in waits(result_of(upload(), TOKEN, answer({"errcode": 60020})))
    assert "app_secret_file" in waits(result_of(upload(), answer({"errcode": 40001})))
    assert "502" in waits(result_of(upload(), TOKEN, answer(b"<html>", 502)))


def test_no_answer_is_unexpected() -> None:
    never_raises(upload, (TOKEN, PUT, DONE))
