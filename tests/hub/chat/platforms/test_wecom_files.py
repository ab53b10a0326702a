"""hub.chat.platforms.wecom_files: a picture that a member sent, and the calls that fetch it."""

from __future__ import annotations

from typing import Any

from wechatpy.enterprise import parse_message

from hub.chat.platforms.base import ImmediateResponse, IncomingMessage
from hub.chat.platforms.wecom_files import read_picture
from tests.each import each_of
from tests.hub.chat.picture_chat import PNG, answer, drive
from tests.hub.chat.platforms.test_wecom import API, NOW, SAID, delivery, platform, xml

MEDIA = "2Q2zpVKzPSY6mGTB0v2eEb9uPHb1K-YFnGGkvl4cx_hIeSg4"
SENT = {key: value for key, value in SAID.items() if key != "Content"} | {
    "MsgType": "image",
    "PicUrl": "http://wework.qpic.cn/wwpic/1/0",
    "MediaId": MEDIA,
}
TOKEN = {"errcode": 0, "errmsg": "ok", "access_token": "t 1/+", "expires_in": 7200}
URL = f"{API}/cgi-bin/media/get?access_token=t%201%2F%2B&media_id={MEDIA}"


def test_a_picture_is_a_message_without_words() -> None:
    """Known by its MediaId, as another's package reads it; PicUrl, which needs no token, is not called."""
    found = platform().receive(delivery(xml(**SENT)), NOW)
    assert isinstance(found, IncomingMessage)
    assert (found.user, found.text, [ref.name for ref in found.pictures]) == ("carol", "", [MEDIA])
    assert (found.event_id, found.response) == (SAID["MsgId"], ImmediateResponse(b"", "text/plain"))
    assert parse_message(xml(**SENT)).media_id == MEDIA


@each_of("media", ["", "a b", "../x", "a&b=c", "x" * 501, "ü"])
def test_what_is_no_name_is_passed_over(media: str) -> None:
    """And acknowledged, so that it does not come again."""
    assert read_picture({"MediaId": media}) is None
    assert isinstance(platform().receive(delivery(xml(**SENT | {"MediaId": media})), NOW), ImmediateResponse)
    assert isinstance(platform().receive(delivery(xml(**SENT | {"MsgType": "voice"})), NOW), ImmediateResponse)


def test_it_is_fetched_with_an_access_token() -> None:
    """Which is fetched first where there is none."""
    chat = platform()
    done = drive(chat.pictures, MEDIA, answer(TOKEN), answer(PNG, content_type="image/png"), now=NOW)
    assert done.result == PNG
    assert "/cgi-bin/gettoken?" in done.calls[0].url
    assert (done.calls[1].url, done.calls[1].method, dict(done.calls[1].headers)) == (URL, "GET", {})
    assert drive(chat.pictures, MEDIA, answer(PNG), now=NOW).result == PNG
    assert (chat.pictures.token_hosts, chat.pictures.plain_hosts) == ((), ())


def test_a_refused_token_is_fetched_anew_once() -> None:
    refused = answer({"errcode": 42001, "errmsg": "access_token expired"})
    chat = platform()
    assert drive(chat.pictures, MEDIA, answer(TOKEN), refused, answer(TOKEN), answer(PNG), now=NOW).result == PNG
    assert drive(platform().pictures, MEDIA, answer(TOKEN), refused, answer(TOKEN), refused, now=NOW).kind == "refused"


@each_of(
    ("given", "kind"),
    [
        (answer({"errcode": 40007, "errmsg": "invalid media_id"}), "gone"),  # after three days
        (answer({"errcode": 60020, "errmsg": "not allow to access from your ip, 203.0.113.9"}), "refused"),
        (answer({"errcode": 45009, "errmsg": "reach max api daily quota limit"}), "later"),
        (answer({"errcode": 99999, "errmsg": "@all"}), "refused"),
        (answer(b"", 404), "gone"),
        (answer(b"", 502), "later"),
        (answer(b"", 302, location="https://evil.example/"), "refused"),
    ],
)
def test_what_is_no_picture_is_told_apart(given: Any, kind: str) -> None:
    """Errors come with the status 200; WeCom's own words are left out."""
    found = drive(platform().pictures, MEDIA, answer(TOKEN), given, now=NOW)
    assert (found.kind, len(found.calls)) == (kind, 2)
    assert not any(word in found.said for word in ("203.0.113.9", "@all", "t 1/+", "t%201"))


def test_without_a_token_there_is_no_picture() -> None:
    for given, kind in (
        (answer({"errcode": 40001, "errmsg": "app+secret"}), "later"),  # an admin may cure it meanwhile
        (answer(b"", 503), "later"),
        (answer(b"<html>"), "later"),
    ):
        found = drive(platform().pictures, MEDIA, given, now=NOW)
        assert (found.kind, len(found.calls), "app+secret" in found.said) == (kind, 1, False)
