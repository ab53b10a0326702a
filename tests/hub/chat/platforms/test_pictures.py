"""What platforms share that fetch pictures: names that are bounded, and answers told apart by their status."""

from __future__ import annotations

import pytest

from hub.chat.platforms.base import MAX_PICTURE_REF, MAX_PICTURE_REFS, BadBody, HttpResponse, PictureRef
from hub.chat.platforms.generic import GenericPlatform
from hub.chat.platforms.pictures import (
    MAX_PICTURE,
    PictureFailed,
    declared_size,
    few_pictures,
    is_picture,
    picture_of,
    picture_source,
    plain_call,
)
from tests.hub.chat.picture_chat import AlbumPlatform


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
