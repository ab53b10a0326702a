"""Files on Slack: the three calls with the arguments of its documentation, and what its errors mean."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

from hub.chat.platforms.base import Delivered, HttpCall, ReplyContent, ReplyRequest
from hub.chat.platforms.uploads import UploadCalls
from tests.each import each_of
from tests.hub.chat.platforms.test_slack import API, NOW, SLACK, platform
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

CONTENT = ReplyContent(
    "C0OPS/1.2",
    "C0OPS",
    "What r42 <printed> & more:",
    ReplyRequest("R", 43, "done"),
    thread="1355517523.000005",
    file=file_of(),
)
URL = "https://files.slack.com/upload/v1/ABC123xyz"
PLACE = answer({"ok": True, "upload_url": URL, "file_id": "F123ABC456"})
PUT = answer(b"OK - 51")
DONE = answer({"ok": True, "files": [{"id": "F123ABC456", "title": "r42 output, for r43"}]})


def upload(content: ReplyContent = CONTENT, **more: Any) -> UploadCalls:
    return SLACK.upload(file_reply(content, API, **more), FILE, NOW)


def fields(call: HttpCall) -> dict[str, str]:
    """The arguments of a form."""
    assert call.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert call.headers["Authorization"].startswith("Bearer xoxb-")
    return {key: value for key, (value,) in parse_qs(call.body.decode(), strict_parsing=True).items()}


def test_a_file_is_asked_a_place_put_there_and_shared() -> None:
    """The token goes to the Web API alone; the words have no markup; nobody else sees the file before it is shared."""
    (place, put, share), result = drive(upload(), PLACE, PUT, DONE)
    assert result == Delivered()
    assert place.url == f"{API}/files.getUploadURLExternal"
    assert fields(place) == {"filename": "r42-output.txt", "length": str(len(FILE.data))}
    assert (put.url, put.body, put.method) == (URL, FILE.data, "POST")
    assert put.headers == {"Content-Type": "application/octet-stream"}
    assert share.url == f"{API}/files.completeUploadExternal"
    found = fields(share)
    assert json.loads(found.pop("files")) == [{"id": "F123ABC456", "title": "r42 output, for r43"}]
    assert found == {
        "channel_id": "C0OPS",
        "thread_ts": "1355517523.000005",
        "initial_comment": "What r42 &lt;printed&gt; &amp; more:",
    }
    (*_, share), _ = drive(upload(replace(CONTENT, thread="@U1")), PLACE, PUT, DONE)
    assert "thread_ts" not in fields(share)


@each_of(
    "url",
    [
        "https://evil.example/upload",
        "https://files.slack.com.evil.example/upload",
        "http://files.slack.com/upload",
        "https://files.slack.com:8443/upload",
        "https://user@files.slack.com/upload",
        "https://files.slack.com",
        "",
        None,
        7,
    ],
)
def test_bytes_go_to_slacks_own_file_host_alone(url: Any) -> None:
    """Whatever address its API names."""
    place = answer({"ok": True, "upload_url": url, "file_id": "F1"})
    assert "files.slack.com" in refused(result_of(upload(), place))


def test_the_file_host_is_that_of_the_api() -> None:
    """GovSlack's own; a server of a test is its own."""
    assert SLACK.hosts == ("https://slack.com:443", "https://files.slack.com")
    assert platform(api_url="http://127.0.0.1:8080/api").hosts == ("http://127.0.0.1:8080",)
    gov = platform(api_url="https://slack-gov.com/api")
    calls = gov.upload(file_reply(CONTENT, API), FILE, NOW)
    assert "files.slack-gov.com" in refused(result_of(calls, PLACE))
    odd = answer({"ok": True, "upload_url": URL, "file_id": "F1/../x"})
    assert "no address" in refused(result_of(upload(), odd))


@each_of(
    ("error", "says"),
    [
        ("missing_scope", "files:write"),
        ("not_in_channel", "invite the bot"),
        ("channel_not_found", "invite the bot"),
        ("file_uploads_disabled", "lets nobody upload"),
        ("some_new_error", "some_new_error"),
    ],
)
def test_what_is_refused_is_said_with_its_cure(error: str, says: str) -> None:
    """By the first call and by the last one."""
    no = answer({"ok": False, "error": error})
    assert says in refused(result_of(upload(), no))
    assert says in refused(result_of(upload(), PLACE, PUT, no))


def test_what_may_pass_is_tried_again() -> None:
    """A rate limit, a token that an admin replaces, Slack itself."""
    busy = answer(b"", 429, **{"retry-after": "30"})
    assert "429" in waits(result_of(upload(), busy))
    assert "ratelimited" in waits(result_of(upload(), answer({"ok": False, "error": "ratelimited"})))
    assert "token_file" in waits(result_of(upload(), answer({"ok": False, "error": "invalid_auth"})))
    assert "503" in waits(result_of(upload(), PLACE, answer(b"", 503)))
    assert "404" in refused(result_of(upload(), PLACE, answer(b"", 404)))
    assert "302" in refused(result_of(upload(), PLACE, answer(b"", 302, location="https://evil.example")))


def test_one_that_may_be_there_is_looked_for_first() -> None:
    """By its title, which names the message that asked; what cannot be looked for is posted."""
    there = answer({"ok": True, "messages": [{"ts": "1.2", "files": [{"title": "r42 output, for r43"}]}]})
    (look,), result = drive(upload(repeated=True), there)
    assert result == Delivered()
    assert look.method == "GET"
    assert urlsplit(look.url).path == "/api/conversations.replies"
    other = [{"files": [{"title": "r42 output, for r41"}, 1]}, {"files": 3}, 4, {}]
    for first in (answer({"ok": True, "messages": other}), answer({"ok": False, "error": "missing_scope"})):
        calls, result = drive(upload(repeated=True), first, PLACE, PUT, DONE)
        assert (len(calls), result) == (4, Delivered())
    assert "429" in waits(result_of(upload(repeated=True), answer(b"", 429)))


def test_no_answer_is_unexpected() -> None:
    never_raises(upload, (PLACE, PUT, DONE))
    never_raises(lambda: upload(repeated=True), (answer({"ok": True}), PLACE, PUT, DONE))
