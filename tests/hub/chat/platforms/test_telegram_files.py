"""hub.chat.platforms.telegram_files: photos and files of the documented forms, and the calls that fetch one."""

from __future__ import annotations

from typing import Any

import telegram

from hub.chat.platforms.base import Ignored, IncomingMessage, PictureRef
from hub.chat.platforms.pictures import MAX_PICTURE
from hub.chat.platforms.telegram_files import MAX_SIZES, read_pictures
from hub.chat.platforms.telegram_update import Bot, read_update
from tests.each import each_of
from tests.hub.chat.picture_chat import PNG, answer, drive
from tests.hub.chat.platforms.test_telegram import BOT, PRIVATE, ROOT, TOKEN, update


def size(name: str, side: int, count: int | None) -> dict[str, Any]:
    entry = {"file_id": name, "file_unique_id": f"u{name}", "width": side, "height": side, "file_size": count}
    return {key: value for key, value in entry.items() if value is not None}


PHOTO = [
    size("AgACAgIAA-small", 90, 1_200),
    size("AgACAgIAA-middle", 320, 20_000),
    size("AgACAgIAA-large", 1280, 150_000),
]
DOCUMENT = {
    "file_id": "BQACAgIAA",
    "file_unique_id": "u",
    "file_name": "x.png",
    "mime_type": "image/png",
    "file_size": 9,
}
LARGE = PictureRef("AgACAgIAA-large", "", 150_000)


def read(**more: Any) -> IncomingMessage | Ignored:
    return read_update(update(text=None, **more), Bot(777, "answerback_bot"), ROOT)  # type: ignore[arg-type]


def said(**more: Any) -> IncomingMessage:
    found = read(**more)
    assert isinstance(found, IncomingMessage), found
    return found


def test_a_photo_comes_with_its_caption_or_without() -> None:
    """Its largest size, as the Bot API's own package sees it; a picture that was sent as a file too."""
    with_words = said(photo=PHOTO, caption="disk on web-1")
    assert (with_words.text, with_words.pictures) == ("disk on web-1", (LARGE,))
    theirs = telegram.Message.de_json(update(photo=PHOTO, caption="disk on web-1")["message"], None)
    assert theirs.effective_attachment[-1].file_id == LARGE.name  # type: ignore[union-attr, index]
    alone = said(photo=PHOTO, chat=PRIVATE)
    assert (alone.text, alone.pictures, alone.addressed) == ("", (LARGE,), True)
    assert not said(photo=PHOTO).addressed
    assert said(document=DOCUMENT).pictures == (PictureRef("BQACAgIAA", "image/png", 9),)


def test_a_caption_that_only_calls_the_bot_has_no_words() -> None:
    """Where there is no picture, it asks for help."""
    mention = [{"type": "mention", "offset": 0, "length": 15}]
    called = said(photo=PHOTO, caption="@answerback_bot", caption_entities=mention)
    assert (called.text, called.addressed, len(called.pictures)) == ("", True, 1)
    command = [{"type": "bot_command", "offset": 0, "length": 4}]
    assert said(photo=PHOTO, caption="/run", caption_entities=command).text == ""
    assert said(video={}, caption="@answerback_bot", caption_entities=mention).text == "help"


def test_an_edit_brings_none() -> None:
    edit = said(photo=PHOTO, caption="other words", key="edited_message")
    assert (edit.edited, edit.pictures) == (True, ())
    assert isinstance(read(photo=PHOTO, key="edited_message"), Ignored)


def test_the_largest_that_is_not_too_large() -> None:
    big = size("huge", 9_000, MAX_PICTURE + 1)
    assert read_pictures({"photo": [*PHOTO, big]}) == (LARGE,)
    assert read_pictures({"photo": [big]})[0].size == MAX_PICTURE + 1  # which is told


@each_of(
    "message",
    [
        {},
        {"photo": []},
        {"photo": "x"},
        {"photo": [1, None, {}]},
        {"photo": [{"file_id": "a/../b"}]},
        {"photo": [{"file_id": "x" * 301}]},
        {"photo": [{}] * MAX_SIZES + PHOTO},
        {"document": {**DOCUMENT, "mime_type": "application/pdf"}},
        {"document": {**DOCUMENT, "file_id": 7}},
        {"document": []},
        {"voice": {"file_id": "x"}},
    ],
)
def test_what_is_not_of_the_form_is_passed_over(message: dict[str, Any]) -> None:
    assert read_pictures(message) == ()


def test_it_is_fetched_in_two_calls() -> None:
    """Where it is, then the file; the token is in both addresses, and no header has it."""
    path = answer({"ok": True, "result": {"file_id": LARGE.name, "file_size": 9, "file_path": "photos/file_12.jpg"}})
    done = drive(BOT.pictures, LARGE, path, answer(PNG))
    assert done.result == PNG
    assert [call.url for call in done.calls] == [
        f"{ROOT}/bot{TOKEN}/getFile",
        f"{ROOT}/file/bot{TOKEN}/photos/file_12.jpg",
    ]
    assert done.calls[0].body == b'{"file_id":"AgACAgIAA-large"}'
    assert (done.calls[1].method, dict(done.calls[1].headers), done.calls[1].body) == ("GET", {}, b"")
    assert (BOT.pictures.token_hosts, BOT.pictures.plain_hosts) == ((), ())


@each_of(
    "path",
    [None, 7, "", "/var/lib/telegram-bot-api/photo.jpg", "../../etc/passwd", "photos/../x", "a?b", "a b", "a#b",
     "//evil.example/x", "http://evil.example/x", "x" * 400, "photos/.hidden"],
)  # fmt: skip
def test_a_path_that_leads_elsewhere_is_not_called(path: Any) -> None:
    found = drive(BOT.pictures, LARGE, answer({"ok": True, "result": {"file_path": path}}))
    assert (found.kind, len(found.calls)) == ("refused", 1)


@each_of(
    ("given", "kind"),
    [
        (answer({"ok": False, "error_code": 400, "description": "Bad Request: file is too big"}, 400), "too_big"),
        (answer({"ok": False, "error_code": 400, "description": "Bad Request: invalid file_id"}, 400), "gone"),
        (answer({"ok": False, "error_code": 401, "description": "Unauthorized"}, 401), "refused"),
        (answer({"ok": False, "error_code": 429, "description": "x", "parameters": {"retry_after": 4}}, 429), "later"),
        (
            answer({"ok": False, "error_code": 429, "description": "x", "parameters": {"retry_after": 1e9}}, 429),
            "later",
        ),
        (answer({"ok": False, "description": 7}, 500), "later"),
        (answer(b"<html>", 502), "later"),
        (answer(b"<html>"), "later"),
        (answer({"ok": True, "result": []}), "refused"),
    ],
)
def test_what_is_no_path_is_told_apart(given: Any, kind: str) -> None:
    found = drive(BOT.pictures, LARGE, given)
    assert (found.kind, len(found.calls)) == (kind, 1)
    assert TOKEN not in found.said


def test_a_file_that_is_gone() -> None:
    """After its hour: 404. The reason has no address."""
    path = answer({"ok": True, "result": {"file_path": "photos/file_12.jpg"}})
    found = drive(BOT.pictures, LARGE, path, answer(b'{"ok":false}', 404))
    assert (found.kind, TOKEN in found.said) == ("gone", False)
