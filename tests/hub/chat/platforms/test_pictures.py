"""What platforms share that fetch pictures: names that are bounded, and answers told apart by their status."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hub.chat.platforms import (
    dingtalk_files,
    discord_files,
    feishu_files,
    mattermost_files,
    slack_files,
    telegram_files,
)
from hub.chat.platforms.base import MAX_PICTURE_REF, MAX_PICTURE_REFS, BadBody, HttpResponse, PictureRef
from hub.chat.platforms.discord_files import DiscordPictures
from hub.chat.platforms.generic import GenericPlatform
from hub.chat.platforms.outbound import OutboundFailed
from hub.chat.platforms.pictures import (
    MAX_PICTURE,
    PictureFailed,
    PictureSource,
    declared_size,
    few_pictures,
    is_picture,
    picture_of,
    picture_source,
    plain_call,
)
from tests.hub.chat.picture_chat import AlbumPlatform
from tests.hub.chat.platforms.test_dingtalk import platform as dingtalk
from tests.hub.chat.platforms.test_feishu import platform as feishu
from tests.hub.chat.platforms.test_mattermost import CHAT as MATTERMOST
from tests.hub.chat.platforms.test_slack import SLACK
from tests.hub.chat.platforms.test_telegram import BOT as TELEGRAM
from tests.hub.chat.platforms.test_wecom import platform as wecom

KEYS = (
    "ok", "error", "file", "files", "url", "url_private", "mimetype", "mime_type", "content_type", "name", "id", "size",
    "result", "file_path", "file_id", "photo", "document", "description", "parameters", "retry_after", "post_id",
    "code", "errcode", "access_token", "expires_in", "tenant_access_token", "expire", "accessToken", "expireIn",
    "downloadUrl", "downloadCode", "content", "richText", "type", "resolved", "attachments", "file_access", "file_ids",
    "image_key", "file_key", "file_name", "fileName", "filename",
)  # fmt: skip


def test_who_fetches_pictures() -> None:
    """A platform without such an attribute fetches none."""
    platform = AlbumPlatform("https://chat.example")
    assert picture_source(platform) is platform
    assert picture_source(GenericPlatform([b"a long enough secret"])) is None


def test_a_name_is_bounded() -> None:
    """And a message names so many different ones at most."""
    assert PictureRef("x" * MAX_PICTURE_REF).size == 0
    for name, media_type in (("", ""), ("x" * (MAX_PICTURE_REF + 1), ""), ("x", "y" * 101)):
        with pytest.raises(BadBody):
            PictureRef(name, media_type)
    many = [PictureRef(f"n{n // 2}") for n in range(4 * MAX_PICTURE_REFS)]
    assert few_pictures(many) == tuple(PictureRef(f"n{n}") for n in range(MAX_PICTURE_REFS))


@pytest.mark.parametrize(
    ("status", "after", "kind", "wait"),
    [
        (404, "", "gone", 0),
        (410, "", "gone", 0),
        (401, "", "refused", 0),
        (403, "", "refused", 0),
        (302, "", "refused", 0),
        (204, "", "refused", 0),
        (206, "", "refused", 0),
        (429, "9", "later", 9),
        (408, "", "later", 0),
        (503, "1e9", "later", 0),
        (503, "9" * 400, "later", 0),
    ],
)
def test_an_answer_that_is_no_picture(status: int, after: str, kind: str, wait: float) -> None:
    with pytest.raises(PictureFailed) as caught:
        picture_of(HttpResponse(status, {"retry-after": after}, b"\x89PNG"))
    assert (caught.value.kind, caught.value.retry_after) == (kind, wait)
    assert str(status) in str(caught.value)


def test_a_plain_call_has_nothing_of_ours() -> None:
    out = plain_call("https://cdn.example/x")
    assert (out.call.method, out.call.body, dict(out.call.headers)) == ("GET", b"", {})
    assert out.limit == MAX_PICTURE
    assert picture_of(HttpResponse(200, {}, b"bytes")) == b"bytes"


@pytest.mark.parametrize(
    ("media_type", "name", "expected"),
    [
        ("image/png", "x", True),
        ("IMAGE/JPEG", "", True),
        ("text/plain", "x.png", False),
        ("", "Screen Shot.PNG", True),
        (None, "x.jpeg", True),
        ("application/octet-stream", "x.webp", True),
        ("application/octet-stream", "x.exe", False),
        (7, ["x.png"], False),
        (None, None, False),
    ],
)
def test_what_is_declared_to_be_a_picture(media_type: object, name: object, expected: bool) -> None:
    assert is_picture(media_type, name) is expected


@pytest.mark.parametrize(("value", "size"), [(7, 7), (0, 0), (-1, 0), (True, 0), ("7", 0), (7.0, 0), (2**60, 0)])
def test_a_declared_size(value: object, size: int) -> None:
    assert declared_size(value) == size


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=5), inner, max_size=5)
    ),
    max_leaves=20,
)
ANSWERS = st.builds(
    HttpResponse,
    st.sampled_from([200, 200, 200, 204, 302, 400, 401, 403, 404, 429, 500]),
    st.dictionaries(st.sampled_from(["content-type", "retry-after", "location"]), st.text(max_size=9), max_size=3),
    st.builds(lambda value: json.dumps(value).encode(), JSON) | st.binary(max_size=40),
)
SOURCES: dict[str, tuple[PictureSource, tuple[str, ...]]] = {
    "slack": (SLACK.pictures, ("https://files.slack.com/x", "F1")),
    "telegram": (TELEGRAM.pictures, ("AgACAgIAA",)),
    "discord": (DiscordPictures(), ("https://cdn.discordapp.com/x",)),
    "mattermost": (MATTERMOST.pictures, (f"{'p' * 26}/{'f' * 26}",)),
    "feishu": (feishu().pictures, ("om_1/image/img_1", "odd")),
    "dingtalk": (dingtalk(app_key="key").pictures, ("robot code",)),
    "wecom": (wecom().pictures, ("media",)),
}


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(SOURCES)), st.integers(0, 1), st.lists(ANSWERS, min_size=6, max_size=6))
def test_whatever_is_answered_is_a_picture_or_a_failure(name: str, which: int, answers: list[HttpResponse]) -> None:
    """Of every platform, and nothing else is raised; it ends after a few calls."""
    source, names = SOURCES[name]
    fetch = source.fetch(PictureRef(names[which % len(names)]), 1_700_000_000.0)
    result: object = None
    try:
        next(fetch)
        for answer in answers:
            fetch.send(answer)
    except StopIteration as end:
        result = end.value
    except (PictureFailed, OutboundFailed, BadBody) as failed:
        result = str(failed)
    assert isinstance(result, bytes) or (isinstance(result, str) and "\n" not in result)


@settings(max_examples=60, deadline=None)
@given(JSON)
def test_whatever_a_message_says_of_its_files_is_read(value: Any) -> None:
    """As pictures, at most so many, or as none."""
    body = value if isinstance(value, dict) else {"files": value, "file_ids": value, "photo": value, "content": value}
    for found in (
        slack_files.read_files(body),
        telegram_files.read_pictures(body),
        discord_files.read_attachments(body),
        discord_files.read_files(value),
        mattermost_files.read_file_ids(body, "p"),
        *(feishu_files.read_pictures(kind, body, "om_1") for kind in ("image", "file")),
        *(dingtalk_files.read_pictures({**body, "msgtype": kind}, "") for kind in ("picture", "file", "richText")),
    ):
        assert len(found) <= MAX_PICTURE_REFS
        assert all(isinstance(one, PictureRef) for one in found)
