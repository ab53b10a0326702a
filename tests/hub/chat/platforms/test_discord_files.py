"""hub.chat.platforms.discord_files: attachments of a command, and the one call that fetches one."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from hub.chat.platforms.base import Delivered, IncomingMessage, PictureRef
from hub.chat.platforms.discord_files import MAX_ATTACHMENTS, DiscordPictures, read_attachments, read_files
from hub.chat.platforms.discord_interaction import read_interaction
from tests.each import each_of
from tests.hub.chat.picture_chat import PNG, answer, drive
from tests.hub.chat.platforms.test_discord import BOT, NOW, POSTED, REF, card, command, reply_of

ROOT = "https://discord.com/api/v10"
URL = "https://cdn.discordapp.com/ephemeral-attachments/1/2/shot.png?ex=65d903de&is=65c68ede&hm=2481f3&"
FILE: dict[str, Any] = {
    "id": "1199700000000000001",
    "filename": "shot.png",
    "size": 41_000,
    "url": URL,
    "proxy_url": "https://media.discordapp.net/ephemeral-attachments/1/2/shot.png?ex=1&is=2&hm=3&",
    "content_type": "image/png",
    "width": 800,
    "height": 600,
    "ephemeral": True,
}
PICTURES = DiscordPictures()


def with_file(file: Any, *options: dict[str, Any], name: str = "run") -> IncomingMessage:
    body = command()
    body["data"] |= {
        "name": name,
        "options": [*options, {"name": "picture", "type": 11, "value": "1199700000000000001"}],
        "resolved": {"attachments": {"1199700000000000001": file}},
    }
    found = read_interaction(body, ROOT)
    assert isinstance(found, IncomingMessage)
    return found


def test_a_command_brings_its_pictures() -> None:
    """Beside its words, or alone; without either it asks for help."""
    words = {"name": "text", "type": 3, "value": "what is this?"}
    assert (with_file(FILE, words).text, with_file(FILE, words).pictures) == (
        "what is this?",
        (PictureRef(URL, "image/png", 41_000),),
    )
    assert (with_file(FILE).text, len(with_file(FILE).pictures)) == ("", 1)
    assert (with_file({**FILE, "content_type": "application/zip"}).text) == "help"
    assert with_file(FILE, name="approve").text == "approve"


def test_what_was_read_is_not_overwritten_by_the_card() -> None:
    """The reading is the command's answer; the card, or a refusal, is a message below it, which everybody sees."""
    message = with_file(FILE)
    assert message.thread.endswith("/picture")
    asked = card(in_reply_to=message.event_id, thread=message.thread)
    reading = replace(asked, kind="progress", card=False, actions=(), deadline=None, text="I read this in the picture")
    for content, method, end in (
        (reading, "PATCH", "/messages/@original"),
        (asked, "POST", "?wait=true"),
        (replace(reading, kind="final"), "POST", "?wait=true"),
    ):
        call = BOT.render(reply_of(content), NOW)
        assert (call.method, call.url.endswith(end)) == (method, True)
        assert not json.loads(call.body)["flags"] & 64
    posted = BOT.handle_response(reply_of(asked), BOT.render(reply_of(asked), NOW), answer(POSTED), NOW)
    assert posted == Delivered(REF)


@each_of(
    "file",
    [None, 1, [], {}, {**FILE, "url": None}, {**FILE, "url": ""}, {**FILE, "url": "x" * 2_001},
     {**FILE, "content_type": "text/plain"}, {**FILE, "content_type": None, "filename": "x.log"}],
)  # fmt: skip
def test_what_is_not_of_the_form_is_passed_over(file: Any) -> None:
    assert read_attachments({"resolved": {"attachments": {"1": file}}}) == ()
    assert read_files([file]) == ()


def test_odd_bodies_have_none() -> None:
    for data in ({}, {"resolved": 1}, {"resolved": {}}, {"resolved": {"attachments": [FILE]}}):
        assert read_attachments(data) == ()
    assert read_files(FILE) == ()
    assert read_files([1] * MAX_ATTACHMENTS + [FILE]) == ()


def test_it_is_fetched_without_the_token() -> None:
    """From Discord's CDN, and from nowhere else."""
    done = drive(PICTURES, URL, answer(PNG))
    assert done.result == PNG
    (call,) = done.calls
    assert (call.url, call.method, dict(call.headers), call.body) == (URL, "GET", {}, b"")
    assert PICTURES.plain_hosts == ("https://cdn.discordapp.com", "https://media.discordapp.net")
    assert PICTURES.token_hosts == ()


@each_of(
    ("status", "kind"), [(403, "gone"), (404, "gone"), (401, "gone"), (302, "refused"), (429, "later"), (500, "later")]
)
def test_what_is_no_picture_is_told_apart(status: int, kind: str) -> None:
    """A signature that has run out is 403 or 404: the person has to send it again."""
    assert drive(PICTURES, URL, answer(b"This content is no longer available.", status)).kind == kind
