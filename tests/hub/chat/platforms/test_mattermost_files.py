"""hub.chat.platforms.mattermost_files: the files of a post, and the calls that fetch one."""

from __future__ import annotations

from typing import Any

from hub.chat.platforms.base import MAX_PICTURE_REFS, Ignored
from hub.chat.platforms.mattermost_files import MAX_FILES, read_file_ids
from hub.chat.platforms.pictures import MAX_PICTURE
from tests.each import each_of
from tests.hub.chat.picture_chat import PNG, answer, drive
from tests.hub.chat.platforms.test_mattermost import BOT_TOKEN, CHAT, MESSAGE, POST, ROOT, delivery, receive

FILE, OTHER = "f" * 26, "g" * 26
INFO: dict[str, Any] = {"id": FILE, "post_id": POST, "name": "shot.png", "mime_type": "image/png", "size": 30_000}
BEARER = {"Authorization": f"Bearer {BOT_TOKEN.decode()}"}


def test_a_post_brings_its_files() -> None:
    """As JSON, as a form, with words or only the bot's name, and without any."""
    for form in (False, True):
        found = receive(MESSAGE | {"file_ids": f"{FILE},{OTHER}"}, form=form)
        assert found.text == "disk on web-1"
        assert [ref.name for ref in found.pictures] == [f"{POST}/{FILE}", f"{POST}/{OTHER}"]
    assert receive(MESSAGE | {"file_ids": [FILE], "text": "@answerback"}).text == ""
    assert receive(MESSAGE | {"file_ids": FILE, "text": ""}).text == ""
    assert isinstance(CHAT.receive(delivery(MESSAGE | {"text": ""}), 7.0), Ignored)


@each_of("ids", [None, "", ",", 7, {}, [7, None], "a/../b", ["x" * 200], "ü" * 26, [f" {FILE}/x"]])
def test_what_is_no_id_is_passed_over(ids: Any) -> None:
    assert read_file_ids({"file_ids": ids}, POST) == ()


def test_there_are_bounds() -> None:
    many = [f"{n:026d}" for n in range(MAX_FILES + 5)]
    assert len(read_file_ids({"file_ids": many}, POST)) == MAX_PICTURE_REFS
    assert len(read_file_ids({"file_ids": ",".join(many)}, POST)) == MAX_PICTURE_REFS


def test_it_is_fetched_with_the_bots_token() -> None:
    """What it is is asked first: the webhook does not say."""
    done = drive(CHAT.pictures, f"{POST}/{FILE}", answer(INFO), answer(PNG))
    assert done.result == PNG
    assert [call.url for call in done.calls] == [f"{ROOT}/api/v4/files/{FILE}/info", f"{ROOT}/api/v4/files/{FILE}"]
    assert [(call.method, dict(call.headers)) for call in done.calls] == [("GET", BEARER)] * 2
    assert (CHAT.pictures.token_hosts, CHAT.pictures.plain_hosts) == ((), ())


@each_of(
    ("info", "kind"),
    [
        ({**INFO, "mime_type": "application/pdf"}, "not_picture"),
        ({}, "not_picture"),
        (b"<html>", "not_picture"),
        ({**INFO, "size": MAX_PICTURE + 1}, "too_big"),
        ({**INFO, "post_id": "q" * 26}, "gone"),  # of another channel, that the bot can see and the writer may not
        ({**INFO, "post_id": 7}, "gone"),
    ],
)
def test_what_is_not_asked_for_further(info: Any, kind: str) -> None:
    found = drive(CHAT.pictures, f"{POST}/{FILE}", answer(info))
    assert (found.kind, len(found.calls)) == (kind, 1)


@each_of(("status", "kind"), [(404, "gone"), (403, "refused"), (401, "refused"), (301, "refused"), (500, "later")])
def test_what_is_no_picture_is_told_apart(status: int, kind: str) -> None:
    assert drive(CHAT.pictures, f"{POST}/{FILE}", answer({"id": "x"}, status)).kind == kind
    assert drive(CHAT.pictures, f"{POST}/{FILE}", answer(INFO), answer(b"", status)).kind == kind
