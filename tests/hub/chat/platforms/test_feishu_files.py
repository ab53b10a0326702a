"""hub.chat.platforms.feishu_files: pictures of messages, and the calls that fetch one."""

from __future__ import annotations

import json
from typing import Any

from hub.chat.platforms.base import MAX_PICTURE_REFS, Ignored, IncomingMessage
from hub.chat.platforms.feishu_event import MessageEvent, read_message
from hub.chat.platforms.feishu_files import read_pictures
from tests.each import each_of
from tests.end_to_end.chats.feishu import APP_SECRET, BOT, message_event
from tests.hub.chat.picture_chat import PNG, answer, drive
from tests.hub.chat.platforms.test_feishu import API, NOW, platform, receive, token_answer, with_token

KEY = "img_v2_041b28e3-5680-48c2-9af2-497ace79333g"
NAME = f"om_1/image/{KEY}"
URL = f"{API}/open-apis/im/v1/messages/om_1/resources/{KEY}?type=image"
TOKEN_URL = f"{API}/open-apis/auth/v3/tenant_access_token/internal"


def message(kind: str, content: object, **more: Any) -> dict[str, Any]:
    return message_event("", "ou_alice", message_id="om_1", message_type=kind, content=json.dumps(content), **more)


def read(kind: str, content: object, **more: Any) -> MessageEvent | Ignored:
    return read_message(message(kind, content, **more)["event"], "bot", BOT)


def said(kind: str, content: object, **more: Any) -> tuple[str, list[str]]:
    found = read(kind, content, **more)
    assert isinstance(found, MessageEvent), found
    return found.text, [ref.name for ref in found.pictures]


def test_pictures_files_and_rich_text() -> None:
    """A picture by itself has no words; a rich text has both; a file is a picture by its name."""
    direct = {"chat_type": "p2p", "mentions": None}
    assert said("image", {"image_key": KEY}, **direct) == ("", [NAME])
    assert said("file", {"file_key": "file_v2_1", "file_name": "Shot.PNG"}, **direct) == ("", ["om_1/file/file_v2_1"])
    rows = [
        [{"tag": "at", "user_id": "@_user_1"}, {"tag": "text", "text": " what is this?"}],
        [{"tag": "img", "image_key": KEY}],
    ]
    assert said("post", {"title": "", "content": rows}) == ("what is this?", [NAME])
    only = [[{"tag": "at", "user_id": "@_user_1"}, {"tag": "img", "image_key": KEY}]]
    assert said("post", {"content": only}) == ("", [NAME])
    found = receive(message("image", {"image_key": KEY}, **direct), platform())
    assert isinstance(found, IncomingMessage)
    assert (found.text, found.addressed, [ref.name for ref in found.pictures]) == ("", True, [NAME])


@each_of(
    ("kind", "content"),
    [
        ("image", {}),
        ("image", {"image_key": 7}),
        ("image", {"image_key": "../x"}),
        ("image", {"image_key": "x" * 201}),
        ("image", {"image_key": "ключ"}),
        ("file", {"file_key": "f1", "file_name": "x.zip"}),
        ("file", {"file_key": "f1"}),
        ("media", {"image_key": KEY, "file_key": "f1"}),
        ("post", {"content": "x"}),
        ("post", {"content": [[{"tag": "img"}, {"tag": "img", "image_key": None}]]}),
        ("text", {"image_key": KEY}),
    ],
)
def test_what_is_not_of_the_form_is_passed_over(kind: str, content: dict[str, Any]) -> None:
    assert read_pictures(kind, content, "om_1") == ()


def test_there_are_bounds() -> None:
    row = [{"tag": "img", "image_key": f"img_{n}"} for n in range(MAX_PICTURE_REFS + 5)]
    assert len(read_pictures("post", {"content": [row]}, "om_1")) == MAX_PICTURE_REFS


def test_it_is_fetched_with_a_token() -> None:
    """Which is fetched first where there is none; it is the one that replies are posted with."""
    chat = platform()
    done = drive(chat.pictures, NAME, token_answer("t-7"), answer(PNG), now=NOW)
    assert done.result == PNG
    assert [call.url for call in done.calls] == [TOKEN_URL, URL]
    assert (done.calls[1].method, dict(done.calls[1].headers)) == ("GET", {"Authorization": "Bearer t-7"})
    assert drive(chat.pictures, NAME, answer(PNG), now=NOW).result == PNG
    file = drive(with_token().pictures, "om_1/file/file_v2_1", answer(PNG), now=NOW)
    assert file.calls[0].url.endswith("/resources/file_v2_1?type=file")
    assert (chat.pictures.token_hosts, chat.pictures.plain_hosts) == ((), ())


def test_a_refused_token_is_fetched_anew_once() -> None:
    refused = answer({"code": 99991663, "msg": "invalid access token"}, 400)
    done = drive(with_token().pictures, NAME, refused, token_answer("t-8"), answer(PNG), now=NOW)
    assert (done.result, done.calls[-1].headers["Authorization"]) == (PNG, "Bearer t-8")
    again = drive(with_token().pictures, NAME, refused, token_answer("t-8"), refused, now=NOW)
    assert again.kind == "refused"


@each_of(
    ("given", "kind"),
    [
        (answer({"code": 234003, "msg": "File not in msg."}, 400), "gone"),
        (answer({"code": 234004, "msg": "App not in chat."}, 400), "refused"),
        (answer({"code": 234006, "msg": "The file size exceed the max value."}, 400), "too_big"),
        (answer({"code": 99991672, "msg": "no scope"}, 400), "refused"),
        (answer({"code": 99991400, "msg": "too often"}, 429), "later"),
        (answer({"code": 234001, "msg": "@everyone"}, 400), "refused"),
        (answer(b"", 404), "gone"),
        (answer(b"{", 502), "later"),
        (answer(b"", 302, location="https://evil.example/"), "refused"),
    ],
)
def test_what_is_no_picture_is_told_apart(given: Any, kind: str) -> None:
    found = drive(with_token().pictures, NAME, given, now=NOW)
    assert (found.kind, len(found.calls)) == (kind, 1)
    assert "everyone" not in found.said


def test_without_a_token_there_is_no_picture() -> None:
    """The reason has no secret."""
    for given, kind in ((answer({"code": 10014, "msg": APP_SECRET}), "refused"), (answer(b"", 503), "later")):
        found = drive(platform().pictures, NAME, given, now=NOW)
        assert (found.kind, APP_SECRET in found.said) == (kind, False)
    assert drive(platform().pictures, "no such name", now=NOW).kind == "gone"
