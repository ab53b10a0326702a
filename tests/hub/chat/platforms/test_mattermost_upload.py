"""Files on Mattermost: the upload, then the post that names it, and what errors mean."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

from hub.chat.platforms.base import Delivered, HttpCall, ReplyContent, ReplyRequest
from hub.chat.platforms.uploads import UploadCalls
from tests.each import each_of
from tests.hub.chat.platforms.test_mattermost import BOT_TOKEN, CHAT, ROOT
from tests.hub.chat.platforms.uploading import (
    FILE,
    answer,
    drive,
    file_of,
    file_reply,
    never_raises,
    refused,
    result_of,
    waits,
)

NOW = 1_480_000_005.0
CHANNEL, POST, OTHER, NAME = ("c" * 26, "p" * 26, "r" * 26, "f" * 26)
CONTENT = ReplyContent(POST, CHANNEL, "What r42 printed:", ReplyRequest("R", 43, "done"), thread=POST, file=file_of())
PUT = answer({"file_infos": [{"id": NAME, "name": FILE.name, "size": 51}], "client_ids": []}, 201)
DONE = answer({"id": OTHER, "channel_id": CHANNEL, "file_ids": [NAME]}, 201)
EARLIER = answer({"order": [], "posts": {}})


def upload(content: ReplyContent = CONTENT, **more: Any) -> UploadCalls:
    return CHAT.upload(file_reply(content, ROOT, **more), FILE, NOW)


def body(call: HttpCall) -> dict[str, Any]:
    assert (call.method, call.url) == ("POST", f"{ROOT}/api/v4/posts")
    found: dict[str, Any] = json.loads(call.body)
    return found


def test_a_file_is_put_into_the_channel_and_named_by_the_post() -> None:
    (put, post), result = drive(upload(), PUT, DONE)
    assert result == Delivered(OTHER)
    where = urlsplit(put.url)
    assert (put.method, f"{where.scheme}://{where.netloc}{where.path}") == ("POST", f"{ROOT}/api/v4/files")
    assert parse_qs(where.query) == {"channel_id": [CHANNEL], "filename": [FILE.name]}
    assert put.headers == {"Authorization": f"Bearer {BOT_TOKEN.decode()}", "Content-Type": FILE.content_type}
    assert put.body == FILE.data
    said = body(post)
    assert (said["file_ids"], said["message"], said["root_id"]) == ([NAME], r"What r42 printed\:", POST)
    assert said["pending_post_id"].startswith("answerback:")


def test_one_that_may_be_there_is_looked_for_first() -> None:
    """By its mark, before anything is uploaded; an older post with another mark is not it."""
    (_, post), _ = drive(upload(), PUT, DONE)
    mark = body(post)["props"]["answerback"]
    there = answer({"posts": {OTHER: {"id": OTHER, "props": {"answerback": mark}}}})
    (look,), result = drive(upload(repeated=True), there)
    assert (look.method, look.url, result) == ("GET", f"{ROOT}/api/v4/posts/{POST}/thread", Delivered())
    calls, result = drive(upload(repeated=True), EARLIER, PUT, DONE)
    assert ([call.method for call in calls], result) == (["GET", "POST", "POST"], Delivered(OTHER))
    assert body(calls[2])["file_ids"] == [NAME]


def test_the_thread_of_an_answer_is_found_and_the_file_put_once() -> None:
    """The post is refused where its thread is one itself; the second post names the same file."""
    wrong = answer({"id": "api.post.create_post.root_id.app_error"}, 400)
    calls, result = drive(upload(), PUT, wrong, answer({"id": POST, "root_id": OTHER}), DONE)
    assert result == Delivered(OTHER)
    assert [call.method for call in calls] == ["POST", "POST", "GET", "POST"]
    assert (body(calls[3])["root_id"], body(calls[3])["file_ids"]) == (OTHER, [NAME])


@each_of(
    ("status", "says"),
    [(403, "EnableFileAttachments"), (413, "MaxFileSize"), (501, "EnableFileAttachments"), (400, "400"), (404, "404")],
)
def test_what_is_refused_is_said_with_its_cure(status: int, says: str) -> None:
    error = {"id": "api.file.upload_file.too_large_detailed.app_error", "message": "x", "status_code": status}
    assert says in refused(result_of(upload(), answer(error, status)))


@each_of(
    "infos",
    [None, [], [{}], [{"id": "no id"}], [{"id": 7}], [{"id": NAME}, {"id": NAME}], {"id": NAME}],
)
def test_an_answer_without_a_file_is_refused(infos: Any) -> None:
    assert "names no file" in refused(result_of(upload(), answer({"file_infos": infos}, 201)))


def test_what_may_pass_is_tried_again() -> None:
    assert "token_file" in waits(result_of(upload(), answer({}, 401)))
    assert "429" in waits(result_of(upload(), answer({}, 429)))
    assert "502" in waits(result_of(upload(), PUT, answer(b"<html>", 502)))
    assert "archived" in refused(
        result_of(upload(), PUT, answer({"id": "api.post.create_post.can_not_post_to_deleted.error"}, 400))
    )


def test_no_answer_is_unexpected() -> None:
    never_raises(upload, (PUT, DONE))
    never_raises(lambda: upload(repeated=True), (EARLIER, PUT, DONE))
    odd = answer({"id": "api.post.create_post.root_id.app_error"}, 400)
    assert drive(upload(), odd)[1] is not None, "an error of posts as the answer to an upload"
    assert drive(upload(replace(CONTENT, thread="")), odd)[1] is not None
