"""Files in Matrix rooms: the content repository, then one m.file event, and what errors mean."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from hub.chat.platforms.base import Delivered, ReplyContent, ReplyRequest
from hub.chat.platforms.uploads import UploadCalls
from tests.each import each_of
from tests.hub.chat.platforms.test_matrix import MATRIX, NOW, ROOM, TABLE
from tests.hub.chat.platforms.uploading import (
    FILE,
    REQUEST,
    answer,
    drive,
    file_of,
    file_reply,
    never_raises,
    refused,
    result_of,
    waits,
)

CONTENT = ReplyContent(
    "$asked:example.org", ROOM, "What r42 printed:", ReplyRequest("R", 43, "done"), thread="$root", file=file_of()
)
API = TABLE.api_url.rstrip("/")
PUT = answer({"content_uri": "mxc://example.org/AbCd_1-2"})
DONE = answer({"event_id": "$posted"})


def upload(content: ReplyContent = CONTENT, **more: Any) -> UploadCalls:
    return MATRIX.upload(file_reply(content, API, **more), FILE, NOW)


def test_a_file_is_put_there_and_named_by_one_event() -> None:
    """In the thread, with the words as its caption, and nobody is called; the same event on every try."""
    (put, send), result = drive(upload(), PUT, DONE)
    assert result == Delivered("$posted")
    assert (put.method, put.url) == ("POST", f"{API}/_matrix/media/v3/upload?filename=r42-output.txt")
    assert put.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert put.headers["Authorization"].startswith("Bearer ")
    assert put.body == FILE.data
    assert send.method == "PUT"
    assert send.url.endswith(f"/send/m.room.message/answerback-{REQUEST}.7-new")
    event = json.loads(send.body)
    assert (event["msgtype"], event["filename"], event["url"]) == ("m.file", FILE.name, "mxc://example.org/AbCd_1-2")
    assert event["info"] == {"mimetype": "text/plain", "size": len(FILE.data)}
    assert (event["body"], event["m.mentions"]) == ("What r42 printed:", {})
    assert (event["m.relates_to"]["rel_type"], event["m.relates_to"]["event_id"]) == ("m.thread", "$root")
    (_, again), _ = drive(upload(repeated=True), answer({"content_uri": "mxc://example.org/other"}), DONE)
    assert again.url == send.url
    (_, direct), _ = drive(upload(replace(CONTENT, thread="")), PUT, DONE)
    assert json.loads(direct.body)["m.relates_to"] == {"m.in_reply_to": {"event_id": "$asked:example.org"}}


@each_of(
    ("code", "status", "says"),
    [("M_TOO_LARGE", 413, "of that size"), ("M_FORBIDDEN", 403, "put no files"), ("M_UNKNOWN", 400, "400")],
)
def test_what_is_refused_is_said(code: str, status: int, says: str) -> None:
    assert says in refused(result_of(upload(), answer({"errcode": code}, status)))


ODD_PLACES = [None, "", "https://example.org/x", "mxc://example.org", "mxc://example.org/a/b", f"mxc://e/{'x' * 256}"]


@each_of("uri", ODD_PLACES)
def test_an_answer_without_a_place_is_refused(uri: Any) -> None:
    assert "where it put the file" in refused(result_of(upload(), answer({"content_uri": uri})))


def test_what_may_pass_is_tried_again() -> None:
    limited = answer({"errcode": "M_LIMIT_EXCEEDED", "retry_after_ms": 2000}, 429)
    assert "wait" in waits(result_of(upload(), limited))
    assert "wait" in waits(result_of(upload(), PUT, limited))
    assert "log the bot in" in waits(result_of(upload(), answer({"errcode": "M_UNKNOWN_TOKEN"}, 401)))
    assert "502" in waits(result_of(upload(), answer(b"<html>", 502)))
    assert "invite it" in refused(result_of(upload(), PUT, answer({"errcode": "M_FORBIDDEN"}, 403)))


def test_no_answer_is_unexpected() -> None:
    never_raises(upload, (PUT, DONE))
