"""hub.chat.platforms.dingtalk_files: pictures of messages to a robot, and the calls that fetch one."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
from dingtalk_stream import ChatbotMessage

from common.errors import UserError
from hub.chat.platforms.base import MAX_PICTURE_REFS, IncomingMessage
from hub.chat.platforms.dingtalk import DingTalkPlatform
from hub.chat.platforms.dingtalk_files import FILE_HOSTS, MAX_CODE, read_pictures
from tests.each import each_of
from tests.end_to_end.chats.dingtalk import APP_KEY, APP_SECRET, ROBOT
from tests.hub.chat.picture_chat import PNG, answer, drive
from tests.hub.chat.platforms.test_dingtalk import BODY, NOW, platform, receive

API = "https://api.dingtalk.com"
CODE = "mIofN681YE3f+/m+NntqpTXPpXTuFkEAJKr+gRcg5Ag="
NAME = f"{ROBOT} {CODE}"
STORE = "wukong-file-im-zjk.oss-cn-zhangjiakou.aliyuncs.com"
SIGNED = f"://{STORE}/ddmedia%2FiwEcAqNqcGcDAQTRBDg.jpg?x-oss-expires=1764317822&x-oss-signature=rn2%2BzVWxPwg"
TOKEN = {"accessToken": "t-1", "expireIn": 7200}


def with_key() -> DingTalkPlatform:
    return platform(app_key=APP_KEY)


def said(**more: Any) -> IncomingMessage:
    found = receive({**BODY, **more})
    assert isinstance(found, IncomingMessage), found
    return found


def test_pictures_files_and_rich_text() -> None:
    """As the official package reads them."""
    body = {**BODY, "msgtype": "picture", "content": {"downloadCode": CODE, "pictureDownloadCode": "other"}}
    found = said(**body)
    assert (found.text, [ref.name for ref in found.pictures]) == ("", [NAME])
    assert ChatbotMessage.from_dict(copy.deepcopy(body)).get_image_list() == [CODE]
    rich = {
        "msgtype": "richText",
        "content": {"richText": [{"text": "what is this?"}, {"type": "picture", "downloadCode": CODE}]},
    }
    found = said(**rich)
    assert (found.text, [ref.name for ref in found.pictures]) == ("what is this?", [NAME])
    assert ChatbotMessage.from_dict({**copy.deepcopy(BODY), **rich}).get_image_list() == [CODE]
    file = {"msgtype": "file", "content": {"downloadCode": CODE, "fileName": "shot.png", "fileId": "1", "spaceId": "2"}}
    assert [ref.name for ref in said(**file).pictures] == [NAME]
    assert [ref.name for ref in said(**body | {"robotCode": None}).pictures] == [f"- {CODE}"]


@each_of(
    "body",
    [
        {"msgtype": "picture"},
        {"msgtype": "picture", "content": json.dumps({"downloadCode": CODE})},
        {"msgtype": "picture", "content": {"downloadCode": 7}},
        {"msgtype": "picture", "content": {"downloadCode": "x" * (MAX_CODE + 1)}},
        {"msgtype": "richText", "content": {"richText": "x"}},
        {"msgtype": "richText", "content": {"richText": [1, {"type": "picture"}, {"downloadCode": CODE}]}},
        {"msgtype": "file", "content": {"downloadCode": CODE, "fileName": "x.zip"}},
        {"msgtype": "video", "content": {"downloadCode": CODE}},
        {"msgtype": "text", "content": {"downloadCode": CODE}},
    ],
)
def test_what_is_not_of_the_form_is_passed_over(body: dict[str, Any]) -> None:
    assert read_pictures(body, ROBOT) == ()


def test_there_are_bounds() -> None:
    parts = [{"type": "picture", "downloadCode": f"c{n}"} for n in range(MAX_PICTURE_REFS + 5)]
    assert len(read_pictures({"msgtype": "richText", "content": {"richText": parts}}, ROBOT)) == MAX_PICTURE_REFS


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_it_is_fetched_without_the_token(scheme: str) -> None:
    """A token, an address, and the file: by https also where the API says http, with its signature as it was."""
    chat = with_key()
    done = drive(chat.pictures, NAME, answer(TOKEN), answer({"downloadUrl": scheme + SIGNED}), answer(PNG), now=NOW)
    assert done.result == PNG
    token, where, file = done.calls
    assert token.url == f"{API}/v1.0/oauth2/accessToken"
    assert where.url == f"{API}/v1.0/robot/messageFiles/download"
    assert json.loads(where.body) == {"downloadCode": CODE, "robotCode": ROBOT}
    assert where.headers["x-acs-dingtalk-access-token"] == "t-1"
    assert (file.url, file.method, dict(file.headers), file.body) == ("https" + SIGNED, "GET", {}, b"")
    assert (chat.pictures.token_hosts, chat.pictures.plain_hosts) == ((), FILE_HOSTS)
    again = drive(chat.pictures, f"- {CODE}", answer({"downloadUrl": "https" + SIGNED}), answer(PNG), now=NOW)
    assert json.loads(again.calls[0].body)["robotCode"] == APP_KEY


def test_a_refused_token_is_fetched_anew_once() -> None:
    chat, refused = with_key(), answer({"code": "InvalidAuthentication"}, 401)
    there = answer({"downloadUrl": "https" + SIGNED})
    done = drive(chat.pictures, NAME, answer(TOKEN), refused, answer(TOKEN), there, answer(PNG), now=NOW)
    assert done.result == PNG
    found = drive(with_key().pictures, NAME, answer(TOKEN), refused, answer(TOKEN), refused, now=NOW)
    assert found.kind == "refused"


@each_of(
    ("given", "kind"),
    [
        (answer({"code": "invalidParameter.downloadCode", "message": "x"}, 400), "gone"),
        (answer({"code": "Forbidden.AccessDenied.AccessTokenPermissionDenied"}, 403), "refused"),
        (answer({"code": "Throttling.Api"}, 400), "later"),
        (answer({"code": "ServiceUnavailable"}, 503), "later"),
        (answer({"downloadUrl": 7}), "refused"),
        (answer({"downloadUrl": "file:///etc/passwd"}), "refused"),
        (answer({"downloadUrl": "https://user@evil.example/"}), "refused"),
        (answer(b"<html>", 502), "later"),
    ],
)
def test_what_is_no_address_is_told_apart(given: Any, kind: str) -> None:
    found = drive(with_key().pictures, NAME, answer(TOKEN), given, now=NOW)
    assert (found.kind, len(found.calls)) == (kind, 2)


@each_of(("status", "kind"), [(404, "gone"), (403, "refused"), (302, "refused"), (503, "later")])
def test_what_is_no_picture_is_told_apart(status: int, kind: str) -> None:
    there = answer({"downloadUrl": "http" + SIGNED})
    assert drive(with_key().pictures, NAME, answer(TOKEN), there, answer(b"", status), now=NOW).kind == kind


def test_what_the_inlet_needs() -> None:
    """app_key; and hosts of files that are hosts. A token that is not had says why, without the AppSecret."""
    found = drive(platform(app_key="").pictures, NAME, now=NOW)
    assert (found.kind, "app_key" in found.said) == ("refused", True)
    assert platform(picture_hosts=("files.example",)).pictures.plain_hosts == ("files.example",)
    with pytest.raises(UserError, match="picture_hosts"):
        platform(picture_hosts=("https://files.example/path",))
    denied = answer({"code": "invalidClientIdOrSecret", "message": APP_SECRET}, 400)
    found = drive(with_key().pictures, NAME, denied, now=NOW)
    assert (found.kind, APP_SECRET in found.said) == ("refused", False)
