"""hub.chat.platforms.slack_files: the pictures of an event, and the calls that fetch one."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hub.chat.platforms.base import MAX_PICTURE_REFS, Ignored, PictureRef
from hub.chat.platforms.slack_events import read_event
from hub.chat.platforms.slack_files import MAX_FILES, SlackPictures, read_files
from tests.each import each_of
from tests.hub.chat.picture_chat import PNG, answer, drive
from tests.hub.chat.platforms.test_slack import SLACK
from tests.hub.chat.platforms.test_slack_events import API, event, read

URL = "https://files.slack.com/files-pri/T1-F1/screenshot.png"
FILE: dict[str, Any] = {
    "id": "F1",
    "name": "screenshot.png",
    "mimetype": "image/png",
    "filetype": "png",
    "size": 34_567,
    "mode": "hosted",
    "url_private": URL,
    "url_private_download": "https://files.slack.com/files-pri/T1-F1/download/screenshot.png",
}
SHARED = {"id": "F9", "mode": "file_access", "file_access": "check_file_info"}
"""Of another organisation, in a shared channel: files.info has the rest."""
BEARER = {"Authorization": "Bearer t"}
PICTURES = SlackPictures(API, "https://slack.com:443", lambda: dict(BEARER))


def test_a_message_brings_its_pictures() -> None:
    """With words, without any, and beside the mention of the bot; what is no picture is not one."""
    said = read(event(type="message", subtype="file_share", text="what is this?", files=[FILE]))
    assert (said.text, said.pictures) == ("what is this?", (PictureRef(URL, "image/png", 34_567),))
    alone = read(event(type="message", subtype="file_share", text="", files=[FILE, SHARED]))
    assert (alone.text, [ref.name for ref in alone.pictures]) == ("", [URL, "F9"])
    assert read(event(files=[FILE])).pictures == said.pictures
    pdf = {**FILE, "mimetype": "application/pdf"}
    assert read(event(type="message", text="see", files=[pdf])).pictures == ()
    assert isinstance(read_event(event(type="message", subtype="file_share", text="", files=[pdf]), API), Ignored)


def test_an_edit_brings_none() -> None:
    edit = event(type="message", text="other words", files=[FILE], edited={"user": "U1", "ts": "1355517524.000001"})
    assert read(edit).edited
    assert read(edit).pictures == ()


@each_of(
    "files",
    [
        None,
        "x",
        [1, None, "F1", [FILE]],
        [{**FILE, "url_private": 1}],
        [{**FILE, "url_private": "ftp://files.slack.com/x"}],
        [{**FILE, "url_private": "https://files.slack.com/" + "x" * 2_000}],
        [{**FILE, "mimetype": None, "name": None}],
        [{**SHARED, "id": "F1/../x"}],
        [{**SHARED, "id": None}],
        [{"mode": "tombstone", "id": "F2"}],
    ],
)
def test_what_is_not_of_the_form_is_passed_over(files: Any) -> None:
    assert read_files({"files": files}) == ()


def test_there_are_bounds() -> None:
    """Of what is looked at and of what is kept; lies in declarations are only declarations."""
    many = [{**FILE, "url_private": f"{URL}?{n}"} for n in range(MAX_FILES + 10)]
    assert len(read_files({"files": many})) == MAX_PICTURE_REFS
    assert read_files({"files": [1] * MAX_FILES + [FILE]}) == ()
    for size in (-1, 2**70, "7", True, None, 1.5):
        assert read_files({"files": [{**FILE, "size": size}]})[0].size == 0


def test_it_is_fetched_with_the_bots_token() -> None:
    done = drive(PICTURES, URL, answer(PNG, content_type="image/png"))
    assert done.result == PNG
    (call,) = done.calls
    assert (call.url, call.method, dict(call.headers), call.body) == (URL, "GET", BEARER, b"")
    assert PICTURES.token_hosts == ("https://files.slack.com",)
    assert PICTURES.plain_hosts == ()


def test_one_of_another_organisation_is_looked_up_first() -> None:
    done = drive(PICTURES, "F9", answer({"ok": True, "file": FILE}), answer(PNG))
    assert done.result == PNG
    assert [call.url for call in done.calls] == [f"{API}/files.info?file=F9", URL]
    assert all(dict(call.headers) == BEARER for call in done.calls)
    for body, kind in [
        ({"ok": True, "file": {**FILE, "mimetype": "video/mp4"}}, "not_picture"),
        ({"ok": True, "file": {**FILE, "url_private": 1}}, "refused"),
        ({"ok": True}, "refused"),
        ({"ok": False, "error": "file_deleted"}, "gone"),
        ({"ok": False, "error": "ratelimited"}, "later"),
        ({"ok": False, "error": "missing_scope"}, "refused"),
        ({"ok": False, "error": "<@U1> look"}, "refused"),
        (b"<html>", "refused"),
    ]:
        found = drive(PICTURES, "F9", answer(body))
        assert found.kind == kind, body
        assert "<@U1>" not in found.said
    assert "files:read" in drive(PICTURES, "F9", answer({"ok": False, "error": "missing_scope"})).said
    assert drive(PICTURES, "F9", answer(b"", 503)).kind == "later"


@each_of(
    ("given", "kind"),
    [
        (answer(b"<!DOCTYPE html>", content_type="text/html; charset=utf-8"), "refused"),  # its sign-in page
        (answer(b"", 302, location="https://acme.slack.com/?redir=x"), "refused"),
        (answer(b"", 404), "gone"),
        (answer(b"", 403), "refused"),
        (answer(b"", 429, retry_after="3"), "later"),
        (answer(b"", 500), "later"),
    ],
)
def test_what_is_no_picture_is_told_apart(given: Any, kind: str) -> None:
    """A missing scope is named, and a redirect to another host is not followed."""
    found = drive(PICTURES, URL, given)
    assert (found.kind, len(found.calls)) == (kind, 1)
    if given.status in (200, 302):
        assert "files:read" in found.said


def test_the_platform_has_them() -> None:
    """Its files' host is its API's; that of another API is the API's own."""
    assert SLACK.pictures.token_hosts == ("https://files.slack.com",)
    assert SlackPictures("https://slack-gov.com/api", "https://slack-gov.com:443", dict).token_hosts == (
        "https://files.slack-gov.com",
    )
    assert SlackPictures("http://127.0.0.1:1/api", "http://127.0.0.1:1", dict).token_hosts == ()
    done = drive(SLACK.pictures, replace(PictureRef(URL), size=5), answer(PNG))
    assert done.calls[0].headers["Authorization"].startswith("Bearer xoxb-")
